"""Runs simulated from shipped laws give their truth back: ranks of the truth among the draws are uniform.

Truths are draws of a posterior of the law, given a first set of runs that the law makes at the values it ships with.
Each truth makes a second set. What is fitted to both sets must hold that truth at a uniform rank: that is exact for
every law and every first set (Säilynoja et al. 2025, arXiv 2502.03279), and asks the fit where it is used, not where
the widest priors would bring it. Runs are made by the formulas as they are served, over numpy.
"""

import itertools as it
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy import stats

import numpyro

from hplaw.catalogue.catalogue import load_catalogue
from hplaw.evaluation.inputs import inputs
from hplaw.expression.backends import numpy_backend
from hplaw.fit.data.runs import keep_runs
from hplaw.fit.infer.fitting import fit_law
from hplaw.fit.infer.laplace import Normal, fit_normal
from hplaw.fit.infer.nuts import Sampler
from hplaw.fit.model.density import Density
from hplaw.fit.model.double_precision import double_precision
from hplaw.fit.model.model import Model
from hplaw.law import Law
from hplaw.law.law import numpy_environment
from hplaw.law.program import unroll


Array = NDArray[np.float64]
Values = Mapping[str, Any]

ALPHA = 0.01
"""Share of laws without a fault that are found at fault: split over all tests of one law."""


class Plan(NamedTuple):
    """How a law is tried: the runs of the first set and of each second set, how many of these, and how many share a model."""

    first: pl.DataFrame
    second: pl.DataFrame
    sets: int
    at_once: int


def surface_runs(cells: list[tuple[float, ...]], best: Any, rates: Array, batches: Array) -> pl.DataFrame:
    """Return a grid of rates and batches, e-folds from the best, in every cell `(n_params, n_active_params, tokens)`."""
    rows = [
        (*cell, best(*cell)[0] * math.exp(u), best(*cell)[1] * math.exp(v))
        for cell in cells
        for u, v in it.product(rates, batches)
    ]
    names = ["n_params", "n_active_params", "tokens", "peak_lr", "batch_tokens"]
    return pl.DataFrame(rows, schema=names, orient="row")


def plan_of(law: Law) -> Plan:
    """Return the plan of a shipped law."""
    if law.id == "pretrain-loss":
        n = np.geomspace(1e8, 1e10, 7)
        rows = [(x, x * ratio) for x in n for ratio in (4.0, 12.0, 36.0, 108.0)]
        runs = pl.DataFrame(rows, schema=["n_params_with_embedding", "tokens"], orient="row")
        return Plan(runs, runs, 60, 60)
    value = {name: item.value for name, item in law.spec.parameters.items()}
    n_ref, d_ref = law.spec.constants["n_ref"], law.spec.constants["d_ref"]

    def best(n_params: float, _: float, tokens: float) -> tuple[float, float]:
        n, d = math.log(n_params / n_ref), math.log(tokens / d_ref)
        return (
            math.exp(value["p0"] + value["p1"] * n + value["p2"] * d),
            math.exp(value["q0"] + value["q1"] * d + value["q2"] * n),
        )

    cells = [(n_ref * n, n_ref * n, d_ref * d) for n in (0.5, 1.0, 2.0) for d in (0.2, 0.5, 1.2)]
    if law.id.endswith("-moe"):
        shares = it.cycle((0.1, 0.2, 0.4, 0.15))
        cells = [(n, n * next(shares), d) for n, _, d in cells]
    first = surface_runs(cells, best, np.linspace(-1.8, 1.8, 7), np.linspace(-1.5, 1.5, 6))
    second = surface_runs(cells, best, np.linspace(-0.9, 0.9, 3), np.array([-0.6, 0.6]))
    return Plan(first, second, 24, 8)


def simulate(law: Law, runs: pl.DataFrame, values: Values, rng: np.random.Generator) -> pl.DataFrame:
    """Return runs with losses, made by the law's formulas over numpy: `values` by name, effects by row."""
    spec = law.spec.fit
    assert spec is not None
    assert spec.likelihood == "student_t(4, scale)"
    plain = {item.name: item.default for item in inputs(law) if item.default is not None}
    runs = runs.with_columns(**{name: pl.lit(value) for name, value in plain.items() if name not in runs.columns})
    columns = {name: runs[name].to_numpy() for name in law.inputs if name in runs.columns}
    zeros = {name: 0.0 for effect in law.spec.effects.values() for name in effect.of}
    environment = numpy_environment(law, {**zeros, **values, **columns})
    loss = law.program(numpy_backend()).outputs["loss"](environment)
    formula = law.namespace.formula(spec.scale, table="fit", key="scale")
    scale = unroll(law.namespace, formula, numpy_backend(), ())(environment)
    return runs.with_columns(loss=pl.Series(loss * np.exp(scale * rng.standard_t(4, len(runs)))))


def named(density: Density, draw: Mapping[str, Array], place: int, runs: pl.DataFrame) -> dict[str, Any]:
    """Return one draw as the formulas want it: entries of an index as tuples, effects by row."""
    law = density.model.law
    found: dict[str, Any] = {}
    for name, item in law.spec.parameters.items():
        found[name] = tuple(draw[name][place]) if item.over else float(draw[name][place])
    for name, effect in density.model.effects.items():
        if effect.active:
            members = {row: i for i, row in enumerate(effect.members.rows())}
            ids = [members[row] for row in runs.select(effect.columns).rows()]
            for i, of in enumerate(effect.spec.of):
                found[of] = draw[name][place][ids, i]
    return found


def shipped_values(law: Law, runs: pl.DataFrame, rng: np.random.Generator) -> dict[str, Any]:
    """Return the values that a law ships with, and effects of new members by row."""
    point = {
        name: tuple(item.value) if isinstance(item.value, list) else item.value
        for name, item in law.spec.parameters.items()
    }
    for effect in law.spec.effects.values():
        if effect.predict == "transfer":
            continue
        columns = [name for name in effect.by if name in runs.columns]
        keys = list(dict.fromkeys(runs.select(columns).rows()))
        for of in effect.of:
            shifts = dict(zip(keys, rng.normal(0, point[effect.scale[of]], len(keys)), strict=True))
            point[of] = np.array([shifts[key] for key in runs.select(columns).rows()])
    return point


def compared(law: Law, draws: Mapping[str, Array]) -> dict[str, Array]:
    """Return what is compared `[draw]`: numbers of the law, and its ridges as the bowl they make an e-fold from the best.

    Ridges can change places with hardly a change of the bowl, so that chains agree on it long before they do on them.
    """
    found = {name: draws[name] for name, item in law.spec.parameters.items() if not item.over}
    if "lh" in draws:
        for side, (u, v) in {"right": (1, 0), "left": (-1, 0), "up": (0, 1), "down": (0, -1)}.items():
            k = draws["k"].reshape(len(draws["k"]), -1)
            t = k * (np.cos(draws["th"]) * u + np.sin(draws["th"]) * v)
            ridges = np.exp(draws["lh"]) / k**2 * (np.expm1(t) - t)
            found[f"bowl {side}"] = ridges.sum(axis=1)
    return found


def fit(
    density: Density,
    sampler: Sampler,
    weights: Array,
    start: Array | None,
    *,
    chains: int,
    draws: int,
    seed: int,
    agree: float,
) -> tuple[Normal, Array]:
    """Return the normal around the mode, and draws `[draw, number]` whose chains agree, R-hat below `agree`."""
    normal = fit_normal(density, weights, start=start)
    found = sampler.run(normal, weights, chains=chains, draws=draws, seed=seed)
    flat = found.draws.reshape(-1, density.size)
    for name, values in compared(density.model.law, density.constrain(flat)).items():
        by_chain = values.reshape(chains, draws)
        assert float(numpyro.diagnostics.split_gelman_rubin(by_chain)) < agree, name
    return normal, flat


def ranks_of(law: Law, plan: Plan) -> dict[str, Array]:
    """Return the rank of every number of every truth among the draws fitted to its runs, between 0 and 1."""
    rng = np.random.default_rng(8)
    first = simulate(law, plan.first, shipped_values(law, plan.first, rng), rng)
    first = keep_runs(first, law)
    ranks: dict[str, list[float]] = {}
    with double_precision():
        density = Density(Model(law, first))
        one = np.ones(len(first))
        normal, flat = fit(density, Sampler(density), one, None, chains=4, draws=500, seed=1, agree=1.05)
        truths = density.constrain(flat)
        true = compared(law, truths)
        chosen = np.linspace(0, len(flat) - 1, plan.sets).round().astype(int)
        for start in range(0, plan.sets, plan.at_once):
            places = chosen[start : start + plan.at_once]
            seconds = [simulate(law, plan.second, named(density, truths, i, plan.second), rng) for i in places]
            stacked = pl.concat([first, *seconds])
            both = Density(Model(law, stacked))
            sampler = Sampler(both)
            for number, place in enumerate(places):
                weights = np.zeros(len(stacked))
                weights[: len(first)] = 1.0
                begin = len(first) + number * len(plan.second)
                weights[begin : begin + len(plan.second)] = 1.0
                _, found = fit(both, sampler, weights, normal.mode, chains=2, draws=250, seed=int(place), agree=1.1)
                for name, draws in compared(law, both.constrain(found)).items():
                    below = np.count_nonzero(draws < true[name][place])
                    ranks.setdefault(name, []).append((below + 0.5) / (len(draws) + 1))
    return {name: np.array(found) for name, found in ranks.items()}


def chances(ranks: Mapping[str, Array]) -> dict[str, tuple[float, float]]:
    """Return how likely uniform ranks are to stray as these do, by name: in their mean, and in their square.

    Both are of normal scores: a mean away from zero is a bias, a square away from one is over- or underconfident.
    """
    found: dict[str, tuple[float, float]] = {}
    for name, values in ranks.items():
        scores = stats.norm.ppf(values)
        bias = 2 * stats.norm.sf(abs(scores.mean()) * math.sqrt(len(scores)))
        square = float((scores**2).sum())
        sure = 2 * min(stats.chi2.cdf(square, len(scores)), stats.chi2.sf(square, len(scores)))
        found[name] = float(bias), float(sure)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pretrain-loss", "pretrain-surface", "pretrain-surface-moe"])
def test_truths_of_a_shipped_law_have_uniform_ranks(name: str) -> None:
    law = load_catalogue().get(name)
    found = chances(ranks_of(law, plan_of(law)))
    for parameter, both in found.items():
        assert min(both) > ALPHA / (2 * len(found)), (parameter, both)


def test_ranks_of_a_wrong_fit_are_found_out() -> None:
    """Two dozen sets tell intervals of half the width, and ones shifted by a standard deviation."""
    rng = np.random.default_rng(0)
    scores = rng.standard_normal(24)
    limit = ALPHA / 40
    right, sure, shifted = (chances({"b0": stats.norm.cdf(wrong)})["b0"] for wrong in (scores, 2 * scores, scores + 1))
    assert min(right) > limit
    assert sure[1] < limit
    assert shifted[0] < limit


def test_the_mode_of_a_shipped_law_is_near_the_truth() -> None:
    law = load_catalogue().get("pretrain-loss")
    runs = plan_of(law).first
    rng = np.random.default_rng(3)
    truth = shipped_values(law, runs, rng)
    found = fit_law(law, simulate(law, runs, truth, rng), method="map", chains=2, draws=200)
    for name, draws in found.parameters().items():
        assert abs(draws.mean() - truth[name]) < 4 * draws.std(), name
