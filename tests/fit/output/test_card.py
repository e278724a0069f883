"""The card of a fitted law and its plots: groups held out, where their own runs put the optimum, and intervals."""

from pathlib import Path

import numpy as np
import pytest

from hplaw.catalogue.catalogue import load_catalogue
from hplaw.fit.check.judge import Judgement, Left
from hplaw.fit.check.verdict import Verdict
from hplaw.fit.output.card import _left_out
from hplaw.fit.output.plots import _optimum
from hplaw.law import Law


EXPERIMENTS = Path(__file__).parents[3] / "experiments"
LOW = np.log([2e-3, 64.0])


def left(name: str, *, measured: bool = False, edge: bool = False) -> Left:
    """Return a group held out, whose own runs put the optimum inside their grid, at its edge, or nowhere."""
    return Left(
        name=name,
        runs=21,
        error=0.01,
        covered=0.9,
        predicted=LOW + 1,
        covariance=np.diag([0.04, 0.09]),
        measured=LOW + 0.5 if measured else None,
        edge=LOW if edge else None,
        regret=0.002 if measured or edge else None,
    )


@pytest.fixture(scope="module")
def law() -> Law:
    return load_catalogue([EXPERIMENTS / "laws"]).get("small-transformer-surface")


def test_each_group_has_a_measured_optimum_or_a_mark(law: Law) -> None:
    groups = [left("inside", measured=True), left("at the edge", edge=True), left("too few")]
    lines = list(_left_out(law, Judgement(verdict=Verdict(), left=groups, surfaces={})))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:5]]
    assert rows[0][4:] == ["0.00544", "0.0033", "174", "106", "0.200"]  # law and measured, of each
    assert rows[1][5] == "0.002 (edge)"
    assert rows[2][5:] == ["-", "174", "-", "-"]
    assert "fewer than 20 runs" in lines[-1]
    known = Judgement(verdict=Verdict(), left=groups[:1], surfaces={})
    assert "edge" not in "".join(_left_out(law, known))


def test_the_optimum_plot_has_an_interval_of_each_group(law: Law) -> None:
    groups = [left("inside", measured=True), left("at the edge", edge=True), left("too few")]
    chart = _optimum(law, Judgement(verdict=Verdict(), left=groups, surfaces={}))
    assert chart is not None
    rows = chart.to_dict()["hconcat"][0]["layer"][0]["data"]["values"]
    assert [row["where"] for row in rows] == ["inside its grid", "at its edge"]
    for row in rows:
        assert row["low"] < row["law"] < row["high"]
    assert np.log(rows[0]["high"] / rows[0]["low"]) == pytest.approx(2 * 1.645 * 0.2, rel=1e-3)
    assert _optimum(law, Judgement(verdict=Verdict(), left=groups[2:], surfaces={})) is None
