"""A table of the user's own, tuned optima or runs with their loss, to a law folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import polars as pl

from hplaw.answer.answer import answer
from hplaw.catalogue.catalogue import Catalogue, load_catalogue
from hplaw.errors import DataError
from hplaw.formatting import plural
from hplaw.law import Law
from hplaw_experiments.recipes.best_settings import GIVEN, posterior, read_settings, write_law_of
from hplaw_experiments.recipes.next_best import RUNS_PER_CELL
from hplaw_experiments.recipes.propose import Proposal, bowl_of, propose, see_runs
from hplaw_experiments.recipes.recipe import PRIOR, half_width, read_prior


NEEDED = ("n_params", "tokens", "peak_lr", "batch_tokens", "loss")
"""Columns of a table of single runs."""

SHAPE = "pretrain-surface"
"""The law whose bowl is the prior of another recipe's."""

Point = tuple[float, float]


class Narrowing(msgspec.Struct, frozen=True, kw_only=True):
    """Half of the 90% interval of the best rate and batch at a size and data, as factors, before runs were seen and after."""

    point: Point
    before: Point
    after: Point


def narrowing(law: Law, points: Sequence[Point], *, catalogue: Catalogue | None = None) -> list[Narrowing]:
    """Return what your own law knows better than the law of recipes does, at the points: n_params and tokens."""
    laws = load_catalogue() if catalogue is None else catalogue
    known = read_prior(laws.get(PRIOR)).recipe
    found: list[Narrowing] = []
    for n_params, tokens in points:
        spreads = answer(law, {"n_params": n_params, "tokens": tokens}).spreads
        rate, batch = (math.sqrt(spreads[name].high / spreads[name].low) for name in ("peak_lr", "batch_tokens"))
        found.append(
            Narrowing(point=(n_params, tokens), before=half_width(known, n_params, tokens), after=(rate, batch))
        )
    return found


def middle(law: Law) -> Point:
    """Return the size and data in the middle of the runs that a law was made from."""
    sizes, data = (law.spec.domain[name] for name in ("n_params", "tokens"))
    return math.sqrt(float(sizes[0]) * float(sizes[1])), math.sqrt(float(data[0]) * float(data[1]))


def write_own(
    path: Path,
    to: Path,
    *,
    maps: Mapping[str, str],
    method: Literal["nuts", "map"] = "map",
    catalogue: Catalogue | None = None,
) -> tuple[Law, str]:
    """Write the law folder `to/own-recipe` that a table leads to; return the law, and from what.

    **Arguments:**

    - `maps`: formulas over the file's columns by quantity.

    **Raises:** `DataError` and `QueryError` naming file, column and row.
    """
    from hplaw.runs.importing import read_mapped
    from hplaw.runs.table import sha256_of

    laws = load_catalogue() if catalogue is None else catalogue
    law_of_recipes = laws.get(PRIOR)
    table = read_mapped(path, maps=maps, more=[law_of_recipes.quantity(GIVEN)])[0]
    mark = sha256_of(path)
    prior = read_prior(law_of_recipes)
    if not has_losses(table):
        settings = read_settings(table)
        law = write_law_of(settings, to, prior=prior, data=path.name, sha256=mark)
        return law, f"{len(settings)} tuned {'optimum' if len(settings) == 1 else 'optima'}"
    # JAX takes seconds to start, and tuned optima do without
    from hplaw_experiments.recipes.single_runs import write_surface

    runs, shape = read_single(table), laws.get(SHAPE)
    law = write_surface(runs, to, recipe=prior.recipe, shape=shape, data=path.name, sha256=mark, method=method)
    evidence = law.spec.evidence
    assert evidence is not None
    return law, f"{plural(evidence.runs, 'run')} in {plural(evidence.groups, 'cell')}"


def has_losses(table: pl.DataFrame) -> bool:
    """Return whether a table holds runs with their loss."""
    return "loss" in table.columns and table["loss"].null_count() < len(table)


def read_single(table: pl.DataFrame) -> pl.DataFrame:
    """Return single runs as numbers, those that diverged omitted; rows without a loss are tuned optima.

    **Raises:** `DataError` for a table without one of the quantities, or with a row that lacks one beside the loss.
    """
    if "diverged" in table.columns:
        table = table.filter(~pl.col("diverged").fill_null(value=False))
    for name in NEEDED:
        if name not in table.columns:
            message = (
                f"no column '{name}'; runs with a loss are given by {', '.join(NEEDED)}; name it by --map {name}=COLUMN"
            )
            raise DataError(message)
        if name != "loss" and table[name].null_count():
            row = table[name].is_null().arg_true()[0] + 1
            message = f"row {row} has no {name}; give it, or take the row out"
            raise DataError(message)
    return table.select(pl.col(NEEDED).cast(pl.Float64))


def propose_own(
    target: Point, count: int, *, runs: Path | None, maps: Mapping[str, str], catalogue: Catalogue | None = None
) -> tuple[list[Proposal], Point]:
    """Return the runs to make next, and how well the optimum at the target is known before, as factors.

    **Arguments:**

    - `target`: n_params and tokens; `count` at most so many runs.
    - `runs`: a table of what is there already, tuned optima or runs with their loss.

    **Raises:** `DataError` and `QueryError` naming what is wrong.
    """
    from hplaw.runs.importing import read_mapped

    laws = load_catalogue() if catalogue is None else catalogue
    law_of_recipes = laws.get(PRIOR)
    prior = read_prior(law_of_recipes)
    bowl = bowl_of(laws.get(SHAPE))
    known, done = prior.recipe, dict[Point, int]()
    if runs is not None:
        table = read_mapped(runs, maps=maps, more=[law_of_recipes.quantity(GIVEN)])[0]
        if has_losses(table):
            single = read_single(table).filter(pl.col("loss").is_not_null())
            known = see_runs(known, bowl, single)
            done = {
                (n, d): count for n, d, count in single.group_by("n_params", "tokens", maintain_order=True).len().rows()
            }
        else:
            settings = read_settings(table)
            known = posterior(settings, prior)
            done = {(s.n_params, s.tokens): RUNS_PER_CELL for s in settings}
    before = half_width(known, *target)
    return propose(known, prior, bowl, target=target, runs=count, done=done), before
