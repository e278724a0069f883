"""Sums over ridges and scenarios with their gradients and curvatures, from one product of weights with a table."""

from __future__ import annotations

import functools as ft
import itertools as it

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.linex import Linex


Array = NDArray[np.float64]


class Moments(msgspec.Struct, frozen=True, eq=False):
    """Slopes and their products, so that weights times one table give a sum with its gradient and its curvature.

    - `slopes`: `[quantity, column]`, a column for each ridge and scenario.
    - `table`: ones, slopes, and products of each pair of slopes: `[column, 1 + quantity + pair]`.
    - `half`: half the variance of t, which an expectation adds to it, `[column]`.
    """

    slopes: Array
    table: Array
    half: Array

    def split(self, found: list[float]) -> tuple[float, list[float], list[list[float]]]:
        """Return sum, gradient and curvature from a row of weights times table."""
        size = len(self.slopes)
        curvature = [[0.0] * size for _ in range(size)]
        for value, (i, j) in zip(found[1 + size :], _pairs(size), strict=True):
            curvature[i][j] = curvature[j][i] = value
        return found[0], found[1 : 1 + size], curvature


@ft.lru_cache(maxsize=64)
def _pairs(size: int) -> list[tuple[int, int]]:
    return list(it.combinations_with_replacement(range(size), 2))


@ft.lru_cache(maxsize=512)
def moments(form: Linex, free: tuple[int, ...]) -> Moments:
    """Return the moments of the free quantities, by their place among the chosen."""
    slopes = form.slopes[list(free)]
    pairs = [slopes[i] * slopes[j] for i, j in _pairs(len(free))]
    table = np.stack([np.ones_like(form.variance), *slopes, *pairs], axis=1)
    return Moments(slopes, table, form.variance / 2)


def solve_alone(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Return matrix^-1 right in plain numbers.

    **Raises:** `numpy.linalg.LinAlgError` where there is none.

    >>> solve_alone([[2.0, 0.0], [1.0, 1.0]], [2.0, 3.0])
    [1.0, 2.0]
    """
    if len(right) > 2:
        return np.linalg.solve(matrix, right).tolist()
    scale = matrix[0][0]
    if len(right) == 2:
        scale = matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0]
    if not scale:
        raise np.linalg.LinAlgError
    if len(right) == 1:
        return [right[0] / scale]
    (a, b), (c, d) = matrix
    u, v = right
    return [(d * u - b * v) / scale, (a * v - c * u) / scale]
