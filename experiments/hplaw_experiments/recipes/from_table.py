"""A table of the user's own, tuned optima or runs with their loss, to a law folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from hplaw.catalogue.catalogue import Catalogue, load_catalogue
from hplaw.errors import DataError
from hplaw.formatting import plural
from hplaw.law import Law
from hplaw_experiments.recipes.best_settings import posterior, read_settings, rescaled, write_law_of
from hplaw_experiments.recipes.next_best import RUNS_PER_CELL
from hplaw_experiments.recipes.propose import Proposal, bowl_of, half_width, propose, see_runs
from hplaw_experiments.recipes.recipe import PRIOR, features, read_prior
from hplaw_experiments.recipes.single_runs import NEEDED, SHAPE, write_surface


def write_own(
    path: Path, to: Path, *, maps: Mapping[str, str], method: str = "map", catalogue: Catalogue | None = None
) -> tuple[Law, str, Mapping[str, float]]:
    """Write the law folder `to/own-recipe` that a table leads to; return the law, from what, and what it averages.

    **Arguments:**

    - `maps`: formulas over the file's columns by quantity.

    **Raises:** `DataError` and `QueryError` naming file, column and row.
    """
    from hplaw.runs.importing import read_mapped
    from hplaw.runs.table import sha256_of

    laws = load_catalogue() if catalogue is None else catalogue
    table = read_mapped(path, maps=maps)[0]
    mark = sha256_of(path)
    if not has_losses(table):
        settings = read_settings(table)
        law, shares = write_law_of(settings, to, catalogue=laws, data=path.name, sha256=mark)
        return law, f"{len(settings)} tuned {'optimum' if len(settings) == 1 else 'optima'}", shares
    prior = read_prior(laws.get(PRIOR))
    runs = read_single(table)
    law = write_surface(
        runs, to, prior=prior, recipe=prior.recipe, shape=laws.get(SHAPE), data=path.name, sha256=mark, method=method
    )
    evidence = law.spec.evidence
    assert evidence is not None
    return law, f"{plural(evidence.runs, 'run')} in {plural(evidence.groups, 'cell')}", {}


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
    target: tuple[float, float],
    count: int,
    *,
    runs: Path | None,
    maps: Mapping[str, str],
    catalogue: Catalogue | None = None,
) -> tuple[list[Proposal], tuple[float, float]]:
    """Return the runs to make next, and how well the optimum at the target is known before, as factors.

    **Arguments:**

    - `target`: n_params and tokens; `count` at most so many runs.
    - `runs`: a table of what is there already, tuned optima or runs with their loss.

    **Raises:** `DataError` and `QueryError` naming what is wrong.
    """
    from hplaw.runs.importing import read_mapped

    laws = load_catalogue() if catalogue is None else catalogue
    prior = read_prior(laws.get(PRIOR))
    bowl = bowl_of(laws.get(SHAPE))
    known, done = prior.recipe, dict[tuple[float, float], int]()
    if runs is not None:
        table = read_mapped(runs, maps=maps)[0]
        if has_losses(table):
            single = read_single(table).filter(pl.col("loss").is_not_null())
            known = see_runs(known, prior, bowl, single)
            done = {
                (n, d): count for n, d, count in single.group_by("n_params", "tokens", maintain_order=True).len().rows()
            }
        else:
            settings = read_settings(table)
            known, _ = posterior(settings, prior, rescaled(prior, laws))
            done = {(s.n_params, s.tokens): RUNS_PER_CELL for s in settings}
    before = half_width(known.covariance, features(*target), prior.cell)
    return propose(known, prior, bowl, target=target, runs=count, done=done), before
