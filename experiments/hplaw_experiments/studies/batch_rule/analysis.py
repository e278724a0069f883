"""The whole analysis of the batch-rule study: best rates on tuning and test seeds, the rules, and how they predict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

import jax

from hplaw_experiments.studies.batch_rule.bowls import Bowls, Optima
from hplaw_experiments.studies.batch_rule.cells import Series, series_of
from hplaw_experiments.studies.batch_rule.measure import RunNoise
from hplaw_experiments.studies.batch_rule.rules import Comparison, Rules


Array = NDArray[np.float64]

THEORY: Mapping[str, float] = {"sgd": 1.0, "momentum": 1.0, "adam": 0.5}
"""The exponent far below the noise scale that theory has for each optimizer."""


class Prediction(msgspec.Struct, frozen=True):
    """A best rate predicted from batches a factor 4 away or more, and as measured on test seeds; logarithms.

    - `median`, `low`, `high`: predicted, 90% interval with the error of the measurement.
    """

    batch: float
    measured: float
    median: float
    low: float
    high: float

    @property
    def factor(self) -> float:
        """Return how far the prediction is off, as a factor of one or more."""
        return math.exp(abs(self.median - self.measured))

    @property
    def covered(self) -> bool:
        """Return whether the interval holds the measured rate."""
        return self.low <= self.measured <= self.high


class Found(msgspec.Struct, frozen=True):
    """What was found for one series.

    - `tuning`, `test`: the best rates on the two kinds of seeds.
    - `noise_scale`: measured, in tokens.
    - `predictions`: of each batch that can be held out.
    - `critical`: draws of the batch at which twice the examples are needed that a small one needs, for a fixed loss.
    """

    series: Series
    tuning: Optima
    test: Optima
    noise_scale: float
    rules: Comparison
    predictions: tuple[Prediction, ...]
    critical: Array | None = None


def analyze(
    runs: pl.DataFrame,
    noise: Sequence[RunNoise],
    *,
    tuning: Sequence[int],
    test: Sequence[int],
    told: Callable[[str], None],
) -> list[Found]:
    """Return what the runs of the study say, a series each.

    **Raises:** `DataError` where runs are missing.
    """
    first, second = series_of(runs, seeds=tuning), series_of(runs, seeds=test)
    bowls, rules = Bowls.of([*first, *second]), Rules(max(len(series.cells) for series in first))
    scales = {(each.family, each.optimizer): each.mean for each in noise}
    found: list[Found] = []
    for place, (series, other) in enumerate(zip(first, second, strict=True)):
        told(f"{series.name}: {place + 1} of {len(first)}")
        key, again, third = jax.random.split(jax.random.PRNGKey(place), 3)
        optima, tested = bowls.fit(series, key=key), bowls.fit(other, key=again)
        scale = scales.get((series.family, series.optimizer)) or float(np.median(optima.batches))
        comparison = rules.compare(
            optima.batches,
            optima.mean,
            optima.sd,
            noise_scale=scale,
            planted=_planted(series, optima, scale),
            key=third,
        )
        found.append(
            Found(
                series,
                optima,
                tested,
                scale,
                comparison,
                tuple(_predictions(comparison, optima, tested)),
                critical_batch(optima) if series.measure == "fixed loss" else None,
            )
        )
    return found


def _planted(series: Series, optima: Optima, noise_scale: float) -> Array:
    """Return simulated best rates, ln: theory's exponent far below the noise scale, none above, errors as in a series."""
    rng = np.random.default_rng(0)
    exponent = THEORY[series.optimizer]
    # saturation well above the batches that the exponent is read from
    truth = -exponent * np.log1p(8 * noise_scale / optima.batches)
    return truth + optima.sd * rng.standard_normal(len(truth))


def critical_batch(optima: Optima) -> Array | None:
    """Return draws of the critical batch, from ln E = ln E_min + ln(1 + B / B_crit) fitted to each draw of the bowls.

    None where the examples do not grow with the batch.
    """
    batches = optima.batches
    grid = np.exp(np.linspace(math.log(batches[0] / 4), math.log(batches[-1] * 64), 400))
    shape = np.log1p(batches[None, :] / grid[:, None])  # [critical batch, batch]
    residual = optima.least[:, None, :] - shape[None, :, :]
    misses = ((residual - residual.mean(axis=2, keepdims=True)) ** 2).sum(axis=2)
    found = grid[np.argmin(misses, axis=1)]
    return None if np.median(found) >= grid[-2] else found


def _predictions(rules: Comparison, tuning: Optima, test: Optima) -> list[Prediction]:
    rng = np.random.default_rng(0)
    found: list[Prediction] = []
    for place, posterior in enumerate(rules.apart):
        at = np.flatnonzero(test.batches == tuning.batches[place])
        if posterior is None or not len(at):
            continue
        measured, error = float(test.mean[at[0]]), float(test.sd[at[0]])
        draws = posterior.draws(np.log(tuning.batches[place : place + 1]), rng)[:, 0]
        draws = draws + error * rng.standard_normal(len(draws))
        # best rates differ from seed to seed, alike at all batches: the means of both kinds of seeds do, too
        apart = rng.choice(tuning.seed_sd, len(draws)) * math.sqrt(1 / tuning.seeds + 1 / test.seeds)
        draws = draws + apart * rng.standard_normal(len(draws))
        low, median, high = (float(q) for q in np.quantile(draws, [0.05, 0.5, 0.95]))
        found.append(Prediction(float(tuning.batches[place]), measured, median, low, high))
    return found
