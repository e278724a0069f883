"""The front of loss over what runs take: its runs are those of recommend, and none beats another."""

import functools as ft
from typing import Any

import pytest

from hplaw.energy.frontier import frontier
from hplaw.energy.pareto import pareto, parted
from hplaw.energy.pareto_chart import pareto_chart
from hplaw.errors import QueryError
from hplaw.messages.energy import FrontierRequest
from hplaw.messages.pareto import Pareto, ParetoPoint, ParetoRequest
from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend
from tests.helpers import is_one_sentence, shipped


def front(**fields: Any) -> Pareto:
    asked = {"hardware": ["h100-sxm"], "axis": "energy_kwh", "low": 1e4, "high": 1e4}
    return pareto(ParetoRequest(**{**asked, **fields}), shipped())


@ft.cache
def several() -> Pareto:
    """Return a front of two accelerators, two precisions and two budgets, which several tests look at."""
    return front(hardware=["h100-sxm", "a100-sxm"], precision=["bf16", "fp8"], low=1e3, points=2)


@pytest.mark.slow
def test_no_run_of_the_front_is_beaten_and_every_other_is() -> None:
    found = several()
    assert len(found.front) + len(found.dominated) == 2 * 2 * 2
    for one in found.front:
        assert not [p for p in found.front if p is not one and p.budget <= one.budget and p.loss <= one.loss]
    for one in found.dominated:
        assert [p for p in found.front if p.budget <= one.budget and p.loss <= one.loss]
    budgets = [p.budget for p in found.front]
    assert budgets == sorted(budgets)
    losses = [p.loss for p in found.front]
    assert losses == sorted(losses, reverse=True)
    assert sum(case.on_front for case in found.cases) == len(found.front)


@pytest.mark.slow
def test_its_runs_are_those_of_recommend_and_of_a_frontier() -> None:
    found = several()
    for point in (found.front[0], found.dominated[-1]):
        query = Query(
            hardware=point.hardware,
            precision=point.precision,
            given={"energy_kwh": point.budget},
            want=["n_params", "tokens", "loss", "accelerator_hours"],
        )
        for name, estimate in recommend(query, shipped()).answers.items():
            assert getattr(point, name) == pytest.approx(estimate.value)
        fields = {"hardware": point.hardware, "precision": point.precision, "energy_kwh": point.budget}
        best = frontier(FrontierRequest(**fields, points=5), shipped()).best
        assert best.loss == pytest.approx(point.loss)


@pytest.mark.slow
def test_the_plot_has_a_line_for_each_case_and_the_front_below() -> None:
    found = several()
    chart = pareto_chart(found, "title")
    assert len(chart["data"]["values"]) == 8
    assert len(chart["layer"][0]["data"]["values"]) == len(found.front)
    assert chart["layer"][1]["encoding"]["color"]["scale"]["domain"] == ["h100-sxm", "a100-sxm"]


@pytest.mark.slow
def test_a_precision_pays_for_its_loss() -> None:
    bf16, fp8 = (front(precision=[name]).front[0] for name in ("bf16", "fp8"))
    # more FLOP for the energy, some of which its own penalty takes back
    compute = [point.n_params * point.tokens for point in (bf16, fp8)]
    assert compute[1] > 1.2 * compute[0]
    answers = recommend(Query(n_params=fp8.n_params, tokens=fp8.tokens, want=["loss"]), shipped()).answers
    assert fp8.loss > float(str(answers["loss"].value))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"axis": "accelerator_hours"}, "accelerator_hours"),
        ({"axis": "cost", "price_per_hour": 2.0}, "cost"),
        ({"axis": "duration_s", "devices": 64.0, "low": 1e6, "high": 1e6}, "duration_s"),
    ],
)
def test_each_axis_is_spent(fields: dict[str, Any], name: str) -> None:
    (point,) = front(**fields).front
    assert getattr(point, name) == pytest.approx(point.budget)


@pytest.mark.slow
def test_prices_by_accelerator_decide_the_front_of_money() -> None:
    for cheap, dear in (("a100-sxm", "h100-sxm"), ("h100-sxm", "a100-sxm")):
        found = front(hardware=["a100-sxm", "h100-sxm"], axis="cost", prices={cheap: 0.5, dear: 50.0})
        (best,), (other,) = found.front, found.dominated
        assert (best.hardware, other.hardware) == (cheap, dear)
        assert best.loss < other.loss


def test_a_case_that_cannot_be_counted_has_its_reason_and_stops_no_other() -> None:
    found = front(hardware=["tpu-v5e", "h100-sxm"])
    reasons = {case.hardware: case.reason for case in found.cases}
    assert "No board power of this accelerator is published" in str(reasons["tpu-v5e"])
    assert reasons["h100-sxm"] is None
    assert [point.hardware for point in found.front] == ["h100-sxm"]
    assert found.energy_scope == "gpu_x_pue"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"low": 2.0, "high": 1.0}, "give the lower first"),
        ({"low": 1.0, "points": 101, "precision": ["bf16", "fp16", "fp8"]}, "more than 256 runs"),
        ({"axis": "cost"}, "price_per_hour"),
        ({"axis": "duration_s"}, "devices"),
        ({"hardware": ["tpu-v5e"]}, "No board power of this accelerator is published"),
        ({"hardware": ["h100x"]}, "did you mean"),
        ({"prices": {"h100x": 2.0}}, "did you mean"),
        ({"given": {"tokens_per_device_s": 1.0}}, "measured at one size"),
    ],
)
def test_what_has_no_front_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(QueryError, match=said) as caught:
        front(**fields)
    assert is_one_sentence(caught.value.text)


def test_equal_runs_are_on_the_front_once() -> None:
    point = ParetoPoint(
        n_params=1e9,
        tokens=2e10,
        loss=2.5,
        loss_low=None,
        loss_high=None,
        accelerator_hours=10.0,
        energy_kwh=5.0,
        hardware="a",
        precision="bf16",
        budget=5.0,
    )
    kept, dropped = parted([point, point])
    assert (len(kept), len(dropped)) == (1, 1)
