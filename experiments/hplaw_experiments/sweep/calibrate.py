"""From a sweep to a law of your own: train, store, fit, and say what changed against the available laws."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec
import polars as pl

from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.catalogue import Catalogue, load_catalogue
from hplaw.errors import FitError, HplawError, QueryError
from hplaw.law import Law
from hplaw.runs.store import Store
from hplaw_experiments.recipes.from_table import SHAPE, middle, read_single
from hplaw_experiments.recipes.recipe import PRIOR, read_prior
from hplaw_experiments.sweep.plan import read_spec
from hplaw_experiments.sweep.run import losses_of
from hplaw_experiments.sweep.walkers import next_trials
from hplaw_experiments.trial import SweepSpec, key


Preset = Literal["quick", "standard", "full"]

TABLE = "runs.parquet"
"""The table of runs beside the law's folder, to which the law was fitted."""

KWH = 3.6e6
"""Joules of a kilowatt hour."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What a calibration may cost: seconds or joules, one of them None."""

    seconds: float | None = None
    joules: float | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What another law would have given: the law, the quantity, its value there and that of the law made here."""

    law: str
    quantity: str
    theirs: float
    ours: float

    @property
    def factor(self) -> float:
        """Return ours over theirs."""
        return self.ours / self.theirs


def read_budget(text: str) -> Budget:
    """Return the budget that a text says: 90s, 10m, 2h or 5kWh.

    **Raises:** `QueryError` for anything else.

    >>> read_budget("10m").seconds, read_budget("5kWh").joules
    (600.0, 18000000.0)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|d|kWh|Wh)\s*", text)
    if not found or not float(found[1]) > 0:
        message = f"--budget {text}: give a time or an energy, for example 10m, 2h or 5kWh"
        raise QueryError(message, field="budget")
    scale = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "kWh": KWH, "Wh": KWH / 1000}
    value = float(found[1]) * scale[found[2]]
    return Budget(joules=value) if found[2].endswith("Wh") else Budget(seconds=value)


def preset(name: Preset) -> SweepSpec:
    """Return one of the sweeps that come with hplaw.

    >>> preset("quick").name
    'quick'
    """
    return read_spec(Path(str(files("hplaw_experiments") / "presets" / f"{name}.toml")))


def sweep_table(spec: SweepSpec, store: Store) -> pl.DataFrame:
    """Return the stored runs of a sweep that came to an end, in the order of the sweep.

    **Raises:** `FitError` where there is none.
    """
    asked = next_trials(spec, losses_of(store))
    order = pl.DataFrame({"key": [key(trial) for trial in asked]})
    table = order.join(store.read().table, on="key", how="inner", maintain_order="left")
    ended = table.filter(pl.col("loss").is_not_null() & ~pl.col("stopped_early").fill_null(value=False))
    if not len(ended):
        message = f"no run of {spec.name} came to an end; give a greater budget, or smaller models"
        raise FitError(message)
    return ended


def fit_table(
    table: pl.DataFrame,
    to: Path,
    *,
    title: str,
    method: Literal["nuts", "map"] = "nuts",
    accept: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> Law:
    """Fit a surface to the runs of a sweep, the law of recipes its prior, as is done with runs of your own.

    Writes the law's folder `to/own-recipe`, the table of runs beside it.

    **Raises:** `DataError` where the runs are too few.
    """
    from hplaw.runs.table import sha256_of
    from hplaw_experiments.recipes.single_runs import write_surface

    to.mkdir(parents=True, exist_ok=True)
    data = to / TABLE
    known = [name for name in table.columns if table[name].null_count() < len(table)]
    partial = data.with_suffix(".part")
    table.select(known).write_parquet(partial)
    partial.replace(data)
    laws = load_catalogue()
    return write_surface(
        read_single(table),
        to,
        recipe=read_prior(laws.get(PRIOR)).recipe,
        shape=laws.get(SHAPE),
        data=data.name,
        sha256=sha256_of(data),
        method=method,
        title=title,
        judged=True,
        accept=accept,
        progress=progress or (lambda share, words: None),
    )


def changes(
    law: Law, *, catalogue: Catalogue | None = None, wanted: Sequence[str] = ("peak_lr", "batch_tokens")
) -> list[Change]:
    """Return what the available laws would have given in the middle of the new law's domain, each as far as it applies.

    Laws are evaluated outside their domains here, to show the error that calibration removes.
    """
    laws = load_catalogue() if catalogue is None else catalogue
    n_params, tokens = middle(law)
    point = {"n_params": n_params, "tokens": tokens}
    ours = _said(law, point, laws)
    found: list[Change] = []
    for other in laws.laws:
        if other.id == law.id or other.spec.status == "theory":
            continue
        said = _said(other, point, laws)
        found += [
            Change(law=other.address, quantity=name, theirs=said[name], ours=ours[name])
            for name in wanted
            if said.get(name) and ours.get(name)
        ]
    return found


def _said(law: Law, point: dict[str, float], laws: Catalogue) -> dict[str, float]:
    """Return the numbers that a law gives at a point; nothing where it wants to know more."""
    given = {name: value for name, value in point.items() if name in law.inputs}
    try:
        found = evaluate(law, given, laws)
    except HplawError:
        return {}
    return {
        name: float(estimate.value)
        for name, estimate in found.outputs.items()
        if isinstance(estimate.value, int | float)
    }
