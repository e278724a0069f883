"""Whether the analysis finds what is there: runs of the same design are simulated with a planted slope, and analyzed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hplaw_experiments.studies.width_transfer.analysis import HIGH, LOW
from hplaw_experiments.studies.width_transfer.bowls import Bowls
from hplaw_experiments.studies.width_transfer.model import FREEDOM, Posterior, bowl, posterior


SEEN = 2.49
"""Slope over its standard deviation that a 90% interval distinguishes from zero in 80% of studies."""


ITERATIONS = 250
"""Iterations before the draws of a simulated study, and draws: enough for an interval."""


class Recovery(NamedTuple):
    """What the analysis made of simulated studies.

    - `planted`: the slope, and `found` the mean of the posterior medians.
    - `covered`, `apart`: shares of the 90% intervals that hold the planted slope, and that exclude zero.
    - `studies`: how many were simulated.
    """

    planted: float
    found: float
    covered: float
    apart: float
    studies: int


def smallest_seen(draws: Posterior) -> float:
    """Return the slope that the design would have distinguished from zero in 80% of studies."""
    return SEEN * float(np.std(draws.slope))


def simulate(one: Bowls, draws: Posterior, slope: float, *, rng: np.random.Generator) -> Bowls:
    """Return runs at the sizes and rates of a set, around best rates that go with the size by a slope.

    Bowls, noise and walk are the set's own, at their posterior medians; runs that diverged there may not do so here.
    """
    floor, k, b = (np.median(x, axis=0) for x in (draws.floor, draws.curvature, draws.steepness))
    octaves = np.diff(one.log2_size)
    steps = slope * octaves + np.median(draws.wander) * np.sqrt(octaves) * rng.standard_normal(len(octaves))
    best = np.median(draws.best[:, 0]) + np.concatenate([[0.0], np.cumsum(steps)])
    above = np.asarray(bowl(one.log2_rate - best[one.place], k[one.place], b[one.place]))
    noise = np.median(draws.noise) * rng.standard_t(FREEDOM, len(above))
    log_loss = floor[one.place] + above + noise
    lowest = lambda values: np.array([values[one.place == i].min() for i in range(len(one.sizes))])
    return one._replace(log_loss=log_loss, cap=lowest(log_loss) + one.cap - lowest(one.log_loss))


def recover(
    sets: Sequence[tuple[Bowls, Posterior]], planted: Sequence[float], *, studies: int = 6, seed: int = 0
) -> list[list[Recovery]]:
    """Return by set, and by planted slope, what the analysis makes of simulated studies."""
    rng = np.random.default_rng(seed)
    made = [simulate(one, draws, slope, rng=rng) for one, draws in sets for slope in planted for _ in range(studies)]
    draws = posterior(made, warmup=ITERATIONS, draws=ITERATIONS, chains=1, depth=5)
    medians, low, high = np.array([np.quantile(one.slope, [0.5, LOW, HIGH]) for one in draws]).T
    shape = (len(sets), len(planted), studies)
    found: list[list[Recovery]] = []
    for middle, lower, upper in zip(medians.reshape(shape), low.reshape(shape), high.reshape(shape), strict=True):
        found.append(
            [
                Recovery(
                    planted=slope,
                    found=float(middle[i].mean()),
                    covered=float(np.mean((lower[i] <= slope) & (slope <= upper[i]))),
                    apart=float(np.mean((lower[i] > 0) | (upper[i] < 0))),
                    studies=studies,
                )
                for i, slope in enumerate(planted)
            ]
        )
    return found
