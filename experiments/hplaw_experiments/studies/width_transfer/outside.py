"""Tables of others by a map of their columns: sweeps of the rate at several widths, or best rates alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from hplaw.errors import DataError, QueryError, nearest
from hplaw.parametrization.factors import find_parametrization
from hplaw.runs.table import checked, filtered, mapped, read_table
from hplaw.vocabulary.quantities import vocabulary


NUMBERS = ("width", "peak_lr", "loss")
"""Columns that are numbers; `loss` may be absent where rows are best rates."""

CATEGORIES = ("parametrization", "optimizer", "family")
"""Columns by which rows are grouped, where they are given."""


def read_sweep(
    path: Path, *, maps: Mapping[str, str], optima: Mapping[str, str] | None = None, where: str = ""
) -> pl.DataFrame:
    """Return width, peak_lr, loss where there is one, and categories, from any table.

    **Arguments:**

    - `maps`: formulas over the table's columns, by `NUMBERS` and `CATEGORIES`; a column of that name is taken as it is.
    - `optima`: columns of best rates by parametrization, in place of `peak_lr`.
    - `where`: a condition on the table's rows, in the SQL of polars.

    **Raises:** `QueryError` and `DataError` naming file, column and row.
    """
    for name in maps:
        if name not in (*NUMBERS, *CATEGORIES):
            message = f"--map {name}: no column of the analysis{nearest(name, (*NUMBERS, *CATEGORIES))}; give {', '.join((*NUMBERS, *CATEGORIES))}"
            raise QueryError(message, field=name)
    table = read_table(path)
    if where.strip():
        table = filtered(table, where, path)
    if not optima:
        return _one(table, path, maps)
    parts = [
        _one(table, path, {**maps, "peak_lr": column})
        .drop("loss", strict=False)
        .with_columns(parametrization=pl.lit(_scheme(name)))
        for name, column in optima.items()
    ]
    return pl.concat(parts)


def _one(table: pl.DataFrame, path: Path, maps: Mapping[str, str]) -> pl.DataFrame:
    found: list[pl.Series] = []
    for name in NUMBERS:
        if name in maps or name in table.columns:
            found.append(checked(mapped(table, name, maps.get(name, name), path), vocabulary()[name], path))
        elif name != "loss":
            message = f"{path.name} has no column {name}; map one, for example --map {name}={table.columns[0]}"
            raise DataError(message)
    for name in CATEGORIES:
        if name in maps or name in table.columns:
            words = mapped(table, name, maps.get(name, name), path).cast(pl.String)
            found.append(words.map_elements(_scheme, return_dtype=pl.String) if name == "parametrization" else words)
    rows = pl.DataFrame(found)
    return rows.filter(pl.all_horizontal(pl.col("width", "peak_lr").is_not_null()))


def _scheme(name: str) -> str:
    """Return the vocabulary's word for a parametrization, whatever it is called; the name itself where it is not known."""
    try:
        law = find_parametrization(name)
    except QueryError:
        return name
    return law.id.removeprefix("parametrization-").replace("-", "_")
