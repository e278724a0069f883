"""What the runs say: slopes against theory, rates predicted for sizes not seen, and what carrying a rate over costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hplaw.errors import QueryError
from hplaw.messages.parametrization import ParametrizeRequest
from hplaw.parametrization.abc_regime import ROLES, adam_like
from hplaw.parametrization.layer_table import parametrize
from hplaw_experiments.studies.width_transfer.bowls import Bowls
from hplaw_experiments.studies.width_transfer.model import Posterior, bowl, posterior


FLAT = 0.15
"""Largest slope, octaves of the rate per octave of the size, with which a rate counts as carried over."""

LOW, HIGH = 0.05, 0.95
"""Quantiles of the intervals."""

TRANSFERS = ("mup", "depth_mup", "completep", "u_mup")
"""Parametrizations that are made so that the best rate stays."""

TRANSFER_SD = 0.25
"""Standard deviation of the slope that a prediction assumes for `TRANSFERS`, whose slope is zero in theory."""

WORST = math.log(10.0)
"""Largest cost, as log loss over the best, that a rate is chosen by: further out all are as bad."""

Array = NDArray[np.float64]


class Slope(NamedTuple):
    """The posterior of one set's slope.

    - `median`, `low`, `high`: of c, with its 90% interval; `flat` is P(|c| < FLAT).
    - `theory`: slopes by theory with no alignment and full alignment, None where it has none.
    """

    median: float
    low: float
    high: float
    flat: float
    theory: tuple[float, float] | None

    @property
    def agrees(self) -> bool | None:
        """Return whether the interval and the range of theory meet; None where theory has none."""
        return None if self.theory is None else self.low <= max(self.theory) and min(self.theory) <= self.high


class Prediction(NamedTuple):
    """The rate for a size not seen.

    - `peak_lr`: the one to use: of minimum expected log loss, so below the median where high rates cost more.
    - `low`, `median`, `high`: of the best rate, with its 90% interval.
    """

    size: float
    peak_lr: float
    low: float
    median: float
    high: float


class HeldOut(NamedTuple):
    """A prediction for the largest size from the smaller ones: against the best rate tried there, and what its loss costs.

    - `step`: log2 of the factor between the rates tried: the best of all rates is within half of it.
    """

    prediction: Prediction
    sizes: int
    best: float
    step: float
    cost: float

    @property
    def inside(self) -> bool:
        """Return whether the best rate may be in the interval: the best tried, to half a step."""
        half = 2.0 ** (self.step / 2)
        return self.prediction.low / half <= self.best <= self.prediction.high * half


class Carried(NamedTuple):
    """What the base's best rate costs at a size: the loss over that of the size's own rate, on seeds not chosen by."""

    size: float
    own: float
    cost: float


def slope_of(one: Bowls, draws: Posterior, *, size: str = "width") -> Slope:
    """Return the summary of a set's slope."""
    low, median, high = np.quantile(draws.slope, [LOW, 0.5, HIGH])
    flat = float(np.mean(np.abs(draws.slope) < FLAT))
    return Slope(float(median), float(low), float(high), flat, theory_of(one, size=size))


def theory_of(one: Bowls, *, size: str = "width") -> tuple[float, float] | None:
    """Return the slope of the one rate that a scheme is tuned by, without alignment and with full alignment.

    The rate may grow as that of the layer whose largest rate, by theory, goes up slowest over what the scheme gives it.
    """
    scheme, optimizer = one.labels.get("parametrization", ""), one.labels.get("optimizer", "adam")
    if size != "width":
        return (0.0, 0.0) if scheme in ("depth_mup", "completep") else None
    try:
        alignments = (1.0,) if not adam_like(optimizer) else (0.5, 1.0)
        found = [_slope_by_theory(scheme, optimizer, alignment) for alignment in alignments]
    except QueryError:
        return None
    return (found[0], found[-1])


def _slope_by_theory(scheme: str, optimizer: str, alignment: float) -> float:
    def rates(aligned: float | None) -> dict[str, float]:
        asked = ParametrizeRequest(scheme=scheme, optimizer=optimizer, alignment=aligned, width=2.0, base_width=1.0)
        return {row.kind: row.rate for row in parametrize(asked).layers}

    largest, own = rates(alignment), rates(None)
    return min(math.log2(largest[role] / own[role]) for role in ROLES)


def predict(draws: Posterior, one: Bowls, size: float, *, seed: int = 0) -> Prediction:
    """Return the rate for a size beyond those seen: from the largest one along the line, with the walk's own spread.

    For a parametrization of `TRANSFERS` draws are weighted as if the slope were normal around zero with `TRANSFER_SD`.
    """
    octaves = math.log2(size / one.sizes[-1])
    z = np.random.default_rng(seed).standard_normal(len(draws.slope))
    best = draws.best[:, -1] + draws.slope * octaves + draws.wander * math.sqrt(abs(octaves)) * z
    weights = np.ones_like(best)
    if one.labels.get("parametrization") in TRANSFERS:
        weights = np.exp(-0.5 * draws.slope**2 * (TRANSFER_SD**-2 - 1.0))
    weights /= weights.sum()
    order = np.argsort(best)
    levels = np.cumsum(weights[order]) - weights[order] / 2
    low, median, high = (float(np.interp(level, levels, best[order])) for level in (LOW, 0.5, HIGH))
    rates = np.linspace(low - 1.0, high + 1.0, 201)
    if len(one.place):
        k, b = draws.curvature[None, :, -1], draws.steepness[None, :, -1]
        costs = np.minimum(np.asarray(bowl(rates[:, None] - best[None], k, b)), WORST) @ weights
        use = float(rates[int(np.argmin(costs))])
    else:  # best rates alone do not say which side costs more
        use = median
    return Prediction(size, 2.0**use, 2.0**low, 2.0**median, 2.0**high)


def analyze(sets: Sequence[Bowls], *, fewest: int = 2) -> list[tuple[Posterior, list[HeldOut]]]:
    """Return by set its posterior, and predictions of each size from all smaller ones where these are `fewest` or more."""
    cuts = [(i, count) for i, one in enumerate(sets) for count in range(fewest, len(one.sizes))]
    parts = [sets[i].first(count) for i, count in cuts]
    draws = posterior([*sets, *parts])  # at once: one program is compiled for all
    checks: list[list[HeldOut]] = [[] for _ in sets]
    for (i, count), part, smaller in zip(cuts, parts, draws[len(sets) :], strict=True):
        checks[i].append(_held_out(sets[i], count, predict(smaller, part, float(sets[i].sizes[count]))))
    return list(zip(draws[: len(sets)], checks, strict=True))


def _held_out(whole: Bowls, count: int, prediction: Prediction) -> HeldOut:
    best = 2.0 ** float(whole.lowest()[count])
    if np.isfinite(whole.optimum[count]):
        return HeldOut(prediction, count, best, 1.0, float("nan"))
    step = float(np.median(np.diff(whole.means(count)[0])))
    return HeldOut(prediction, count, best, step, whole.cost(count, math.log2(prediction.peak_lr)))


def carried(tuning: Bowls, test: Bowls) -> list[Carried]:
    """Return what the smallest size's best rate costs at each size, rates chosen on tuning runs and scored on test runs."""
    chosen = tuning.lowest()
    found: list[Carried] = []
    for i, size in enumerate(tuning.sizes):
        rates, losses = test.means(i)
        loss = dict(zip(np.round(rates, 6), losses, strict=True))
        there, own = loss.get(round(chosen[0], 6), float("inf")), loss.get(round(chosen[i], 6), float("inf"))
        cost = float(np.exp(there - own)) if np.isfinite(own) else float("nan")
        found.append(Carried(float(size), 2.0 ** chosen[i], cost))
    return found
