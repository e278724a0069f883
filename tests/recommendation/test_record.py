"""The record of an answer: whole, finite, repeatable, and the same however it is asked."""

import math
import os
import subprocess
import sys
from typing import Any

import pytest

import hplaw
from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.catalogue import load_catalogue
from hplaw.messages.decode import decode
from hplaw.messages.query import Query
from hplaw.messages.recommendation import Recommendation
from hplaw.messages.record import encode, to_builtins
from hplaw.recommendation.question import DEFAULT_WANT
from hplaw.recommendation.record import recommend
from tests.helpers import catalogue_of, fixture_law, is_one_sentence, make_law, shipped


QUERIES: list[dict[str, Any]] = [
    {"n_params": 7e9, "tokens": 1.4e12},
    {"n_params": 1e9, "tokens": 1e11, "batch_tokens": 4e6},
    {"n_params": 4.7e10, "n_active_params": 1.3e10, "tokens": 1e13},
    {"n_params": 1e9, "tokens": 1e11, "target_loss": 2.5},
    {"n_params": 1e9, "tokens": 1e11, "given": {"peak_lr": 1e-3}},
    {"n_params": 1e9, "tokens": 1e11, "optimizer": "sgd"},
    {"tokens": 1e11, "want": ["peak_lr", "batch_tokens", "loss", "steps"]},
    {"n_params": 1e9, "want": ["peak_lr", "batch_tokens", "loss", "steps"]},
    {"want": ["peak_lr", "batch_tokens", "loss", "steps"]},
    {"n_params": 1e7, "tokens": 1e8},
    {"n_params": 1e18, "tokens": 1e22},
    {"n_params": 1e9, "tokens": 1e11, "want": ["loss", "steps", "training_state_bytes", "critical_batch_tokens"]},
    {"n_params": 1e9, "tokens": 1e11, "laws": ["kaplan-lr-2020", "deepseek-llm-2024"]},
    {
        "model": {"n_layers": 32, "d_model": 4096, "d_ff": 14336, "n_heads": 32, "vocab_size": 128256, "seq_len": 8192},
        "tokens": 1e12,
    },
    {"given": {"compute_flop": 1e21}},
    {"hardware": "h100-sxm", "devices": 64, "given": {"duration_s": 1e6}},
    {"hardware": "h100-sxm", "n_params": 1e9, "given": {"energy_kwh": 1e3}},
    {"n_params": 1e9, "target_loss": 2.5},
    {"target_loss": 2.5},
]
each_query = pytest.mark.parametrize("fields", QUERIES, ids=range(len(QUERIES)))


def ask(fields: dict[str, Any]) -> Recommendation:
    return recommend(Query(**fields), shipped())


@each_query
def test_every_number_is_finite_or_null_with_a_reason(fields: dict[str, Any]) -> None:
    found = ask(fields)
    body = encode(found)
    assert b"NaN" not in body
    assert b"Infinity" not in body
    for name, e in found.answers.items():
        quantity = fixture_law("step-law").quantity(name)
        if e.value is None:
            assert e.reason
            assert is_one_sentence(e.reason)
            assert (e.low, e.high, e.law, e.derivation) == (None, None, None, [])
            continue
        assert e.law
        assert e.unit == quantity.unit
        assert isinstance(e.value, str) or math.isfinite(e.value)
        told = [end for end in (e.low, e.low50, e.high50, e.high) if end is not None]
        same = [end for end in (e.same_recipe_low, e.same_recipe_high) if end is not None]
        assert (told, same) == (sorted(told), sorted(same))
        assert all(math.isfinite(end) for end in (*told, *same))
        if told and isinstance(e.value, float):
            assert e.low <= e.value <= e.high
        assert e.reason or len([*told, *same]) == 6
        assert [step.law for step in e.derivation][-1] == e.law
    for warning in found.warnings:
        assert is_one_sentence(warning.text)
        assert warning.code == warning.code.lower()


@each_query
def test_a_record_reads_back_from_json(fields: dict[str, Any]) -> None:
    found = ask(fields)
    assert decode(encode(found), Recommendation) == found
    query = {k: v for k, v in found.query.items() if k != "optimizer"}
    assert Query(**(query | {"optimizer": found.query["optimizer"]})) == decode(encode(Query(**fields)), Query)


@each_query
def test_every_law_used_is_cited_once(fields: dict[str, Any]) -> None:
    found = ask(fields)
    used = {step.law for e in found.answers.values() for step in e.derivation}
    if found.layout is not None:
        used |= {shipped().get(name).address for name in ("training-memory", "layout-memory", "layout-throughput")}
    cited = [citation.law for citation in found.citations]
    assert set(cited) == used
    assert len(cited) == len(used)
    for citation in found.citations:
        assert citation.title
        assert citation.bibtex.startswith("@")
    assert {w.law for w in found.warnings if w.code in ("recalled", "outside-domain")} <= used


@each_query
def test_the_same_question_has_the_same_answer_and_id(fields: dict[str, Any]) -> None:
    one, two = ask(fields), recommend(Query(**fields), load_catalogue(environ={}))
    assert encode(one) == encode(two)
    assert len(one.id) == 64


def test_the_id_tells_questions_and_laws_apart() -> None:
    base = {"n_params": 1e9, "tokens": 1e11}
    ids = [ask(base).id, ask({**base, "tokens": 1.0000001e11}).id, ask({**base, "want": ["loss"]}).id]
    other = recommend(Query(**base), catalogue_of(*(law for law in shipped().laws if law.id != "step-law-2025")))
    assert len({*ids, other.id}) == 4
    assert ask({"tokens": 1e11, "n_params": 1e9}).id == ids[0]


def test_naming_the_default_optimizer_changes_nothing() -> None:
    base = {"n_params": 1e9, "tokens": 1e11}
    read = decode(encode({**base, "optimizer": "adamw"}), Query)
    assert encode(recommend(read, shipped())) == encode(ask(base)) == encode(ask({**base, "optimizer": "adamw"}))


def test_an_answer_is_the_same_in_another_process() -> None:
    code = "import hplaw; from hplaw.messages.record import encode; print(encode(hplaw.recommend(n_params=7e9, tokens=1.4e12)).decode())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7", "HOME": "/nonexistent"},
    )
    assert done.stdout.strip() == encode(ask({"n_params": 7e9, "tokens": 1.4e12})).decode()


def test_the_shortest_way_gives_the_same_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/nonexistent")
    short = hplaw.recommend(n_params=7e9, tokens=1.4e12)
    assert encode(short) == encode(ask({"n_params": 7e9, "tokens": 1.4e12}))
    assert hplaw.recommend(Query(n_params=7e9, tokens=1.4e12)) == short


def test_without_a_wish_the_common_quantities_are_answered() -> None:
    found = ask({"n_params": 7e9, "tokens": 1.4e12})
    assert list(found.answers) == [name for name in DEFAULT_WANT if name in shipped().givers]
    assert {"peak_lr", "batch_tokens", "loss", "steps", "compute_flop"} <= set(found.answers)
    assert found.answers["compute_flop"].value == pytest.approx(6 * 7e9 * 1.4e12)
    steps = 1.4e12 / found.answers["batch_tokens"].value
    assert found.answers["steps"].value == pytest.approx(steps)


def test_a_question_far_away_is_warned_of() -> None:
    found = ask({"n_params": 7e9, "tokens": 1.4e12})
    outside = [w for w in found.warnings if w.code == "outside-domain"]
    assert outside
    assert all(w.efolds and w.efolds > 0 and w.law and w.quantity for w in outside)


def test_the_step_law_answers_as_published() -> None:
    found = ask({"n_params": 1e9, "tokens": 1e11, "laws": ["step-law-2025"]}).answers
    assert found["peak_lr"].value == pytest.approx(1.79 * 1e9**-0.713 * 1e11**0.307, rel=1e-12)
    assert found["batch_tokens"].value == pytest.approx(0.58 * 1e11**0.571, rel=1e-12)
    assert found["peak_lr"].elasticities == {"n_params": -0.713, "tokens": 0.307}
    assert found["batch_tokens"].elasticities == {"tokens": 0.571}


def test_elasticities_follow_the_chain() -> None:
    laws = [
        make_law(
            '[outputs]\ncompute_flop = "6 * n_params * tokens"',
            name="flop",
            inputs='["n_params", "tokens"]',
            examples="[[examples]]\ngiven = { n_params = 1, tokens = 1 }",
        ),
        make_law(
            '[outputs]\npeak_lr = "exp(-1 / compute_flop ** 0.01)"',
            name="rate",
            inputs='["compute_flop"]',
            examples="[[examples]]\ngiven = { compute_flop = 1 }",
        ),
    ]
    found = recommend(Query(n_params=1e9, tokens=2e10, want=["peak_lr"]), catalogue_of(*laws))
    slope = 0.01 * (1.2e20) ** -0.01
    assert found.answers["peak_lr"].elasticities == pytest.approx({"n_params": slope, "tokens": slope}, abs=1e-6)


def test_the_query_is_shown_as_it_was_asked() -> None:
    found = ask({"n_params": 1e9, "tokens": 1e11, "want": ["loss"]})
    assert found.query == {"n_params": 1e9, "tokens": 1e11, "want": ["loss"], "optimizer": "adamw"}
    assert to_builtins(found)["query"] == found.query


def test_the_loss_is_that_of_the_settings_answered_when_another_law_overrules_one() -> None:
    """A surface chooses rate and batch together; where the rate is another law's, its loss must be at that rate."""
    size = {"n_params": 1e6, "tokens": 8e9}
    laws = ["kaplan-lr-2020", "pretrain-surface"]
    record = ask({**size, "laws": laws, "want": ["peak_lr", "batch_tokens", "loss"]})
    settings = {name: record.answers[name].value for name in ("peak_lr", "batch_tokens")}
    law = shipped().get(str(record.answers["loss"].law))
    assert law.id == "pretrain-surface"
    assert record.answers["peak_lr"].law != record.answers["loss"].law
    there = evaluate(law, {**size, **settings}).outputs["loss"]
    assert record.answers["loss"].value == pytest.approx(there.value, rel=1e-12)
    alone = ask({**size, "laws": laws, "want": ["loss"]})
    assert alone.answers["loss"].elasticities == record.answers["loss"].elasticities


@pytest.mark.parametrize(
    ("n_params", "says"),
    [
        (7e9, "n_params=7B is 6.4x above the 210M to 1.1B that step-law-2025 was fitted on"),
        (1e6, "n_params=1M is 210x below the 210M to 1.1B that step-law-2025 was fitted on"),
        (1.101e9, "n_params=1.1B is just above the 210M to 1.1B that step-law-2025 was fitted on"),
        (1e18, "n_params=1e18 is over 1,000,000x above the 210M to 1.1B that step-law-2025 was fitted on"),
    ],
)
def test_a_warning_says_how_many_times_a_question_is_outside(n_params: float, says: str) -> None:
    query = Query(n_params=n_params, tokens=1e10, laws=["step-law-2025"], want=["peak_lr"])
    assert says in [warning.text for warning in recommend(query, shipped()).warnings]
