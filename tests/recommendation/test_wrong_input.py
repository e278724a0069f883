"""Wrong questions in Python: each is one clear sentence of the right class, never a failure of the machinery."""

import builtins
import math
from pathlib import Path
from typing import Any

import pytest

import hplaw
from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.catalogue import load_catalogue
from hplaw.errors import ConflictingQuery, HplawError, LawError, LawNotFound, MalformedQuery, QueryError, nearest
from hplaw.messages.decode import decode
from hplaw.messages.query import BatchRequest, Bounds, EvaluateRequest, Query
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.record import recommend
from hplaw.vocabulary.model_shape import read_shape
from hplaw.vocabulary.quantities import check_value, parse_number, vocabulary
from tests.helpers import is_one_sentence, law_text, problems_in, shipped


CELL = {"n_params": 7e9, "tokens": 1.4e12}


def check(error: HplawError, kind: type, says: str) -> None:
    assert type(error) is kind
    assert says in str(error), str(error)
    assert is_one_sentence(error)


# A question in Python


@pytest.mark.parametrize(
    ("fields", "kind", "field", "says"),
    [
        ({"tokens": -3.0}, QueryError, "tokens", "tokens=-3 is not positive; give training tokens"),
        ({"tokens": 0.0}, QueryError, "tokens", "tokens=0 is not positive"),
        ({"tokens": math.nan}, QueryError, "tokens", "tokens=nan is not finite"),
        ({"tokens": math.inf}, QueryError, "tokens", "tokens=inf is not finite"),
        ({"tokens": -math.inf}, QueryError, "tokens", "tokens=-inf is not finite"),
        ({"tokens": "1.4T"}, QueryError, "tokens", "tokens='1.4T' is not a number"),
        ({"tokens": True}, QueryError, "tokens", "tokens=True is not a number"),
        ({"tokens": [1e9]}, QueryError, "tokens", "is not a number"),
        ({"tokens": 1e23}, QueryError, "tokens", "tokens=1e+23 is above 1e+22, the maximum allowed"),
        ({"n_params": 0.0}, QueryError, "n_params", "n_params=0 is not positive"),
        (
            {"n_active_params": 8e9},
            ConflictingQuery,
            "n_active_params",
            "n_active_params=8e+09 is above n_params=7e+09",
        ),
        ({"devices": 0.0}, QueryError, "devices", "devices=0 is below 1"),
        ({"devices": 2.5}, QueryError, "devices", "devices=2.5 is not a whole number"),
        ({"given": {"n_layers": 12.5}}, QueryError, "given.n_layers", "n_layers=12.5 is not a whole number"),
        ({"model": {"n_layers": 12.5}}, QueryError, "model", "n_layers=12.5 is not a whole number"),
        (
            {"hardware": "rtx-9999"},
            QueryError,
            "hardware",
            "hardware='rtx-9999' is not known; did you mean 'rtx-5090'?; an accelerator of your own is described by",
        ),
        ({"hardware": "H1000-SXM"}, QueryError, "hardware", "did you mean 'h100-sxm'?"),
        ({"given": {"country": "usa"}}, QueryError, "given.country", "country='usa' is not known; did you mean 'US'?"),
        ({"given": {"country": 1.0}}, QueryError, "given.country", "is not a name"),
        ({"given": {"lr": 1e-3}}, QueryError, "given", "given: 'lr' is not a quantity; did you mean 'peak_lr'?"),
        ({"want": ["lr"]}, QueryError, "want", "'lr' is not a quantity; did you mean 'peak_lr'?"),
        ({"optimizer": "adamx"}, QueryError, "optimizer", "optimizer='adamx' is not known; give sgd"),
        ({"optimizer": 3}, QueryError, "optimizer", "optimizer=3 is not a name"),
        ({"precision": "fp12"}, QueryError, "precision", "precision='fp12' is not known"),
        ({"want": ["peak_rl"]}, QueryError, "want", "'peak_rl' is not a quantity; did you mean 'peak_lr'?"),
        ({"want": [""]}, QueryError, "want", "'' is not a quantity"),
        ({"laws": ["step-lw-2025"]}, LawNotFound, "", "no law is called 'step-lw-2025'; did you mean 'step-law-2025'?"),
        ({"laws": ["step-law-2025@7"]}, LawNotFound, "", "no law has the address 'step-law-2025@7'"),
        (
            {"laws": ["training-memory"], "want": ["peak_lr"]},
            ConflictingQuery,
            "laws",
            "training-memory can give none of peak_lr",
        ),
        (
            {"given": {"peak_rl": 1e-3}},
            QueryError,
            "given",
            "given: 'peak_rl' is not a quantity; did you mean 'peak_lr'?",
        ),
        ({"given": {"tokens": 1e9}}, ConflictingQuery, "tokens", "tokens is given twice, as a field and in given"),
        ({"given": {"peak_lr": -1e-3}}, QueryError, "given.peak_lr", "peak_lr=-0.001 is not positive"),
        ({"given": {"peak_lr": "fast"}}, QueryError, "given.peak_lr", "peak_lr='fast' is not a number"),
        ({"given": {"peak_lr": None}}, QueryError, "given.peak_lr", "is not a number"),
        (
            {"given": {"loss": 2.0}},
            QueryError,
            "given.loss",
            "loss cannot be given, as it is an outcome; name the loss to reach target_loss",
        ),
        ({"given": {"schedule": "zigzag"}}, QueryError, "given.schedule", "schedule='zigzag' is not known"),
        ({"given": {"schedule": 1.0}}, QueryError, "given.schedule", "is not a name"),
        ({"bounds": {"peak_rl": Bounds(low=1e-4)}}, QueryError, "bounds.peak_rl", "did you mean 'peak_lr'?"),
        ({"bounds": {"tokens": Bounds(low=1e9)}}, ConflictingQuery, "bounds.tokens", "tokens is given and bounded"),
        ({"bounds": {"optimizer": Bounds()}}, QueryError, "bounds.optimizer", "is not a quantity that is a number"),
        ({"bounds": {"peak_lr": Bounds(low=-1.0)}}, QueryError, "bounds.peak_lr", "peak_lr=-1 is not positive"),
        ({"bounds": {"peak_lr": Bounds(high=math.nan)}}, QueryError, "bounds.peak_lr", "is not finite"),
        (
            {"bounds": {"peak_lr": Bounds(low=1e-2, high=1e-3)}},
            ConflictingQuery,
            "bounds.peak_lr",
            "bounded from 0.01 to 0.001, which leaves nothing",
        ),
        ({"model": {"n_layer": 4, "d_model": 9, "x": 1}}, QueryError, "", ""),
        (
            {"model": {"layers": 4}},
            QueryError,
            "model",
            "model: 'layers' is not part of a shape; did you mean 'n_layers'?",
        ),
        ({"model": {"n_layers": -1}}, QueryError, "model", "n_layers=-1 is below 1"),
        ({"model": {"n_layers": "12"}}, QueryError, "model", "n_layers='12' is not a number"),
        ({"model": {"n_layers": math.nan}}, QueryError, "model", "is not finite"),
    ],
)
def test_a_wrong_question_is_refused(fields: dict[str, Any], kind: type, field: str, says: str) -> None:
    query = Query(**(CELL | fields))
    if not says:
        recommend(query, shipped())
        return
    with pytest.raises(HplawError) as caught:
        recommend(query, shipped())
    check(caught.value, kind, says)
    if isinstance(caught.value, QueryError):
        assert caught.value.field == field
    (row,) = recommend_many([query], shipped())
    assert row.error == str(caught.value)
    assert row.answers == {}


@pytest.mark.parametrize("count", [1, 40])
def test_a_bad_row_does_not_stop_the_others(count: int) -> None:
    bad = [Query(tokens=-1.0), Query(n_params=1e9, tokens=1e9, laws=["absent"]), Query(want=["nothing"])]
    good = [Query(n_params=1e9 * (i + 1), tokens=1e11) for i in range(count)]
    rows = recommend_many([*bad, *good, *bad], shipped())
    assert [row.error is None for row in rows] == [False] * 3 + [True] * count + [False] * 3
    assert all(row.answers["peak_lr"].value for row in rows[3:-3])


def test_repeating_a_value_is_refused_where_it_contradicts() -> None:
    shape = {"n_layers": 4, "d_model": 64, "vocab_size": 100}
    query = Query(tokens=1e9, given={"d_model": 32.0}, model=shape)
    with pytest.raises(QueryError, match="d_model is given twice, as 32"):
        recommend(query, shipped())


# The shortest way to ask


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"n_param": 7e9}, "n_param", "n_param: unknown field; did you mean 'n_params'?"),
        ({"n_params": "7B"}, "n_params", "n_params: a number is needed here, not a text"),
        ({"params": 7e9}, "params", "params: unknown field; did you mean 'n_params'?"),
        ({"peak_lr": 3e-4}, "peak_lr", 'a quantity that is no field is given by given={"peak_lr": 0.0003}'),
        ({"lr": 3e-4}, "lr", 'a quantity that is no field is given by given={"peak_lr": 0.0003}'),
        ({"devices": 2.5}, "devices", "devices: a whole number is needed here"),
        ({"hardware": "rtx-9999"}, "hardware", "; hplaw.local().hardware() lists them"),
        ({"tokens": None, "n_params": -1}, "n_params", "n_params"),
        ({"tokens": math.nan}, "tokens", "tokens"),
        ({"tokens": math.inf}, "tokens", "tokens"),
        ({"want": "peak_lr"}, "want", "want: a list is needed here, not a text"),
        ({"given": {"peak_lr": [1]}}, "given", "given"),
        ({"model": 7}, "model", "model: an object is needed here"),
        ({"bounds": {"peak_lr": {"least": 1}}}, "bounds", "unknown field"),
        ({"laws": [7]}, "laws", "a text is needed here"),
    ],
)
def test_a_wrong_call_names_its_field(fields: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        hplaw.recommend(**fields)
    assert says in str(caught.value)
    assert caught.value.field.startswith(field)
    assert len(str(caught.value)) < 400


def test_a_query_and_fields_together_are_one_mistake() -> None:
    with pytest.raises((QueryError, TypeError)):
        hplaw.recommend(Query(tokens=1e9), tokens=1e9)


# Bodies


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b"[]", "an object is needed here, not a list"),
        (b"3", "an object is needed here, not"),
        (b"null", "an object is needed here"),
        (b'"x"', "an object is needed here"),
        (b'{"tokens": 1} x', "the body is not JSON"),
        (b'{"tokens": NaN}', "the body is not JSON"),
        (b'{"tokens": Infinity}', "the body is not JSON"),
        (b'{"tokens": 1e999}', "tokens"),
        (b'{"tokens": -1}', "tokens: a number is needed here that is > 0"),
        (b'{"tokens": 0}', "tokens: a number is needed here that is > 0"),
        (b'{"tokens": "1.4T"}', "tokens: a number is needed here, not a text"),
        (b'{"tokens": true}', "tokens: a number is needed here, not true or false"),
        (b'{"tokens": 1, "tokens": 2}', "tokens: given twice; give each field once"),
        (b'{"given": {"peak_lr": 1, "peak_lr": 2}}', "peak_lr: given twice"),
        (b'{"token": 1}', "token: unknown field; did you mean 'tokens'?"),
        (b'{"optimizer": null}', "optimizer: a text is needed here, not null"),
        (b'{"want": ["a", 1]}', "want"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, ""),
        (b"[" * 100_000, "an object is needed here"),
        (b'{"model": ' + b"[" * 100_000, ""),
        (b'{"model": ' + b'{"a":' * 100_000, ""),
        (b'{"' + b"x" * 1_000_000 + b'": 1}', "unknown field"),
    ],
)
def test_a_wrong_body_is_one_sentence(body: bytes, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        decode(body, Query)
    assert isinstance(caught.value, MalformedQuery)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def test_a_wrong_row_of_a_batch_is_named() -> None:
    with pytest.raises(QueryError, match="tokens") as caught:
        decode(b'{"queries": [{}, {"tokens": -1}]}', BatchRequest)
    assert "[1]" in caught.value.field
    with pytest.raises(QueryError):
        decode(b'{"given": {"tokens": [1]}}', EvaluateRequest)


# One law


@pytest.mark.parametrize(
    ("law", "given", "says"),
    [
        ("step-law-2025", {}, "step-law-2025 needs n_params; give it"),
        ("step-law-2025", {"n_params": 1e9}, "step-law-2025 needs tokens; give it"),
        ("step-law-2025", {"n_params": 1e9, "tokns": 1e9}, "'tokns' is not a quantity; did you mean 'tokens'?"),
        ("step-law-2025", {"n_params": 1e9, "loss": 1e9}, "'loss' is not an input of step-law-2025"),
        ("step-law-2025", {"n_params": "1B", "tokens": 1e9}, "n_params='1B' is not a number"),
        ("step-law-2025", {"n_params": math.nan, "tokens": 1e9}, "n_params=nan is not finite"),
        ("step-law-2025", {"n_params": {"a": 1.0}, "tokens": 1e9}, "n_params is one value, not a table"),
        ("step-law-2025", {"n_params": None, "tokens": 1e9}, "is not a number"),
        ("training-memory", {"n_params_with_embedding": 1e9, "precision": "fp12"}, "precision='fp12' is not known"),
        ("training-memory", {"n_params_with_embedding": 1e9, "precision": 8.0}, "precision=8.0 is not a name"),
    ],
)
def test_a_law_asked_wrongly_says_what_it_takes(law: str, given: dict, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        evaluate(shipped().get(law), given, shipped())
    kind = ConflictingQuery if any(word in says for word in ("needs", "not an input", "not a table")) else QueryError
    check(caught.value, kind, says)


# Numbers, shapes, files


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7B", 7e9),
        ("1.4T", 1.4e12),
        ("4M", 4e6),
        ("512k", 512e3),
        ("2K", 2e3),
        ("1e9", 1e9),
        (" 3 ", 3.0),
        ("-2", -2.0),
        ("1G", 1e9),
        ("2P", 2e15),
        ("7b", 7e9),
        ("1.4t", 1.4e12),
        ("4m", 4e6),
        ("7,000", 7e3),
        ("1,000,000", 1e6),
        ("-1,000.5", -1000.5),
        ("1,500k", 1.5e6),
        ("1E", 1e18),
        (".5k", 500.0),
    ],
)
def test_suffixes_are_thousands(text: str, value: float) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "B",
        "7 000",
        "7,00",
        "0,001",
        ",000",
        "1,0000",
        "7m,000",
        "7BB",
        "7B B",
        "seven",
        "nan",
        "inf",
        "-inf",
        "infinity",
        "1_000",
        "0x10",
        "1e999",
        "1e308T",
        "1e",
        "٣",
        "7%",
        "1/2",
        "--7",
        "7B\n8B",
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_number(text)
    check(caught.value, QueryError, "is not a number; give digits with an optional suffix k, M, B or T")


def test_a_model_is_a_dictionary_of_numbers() -> None:
    for model, says in [
        ({"n_layers": 4, "d_modle": 8}, "did you mean 'd_model'?"),
        ({"num_hidden_layers": -4}, "n_layers=-4 is below 1"),
        ({"num_hidden_layers": "four"}, "n_layers='four' is not a number"),
        ({"hidden_size": math.inf, "model_type": "llama"}, "is not finite"),
        ({"hidden_size": [8], "model_type": "llama"}, "is not a number"),
    ]:
        with pytest.raises(QueryError) as caught:
            read_shape(model)
        kind = (
            ConflictingQuery if any(word in says for word in ("needs", "not an input", "not a table")) else QueryError
        )
    check(caught.value, kind, says)


def test_every_quantity_checks_its_values() -> None:
    for quantity in vocabulary().values():
        for value in (math.nan, math.inf, None, [], {}, True, b"x"):
            problem = check_value(quantity, value)
            assert problem
            assert is_one_sentence(problem)
        if quantity.categorical:
            assert check_value(quantity, 3.0)
        else:
            assert check_value(quantity, "3")
            if quantity.low is not None:
                assert check_value(quantity, quantity.low - 1)
            if quantity.high is not None:
                assert check_value(quantity, quantity.high * 2 + 1)
                assert (check_value(quantity, quantity.high) is None) is not quantity.open_high


def test_a_formula_that_would_do_harm_is_refused_in_a_law_folder(tmp_path: Path) -> None:
    texts = {
        "attribute": "tokens.real",
        "call": "print(tokens)",
        "text": "'tokens'",
        "import": "__import__('os')",
        "long": "1 + " * 250_000 + "1",
        "deep": "(" * 10_000 + "tokens" + ")" * 10_000,
        "circle": "steps",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.toml").write_text(law_text(f'[outputs]\nsteps = "{text}"', name=name))
    (tmp_path / "circle.toml").write_text(law_text('[let]\na = "b"\nb = "a"\n[outputs]\nsteps = "a"', name="circle"))
    catalogue = load_catalogue([tmp_path], environ={})
    assert len(problems_in(catalogue, tmp_path)) == len(texts)
    assert not set(texts) & {law.id for law in catalogue.laws}
    for problem in problems_in(catalogue, tmp_path):
        assert isinstance(problem, LawError)
        assert is_one_sentence(problem)
        assert Path(problem.file).stem in texts


# The classes


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        ("LawError", "ValueError"),
        ("LawNotFound", "LookupError"),
        ("QueryError", "ValueError"),
        ("DataError", "ValueError"),
        ("FitError", "RuntimeError"),
        ("StoreError", "OSError"),
        ("DeviceError", "RuntimeError"),
        ("ClientError", "ConnectionError"),
    ],
)
def test_each_error_is_also_the_fitting_builtin(kind: str, builtin: str) -> None:
    import hplaw.errors as errors

    error = getattr(errors, kind)("one sentence")
    assert isinstance(error, HplawError)
    assert isinstance(error, getattr(builtins, builtin))
    assert str(error) == "one sentence"


def test_the_nearest_name_is_offered_only_where_one_is_near() -> None:
    assert nearest("toknes", ["tokens", "loss"]) == "; did you mean 'tokens'?"
    assert nearest("zzz", ["tokens", "loss"]) == ""
    assert nearest("", []) == ""
