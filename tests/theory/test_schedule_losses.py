"""Schedules side by side by predicted loss, and the best share of decay."""

from typing import Any

import pytest

from hplaw.decide.decision import PLATEAU
from hplaw.errors import LawNotFound, QueryError
from hplaw.evaluation.point import point
from hplaw.evaluation.rates import SCHEDULES
from hplaw.messages.schedule import ScheduleCompareRequest, ScheduleComparison
from hplaw.theory.schedule_losses import FINAL_SHARE, compare_schedules
from tests.helpers import is_one_sentence, shipped


def compare(**fields: Any) -> ScheduleComparison:
    return compare_schedules(ScheduleCompareRequest(**{"total_steps": 24e3, **fields}), shipped())


def test_all_schedules_are_compared_the_lowest_loss_first() -> None:
    found = compare()
    assert {each.schedule for each in found.schedules} == set(SCHEDULES)
    losses = [each.loss for each in found.schedules if each.loss is not None]
    assert losses == sorted(losses)
    assert len(losses) == len(SCHEDULES)


def test_the_loss_is_that_of_the_law_at_the_named_schedule() -> None:
    found = compare(n_params=5e7, given={"warmup_steps": 2160.0})
    known = {"n_params": 5e7, "steps": 24e3, "peak_lr": 3e-4, "final_lr": FINAL_SHARE * 3e-4, "warmup_steps": 2160.0}
    for each in found.schedules:
        law = shipped().get("schedule-loss")
        here = point(law, {**known, "schedule": each.schedule})
        assert each.loss == pytest.approx(here.output("scheduled_loss"), rel=1e-12)


def test_decay_beats_a_constant_rate_and_longer_runs_beat_shorter_ones() -> None:
    losses = [
        {each.schedule: each.loss or 0.0 for each in compare(total_steps=steps).schedules} for steps in (2e4, 6e4)
    ]
    for found in losses:
        assert found["wsd"] < found["constant"]
        assert found["cosine"] < found["constant"]
    assert all(losses[1][name] < losses[0][name] for name in losses[0])


def test_the_best_share_of_decay_is_a_minimum_with_a_flat_neighbourhood() -> None:
    decay = compare().decay
    assert decay is not None
    assert decay.low < decay.share < decay.high
    assert decay.loss <= min(decay.losses) * (1 + 1e-12)
    for share, loss in zip(decay.shares, decay.losses, strict=True):
        assert (loss <= decay.loss * (1 + PLATEAU)) == (decay.low <= share <= decay.high)
    at_best = compare(schedules=["wsd"], given={"decay_steps": decay.share * 24e3}).schedules[0].loss
    assert at_best == pytest.approx(decay.loss, rel=1e-9)


def test_schedules_without_wsd_have_no_share_of_decay() -> None:
    assert compare(schedules=["cosine", "linear"]).decay is None


def test_runs_unlike_those_of_the_fit_are_warned_of() -> None:
    assert compare().warnings == []
    found = compare(n_params=7e9, total_steps=1e6, peak_lr=1e-3).warnings
    assert [text.partition("=")[0] for text in found] == ["n_params", "peak_lr", "total_steps"]


def test_another_law_may_predict_the_loss() -> None:
    assert compare(law="multi-power-2025").law.startswith("multi-power-2025@1")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"schedules": ["triangle"]}, "is no schedule"),
        ({"given": {"color": 1.0}}, "takes color|color; give"),
        ({"given": {"warmup_steps": 24e3}}, "leaves no step"),
        ({"given": {"warmup_steps": -1.0}}, "leaves no step"),
        ({"given": {"final_lr": 1e-3}}, "not between 0 and the peak"),
        ({"law": "step-law-2025"}, "give one of multi-power-2025, schedule-loss"),
        ({"law": "schedule-factor"}, "does not give the loss"),
        ({"total_steps": 1.0}, "that of guessing"),
    ],
)
def test_wrong_questions_are_refused_in_a_sentence(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(QueryError, match=says) as caught:
        compare(**fields)
    assert is_one_sentence(str(caught.value))


def test_a_law_that_is_not_there_is_named() -> None:
    with pytest.raises(LawNotFound):
        compare(law="nothing")
