"""Size and data chosen for a budget or a target: spent and reached by the laws that the answer reports."""

import math
import random
from typing import Any

import pytest

from hplaw.energy.frontier import frontier
from hplaw.errors import ConflictingQuery, HplawError, QueryError
from hplaw.messages.energy import FrontierRequest
from hplaw.messages.query import Bounds, Query
from hplaw.messages.recommendation import Recommendation
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.record import recommend
from tests.helpers import is_one_sentence, shipped


FORTNIGHT = 14 * 86400.0
MACHINES: dict[str, Any] = {"hardware": "h100-sxm", "devices": 64.0, "given": {"duration_s": FORTNIGHT}}


def ask(**fields: Any) -> Recommendation:
    return recommend(Query(**fields), shipped())


def value(found: Recommendation, name: str) -> float:
    got = found.answers[name].value
    assert isinstance(got, float), (name, found.answers[name].reason)
    return got


def codes(found: Recommendation) -> set[str]:
    return {warning.code for warning in found.warnings}


def refused(**fields: Any) -> QueryError:
    with pytest.raises(QueryError) as caught:
        ask(**fields)
    assert is_one_sentence(caught.value)
    (row,) = recommend_many([Query(**fields)], shipped())
    assert row.error == str(caught.value)
    return caught.value


# Budgets


def test_machines_are_used_for_all_their_hours() -> None:
    assert value(ask(**MACHINES), "accelerator_hours") == pytest.approx(64 * 14 * 24, rel=1e-6)


@pytest.mark.parametrize("law", [None, "pretrain-loss"])
def test_a_recommendation_is_the_best_of_the_frontier(law: str | None) -> None:
    asked = ask(**MACHINES, laws=[law] if law else [], want=["n_params", "tokens", "loss", "accelerator_hours"])
    request = FrontierRequest(hardware="h100-sxm", devices=64.0, duration_s=FORTNIGHT, law=law, points=9)
    best = frontier(request, shipped()).best
    for name in asked.answers:
        assert value(asked, name) == pytest.approx(getattr(best, name), rel=1e-9)


def test_the_default_answer_has_the_size_data_and_loss_of_the_frontier() -> None:
    asked = ask(**MACHINES)
    best = frontier(FrontierRequest(hardware="h100-sxm", devices=64.0, duration_s=FORTNIGHT, points=5), shipped()).best
    for name in ("n_params", "tokens", "loss", "accelerator_hours"):
        assert value(asked, name) == pytest.approx(getattr(best, name), rel=1e-9)


@pytest.mark.parametrize(
    ("given", "counted", "amount"),
    [
        ({"compute_flop": 1e22}, "compute_flop", 1e22),
        ({"training_flop": 1e22}, "compute_flop", 1e22),
        ({"energy_kwh": 1e4}, "energy_kwh", 1e4),
        ({"energy_j": 3.6e10}, "energy_kwh", 1e4),
        ({"accelerator_hours": 1e4}, "accelerator_hours", 1e4),
    ],
)
def test_each_kind_of_budget_is_counted_as_a_run_of_that_size_is(
    given: dict[str, float | str], counted: str, amount: float
) -> None:
    found = ask(hardware="h100-sxm", given=given, want=["n_params", "tokens", "loss"])
    n, tokens = value(found, "n_params"), value(found, "tokens")
    run = ask(n_params=n, tokens=tokens, hardware="h100-sxm", want=[counted, "loss"])
    assert value(run, counted) == pytest.approx(amount, rel=1e-6)
    assert value(run, "loss") == pytest.approx(value(found, "loss"), rel=1e-6)
    for factor in (0.6, 1.7):
        other = ask(n_params=factor * n, tokens=tokens / factor, hardware="h100-sxm", want=["loss"])
        assert value(other, "loss") > value(found, "loss")


def test_what_was_chosen_has_an_interval_a_plateau_and_a_derivation() -> None:
    found = ask(**MACHINES).answers
    for name in ("n_params", "tokens"):
        estimate = found[name]
        assert isinstance(estimate.value, float)
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low < estimate.value < estimate.high
        assert estimate.plateau_low is not None
        assert estimate.plateau_low < estimate.value
        assert {step.law for step in estimate.derivation} >= {found["loss"].law, found["accelerator_hours"].law}


def test_a_size_that_is_given_gets_the_tokens_that_are_left() -> None:
    found = ask(**MACHINES, n_params=7e9)
    assert value(found, "accelerator_hours") == pytest.approx(64 * 14 * 24, rel=1e-6)
    tokens = found.answers["tokens"]
    assert tokens.low is not None
    assert tokens.high is not None
    hours = found.answers["accelerator_hours"]
    assert hours.low is not None
    assert tokens.high / value(found, "tokens") == pytest.approx(value(found, "accelerator_hours") / hours.low)


def test_data_that_are_given_get_the_size_that_is_left() -> None:
    found = ask(**MACHINES, tokens=1e12)
    assert value(found, "accelerator_hours") == pytest.approx(64 * 14 * 24, rel=1e-6)


@pytest.mark.parametrize("size", [{"n_params": 7e9}, {}])
def test_a_measured_speed_sizes_the_run(size: dict[str, float]) -> None:
    given = {"duration_s": FORTNIGHT, "tokens_per_device_s": 9e3}
    found = ask(hardware="h100-sxm", devices=64.0, given=given, **size)
    assert value(found, "accelerator_hours") == pytest.approx(64 * 14 * 24, rel=1e-6)
    assert value(found, "tokens") == pytest.approx(9e3 * 64 * FORTNIGHT, rel=0.15)
    if not size:  # the size at which the law expects that speed
        n = value(found, "n_params")
        sized = {"n_params": n, "tokens": value(found, "tokens")}
        run = ask(**sized, hardware="h100-sxm", devices=64.0, want=["accelerator_hours"])
        assert value(run, "accelerator_hours") == pytest.approx(64 * 14 * 24, rel=1e-6)


def test_a_utilization_that_is_given_says_what_the_machines_compute() -> None:
    found = ask(hardware="h100-sxm", devices=64.0, given={"duration_s": FORTNIGHT, "mfu": 0.5})
    assert value(found, "compute_flop") == pytest.approx(0.5 * 989.4e12 * 64 * FORTNIGHT)


def test_a_budget_that_buys_no_training_is_refused() -> None:
    assert "buys no training" in str(refused(given={"compute_flop": 1e6}))


def test_a_budget_without_an_accelerator_says_what_is_missing() -> None:
    assert "hardware" in str(refused(devices=64.0, given={"duration_s": FORTNIGHT}))


@pytest.mark.parametrize(
    ("fields", "need"),
    [
        ({**MACHINES, "n_params": 7e9, "tokens": 1e12}, "39.7k accelerator hours"),
        ({"given": {"compute_flop": 1e22}, "n_params": 7e9, "tokens": 1e12}, "4.2e22 FLOP"),
        ({"given": {"energy_kwh": 1e4}, "hardware": "h100-sxm", "n_params": 7e9, "tokens": 1e12}, "38.2k kWh"),
        ({**MACHINES, "given": {"compute_flop": 1e23, "duration_s": FORTNIGHT}}, "accelerator hours"),
    ],
)
def test_a_run_that_is_over_its_budget_says_by_how_much(fields: dict[str, Any], need: str) -> None:
    (warning,) = [warning for warning in ask(**fields).warnings if warning.code == "over-budget"]
    assert need in warning.text
    (row,) = recommend_many([Query(**fields)], shipped())
    assert "over-budget" in row.warnings


def test_a_run_within_its_budget_has_no_warning() -> None:
    assert "over-budget" not in codes(ask(**MACHINES, n_params=1e9, tokens=1e11))


# Targets


@pytest.mark.parametrize("settled", [{"n_params": 1e9}, {"tokens": 1e11}, {}])
def test_a_target_is_reached_by_the_loss_that_is_reported(settled: dict[str, float]) -> None:
    found = ask(**settled, target_loss=2.3)
    assert value(found, "loss") == pytest.approx(2.3, rel=1e-6)
    sizes = settled | {name: value(found, name) for name in ("n_params", "tokens") if name in found.answers}
    assert value(ask(**sizes, want=["loss"]), "loss") == pytest.approx(2.3, rel=1e-6)


def test_a_target_alone_is_reached_with_the_least_compute() -> None:
    found = ask(target_loss=2.3, want=["n_params", "tokens", "compute_flop"])
    least, n = value(found, "compute_flop"), value(found, "n_params")
    for factor in (0.5, 2.0):
        assert value(ask(n_params=factor * n, target_loss=2.3), "compute_flop") > least


@pytest.mark.parametrize("settled", [{"n_params": 1e9}, {"tokens": 1e9}, {}])
def test_a_target_out_of_reach_is_one_sentence(settled: dict[str, float]) -> None:
    error = refused(**settled, target_loss=0.3)
    assert isinstance(error, ConflictingQuery)
    assert "out of reach" in str(error)


def test_a_budget_that_misses_the_target_warns() -> None:
    assert "misses-target" in codes(ask(**MACHINES, target_loss=1.2))
    assert "misses-target" not in codes(ask(**MACHINES, target_loss=4.0))
    assert "misses-target" in codes(ask(n_params=1e9, tokens=1e10, target_loss=1.2))


def test_a_target_that_nothing_wanted_depends_on_chooses_nothing() -> None:
    found = ask(target_loss=0.3, want=["critical_batch_tokens"])
    assert value(found, "critical_batch_tokens") > 0


# What cannot be


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({}, "n_params", "give n_params and tokens, a budget"),
        ({"n_params": 7e9}, "tokens", "tokens is not given"),
        ({"tokens": 1e12}, "n_params", "n_params is not given"),
        ({"n_params": 9e4, "tokens": 1e9}, "n_params", "below 100000"),
        ({"n_params": 7e9, "tokens": 1e6, "batch_tokens": 2e6}, "batch_tokens", "less than one step"),
        ({"n_params": 7e9, "tokens": 1e6, "given": {"steps": 0.5}}, "steps", "less than one step"),
        ({"n_params": 7e9, "tokens": 1e12, "target_loss": 10.9}, "target_loss", "above 10.8"),
        ({"n_params": 7e9, "target_loss": 7.0, "given": {"vocab_size": 1000.0}}, "target_loss", "above 6.91"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], field: str, says: str) -> None:
    error = refused(**fields)
    assert type(error) is QueryError
    assert error.field == field
    assert says in str(error)


@pytest.mark.parametrize("count", [1, 12])
def test_a_loss_above_that_of_guessing_is_no_number(count: int) -> None:
    asked = [
        Query(n_params=7e9, tokens=1e7 * (1 + i / 100), laws=["pretrain-surface"], want=["loss"]) for i in range(count)
    ]
    estimate = recommend(asked[0], shipped()).answers["loss"]
    assert estimate.value is None
    assert "above 10.8" in str(estimate.reason)
    rows = recommend_many([*asked, Query(n_params=7e9, tokens=1e12)], shipped())
    assert [row.answers["loss"].value is None for row in rows] == [True] * count + [False]


# One way


def drawn(rng: random.Random) -> Query:
    """Return a question with a budget or a target."""
    given: dict[str, float | str] = rng.choice(
        [
            {"compute_flop": 10 ** rng.uniform(17, 26)},
            {"duration_s": 10 ** rng.uniform(4, 7)},
            {"energy_kwh": 10 ** rng.uniform(2, 6)},
            {"duration_s": 10 ** rng.uniform(4, 7), "tokens_per_device_s": 10 ** rng.uniform(3, 5)},
        ]
    )
    machines: dict[str, Any] = {"hardware": "h100-sxm", "devices": float(rng.randint(1, 999)), "given": given}
    fields: dict[str, Any] = rng.choice([machines, machines, {"target_loss": rng.uniform(1.5, 4)}])
    sizes: dict[str, Any] = rng.choice(
        [{}, {"n_params": 10 ** rng.uniform(8, 11)}, {"tokens": 10 ** rng.uniform(9, 13)}]
    )
    return Query(**fields, **sizes, bounds=rng.choice([{}, {"batch_tokens": Bounds(high=4e6)}]))


def test_budgets_and_targets_are_answered_together_as_alone() -> None:
    rng = random.Random(0)
    asked = [drawn(rng) for _ in range(36)]
    together = recommend_many(asked, shipped())
    assert sum(row.error is None for row in together) > 20
    for query, row in zip(asked, together, strict=True):
        assert recommend_many([query], shipped()) == [row], query
        if row.error is not None:
            with pytest.raises(HplawError) as caught:
                recommend(query, shipped())
            assert row.error == str(caught.value)
            continue
        whole = recommend(query, shipped())
        for name, estimate in row.answers.items():
            same = whole.answers[name]
            assert (estimate.value, estimate.low, estimate.same_recipe_high) == (
                same.value,
                same.low,
                same.same_recipe_high,
            )


def test_a_law_that_leads_in_a_circle_with_another_is_derived() -> None:
    bounded = ask(n_params=3.8e12, tokens=8.5e9, bounds={"batch_tokens": Bounds(high=1.09)})
    aimed = ask(n_params=4e7, tokens=9e17, target_loss=0.04, laws=["kaplan-critical-batch-2020"])
    assert all(math.isfinite(value(found, "peak_lr")) for found in (bounded, aimed))
