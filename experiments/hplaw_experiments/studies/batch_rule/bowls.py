"""The best rate of each batch with its uncertainty: one bowl for each cell, fitted together.

response = lowest + height_b (e^t - 1 - t), t = slant (ln rate - ln best_b): steeper towards rates that are too large where the
slant is positive, as losses are; a parabola where it is small. The height is in units in which the curvature is free of
the slant. Noise is Student's t. A seed (initial weights and order of the data) shifts the loss alike at all rates of a cell,
which is taken out before, and the best rates alike at all batches, which is a number of the model for each seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from hplaw_experiments.studies.batch_rule.cells import Cell, Series
from hplaw_experiments.studies.sampling import Sampler


Array = NDArray[np.float64]


class Optima(msgspec.Struct, frozen=True):
    """The best rates of a series: posterior draws.

    - `batches`: shape (cell,).
    - `log_rate`: shape (draw, cell), logarithm of the best rate.
    - `least`: shape (draw, cell), the response there.
    - `seed_sd`: shape (draw,), standard deviation of the logarithm of the best rate from seed to seed; of `seeds` seeds
      `log_rate` is the mean.
    - `r_hat`: the largest over all parameters; `divergences` of the sampler.
    """

    batches: Array
    log_rate: Array
    least: Array
    seed_sd: Array
    seeds: int
    r_hat: float
    divergences: int

    @property
    def mean(self) -> Array:
        """Return the posterior means of the logarithms, shape (cell,)."""
        return self.log_rate.mean(axis=0)

    @property
    def sd(self) -> Array:
        """Return their posterior standard deviations, shape (cell,)."""
        return self.log_rate.std(axis=0)


def _model(x: Any, y: Any, cell: Any, seed: Any, keep: Any, start: Any, low: Any, unit: Any, seeds: Any) -> None:
    """The model of a series, padded: `keep` says which rows are runs, `seeds` which seeds there are, `start` and `low` where cells begin.

    Responses are in `unit`, the spread within cells, so that priors suit both measures: a bowl that spans one unit over the
    window has a curvature of about 0.7.
    """
    slant = numpyro.sample("slant", dist.Normal(0.5, 0.3))
    noise = numpyro.sample("noise", dist.LogNormal(-3.0, 1.0))
    spread = numpyro.sample("seed_sd", dist.HalfNormal(0.3))
    with numpyro.plate("seeds", seeds.shape[0]):
        z = numpyro.sample("z", dist.Normal(0.0, 1.0))
    shift = spread * (z - jnp.sum(z * seeds) / jnp.sum(seeds))
    with numpyro.plate("cells", start.shape[0]):
        place = numpyro.sample("place", dist.Normal(0.0, 0.7))
        level = numpyro.sample("level", dist.Normal(0.0, 0.5))
        curvature = numpyro.sample("curvature", dist.LogNormal(-0.3, 0.5))
    log_rate = numpyro.deterministic("log_rate", start + place)
    least = numpyro.deterministic("least", low + unit * level)
    distance = x - log_rate[cell] - shift[seed]
    # (e^t - 1 - t) / slant^2 is half the square of the distance where the slant is near zero
    flat = jnp.abs(slant) < 1e-3
    own = jnp.where(flat, 1.0, slant)
    bowl = jnp.where(flat, 0.5 * distance**2, (jnp.expm1(own * distance) - own * distance) / own**2)
    mean = least[cell] + unit * curvature[cell] * bowl
    with numpyro.handlers.mask(mask=keep):
        numpyro.sample("y", dist.StudentT(4.0, mean, unit * noise), obs=y)


class Bowls:
    """Fits bowls to series; all of one size share a compiled sampler.

    **Arguments:**

    - `cells`, `rows`, `seeds`: cells, runs and seeds that a series has at most.
    """

    def __init__(self, *, cells: int, rows: int, seeds: int) -> None:
        self._cells, self._rows, self._seeds = cells, rows, seeds
        self._sampler = Sampler(_model)

    @classmethod
    def of(cls, series: Sequence[Series]) -> Bowls:
        """Return what fits all of some series."""
        return cls(
            cells=max(len(each.cells) for each in series),
            rows=max(sum(len(cell.rates) for cell in each.cells) for each in series),
            seeds=max(len(_seeds(each.cells)) for each in series),
        )

    def fit(self, series: Series, *, key: Any) -> Optima:
        """Return the best rates of a series."""
        cells = series.cells
        unit = float(np.mean([cell.responses.std() for cell in cells]))
        fill = [0.0] * (self._cells - len(cells))
        start = np.array([_best(cell) for cell in cells] + fill)
        low = np.array([cell.responses.min() for cell in cells] + fill)
        seeds = len(_seeds(cells))
        there = (np.arange(self._seeds) < seeds).astype(np.float64)
        found = self._sampler.run(key, *_padded(cells, self._rows), start, low, unit, there)
        return Optima(
            batches=np.array([cell.batch for cell in cells]),
            log_rate=found.draws["log_rate"][:, : len(cells)],
            least=found.draws["least"][:, : len(cells)],
            seed_sd=found.draws["seed_sd"],
            seeds=seeds,
            r_hat=found.r_hat,
            divergences=found.divergences,
        )


def _best(cell: Cell) -> float:
    levels = np.unique(cell.rates)
    return float(levels[np.argmin([cell.responses[cell.rates == level].mean() for level in levels])])


def _padded(cells: Sequence[Cell], size: int) -> tuple[Any, ...]:
    """Return the runs of cells as columns of one length: rate, response, cell, seed, and which rows are runs."""
    count = sum(len(cell.rates) for cell in cells)
    fill = np.zeros(size - count)
    rates = np.concatenate([*(cell.rates for cell in cells), fill])
    responses = np.concatenate([*map(_level, cells), fill])
    places = np.concatenate([np.repeat(np.arange(len(cells)), [len(cell.rates) for cell in cells]), fill])
    numbers = {seed: place for place, seed in enumerate(_seeds(cells))}
    seeds = np.concatenate([[numbers[int(seed)] for cell in cells for seed in cell.seeds], fill])
    return rates, responses, places.astype(np.int32), seeds.astype(np.int32), np.arange(size) < count


def _seeds(cells: Sequence[Cell]) -> list[int]:
    return sorted({int(seed) for cell in cells for seed in cell.seeds})


def _level(cell: Cell) -> Array:
    """Return a cell's responses without what each seed shifts alike, by the rates that all its seeds came to an end at."""
    seeds = np.unique(cell.seeds)
    common = [rate for rate in np.unique(cell.rates) if (cell.rates == rate).sum() == len(seeds)]
    shared = np.isin(cell.rates, common)
    if not len(common):
        return cell.responses
    whole = cell.responses[shared].mean()
    found = cell.responses.copy()
    for seed in seeds:
        own = cell.seeds == seed
        found[own] -= cell.responses[own & shared].mean() - whole
    return found
