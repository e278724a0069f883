"""The analysis of one table of others, as plain values for the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from hplaw_experiments.studies.width_transfer.analysis import HIGH, LOW, HeldOut, analyze, predict, slope_of
from hplaw_experiments.studies.width_transfer.bowls import Bowls, bowls
from hplaw_experiments.studies.width_transfer.model import Posterior
from hplaw_experiments.studies.width_transfer.outside import CATEGORIES, read_sweep


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A median and the ends of its 90% interval."""

    low: float
    median: float
    high: float


class AtWidth(msgspec.Struct, frozen=True, kw_only=True):
    """The best rate at a width that was measured."""

    width: float
    best: Interval


class Predicted(msgspec.Struct, frozen=True, kw_only=True):
    """The rate for a wider model: the one to use, of minimum expected log loss, and the best with its interval."""

    width: float
    peak_lr: float
    best: Interval


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A width predicted from the smaller ones: the rate, the best one tried, and the loss over the lowest, where known."""

    width: float
    from_widths: int
    peak_lr: float
    best_tried: float
    cost: float | None
    inside: bool


class SchemeFound(msgspec.Struct, frozen=True, kw_only=True):
    """What a table says of one scheme.

    - `slope`: of log rate over log width; `flat` the probability that it is within 0.15 of zero; `theory` its range.
    - `at_edge`: widths whose lowest loss is at the edge of the rates tried.
    """

    name: str
    slope: Interval
    flat: float
    theory: tuple[float, float] | None
    widths: list[AtWidth]
    predicted: list[Predicted]
    held_out: list[Checked]
    at_edge: list[float]


def analyze_table(
    path: Path,
    *,
    maps: Mapping[str, str],
    optima: Mapping[str, str] | None = None,
    where: str = "",
    widths: Sequence[float] = (),
) -> list[SchemeFound]:
    """Return what a table says, scheme by scheme.

    **Arguments:** as `read_sweep`; `widths` are predicted for, twice the largest of each scheme by default.
    """
    rows = read_sweep(path, maps=maps, optima=optima, where=where)
    sets = bowls(rows, by=[name for name in CATEGORIES if name in rows.columns])
    return [_found(one, *found, widths) for one, found in zip(sets, analyze(sets), strict=True)]


def _found(one: Bowls, draws: Posterior, checks: Sequence[HeldOut], widths: Sequence[float]) -> SchemeFound:
    slope = slope_of(one, draws)
    rates = 2.0 ** np.quantile(draws.best, [LOW, 0.5, HIGH], axis=0)
    predictions = [predict(draws, one, width) for width in widths or (2.0 * float(one.sizes[-1]),)]
    return SchemeFound(
        name=one.name,
        slope=Interval(low=slope.low, median=slope.median, high=slope.high),
        flat=slope.flat,
        theory=slope.theory,
        widths=[
            AtWidth(width=float(size), best=Interval(low=float(low), median=float(middle), high=float(high)))
            for size, low, middle, high in zip(one.sizes, *rates, strict=True)
        ],
        predicted=[
            Predicted(width=p.size, peak_lr=p.peak_lr, best=Interval(low=p.low, median=p.median, high=p.high))
            for p in predictions
        ],
        held_out=[
            Checked(
                width=each.prediction.size,
                from_widths=each.sizes,
                peak_lr=each.prediction.peak_lr,
                best_tried=each.best,
                cost=None if np.isnan(each.cost) else each.cost,
                inside=each.inside,
            )
            for each in checks
        ],
        at_edge=one.at_edge(),
    )
