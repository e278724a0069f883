"""Quantiles of what may be: the five that intervals are made of."""

from __future__ import annotations

import functools as ft
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw import rows
from hplaw.arrays import Array


_LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


class Spread(msgspec.Struct, frozen=True):
    """Quantiles of one quantity: 5, 25, 50, 75 and 95%, numbers or columns; NaN in rows that have none."""

    low: Any
    low50: Any
    median: Any
    high50: Any
    high: Any

    def around(self, value: Any) -> Spread:
        """Return the quantiles, those on either side moved to a value that lies outside of them."""
        low, low50 = rows.smaller(self.low, value), rows.smaller(self.low50, value)
        return Spread(low, low50, self.median, rows.larger(self.high50, value), rows.larger(self.high, value))

    def times(self, factor: Any) -> Spread:
        """Return the quantiles of what is multiplied by a positive number, or by one for each row."""
        return Spread(*[level * factor for level in msgspec.structs.astuple(self)])

    def within(self, low: Any, high: Any) -> Spread:
        """Return the quantiles of what is moved to the nearer of two limits where it lies outside, either None."""
        return Spread(*[rows.within(level, low, high) for level in msgspec.structs.astuple(self)])


def quantiles(samples: Array) -> Array:
    """Return the 5, 25, 50, 75 and 95% quantiles along the last axis, linear between samples.

    >>> quantiles(np.arange(101.0))
    array([ 5., 25., 50., 75., 95.])
    """
    ordered = np.sort(samples, axis=-1)
    below, above, share = _places(samples.shape[-1])
    low, high = ordered[..., below], ordered[..., above]
    with np.errstate(invalid="ignore"):  # infinite samples have no quantile
        return low + share * (high - low)


@ft.lru_cache(maxsize=64)
def _places(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
    """Return between which of so many samples the levels lie, and the share of the way from one to the other."""
    place: Array = _LEVELS * (size - 1)
    below = place.astype(np.intp)
    return below, np.minimum(below + 1, size - 1), np.subtract(place, below)


def spreads_of(levels: Array) -> list[Spread | None]:
    """Return quantiles at the five levels, None for a quantity of which no row has any.

    What no scenario moves, or moves out of all bounds, has none.

    **Arguments:**

    - `levels`: `[quantity, level]`, or `[quantity, row, level]`.
    """
    told = np.isfinite(levels).all(axis=-1) & (levels[..., 0] < levels[..., -1])
    if not told.all():
        levels = np.where(told[..., None], levels, np.nan)
    some = told.any(axis=tuple(range(1, told.ndim)))
    return [
        Spread(*rows.unpack(one)) if any_row else None for one, any_row in zip(levels, np.atleast_1d(some), strict=True)
    ]
