"""Weight decay, warm-up and beta2 in recommendations: given by the law fitted to a sweep, with intervals, within reason."""

import math

import pytest

from hplaw.answer.answer import answer
from hplaw.messages.query import Query
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.record import recommend
from tests.helpers import shipped


SETTINGS = ["weight_decay", "warmup_tokens", "beta2"]
QUESTIONS = [(1e9, 2e10), (7e9, 1.4e12), (7e10, 1.5e13)]
USED = {"weight_decay": 0.1, "beta2": 0.95}
"""What published trainings mostly used; for warm-up 2000 steps."""


def ask(n_params: float, tokens: float, **known: object) -> Query:
    return Query(n_params=n_params, tokens=tokens, want=[*SETTINGS, "peak_lr", "batch_tokens"], **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(("n_params", "tokens"), QUESTIONS)
def test_they_come_from_the_law_fitted_to_a_sweep(n_params: float, tokens: float) -> None:
    found = recommend(ask(n_params, tokens), shipped()).answers
    for name in SETTINGS:
        one = found[name]
        assert one.law is not None
        assert one.law.startswith("weight-decay-warmup@")
        assert one.low < one.value < one.high
        assert one.plateau_low < one.value < one.plateau_high
        assert one.alternatives


@pytest.mark.parametrize(("n_params", "tokens"), QUESTIONS)
def test_what_teams_use_is_inside_the_intervals(n_params: float, tokens: float) -> None:
    found = recommend(ask(n_params, tokens), shipped()).answers
    used = {**USED, "warmup_tokens": 2000 * found["batch_tokens"].value}
    for name in SETTINGS:
        assert found[name].low < used[name] < found[name].high, name
    assert found["warmup_tokens"].value <= 0.1 * tokens


def test_a_lower_rate_takes_a_greater_decay() -> None:
    first, second = (
        recommend(ask(1e9, 2e10, given={"peak_lr": rate, "batch_tokens": 5e5}), shipped()).answers["weight_decay"]
        for rate in (1e-3, 5e-4)
    )
    assert second.value / first.value == pytest.approx(2, rel=1e-6)


def test_what_it_costs_to_miss_the_best() -> None:
    given = {"peak_lr": 1e-3, "batch_tokens": 5e5}
    best = recommend(ask(1e9, 2e10, given=given), shipped()).answers["weight_decay"].value

    def cost(weight_decay: float) -> float:
        query = Query(n_params=1e9, tokens=2e10, want=["relative_loss"], given={**given, "weight_decay": weight_decay})
        return recommend(query, shipped()).answers["relative_loss"].value

    assert 1 < cost(best) < min(cost(best * 4), cost(best / 4))
    assert 1.0005 < cost(best * 4) < 1.03


def test_a_short_run_warms_up_over_a_tenth() -> None:
    warmup = recommend(ask(1e8, 1e9), shipped()).answers["warmup_tokens"]
    assert warmup.value == pytest.approx(1e8)


def test_an_optimizer_without_evidence_gets_a_reason() -> None:
    found = recommend(ask(1e9, 2e10, optimizer="sgd"), shipped()).answers["beta2"]
    assert not (found.law or "").startswith("weight-decay-warmup@")
    law = shipped().get("weight-decay-warmup")
    known = {"n_params": 1e9, "tokens": 2e10, "batch_tokens": 5e5, "peak_lr": 1e-3, "optimizer": "sgd"}
    silent = answer(law, known)
    assert silent.status == "undefined"
    assert "sgd" in silent.failed["weight_decay"]


def test_many_questions_get_what_each_alone_gets() -> None:
    queries = [ask(n, d, optimizer=optimizer) for n, d in QUESTIONS for optimizer in ("adamw", "lion", "sgd")]
    for query, row in zip(queries, recommend_many(queries, shipped()), strict=True):
        alone = recommend(query, shipped()).answers
        for name in SETTINGS:
            for field in ("value", "low", "high"):
                one, other = getattr(alone[name], field), getattr(row.answers[name], field)
                assert (one is other is None) or math.isclose(one, other, rel_tol=1e-9), (name, field)


def test_a_chosen_quantity_settled_as_zero_is_a_reason_and_no_defect() -> None:
    query = Query(n_params=1e9, tokens=20e9, given={"second_moment_steps": 0.0})
    found = recommend(query, shipped())
    assert any("second_moment_steps is 0" in warning.text for warning in found.warnings)
    assert found.answers["peak_lr"].value is not None
    many = recommend_many([query] * 9, shipped())
    assert many[0].answers["peak_lr"].value == found.answers["peak_lr"].value
