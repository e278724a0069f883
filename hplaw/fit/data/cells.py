"""Cells of a map: a table with a place on two axes and the class of each row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from hplaw.errors import DataError, nearest
from hplaw.law import Law
from hplaw.law.scope import quantities_of
from hplaw.runs.table import checked, filtered, mapped, read_table
from hplaw.vocabulary.names import by_fold, spelled


Array = NDArray[np.float64]


class Cells(msgspec.Struct, frozen=True, kw_only=True):
    """Cells of a grid: their place on two axes, and the class of each, counted from zero."""

    first: Array
    second: Array
    label: NDArray[np.intp]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.label)

    def features(self, scale: str) -> Array:
        """Return log of the first axis, and the second as it is or its log."""
        return features(self.first, self.second, scale)

    def onehot(self) -> Array:
        """Return a row for each cell with one at its class."""
        return np.eye(len(self.classes))[self.label]


def features(first: Array, second: Array, scale: str) -> Array:
    """Return what candidates see of places: log of the first axis, and the second as it is or its log."""
    return np.column_stack([np.log(first), np.log(second) if scale == "log" else second])


class CellTable(msgspec.Struct, frozen=True, kw_only=True):
    """Cells, and the error of each where the table tells it: `pruned_error`."""

    cells: Cells
    error: Array | None


def class_quantity(law: Law) -> str:
    """Return the quantity that a map gives the likeliest class as.

    **Raises:** `DataError` for a law that is no such map.
    """
    grid = law.spec.grid
    named = [name for name, item in law.spec.output_specs().items() if item.formula == "most_likely"]
    if grid is None or not named or len(grid.axes) != 2:
        message = f"{law.id} is no map over two quantities that gives its likeliest class; give one of kind grid"
        raise DataError(message)
    return named[0]


def read_cells(path: Path, law: Law, *, maps: Mapping[str, str] | None = None, where: str = "") -> CellTable:
    """Return the cells of a file: columns of the map's axes and of its class, pruned_error where it is there.

    **Raises:** `DataError` naming file, column and row.
    """
    grid, label = law.spec.grid, class_quantity(law)
    assert grid is not None
    table = read_table(path)
    if where.strip():
        table = filtered(table, where, path)
    quantities = quantities_of(law.spec)
    columns: dict[str, pl.Series] = {}
    for name in (*grid.axes, label, "pruned_error"):
        text = (maps or {}).get(name)
        if text is not None:
            columns[name] = mapped(table, name, text, path)
        elif name in table.columns:
            columns[name] = table[name]
        elif name != "pruned_error":
            message = f"{path}: no column '{name}', which {law.id} needs{nearest(name, table.columns)}; name it by --map {name}=COLUMN"
            raise DataError(message)
    words = by_fold(grid.classes)
    columns[label] = pl.Series(label, [word and spelled(label, str(word), words) for word in columns[label]])
    for name, column in columns.items():
        columns[name] = checked(column, quantities[name], path)
        if columns[name].null_count():
            message = f"{path}: row {int(columns[name].is_null().arg_true()[0]) + 1}: {name} is empty; give it"
            raise DataError(message)
    missing = [word for word in columns[label].unique() if word not in grid.classes]
    if missing or not len(table):
        message = f"{path}: " + (f"'{missing[0]}' is no class of {law.id}" if missing else "no rows; give cells")
        raise DataError(message)
    cells = Cells(
        first=columns[grid.axes[0]].to_numpy(),
        second=columns[grid.axes[1]].to_numpy(),
        label=np.asarray([grid.classes.index(word) for word in columns[label]], dtype=np.intp),
        classes=tuple(grid.classes),
    )
    error = columns["pruned_error"].to_numpy() if "pruned_error" in columns else None
    return CellTable(cells=cells, error=error)
