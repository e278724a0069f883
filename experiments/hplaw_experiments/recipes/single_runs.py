"""A handful of single runs of your own, and priors over recipes and over the bowl of the loss, to a surface.

Too few runs to show a bowl still say much where its shape is known from others: `pretrain-surface` provides the shape, each
number with a spread that lets another recipe differ, and the law `recipe` the optimum law. Six standard normals represent
the optimum law while it is fitted, so that its six numbers correlate as recipes do.
"""

from __future__ import annotations

import math
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from hplaw.errors import DataError
from hplaw.fit.check.judge import Judgement, judge
from hplaw.fit.check.verdict import Verdict
from hplaw.fit.infer.fitting import Fitted, Method, fit_law
from hplaw.fit.infer.nuts import Progress, silent
from hplaw.fit.output.card import Provenance, write_card
from hplaw.fit.output.digits import MEDIANS, rounded
from hplaw.fit.output.law_folder import write_folder
from hplaw.law import Law
from hplaw.law.format import LawSpec, ParameterSpec, PredictSpec
from hplaw.law.read import decode_spec, parse_law
from hplaw.law.write import write_law
from hplaw.posterior.arrays import read_arrays
from hplaw.posterior.scenarios import factor
from hplaw_experiments.recipes.recipe import D_REF, N_REF, Recipe


Array = NDArray[np.float64]

OPEN = {"lh": 0.3, "th": 0.15, "k": 0.2}
"""By how much the bowl of another recipe may differ, as a standard deviation: ln of height, angle, ln of steepness."""

OPTIMUM = ("p0", "p1", "p2", "q0", "q1", "q2")
"""The parameters of the optimum law, in the order of a recipe's six numbers."""

PARTS = "part"
"""The index over the standard normals that the optimum law is made of."""

LEAST = 5
"""Runs below which nothing is fitted."""

DRAWS = 1000
"""Draws of each of four chains, or as many altogether around the mode."""


def surface_law(runs: pl.DataFrame, prior: Recipe, *, shape: Law) -> LawSpec:
    """Return the surface to fit, in the form in which it is served, its priors placed where the runs lie.

    **Arguments:**

    - `runs`: n_params, tokens, peak_lr, batch_tokens and loss, one run a row; those without a loss are tuned optima.
    - `prior`: over the optimum law, with the scatter of a cell's optimum around it.
    - `shape`: the law that provides the bowl.
    """
    spec = decode_spec((files("hplaw_experiments") / "templates" / "few-surface.toml").read_bytes())
    lost = runs.filter(pl.col("loss").is_not_null())
    middle = {
        name: math.exp(float(np.log(lost[column].to_numpy()).mean()))
        for name, column in (("n_base", "n_params"), ("d_base", "tokens"))
    }
    least = lost.group_by("n_params", "tokens").agg(pl.col("loss").min())["loss"].to_numpy()
    constants = {
        **spec.constants,
        "n_ref": N_REF,
        "d_ref": D_REF,
        **{name: float(f"{value:.4g}") for name, value in middle.items()},
        "loss_ref": float(f"{math.exp(float(np.log(least).mean())):.4g}"),
    }
    discrepancy = spec.predict.discrepancy
    assert discrepancy is not None
    scatter = (prior.scatter.size + prior.scatter.cell).tolist()
    predict = PredictSpec(discrepancy=msgspec.structs.replace(discrepancy, covariance=scatter))
    parameters = {**spec.parameters}
    for name, value in zip(OPTIMUM, prior.mean, strict=True):
        parameters[name] = ParameterSpec(value=float(value))
    b0 = math.log(constants["loss_ref"])
    parameters["b0"] = msgspec.structs.replace(parameters["b0"], value=b0)
    return msgspec.structs.replace(
        spec, constants=constants, predict=predict, parameters=parameters, tables={**spec.tables, **_bowl(shape)}
    )


def _bowl(shape: Law) -> dict[str, dict[str, Any]]:
    """Return the tables of means and standard deviations of a bowl's numbers, from a law's draws; one for all is each ridge's."""
    draws = read_arrays(shape)
    ridges = draws["th"].shape[1:]
    found: dict[str, dict[str, Any]] = {}
    for name, table in (("lh", "lh"), ("th", "th"), ("k", "lk")):
        values = np.log(draws[name]) if name == "k" else draws[name]
        mean = np.broadcast_to(values.mean(axis=0), ridges)
        spread = np.broadcast_to(np.hypot(values.std(axis=0), OPEN[name]), ridges)
        found[f"{table}_mean"] = {"over": "ridge", "values": _written(mean)}
        found[f"{table}_sd"] = {"over": "ridge", "values": _written(spread)}
    return found


def _written(values: Array) -> list[float]:
    """Return numbers as a law file has them; what they are the prior of is known to percents."""
    return [rounded(float(value), MEDIANS) for value in values]


def open_optimum(spec: LawSpec, prior: Recipe) -> LawSpec:
    """Return the law with its optimum law made of standard normals: mean + root z, `root root'` the prior's covariance."""
    root = factor(prior.covariance)
    tables = dict(spec.tables)
    lets = dict(spec.let)
    for name, mean, row in zip(OPTIMUM, prior.mean, root, strict=True):
        tables[f"{name}_root"] = {"over": PARTS, "values": row.tolist()}
        lets[name] = f"{float(mean)!r} + sum({PARTS}, {name}_root[{PARTS}] * z)"
    parameters = {n: p for n, p in spec.parameters.items() if n not in OPTIMUM}
    size = len(OPTIMUM)
    parameters["z"] = ParameterSpec(prior="normal(0, 1)", over=PARTS, value=[0.0] * size)
    return msgspec.structs.replace(
        spec, index={**spec.index, PARTS: size}, tables=tables, let=lets, parameters=parameters
    )


def fit_surface(
    runs: pl.DataFrame, prior: Recipe, *, shape: Law, method: Method = "map", progress: Progress = silent
) -> tuple[Fitted, LawSpec, dict[str, Array]]:
    """Return the fit, the law in the form served, and the draws of its parameters.

    **Raises:** `DataError` for too few runs.
    """
    count = runs["loss"].drop_nulls().len()
    if count < LEAST:
        message = f"{count} runs with a loss are too few to fit a surface to; give {LEAST} or more, best 6 in a cross around a guess, or give tuned optima without loss"
        raise DataError(message)
    spec = surface_law(runs, prior, shape=shape)
    open_law = parse_law(write_law(open_optimum(spec, prior)).encode())
    fitted = fit_law(open_law, runs, method=method, draws=DRAWS, progress=progress)
    draws = dict(fitted.parameters())
    numbers = prior.mean + draws.pop("z") @ factor(prior.covariance).T
    draws |= dict(zip(OPTIMUM, numbers.T, strict=True))
    return fitted, spec, {name: draws[name] for name in spec.parameters}


class Calibration(Provenance, frozen=True, kw_only=True):
    """The words of the command that makes the same fit from the table of runs."""

    def command(self, to: str) -> str:
        """Return the command line."""
        return f"hplaw calibrate --runs {self.data} --method {self.method} --to {to}"


def write_surface(
    runs: pl.DataFrame,
    to: Path,
    *,
    recipe: Recipe,
    shape: Law,
    data: str,
    sha256: str,
    method: Method = "map",
    title: str = "",
    judged: bool = False,
    accept: bool = False,
    progress: Progress = silent,
) -> Law:
    """Write the law folder `to/own-recipe` that single runs lead to; return the law.

    **Arguments:**

    - `recipe`: what is known of the optimum law before the runs.
    - `title`: of the law, in place of its usual one.
    - `judged`: whether cells are held out in turn and the law is served only if that goes well, or with `accept`; a
      handful of runs is too few for it.

    **Raises:** `DataError` where the runs are too few.
    """
    fitted, spec, draws = fit_surface(runs, recipe, shape=shape, method=method, progress=progress)
    judgement = judge(fitted, progress=progress) if judged else Judgement(verdict=Verdict(), left=[], surfaces={})
    centre = {"n_params": spec.constants["n_base"], "tokens": spec.constants["d_base"]}
    examples = [msgspec.structs.replace(spec.examples[0], given=centre)]
    spec = msgspec.structs.replace(spec, examples=examples, title=title or spec.title)
    served = msgspec.structs.replace(fitted, law=parse_law(write_law(spec).encode()), draws=draws)
    words = Calibration(law=spec.id, data=data, maps={}, where="", method=method, draws=DRAWS, seed=0)

    def card(law: Law, folder: Path) -> str:
        return write_card(law, folder, served, judgement, words) if judged else _card(law.spec, runs, fitted)

    return write_folder(
        to / spec.id, served, judgement.verdict, data=data, sha256=sha256, accept=accept or not judged, card=card
    )


def _card(spec: LawSpec, runs: pl.DataFrame, fitted: Fitted) -> str:
    evidence = spec.evidence
    assert evidence is not None
    left = len(runs) - len(fitted.kept)
    out = f" {left} of more than 8% above their cell's lowest loss were omitted." if left else ""
    return f"# {spec.title}\n\n{spec.notes}\n{evidence.runs} runs in {evidence.groups} cells of {evidence.data}; {evidence.sampler}.{out}\n"
