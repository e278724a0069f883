"""Runs of other makers: a CSV, a parquet file or a W&B export, its columns named by a map."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import polars as pl

from hplaw.catalogue.listing import find_quantity
from hplaw.errors import DataError
from hplaw.runs.store import Store
from hplaw.runs.table import checked, filtered, mapped, read_table, sha256_of
from hplaw.vocabulary.quantities import Quantity, vocabulary


STATE, FINISHED = "State", ("finished", "FINISHED", "completed")
"""The column of a W&B export that says whether a run ended, and its words for yes."""

SIDE_COLUMNS = ("seed", "diverged")
"""Columns of the schema beside the quantities that an import may fill."""


class Imported(msgspec.Struct, frozen=True):
    """What an import found: rows read, runs new to the store, rows of runs that had not ended, and the quantities."""

    rows: int
    added: int
    unfinished: int
    quantities: tuple[str, ...]


def import_runs(
    path: Path, store: Store, *, maps: Mapping[str, str] | None = None, where: str = "", sweep: str = ""
) -> Imported:
    """Put the runs of a file into a store; importing a file twice adds nothing.

    **Arguments:**

    - `maps`: formulas over the file's columns by quantity, in the language of law files; columns that bear a
      quantity's name are taken as they are.
    - `where`: a condition on the file's rows, in the SQL of polars.
    - `sweep`: the name under which the runs are listed.

    **Raises:** `DataError` and `QueryError` naming file, column and row.
    """
    table, unfinished = read_mapped(path, maps=maps, where=where)
    source = f"{path.name} sha256:{sha256_of(path)[:16]}"
    added = 0
    # a row that is twice in a file is two runs, distinguished by how often it came before
    repeats: dict[str, int] = {}
    for row in table.iter_rows(named=True):
        said = {name: value for name, value in row.items() if value is not None}
        text = json.dumps(said, sort_keys=True)
        number = repeats[text] = repeats.get(text, 0) + 1
        key = hashlib.sha256(f"{path.name}\n{number}\n{text}".encode()).hexdigest()
        added += store.put({**said, "key": key, "source": source, "sweep": sweep or None})
    return Imported(len(table), added, unfinished, tuple(table.columns))


def read_mapped(
    path: Path, *, maps: Mapping[str, str] | None = None, where: str = "", more: Iterable[Quantity] = ()
) -> tuple[pl.DataFrame, int]:
    """Return the quantities in a file, by row and checked, and how many rows were of runs that had not ended.

    **Arguments:**

    - `more`: quantities of a law's own beside those of the vocabulary.

    **Raises:** as `import_runs`.
    """
    words = {**vocabulary(), **{quantity.name: quantity for quantity in more}}
    maps = dict(maps or {})
    for name in maps:
        if name not in SIDE_COLUMNS:
            find_quantity(words, name, field=name, told=f"--map {name}: ")
    table = read_table(path)
    if where.strip():
        table = filtered(table, where, path)
    unfinished = 0
    if STATE in table.columns and table[STATE].dtype == pl.String:
        ended = table.filter(pl.col(STATE).is_in(FINISHED))
        unfinished, table = len(table) - len(ended), ended
    found: dict[str, pl.Series] = {}
    for name in [*words, *SIDE_COLUMNS]:
        if name in maps:
            found[name] = mapped(table, name, maps[name], path)
        elif name in table.columns:
            found[name] = table[name]
    if not found:
        message = (
            f"{path}: no column bears the name of a quantity; map them, for example --map peak_lr={table.columns[0]}"
        )
        raise DataError(message)
    series = [
        checked(column, words[name], path) if name in words else _side(column, name, path)
        for name, column in found.items()
    ]
    return pl.DataFrame(series), unfinished


def _side(column: pl.Series, name: str, path: Path) -> pl.Series:
    kind = pl.Int64 if name == "seed" else pl.Boolean
    try:
        return column.cast(kind).rename(name)
    except pl.exceptions.PolarsError as error:
        message = f"{path}: {name}: {str(error).partition(chr(10))[0]}"
        raise DataError(message) from None
