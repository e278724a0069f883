"""What every client does, in this process or over HTTP: the same methods, records and errors."""

import math

import msgspec
import numpy as np
import pytest

import hplaw
from hplaw.errors import ConflictingQuery, LawNotFound, MalformedQuery, QueryError
from hplaw.messages.law import Health, LawRecord, LawSummary, QuantityRecord
from hplaw.messages.query import Query
from hplaw.messages.recommendation import BriefRecommendation, Evaluation, Recommendation
from hplaw.messages.theory import Theory
from hplaw.messages.transfer import Transfer
from tests.type_checks import unchecked


SEVEN_B = {"n_params": 7e9, "tokens": 1.4e12}
LEAN = {**SEVEN_B, "want": ["peak_lr", "batch_tokens", "loss"]}


def test_question_by_fields_and_by_record_have_one_answer(client):
    by_fields = client.recommend(**LEAN)
    assert isinstance(by_fields, Recommendation)
    assert by_fields.answers["peak_lr"].value > 0
    assert client.recommend(Query(**LEAN)) == by_fields


def test_answer_is_that_of_the_library(client):
    assert client.recommend(**SEVEN_B) == hplaw.recommend(**SEVEN_B)


def test_values_side_by_side_are_those_of_the_library(client):
    values = {"precision": ["bf16", "fp4"]}
    found = client.compare(values, **LEAN)
    assert found == hplaw.compare(values, **LEAN) == client.compare(values, Query(**LEAN))
    assert found.best == {"loss": "bf16"}
    with pytest.raises(ConflictingQuery, match="1 different"):
        client.compare({"precision": ["bf16"]}, **LEAN)


def test_numbers_of_numpy_are_numbers(client):
    answer = client.recommend(n_params=np.int64(7_000_000_000), tokens=np.float64(1.4e12))
    assert answer.answers == client.recommend(**SEVEN_B).answers


def test_batch_is_answered_in_order_by_fields_and_by_record(client):
    queries = [Query(**{**LEAN, "n_params": 1e9}), {**LEAN, "n_params": 4e9}, {**LEAN, "laws": ["no-law"]}]
    rows = client.recommend_batch(queries)
    assert all(isinstance(row, BriefRecommendation) for row in rows)
    assert rows[0].answers["peak_lr"].value > rows[1].answers["peak_lr"].value
    assert rows[0].error is None
    assert "no-law" in rows[2].error
    assert client.recommend_batch([]) == []


def test_batch_of_any_length_is_answered(client):
    queries = [{"n_params": 1e9 + k, "want": ["compute_flop"]} for k in range(10_001)]
    assert len(client.recommend_batch(queries)) == 10_001


def test_laws_are_listed_and_filtered(client):
    laws = client.laws()
    assert all(isinstance(law, LawSummary) for law in laws)
    assert client.laws(quantity="peak_lr", status="published") == [
        law for law in laws if "peak_lr" in law.outputs and law.status == "published"
    ]


def test_law_is_read_by_its_whole_address(client):
    law = client.law("step-law-2025")
    assert isinstance(law, LawRecord)
    assert client.law(law.summary.address) == law


def test_citation_is_read(client):
    assert client.bibtex("step-law-2025") == client.law("step-law-2025").citation.bibtex


def test_law_is_evaluated(client):
    found = client.evaluate("step-law-2025", {"n_params": 1e9, "tokens": 1e11})
    assert isinstance(found, Evaluation)
    assert found.outputs["peak_lr"].value == pytest.approx(1.632499e-3, rel=1e-6)


WIDER = {
    "scheme": "completep",
    "optimizer": "adam",
    "width": np.int64(1024),
    "base_width": 256,
    "depth": 8,
    "base_depth": 4,
}
EXPONENTS = {"a": {"input": 0, "hidden": "1/2", "output": "1/2"}, "b": {"input": 0, "hidden": 0, "output": 0}}


def test_a_parametrization_is_worked_out(client):
    assert client.parametrize(**WIDER) == hplaw.parametrize(**WIDER)


def test_exponents_are_classified(client):
    found = client.classify(**EXPONENTS)
    assert found == hplaw.classify(**EXPONENTS)
    assert (found.regime, found.r) == ("kernel", "1/2")


def test_schedules_are_compared(client):
    asked = {"total_steps": 24e3, "schedules": ["constant", "cosine", "wsd"]}
    found = client.compare_schedules(**asked)
    assert found == hplaw.compare_schedules(**asked)
    assert [each.schedule for each in found.schedules] == ["wsd", "cosine", "constant"]


def test_a_schedule_is_worked_out(client):
    asked = {"total_steps": 1000, "peak_lr": 3e-4, "given": {"warmup_steps": 100.0}, "points": 11}
    found = client.schedule("wsd", **asked)
    assert found == hplaw.schedule("wsd", **asked)
    assert found.area == pytest.approx(0.255)


@pytest.mark.parametrize(
    ("method", "fields", "field"),
    [
        ("parametrize", {"scheme": "mupp", "width": 8, "base_width": 4}, "parametrization"),
        ("parametrize", {"width": math.inf, "base_width": 4}, "width"),
        ("parametrize", {"width": 8, "base_width": 0}, "base_width"),
        ("parametrize", {"width": 8}, "base_width"),
        ("classify", {**EXPONENTS, "optimizer": "adm"}, "optimizer"),
        ("classify", {**EXPONENTS, "a": {"input": 0}}, "a"),
        ("schedule", {"schedule": "cosin", "total_steps": 10}, "schedule"),
        ("compare_schedules", {"total_steps": 24e3, "given": {"warmup_steps": 3e4}}, "given"),
        ("compare_schedules", {"total_steps": 24e3, "schedules": ["cosin"]}, "schedule"),
        ("schedule", {"schedule": "uba", "total_steps": 10, "given": {"uba_phi": 0}}, "given"),
    ],
)
def test_theory_asked_wrongly_raises_the_same_error(client, method, fields, field):
    first = [fields[name] for name in ("schedule",) if name in fields]
    rest = {name: value for name, value in fields.items() if name != "schedule"}
    errors = []
    for who in (client, hplaw):
        with pytest.raises(QueryError) as caught:
            getattr(who, method)(*first, **rest)
        errors.append((caught.value.text, caught.value.field, type(caught.value)))
    assert errors[0] == errors[1]
    assert errors[0][1] == field


def test_vocabulary_is_listed(client):
    words = client.quantities()
    assert all(isinstance(word, QuantityRecord) for word in words)
    assert words[0].name == "n_params"


def test_theory_of_a_quantity_is_told(client):
    found = client.theory("peak_lr")
    assert isinstance(found, Theory)
    assert found == hplaw.local().theory("peak_lr")
    with pytest.raises(QueryError, match="not a quantity; did you mean 'peak_lr'"):
        client.theory("peak_rl")
    with pytest.raises(QueryError, match="no quantity"):
        client.theory("../laws")


def test_transfer_to_another_batch_is_told(client):
    found = client.transfer(peak_lr=3e-4, batch_tokens=256, to_batch_tokens=2048, given={"base_weight_decay": 0.1})
    assert isinstance(found, Transfer)
    assert found == hplaw.transfer(
        peak_lr=3e-4, batch_tokens=256, to_batch_tokens=2048, given={"base_weight_decay": 0.1}
    )
    assert "agree" in found.decides[0]
    for wrong, field in (
        ({"batch_tokens": 0}, "batch_tokens"),
        ({"given": {"base_beta1": 1.0}}, "given.base_beta1"),
        ({"to": 3}, "to"),
    ):
        with pytest.raises(QueryError) as caught:
            client.transfer(**{"peak_lr": 3e-4, "batch_tokens": 256, "to_batch_tokens": 2048, **wrong})
        assert caught.value.field == field


def test_health_is_told(client):
    health = client.ready()
    assert isinstance(health, Health)
    assert health.status == "ready"
    assert health.laws == len(client.laws())


WRONG = [
    ("unknown quantity", {"want": ["peak_rl"]}, "want", False),
    ("unknown given", {"given": {"seq_length": 1.0}}, "given", False),
    ("negative", {"n_params": -3.0}, "n_params", True),
    ("zero", {"n_params": 0}, "n_params", True),
    ("string for number", {"n_params": "7B"}, "n_params", True),
    ("unknown field", {"n_parms": 7e9}, "n_parms", True),
    ("nan", {"n_params": math.nan}, "n_params", True),
    ("infinity", {"tokens": math.inf}, "tokens", True),
    ("nan inside", {"given": {"peak_lr": math.nan}}, "given.peak_lr", True),
    ("infinite bound", {"bounds": {"peak_lr": {"high": math.inf}}}, "bounds.peak_lr.high", True),
    ("first of two", {"bounds": {"a": {"low": 1.0}, "b": {"low": "x"}}, "want": [1.0]}, "bounds.b.low", True),
    ("no plain value", {"n_params": object()}, "", False),
]


@pytest.mark.parametrize(("fields", "field", "malformed"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_wrong_question_raises_the_same_error_naming_the_field(client, fields, field, malformed):
    with pytest.raises(QueryError) as caught:
        client.recommend(**fields)
    assert field in caught.value.field
    assert isinstance(caught.value, MalformedQuery) is malformed
    if "n_params" not in fields or fields["n_params"] == -3.0:
        with pytest.raises(QueryError) as of_library:
            hplaw.recommend(**fields)
        assert str(of_library.value) == str(caught.value)


def test_values_that_contradict_raise_the_same_error(client):
    with pytest.raises(QueryError) as caught:
        client.recommend(n_params=1e9, n_active_params=2e9)
    assert isinstance(caught.value, ConflictingQuery)
    assert caught.value.field == "n_active_params"


def test_record_built_with_wrong_values_is_refused_too(client):
    with pytest.raises(QueryError, match="n_params"):
        client.recommend(Query(n_params=-1.0))


def test_query_and_fields_together_are_refused(client):
    with pytest.raises(QueryError, match="not both"):
        client.recommend(Query(), n_params=1e9)


def test_a_row_that_is_no_question_says_so_and_stops_no_other(client):
    bad = [{"n_params": "7B"}, {"tokens": -1}, {"lr": 1e-3}, {"tokens": math.nan}, {"hardware": "rtx-9999"}]
    told = [
        "n_params: a number",
        "tokens: a number",
        'given={"peak_lr": 0.001}',
        "tokens=nan",
        "'rtx-9999' is not known",
    ]
    rows = client.recommend_batch([LEAN, *bad, Query(**LEAN)])
    assert [row.error is None for row in rows] == [True, *[False] * len(bad), True]
    assert rows[0].answers == rows[-1].answers != {}
    for row, says in zip(rows[1:-1], told, strict=True):
        assert says in row.error
        assert row.answers == {}


def test_rows_that_are_no_objects_are_refused(client):
    with unchecked(), pytest.raises(MalformedQuery, match="an object is needed here"):
        client.recommend_batch([LEAN, 7])


@pytest.mark.parametrize("address", ["step-law", "step-law-2025@99", "", "..", "a/b", "ä", "a?b#c"])
def test_unknown_law_raises_the_same_error(client, address):
    for ask in (client.law, client.bibtex, lambda name: client.evaluate(name, {})):
        with pytest.raises(LawNotFound):
            ask(address)


def test_nearest_law_is_offered(client):
    with pytest.raises(LawNotFound, match="step-law-2025"):
        client.law("step-law-2024")


def test_wrong_filter_raises_the_same_error(client):
    with pytest.raises(QueryError, match="peak_lr"):
        client.laws(quantity="peak_rl")


def test_missing_input_of_a_law_raises_the_same_error(client):
    with pytest.raises(QueryError, match="tokens") as caught:
        client.evaluate("step-law-2025", {"n_params": 1e9})
    assert isinstance(caught.value, ConflictingQuery)


def test_records_read_back_from_their_json(client):
    for record in (client.recommend(**LEAN), client.law("step-law-2025"), client.ready()):
        assert msgspec.json.decode(msgspec.json.encode(record), type=type(record)) == record
