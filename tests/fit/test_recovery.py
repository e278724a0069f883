"""Runs simulated from a shipped law give their truth back: ranks of the truth among the draws are uniform.

Truths are draws of a posterior of the law, given a first set of runs that the law makes at the values it ships with.
Each truth makes a second set. What is fitted to both sets must hold that truth at a uniform rank: that is exact for
every law and every first set (Säilynoja et al. 2025, arXiv 2502.03279), and asks the fit where it is used, not where
the widest priors would bring it. Runs are made by the formulas as they are served, over numpy.
"""

import math
from collections.abc import Mapping

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy import stats

from hplaw.catalogue import load_catalogue
from hplaw.fit.density import Density
from hplaw.fit.fitting import diagnose, fit_law
from hplaw.fit.laplace import Normal, fit_normal
from hplaw.fit.libraries import double_precision
from hplaw.fit.model import Model
from hplaw.fit.nuts import Sampler
from hplaw.law import Law
from hplaw.law.program import unroll
from hplaw.posterior import numpy, numpy_environment


Array = NDArray[np.float64]

ALPHA = 0.01
"""Share of laws without a fault that are found at fault: split over all tests of one law."""
SETS = 60
"""Second sets of runs, one for each truth."""


def design() -> pl.DataFrame:
    """Return a ladder of sizes, each with several amounts of data."""
    rows = [(n, n * ratio) for n in np.geomspace(1e8, 1e10, 7) for ratio in (4, 12, 36, 108)]
    return pl.DataFrame(rows, schema=["n_params_with_embedding", "tokens"], orient="row")


def simulate(law: Law, runs: pl.DataFrame, values: Mapping[str, float], rng: np.random.Generator) -> pl.DataFrame:  # fmt: skip
    """Return runs with losses, made by the law's formulas over numpy."""
    spec = law.spec.fit
    assert spec is not None
    assert spec.likelihood == "student_t(4, scale)"
    columns = {name: runs[name].to_numpy() for name in runs.columns}
    zeros = {name: 0.0 for effect in law.spec.effects.values() for name in effect.of}
    environment = numpy_environment(law, {**zeros, **values, **columns})
    loss = law.program(numpy()).outputs["loss"](environment)
    formula = law.namespace.formula(spec.scale, table="fit", key="scale")
    scale = unroll(law.namespace, formula, numpy(), ())(environment)
    return runs.with_columns(loss=pl.Series(loss * np.exp(scale * rng.standard_t(4, len(runs)))))


def shipped_values(law: Law) -> dict[str, float]:
    """Return the values that a law ships with."""
    return {name: float(item.value) for name, item in law.spec.parameters.items()}


def fit(density: Density, sampler: Sampler, weights: Array, start: Array | None, *, chains: int, draws: int, seed: int) -> tuple[Normal, Array]:  # fmt: skip
    """Return the normal around the mode, and draws `[draw, number]` whose chains agree."""
    normal = fit_normal(density, weights, start=start)
    found = sampler.run(normal, weights, chains=chains, draws=draws, seed=seed)
    diagnostics = diagnose(density, found)
    assert diagnostics.r_hat is not None
    assert diagnostics.r_hat < 1.05, diagnostics
    return normal, found.draws.reshape(-1, density.size)


def ranks_of(law: Law, runs: pl.DataFrame) -> dict[str, Array]:
    """Return the rank of every parameter of every truth among the draws fitted to its runs, between 0 and 1."""
    rng = np.random.default_rng(8)
    first = simulate(law, runs, shipped_values(law), rng)
    ranks: dict[str, list[float]] = {name: [] for name in law.spec.parameters}
    with double_precision():
        density = Density(Model(law, first))
        sampler, one = Sampler(density), np.ones(len(first))
        normal, flat = fit(density, sampler, one, None, chains=4, draws=500, seed=1)
        truths = density.constrain(flat)
        places = np.linspace(0, len(flat) - 1, SETS).round().astype(int)
        seconds = [
            simulate(law, runs, {name: float(truths[name][place]) for name in ranks}, rng)
            for place in places
        ]
        # one model of all sets, compiled once: weights say which of them a fit sees
        both = Density(Model(law, pl.concat([first, *seconds])))
        sampler = Sampler(both)
        for number, place in enumerate(places, 1):
            weights = np.zeros(both.rows)
            weights[: len(first)] = 1.0
            weights[number * len(runs) : (number + 1) * len(runs)] = 1.0
            _, found = fit(both, sampler, weights, normal.mode, chains=2, draws=300, seed=int(place))  # fmt: skip
            draws = both.constrain(found)
            for name, into in ranks.items():
                below = np.count_nonzero(draws[name] < truths[name][place])
                into.append((below + 0.5) / (len(found) + 1))
    return {name: np.array(found) for name, found in ranks.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pretrain-loss"])
def test_truths_of_a_shipped_law_have_uniform_ranks(name: str) -> None:
    """Ranks as normal scores: neither their mean (a bias) nor their square (too sure, too unsure) strays."""
    found = ranks_of(load_catalogue().get(name), design())
    scores = stats.norm.ppf(np.stack(list(found.values()), axis=1))
    strays = stats.norm.sf(np.abs(scores.mean(axis=0)) * math.sqrt(SETS)) * 2
    square = (scores**2).sum(axis=0)
    spread = 2 * np.minimum(stats.chi2.cdf(square, SETS), stats.chi2.sf(square, SETS))
    for parameter, *chances in zip(found, strays, spread, strict=True):
        assert min(chances) > ALPHA / (2 * len(found)), (parameter, chances)


def test_the_mode_of_a_shipped_law_is_near_the_truth() -> None:
    law = load_catalogue().get("pretrain-loss")
    truth = shipped_values(law)
    runs = simulate(law, design(), truth, np.random.default_rng(3))
    found = fit_law(law, runs, method="map", chains=2, draws=200)
    for name, draws in found.parameters().items():
        assert abs(draws.mean() - truth[name]) < 4 * draws.std(), name
