"""Numbers that are one float or a column of them, one row for each question: what holds of both, written once.

Every operation here gives a row of a column what it gives a float, to the last bit: logarithms and exponentials of
columns are those of `math`, row by row. So no answer depends on how many questions were asked together. Where rows
differ in what all of them must share, such as which law answers, `RowsDiffer` parts them, and they continue in smaller groups.
"""

from __future__ import annotations

import functools as ft
import itertools as it
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeGuard, overload

import numpy as np
from numpy.typing import NDArray

from hplaw.arrays import Array


Number: TypeAlias = float | Array
"""A float, or a column `[row]`."""

Truth: TypeAlias = bool | np.bool_ | NDArray[np.bool_]
"""A truth, as Python or numpy makes it of two floats, or a column of them."""


class RowsDiffer(Exception):
    """Rows differ in a choice that a group must share; `key` has a whole number for each row, equal where rows agree."""

    def __init__(self, key: NDArray[np.intp]) -> None:
        super().__init__("rows differ")
        self.key = key


def is_column(value: object) -> TypeGuard[NDArray[Any]]:
    """Return whether a value has one entry for each row."""
    return isinstance(value, np.ndarray)


def count(values: Iterable[object]) -> int | None:
    """Return how many rows values have, None where none of them is a column."""
    return next((len(value) for value in values if is_column(value)), None)


def shared(value: object) -> Any:
    """Return what all rows have in common, as Python has it.

    **Raises:** `RowsDiffer` where they differ.

    >>> shared(np.array([2.0, 2.0])), shared(True)
    (2.0, True)
    """
    if not is_column(value):
        return value
    if (value != value[0]).any():
        whole = value.dtype.kind in "bi"
        raise RowsDiffer(value.astype(np.intp) if whole else np.unique(value, return_inverse=True)[1])
    return value[0].item()


def part(marked: Truth) -> None:
    """Part the rows that are marked from the others, each to continue alone.

    **Raises:** `RowsDiffer` where any is.
    """
    if is_column(marked) and marked.any():
        raise RowsDiffer(np.where(marked, np.arange(1, len(marked) + 1), 0))


def one_by_one(*values: object) -> None:
    """Part all rows where any value is a column: what follows takes one question at a time.

    **Raises:** `RowsDiffer`.
    """
    for value in values:
        if is_column(value):
            raise RowsDiffer(np.arange(len(value)))


def by_row(function: Callable[..., float], guarded: Callable[..., float] | None = None) -> Callable[..., Any]:
    """Return a function of floats as one of floats and columns; rows at which it has no value are parted.

    **Arguments:**

    - `guarded`: the same function, which says in words why it has no value; asked where there are no columns.

    >>> by_row(math.sqrt)(np.array([1.0, 4.0]))
    array([1., 2.])
    """
    alone = guarded or function

    def rows(*x: object) -> Any:
        if np.ndarray not in map(type, x):
            return alone(*x)
        size = next(len(value) for value in x if is_column(value))
        lists = [value.tolist() if is_column(value) else it.repeat(value, size) for value in x]
        try:
            found = np.fromiter(map(function, *lists), np.float64, size)
        except (ArithmeticError, ValueError):
            found = np.full(size, np.nan)
        if np.isnan(found).any():
            lists = [value.tolist() if is_column(value) else it.repeat(value, size) for value in x]
            part(np.array([_fails(alone, row) for row in zip(*lists, strict=True)]))
        return found

    return rows


def _fails(function: Callable[..., float], row: tuple[Any, ...]) -> bool:
    try:
        return math.isnan(function(*row))
    except (ArithmeticError, ValueError):
        return True


log = by_row(math.log)
root = by_row(math.sqrt)
exp = by_row(math.exp)


_where: Callable[..., Any] = np.where


def pick(mask: Truth, yes: Number, no: Number) -> Number:
    """Return one of two values, row by row."""
    if isinstance(mask, np.ndarray):
        return _where(mask, yes, no)
    return yes if mask else no


def smaller(a: Number, b: Number) -> Number:
    """Return the smaller of two, as Python's `min` does."""
    smaller = b < a
    return _where(smaller, b, a) if isinstance(smaller, np.ndarray) else (b if smaller else a)


def larger(a: Number, b: Number) -> Number:
    """Return the larger of two, as Python's `max` does."""
    larger = b > a
    return _where(larger, b, a) if isinstance(larger, np.ndarray) else (b if larger else a)


@overload
def clamp(x: float, low: float, high: float) -> float: ...


@overload
def clamp(x: Number, low: Number, high: Number) -> Number: ...


def clamp(x: Number, low: Number, high: Number) -> Number:
    """Return `x`, no lower than `low` and no higher than `high`."""
    if type(x) is type(low) is type(high) is float:
        return low if low > x else high if high < x else x
    return smaller(larger(x, low), high)


def within(x: Number, low: Number | None, high: Number | None) -> Number:
    """Return `x`, moved to the nearer of two limits where it lies outside; either may be None.

    >>> within(3.0, None, 2.0)
    2.0
    """
    x = x if low is None else larger(x, low)
    return x if high is None else smaller(x, high)


def largest(values: Sequence[Number]) -> Number:
    """Return the largest of some, row by row."""
    return ft.reduce(larger, values)


def ascending(values: Sequence[Number]) -> list[Any]:
    """Return the places of values from the smallest to the largest, ties in order; each a number or a column of them.

    >>> ascending([2.0, 1.0, 2.0])
    [1, 0, 2]
    """
    if any(map(is_column, values)):
        return list(np.argsort(np.stack(np.broadcast_arrays(*values)), axis=0, kind="stable"))
    return sorted(range(len(values)), key=values.__getitem__)


def across(value: object) -> Any:
    """Return a column as `[row, 1]`, to meet what has an entry for each scenario; a float stays."""
    return value[:, None] if is_column(value) else value


def beside(values: Sequence[Any]) -> Array:
    """Return numbers and columns side by side: `[entry]`, or `[row, entry]` where some are columns."""
    if any(isinstance(value, np.ndarray) for value in values):
        return np.stack(np.broadcast_arrays(*values), axis=-1)
    return np.array(values)


def plain(value: Number) -> Number:
    """Return a number that numpy made as a float; a column stays."""
    return value if is_column(value) and value.ndim else float(value)


def negate(mask: Truth) -> Truth:
    """Return whether a truth does not hold."""
    return ~mask if is_column(mask) else not mask


def every(mask: Truth) -> bool:
    """Return whether a truth holds in all rows."""
    return bool(mask.all()) if is_column(mask) else bool(mask)


def some(mask: Truth) -> bool:
    """Return whether a truth holds in any row."""
    return bool(mask.any()) if is_column(mask) else bool(mask)


def unpack(array: Array) -> list[Number]:
    """Return what is along the last axis: floats of `[entry]`, columns of `[row, entry]`."""
    return array.tolist() if array.ndim == 1 else list(np.ascontiguousarray(array.T))


def take(value: Any, rows: Any) -> Any:
    """Return some rows of a value, or one row as a float; what is no column stays."""
    if not is_column(value):
        return value
    found = value[rows]
    return found if is_column(found) else found.item()


def listed(value: object, size: int) -> list[Any]:
    """Return a value for each row, None for NaN."""
    if not is_column(value):
        return [None if value != value else value] * size
    return [None if x != x else x for x in value.tolist()]


def stack(values: Sequence[object]) -> Any:
    """Return the numbers of rows as a column; one alone, and what is no number, which all share, stay as they are."""
    return np.array(values) if len(values) > 1 and isinstance(values[0], float) else values[0]


def join(parts: Sequence[Any]) -> Any:
    """Return columns one after the other; what is no column is shared by all and stays."""
    return np.concatenate(parts) if is_column(parts[0]) else parts[0]
