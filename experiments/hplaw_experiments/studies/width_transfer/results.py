"""The study's results from its stored runs: sets by scheme, posteriors, and what follows from them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from hplaw.errors import DataError
from hplaw.formatting import plural
from hplaw.runs import Store
from hplaw_experiments.diagnostics.coordinate_check import CoordinateReport, coordinate_check
from hplaw_experiments.studies.study import StudySpec
from hplaw_experiments.studies.width_transfer.analysis import Carried, HeldOut, Slope, analyze, carried, slope_of
from hplaw_experiments.studies.width_transfer.bowls import Bowls, bowls
from hplaw_experiments.studies.width_transfer.model import Posterior
from hplaw_experiments.studies.width_transfer.outside import read_sweep
from hplaw_experiments.studies.width_transfer.recovery import Recovery, recover
from hplaw_experiments.sweep.walkers import next_trials
from hplaw_experiments.trial import SweepSpec, Trial, key


BY = ("family", "optimizer", "parametrization")
"""What the study's own sets differ in."""

PLANTED = (0.0, -0.5, -1.0)
"""Slopes that simulated studies are given: those of theory."""

OWN, DEPTH, OUTSIDE = "own", "depth", "outside"


class Result(NamedTuple):
    """One set of runs with what was found.

    - `kind`: `own` over widths, `depth` over layers, or `outside`.
    - `size`: the quantity that varies, `width` or `n_layers`.
    - `held_out`: predictions of each size from the smaller ones.
    - `carried`: what the smallest size's rate costs; empty for outside tables.
    - `recovery`: of simulated studies of this design, for the standard parametrization.
    """

    kind: str
    size: str
    runs: Bowls
    draws: Posterior
    slope: Slope
    held_out: Sequence[HeldOut]
    carried: Sequence[Carried]
    recovery: Sequence[Recovery]


class Seeds(NamedTuple):
    """One of the study's own sets: with all seeds, with those that rates are chosen on, and those they are scored on."""

    kind: str
    size: str
    whole: Bowls
    tuning: Bowls
    test: Bowls


class Results(NamedTuple):
    """All sets, the runs that they are of, coordinate checks, and the digest of all data."""

    sets: Sequence[Result]
    runs: pl.DataFrame
    checks: Sequence[CoordinateReport]
    digest: str


def results(spec: StudySpec, folder: Path, *, told: Callable[[str], None]) -> Results:
    """Return the results of the runs in a folder.

    **Raises:** `DataError` where runs are missing.
    """
    runs = Store(folder).read().table
    found = _own(spec, runs, folder, told=told)
    others = _outside(spec, told=told)
    kinds = [*((one.kind, one.size, one.whole) for one in found), *((OUTSIDE, "width", one) for one in others)]
    sets = [one for *_, one in kinds]
    told(f"sampling the best rates of {plural(len(sets), 'scheme')}")
    draws, predicted = zip(*analyze(sets), strict=True)
    told("simulating studies with planted slopes")
    planted = [place for place, (kind, _, one) in enumerate(kinds) if kind != OUTSIDE and _standard(one)]
    recovered = dict(zip(planted, recover([(sets[i], draws[i]) for i in planted], PLANTED), strict=True))
    costs = [carried(one.tuning, one.test) for one in found] + [[] for _ in others]
    rows = [
        Result(kind, size, one, d, slope_of(one, d, size=size), p, c, recovered.get(i, ()))
        for i, ((kind, size, one), d, p, c) in enumerate(zip(kinds, draws, predicted, costs, strict=True))
    ]
    told("checking activations over widths")
    return Results(
        rows, runs, [_check(one) for one in rows if one.kind == OWN and _family(one) == "mlp"], _digest(runs)
    )


def _own(spec: StudySpec, runs: pl.DataFrame, folder: Path, *, told: Callable[[str], None]) -> list[Seeds]:
    """Return the study's sets, each whole, of its tuning seeds, and of its test seeds."""
    score = str(spec.options.get("score", "loss"))
    parts: dict[str, list[pl.DataFrame]] = {}
    for sweep in spec.specs():
        keys = [key(trial) for trial in next_trials(sweep, {})]
        here = runs.filter(pl.col("key").is_in(keys))
        if len(here) < len(keys):
            told(f"{sweep.name}: {len(keys) - len(here)} of {plural(len(keys), 'run')} are not trained yet")
        if len(here):
            parts.setdefault(_size(sweep), []).append(here)
    if not parts:
        message = f"{folder} holds no run of {spec.name}; train them with `hplaw study run {spec.name}`"
        raise DataError(message)
    found: list[Seeds] = []
    for size, tables in parts.items():
        rows = pl.concat(tables).with_columns(loss=pl.when(~pl.col("diverged")).then(pl.col(score)))
        tuning, test = (
            {one.name: one for one in bowls(rows.filter(pl.col("seed").is_in(seeds)), by=BY, size=size)}
            for seeds in (spec.tuning_seeds, spec.test_seeds)
        )
        kind = OWN if size == "width" else DEPTH
        found += [Seeds(kind, size, one, tuning[one.name], test[one.name]) for one in bowls(rows, by=BY, size=size)]
    return found


def _size(sweep: SweepSpec) -> str:
    return "n_layers" if "n_layers" in sweep.space else "width"


def _outside(spec: StudySpec, *, told: Callable[[str], None]) -> list[Bowls]:
    folder = os.environ.get("HPLAW_DATA", "")
    if not folder:
        told("HPLAW_DATA names no folder: tables of others are omitted")
        return []
    found: list[Bowls] = []
    for table in spec.options.get("tables", ()):
        path = Path(folder) / table["file"]
        if not path.exists():
            told(f"{path} is not there: omitted")
            continue
        rows = read_sweep(path, maps=table["map"], optima=table.get("optimum"), where=table.get("where", ""))
        rows = rows.with_columns(family=pl.lit(table["name"]))
        found += bowls(rows, by=BY)
    return found


def _standard(one: Bowls) -> bool:
    """Return whether a set is of the standard parametrization: theory has the rate go with the width there."""
    return one.labels["parametrization"] == "standard"


def _family(one: Result) -> str:
    return one.runs.labels["family"]


def _check(one: Result) -> CoordinateReport:
    """Return the coordinate check of a scheme of MLPs at the best rate of its smallest width."""
    widths = [int(size) for size in one.runs.sizes]
    trial = Trial(
        family="mlp",
        n_layers=3,
        parametrization=one.runs.labels["parametrization"],
        optimizer=one.runs.labels["optimizer"],
        peak_lr=float(2.0 ** one.runs.lowest()[0]),
        data="digits",
        batch_tokens=64,
        tokens=6400,
        schedule="constant",
        warmup_fraction=0.0,
    )
    return coordinate_check(trial, widths)


def _digest(runs: pl.DataFrame) -> str:
    return hashlib.sha256("\n".join(sorted(runs["key"])).encode()).hexdigest()


def summary(sets: Sequence[Result]) -> dict[str, float]:
    """Return what predictions of sizes held out were worth: how many, shares inside intervals, and what the rates cost."""
    found = [one for result in sets if result.kind != DEPTH for one in result.held_out]
    costs = np.array([one.cost for one in found if not np.isnan(one.cost)])
    return {
        "predictions": float(len(found)),
        "coverage": float(np.mean([one.inside for one in found])),
        "cost_median": float(np.median(costs)),
        "cost_within_two": float(np.mean(costs <= 2.0)),
    }
