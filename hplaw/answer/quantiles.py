"""Quantiles of what may be: the five that intervals are made of."""

from __future__ import annotations

import functools as ft
import math

import msgspec
import numpy as np
from numpy.typing import NDArray


Array = NDArray[np.float64]

_LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


class Spread(msgspec.Struct, frozen=True):
    """Quantiles of one quantity: 5, 25, 50, 75 and 95 percent."""

    low: float
    low50: float
    median: float
    high50: float
    high: float


def quantiles(samples: Array) -> Array:
    """Return the 5, 25, 50, 75 and 95 percent quantiles along the last axis, linear between samples.

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


def spread(samples: Array) -> Spread | None:
    """Return the quantiles of samples, or None where some of them are not finite."""
    return spread_at(quantiles(samples).tolist())


def spread_at(levels: list[float]) -> Spread | None:
    """Return the quantiles at the five levels, or None where some of them are not finite."""
    return Spread(*levels) if all(map(math.isfinite, levels)) else None
