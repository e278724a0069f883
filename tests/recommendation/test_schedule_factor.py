"""The schedule in the loss: laws fitted under a cosine are asked for it, and the factor of the schedule goes on top."""

from typing import Any

import pytest

from hplaw.messages.query import Query
from hplaw.messages.recommendation import Recommendation
from hplaw.messages.record import encode
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.record import recommend
from tests.helpers import catalogue_of, make_law, shipped


RUN: dict[str, Any] = {"n_params": 4e8, "tokens": 8e9}


def ask(schedule: str | None = None, *, given: dict[str, Any] | None = None, **fields: Any) -> Recommendation:
    named = {} if schedule is None else {"schedule": schedule}
    return recommend(Query(**{**RUN, **fields}, given={**named, **(given or {})}), shipped())


def value(found: Recommendation, name: str) -> float:
    found_value = found.answers[name].value
    assert isinstance(found_value, float)
    return found_value


@pytest.mark.parametrize("schedule", ["constant", "linear", "wsd", "uba", "inverse_sqrt"])
def test_the_loss_differs_from_a_cosine_s_by_the_factor_of_the_schedule(schedule: str) -> None:
    plain, found = ask(), ask(schedule)
    factor = value(found, "schedule_loss_factor")
    law = shipped().get("schedule-factor")
    assert str(found.answers["schedule_loss_factor"].law).startswith("schedule-factor@1")
    assert factor != 1.0
    assert value(found, "loss") == pytest.approx(value(plain, "loss") * factor, rel=1e-12)
    assert found.answers["loss"].law == plain.answers["loss"].law
    for end in ("low", "high", "low50", "high50"):
        assert getattr(found.answers["loss"], end) == pytest.approx(getattr(plain.answers["loss"], end) * factor)
    assert law.address in [step.law for step in found.answers["loss"].derivation]


def test_the_order_of_schedules_is_that_of_the_law() -> None:
    losses = {schedule: value(ask(schedule), "loss") for schedule in ("wsd", "cosine", "constant")}
    assert losses["wsd"] < losses["cosine"] < losses["constant"]


def test_a_cosine_is_what_the_law_was_fitted_under() -> None:
    plain, named = ask(), ask("cosine")
    assert value(named, "loss") == value(plain, "loss")
    assert "schedule_loss_factor" not in named.answers


def test_the_rest_of_the_answer_does_not_change() -> None:
    plain, found = ask(), ask("wsd")
    for name in ("peak_lr", "batch_tokens", "weight_decay", "steps", "compute_flop"):
        assert value(found, name) == value(plain, name)


def test_the_length_of_the_decay_counts() -> None:
    short, long = (
        value(ask("wsd", given={"decay_steps": share * 16_000.0}), "schedule_loss_factor") for share in (0.02, 0.2)
    )
    assert long < short


def test_alternatives_fitted_under_a_cosine_have_the_factor_too() -> None:
    plain, found = ask(), ask("constant")
    factor = value(found, "schedule_loss_factor")
    before = {each.law: each.value for each in plain.answers["loss"].alternatives}
    after = {each.law: each.value for each in found.answers["loss"].alternatives}
    moved = {law.partition("@")[0]: after[law] / before[law] for law in before if law in after}
    assert moved["hoffmann-2022"] == pytest.approx(factor)
    assert moved["porian-2024"] == 1.0 if "porian-2024" in moved else True
    assert moved["kaplan-loss-nd-2020"] == 1.0


def test_a_law_that_says_nothing_of_schedules_stays_as_it_is() -> None:
    plain = make_law('[outputs]\nloss = "3"', inputs='["tokens"]', examples=EXAMPLE)
    found = recommend(Query(tokens=1e9, given={"schedule": "wsd"}, want=["loss"]), catalogue_of(plain))
    assert found.answers["loss"].value == 3.0


EXAMPLE = "[[examples]]\ngiven = { tokens = 8 }\nexpect = { loss = 3 }"


def test_elasticities_follow_the_factor() -> None:
    step = 1.01
    low, high = ask("wsd"), ask("wsd", tokens=RUN["tokens"] * step)
    slope = value(high, "loss") / value(low, "loss") - 1
    assert low.answers["loss"].elasticities["tokens"] == pytest.approx(slope / 0.01, rel=0.05)


@pytest.mark.parametrize("schedule", ["wsd", "constant"])
def test_a_target_is_reached_under_the_schedule(schedule: str) -> None:
    found = recommend(Query(n_params=4e8, target_loss=2.9, given={"schedule": schedule}), shipped())
    assert value(found, "loss") == pytest.approx(2.9, rel=1e-6)
    plain = recommend(Query(n_params=4e8, target_loss=2.9), shipped())
    assert (value(found, "tokens") < value(plain, "tokens")) == (schedule == "wsd")


def test_many_questions_have_the_answers_of_each_alone() -> None:
    queries = [
        Query(n_params=n * 1e8, tokens=2e9 * n, given={"schedule": s}) for n in range(1, 6) for s in ("wsd", "uba")
    ]
    together = recommend_many(queries, shipped(), by="python")
    for query, brief in zip(queries, together, strict=True):
        assert brief.answers["loss"].value == recommend(query, shipped()).answers["loss"].value


def test_an_answer_with_a_schedule_is_json() -> None:
    """What a schedule has at each step stays out of the record."""
    assert b"schedule_loss_factor" in encode(ask("wsd"))
