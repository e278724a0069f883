"""The ridges of one question, decided in plain numbers: steps over two quantities are faster so than as arrays.

Sums over ridges and scenarios come with their gradients and curvatures from one product of weights with a table.
"""

from __future__ import annotations

import itertools as it
import math
from collections.abc import Sequence
from operator import mul, sub

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.decide.ridges import REACH, ROUNDS, TOLERANCE, Ridges
from hplaw.forms.linex import Linex
from hplaw.law.derived import derived


Array = NDArray[np.float64]
Sums = tuple[float, list[float], list[list[float]]]
"""A sum over ridges and scenarios, its gradient and its curvature."""

_EDGE = 0.05
"""Newton step, in e-folds, at which an edge of a plateau is known well enough."""


class _Moments(msgspec.Struct, frozen=True, eq=False):
    """Slopes and their products, so that weights times one table give a sum with its gradient and its curvature.

    - `slopes`: `[quantity, column]`, a column for each ridge and scenario.
    - `table`: ones, slopes, and products of slopes with slopes: `[column, 1 + quantity + quantity x quantity]`.
    - `half`: half the variance of t, which an expectation adds to it, `[column]`.
    """

    slopes: Array
    table: Array
    half: Array


@derived
def _moments(form: Linex, free: tuple[int, ...]) -> _Moments:
    slopes = form.slopes[list(free)]
    products = [a * b for a, b in it.product(slopes, slopes)]
    table = np.stack([np.ones_like(form.variance), *slopes, *products], axis=1)
    return _Moments(slopes, table, form.variance / 2)


class Alone:
    """The ridges of one question; free quantities are logarithms."""

    def __init__(self, ridges: Ridges) -> None:
        moments = _moments(ridges.form, ridges.free)
        self.ridges, self.size = ridges, len(ridges.free)
        self.slopes, self.table = moments.slopes, moments.table
        self.c, offset = ridges.c[0], ridges.offset[0]
        self.half = offset + moments.half
        self.base = float(self.c.sum() + np.dot(self.c, offset))
        _, self.still, _ = self._split((self.c @ self.table).tolist())

    def _split(self, row: list[float]) -> Sums:
        """Return sum, gradient and curvature from a row of weights times table."""
        size = self.size
        products = row[1 + size :]
        curvature = [products[i : i + size] for i in range(0, size * size, size)]
        return row[0], row[1 : 1 + size], curvature

    def _weights(self, at: Sequence[float] | Sequence[Sequence[float]]) -> Array:
        """Return c E e^t of every ridge and scenario at one point or several."""
        e: Array = np.dot(at, self.slopes)
        e += self.half
        np.exp(e, out=e)
        e *= self.c
        return e

    def least(self, start: list[float], low: list[float], high: list[float]) -> list[float]:
        """Return where the expected excess is least, inside bounds; NaN where ridges leave a direction flat."""
        bounded = any(map(math.isfinite, (*low, *high)))
        x = _clipped(start, low, high) if bounded else start
        for _ in range(ROUNDS):
            _, rises, curvature = self._split((self._weights(x) @ self.table).tolist())
            gradient = list(map(sub, rises, self.still))
            if bounded:
                _hold(x, low, high, gradient, curvature)
            step = solve_alone(curvature, gradient)
            longest = max(map(abs, step))
            if not longest < math.inf:
                return [math.nan] * self.size
            if longest > REACH:
                step = [part * REACH / longest for part in step]
            before, x = x, list(map(sub, x, step))
            if bounded:
                x = _clipped(x, low, high)
                longest = max(map(abs, map(sub, x, before)))
            if longest < TOLERANCE:
                break
        return x

    def plateau(self, best: list[float], cost: float) -> list[tuple[float, float]]:
        """Return for each free quantity the range whose expected excess is at most `cost` above the least, at `best`, the
        others re-chosen; nothing is bounded.

        An edge solves excess = limit with the other quantities at their best. The first guess is that of a single ridge
        with the curvature and the skew that all have together.

        **Raises:** `numpy.linalg.LinAlgError` where the ridges leave a direction flat.
        """
        cost *= self.ridges.size
        e = self._weights(best)
        least, _, curvature = self._excess((e @ self.table).tolist(), best)
        limit = least + cost
        edges: list[list[float]] = []
        for i in range(self.size):
            # the way along which the others follow, its curvature, and how that changes
            along = solve_alone(curvature, [float(i == j) for j in range(self.size)])
            if not along[i] > 0:
                raise np.linalg.LinAlgError
            way = [part / along[i] for part in along]
            slope: Array = np.dot(way, self.slopes)
            skew = float(np.dot(e, slope * slope * slope)) * along[i]
            for side in (-1.0, 1.0):
                reach = _edge(side * math.sqrt(2 * cost * along[i]), skew)
                edges.append([v + reach * part for v, part in zip(best, way, strict=True)])
        for _ in range(ROUNDS):
            longest = 0.0
            for place, row in enumerate((self._weights(edges) @ self.table).tolist()):
                edge, i = edges[place], place // 2
                total, gradient, curvature = self._excess(row, edge)
                step = _to_edge(i, limit - total, gradient, curvature)
                longest = max(longest, abs(step[i]))
                edges[place] = [v + min(max(s, -1.0), 1.0) for v, s in zip(edge, step, strict=True)]
            if longest < _EDGE:
                break
        at = [edge[k // 2] for k, edge in enumerate(edges)]
        return list(zip(at[::2], at[1::2], strict=True))

    def astray(self, x: list[float]) -> float:
        """Return the expected excess with discrepancy, over that of every scenario's best."""
        strays = self.ridges.form.stray_variance * (self.ridges.stretch**2 / 2)
        total = float(np.dot(self._weights(x), np.exp(strays)))
        return (total - self._level(x)) / self.ridges.size

    def _excess(self, row: list[float], at: list[float]) -> Sums:
        """Return the sum of all excesses at a point, from weights times table there."""
        total, rises, curvature = self._split(row)
        return total - self._level(at), list(map(sub, rises, self.still)), curvature

    def _level(self, at: list[float]) -> float:
        """Return the sum of c (1 + E t)."""
        return self.base + sum(map(mul, self.still, at))


def _clipped(x: list[float], low: list[float], high: list[float]) -> list[float]:
    return [min(max(v, a), b) for v, a, b in zip(x, low, high, strict=True)]


def _hold(
    x: list[float], low: list[float], high: list[float], gradient: list[float], curvature: list[list[float]]
) -> None:
    """Keep the quantities that press against a bound where they are."""
    for i, value in enumerate(x):
        if (value <= low[i] and gradient[i] > 0) or (value >= high[i] and gradient[i] < 0):
            gradient[i] = 0.0
            for j in range(len(x)):
                curvature[i][j] = curvature[j][i] = float(i == j)


def _to_edge(i: int, lacking: float, gradient: list[float], curvature: list[list[float]]) -> list[float]:
    """Return the step to where the excess is greater by `lacking` and its slope along all but quantity `i` is none.

    The bend of the excess along Newton's step is made up for by a second one.
    """
    system, residual = curvature.copy(), [-value for value in gradient]
    system[i], residual[i] = gradient, lacking
    step = solve_alone(system, residual)
    residual[i] -= sum(sum(map(mul, row, step)) * s for row, s in zip(curvature, step, strict=True)) / 2
    return solve_alone(system, residual)


def _edge(reach: float, skew: float) -> float:
    """Return z where a (e^(kz) - 1 - kz) / k^2 equals a `reach`^2 / 2, on the side of `reach`, by its first terms.

    `skew` is k, the third derivative over the second.
    """
    u = min(max(skew * reach, -2.0), 2.0)
    return reach * (1 - u / 6 + u * u / 36)


def solve_alone(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Return matrix^-1 right in plain numbers.

    **Raises:** `numpy.linalg.LinAlgError` where there is none.

    >>> solve_alone([[2.0, 0.0], [1.0, 1.0]], [2.0, 3.0])
    [1.0, 2.0]
    """
    if len(right) == 2:
        (a, b), (c, d) = matrix
        u, v = right
        scale = a * d - b * c
        if not scale:
            raise np.linalg.LinAlgError
        return [(d * u - b * v) / scale, (a * v - c * u) / scale]
    if len(right) == 1:
        if not matrix[0][0]:
            raise np.linalg.LinAlgError
        return [right[0] / matrix[0][0]]
    return np.linalg.solve(matrix, right).tolist()
