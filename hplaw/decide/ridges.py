"""Decisions on sums of linex ridges: expectation over effects in closed form, Newton steps over the draws together.

What is minimized is the expected logarithm of the objective, its excess over each scenario's best: for the losses of
good settings the same as expected loss to first order in an excess of parts in a thousand. Quantities are logarithms,
floats for one question or columns for many; sums over ridges and scenarios come with gradient and curvature from one
product of weights with a table.
"""

from __future__ import annotations

import itertools as it
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from hplaw import rows
from hplaw.arrays import Array, Float
from hplaw.forms.linex import Linex
from hplaw.law.derived import derived
from hplaw.rows import Number, Truth


Point = list[Any]
"""The free quantities, a number or a column each."""

Limits = Sequence[tuple[Number, Number]]
"""Lowest and highest logarithm of each free quantity."""

Slopes = tuple[list[Number], list[list[Number]]]
"""Gradient and curvature."""

_minus: Callable[..., Any] = operator.sub
_times: Callable[..., Any] = operator.mul

ROUNDS = 30
"""Newton steps at most."""
TOLERANCE = 1e-5
"""Newton step, in e-folds, behind which the error is its square."""
REACH = 1.5
"""Longest step, in e-folds."""
EDGE = 0.05
"""Newton step, in e-folds, at which an edge of a plateau is known well enough."""


class Flat(Exception):
    """The ridges of a question have no single lowest point that steps lead to: a search must do."""


class _Moments(msgspec.Struct, frozen=True, eq=False):
    """Slopes and their products, so that weights times one table give a sum with its gradient and its curvature.

    - `slopes`: one array for each free quantity, a column for each ridge and scenario.
    - `table`: ones, slopes, and products of slopes with slopes, likewise.
    - `half`: half the variance of t, which an expectation adds to it.
    """

    slopes: tuple[Float[Array, " column"], ...]
    table: Float[Array, "moment column"]
    half: Float[Array, " column"]


@derived
def _moments(form: Linex, free: tuple[int, ...]) -> _Moments:
    slopes = tuple(form.slopes[i] for i in free)
    products = [a * b for a, b in it.product(slopes, slopes)]
    table = np.stack([np.ones_like(form.variance), *slopes, *products])
    return _Moments(slopes, table, form.variance / 2)


class Ridges:
    """The ridges of a law at one question, or at a column of them.

    **Arguments:**

    - `form`: the law's ridges.
    - `inputs`: the law's inputs, chosen quantities omitted: numbers or columns.
    - `fixed`: logarithms of the chosen quantities that are given, by their place among the chosen, likewise.
    - `stretch`: by how much discrepancy is wider there, likewise.
    """

    def __init__(
        self, form: Linex, inputs: Mapping[str, object], fixed: Mapping[int, Number], *, stretch: Number = 0.0
    ) -> None:
        self.form, self.stretch, self.scenarios = form, rows.across(stretch), form.size
        self.c, offset = form.at(inputs)
        for place, value in fixed.items():
            offset = offset + rows.across(value) * form.slopes[place]
        self.offset = offset
        self.free = tuple(i for i in range(len(form.slopes)) if i not in fixed)
        self.size = len(self.free)
        moments = _moments(form, self.free)
        self.slopes, self.table = moments.slopes, moments.table
        self.half = offset + moments.half
        self.base = rows.plain(np.vecdot(self.c, offset + 1))
        self.still = rows.unpack(np.vecdot(self.c[..., None, :], self.table[1 : 1 + self.size]))
        _refuse(rows.negate((rows.plain(self.c.min(axis=-1)) > 0) & (abs(self.base) < math.inf)))

    def weights(self, x: Point) -> Array:
        """Return c E e^t of every ridge and scenario at a point: `[column]`, or `[row, column]`."""
        e: Array = rows.across(x[0]) * self.slopes[0]
        for part, slope in zip(x[1:], self.slopes[1:], strict=True):
            e += rows.across(part) * slope
        e += self.half
        np.exp(e, out=e)
        e *= self.c
        return e

    def _sums(self, weights: Array) -> tuple[Number, list[Number], list[list[Number]]]:
        """Return the sum of weights, its gradient and its curvature."""
        total, *moments = rows.unpack(np.vecdot(weights[..., None, :], self.table))
        size = self.size
        return total, moments[:size], [moments[i : i + size] for i in range(size, size + size * size, size)]

    def _slopes_at(self, x: Point) -> Slopes:
        _, rises, curvature = self._sums(self.weights(x))
        return list(map(_minus, rises, self.still)), curvature

    def lowest(self, start: Point, limits: Limits | None = None) -> Point:
        """Return where the expected excess is lowest, inside limits.

        **Raises:** `Flat` where steps lead nowhere.
        """
        return _descend(self._slopes_at, start, limits, refuse=_refuse)

    def plateau(
        self, best: Point, weights: Array, cost: float, limits: Limits | None = None
    ) -> list[tuple[Number, Number]]:
        """Return for each free quantity the range whose expected excess is at most `cost` above that at `best`, the
        others chosen again, inside limits.

        An edge solves excess = limit with the other quantities at their best. The first guess is that of a single ridge
        with the curvature and the skew that all have together.

        **Arguments:**

        - `weights`: those at `best`.

        **Raises:** `Flat` where the ridges leave a direction flat.
        """
        cost *= self.scenarios
        total, _, curvature = self._sums(weights)
        limit = total - self._level(best) + cost
        edges: list[Point] = []
        for i in range(self.size):
            # the way along which the others follow, its curvature, and how that changes
            along = solve(curvature, [float(i == j) for j in range(self.size)])
            _refuse(rows.negate(along[i] > 0))
            way = [part / along[i] for part in along]
            slope = sum(rows.across(part) * self.slopes[j] for j, part in enumerate(way))
            skew = rows.plain(np.vecdot(weights, slope * slope * slope)) * along[i]
            reach = rows.root(2 * cost * along[i])
            for side in (-reach, reach):
                far = _first_edge(side, skew)
                edges.append([v + far * part for v, part in zip(best, way, strict=True)])
        return self._edges(best, edges, limit, limits)

    def _edges(
        self, best: Point, edges: list[Point], limit: Number, limits: Limits | None
    ) -> list[tuple[Number, Number]]:
        """Return the ranges between edges, two for each quantity, after Newton steps from a first guess.

        Where the best value presses against a limit, that is the edge.
        """
        settled: Truth = False
        near = EDGE if limits is None else EDGE / 50
        for _ in range(ROUNDS):
            longest: Number = 0.0
            moved: list[Point] = []
            for place, edge in enumerate(edges):
                i = place // 2
                total, rises, curvature = self._sums(self.weights(edge))
                gradient = list(map(_minus, rises, self.still))
                if limits is not None:
                    _hold(edge, limits, gradient, curvature, but=i)
                step = _to_edge(i, limit - (total - self._level(edge)), gradient, curvature)
                if limits is not None:
                    step = _unless_pressed(best[i], limits[i], place % 2, step)
                longest = rows.larger(longest, abs(step[i]))
                there = [v + rows.clamp(s, -1.0, 1.0) for v, s in zip(edge, step, strict=True)]
                if limits is not None:
                    there = [v if j == i else rows.clamp(v, *limits[j]) for j, v in enumerate(there)]
                moved.append(_unless(settled, edge, there))
            edges, settled = moved, settled | (longest < near)
            if rows.every(settled):
                break
        at = [edge[place // 2] for place, edge in enumerate(edges)]
        if limits is not None:
            for place, value in enumerate(at):
                low, high = limits[i := place // 2]
                at[place] = rows.clamp(value, *((best[i], high) if place % 2 else (low, best[i])))
        return list(zip(at[::2], at[1::2], strict=True))

    def own(self, start: Point, limits: Limits | None = None) -> tuple[Point, Array]:
        """Return each scenario's own best free quantities, `[scenario]` or `[row, scenario]` each, and its excess there.

        `start` meets arrays of that shape.
        """
        shape = (*self.c.shape[:-1], -1, self.scenarios)
        base, c = self._scattered().reshape(shape), self.c.reshape(shape)
        slopes = [slope.reshape(-1, self.scenarios) for slope in self.slopes]
        place = np.zeros((*shape[:-2], self.scenarios))

        def t(x: Point) -> Array:
            return base + sum(part[..., None, :] * slope for part, slope in zip(x, slopes, strict=True))

        def slopes_at(x: Point) -> Slopes:
            e = c * np.exp(t(x))
            gradient = [((e - c) * slope).sum(axis=-2) for slope in slopes]
            return gradient, [[(e * a * b).sum(axis=-2) for b in slopes] for a in slopes]

        wide = None if limits is None else [(rows.across(low), rows.across(high)) for low, high in limits]
        x = _descend(slopes_at, [place + value for value in start], wide)
        m = t(x)
        return x, np.sum(c * (np.exp(m) - 1 - m), axis=-2)

    def excess(self, x: Point) -> Array:
        """Return each scenario's excess at a point, `[scenario]` or `[row, scenario]`, effects and discrepancy included."""
        m = self._scattered() + sum(rows.across(v) * slope for v, slope in zip(x, self.slopes, strict=True))
        each: Array = self.c * (np.exp(m) - 1 - m)
        return each.reshape(*each.shape[:-1], -1, self.scenarios).sum(axis=-2)

    def _scattered(self) -> Array:
        """Return the offsets of t with each scenario's effects of a new group and discrepancy."""
        return self.offset + (self.form.groups - self.stretch * self.form.strays)

    def astray(self, x: Point, weights: Array) -> Number:
        """Return the expected excess with discrepancy, over that of every scenario's best, from the weights at a point."""
        strays = self.form.stray_variance * (self.stretch * self.stretch / 2)
        total = rows.plain(np.vecdot(weights, np.exp(strays)))
        return (total - self._level(x)) / self.scenarios

    def _level(self, at: Point) -> Number:
        """Return the sum of c (1 + E t)."""
        return self.base + sum(map(_times, self.still, at))


def _refuse(bad: Truth) -> None:
    """Part questions whose ridges have no lowest point from the others.

    **Raises:** `Flat` for one alone; `RowsDiffer`.
    """
    rows.part(bad)
    if not rows.is_column(bad) and bad:
        raise Flat


def _descend(
    slopes_at: Callable[[Point], Slopes],
    start: Point,
    limits: Limits | None,
    *,
    refuse: Callable[[Truth], None] = lambda bad: None,
) -> Point:
    """Return the lowest point of a convex sum by Newton steps, each problem left where it settles.

    **Arguments:**

    - `slopes_at`: gradient and curvature at a point.
    - `limits`: lowest and highest value of each quantity.
    - `refuse`: what is done where a step has no length.
    """
    x = start if limits is None else [rows.clamp(v, *limit) for v, limit in zip(start, limits, strict=True)]
    settled: Truth = False
    for _ in range(ROUNDS):
        gradient, curvature = slopes_at(x)
        if limits is not None:
            _hold(x, limits, gradient, curvature)
        step = solve(curvature, gradient)
        sizes: list[Number] = [abs(part) for part in step]
        longest = rows.largest(sizes)
        shrink = REACH / rows.larger(longest, REACH)
        moved = [v - s * shrink for v, s in zip(x, step, strict=True)]
        refuse(rows.negate(sum(sizes) < math.inf))
        if limits is not None:
            moved = [rows.clamp(v, *limit) for v, limit in zip(moved, limits, strict=True)]
            longest = rows.largest([abs(m - v) for m, v in zip(moved, x, strict=True)])
        x = _unless(settled, x, moved)
        settled = settled | (longest < TOLERANCE)
        if rows.every(settled):
            break
    return x


def _unless(settled: Truth, x: Point, moved: Point) -> Point:
    """Return where problems moved to, but for those that are settled."""
    return moved if settled is False else [rows.pick(settled, v, m) for v, m in zip(x, moved, strict=True)]


def _hold(
    x: Point, limits: Limits, gradient: list[Number], curvature: list[list[Number]], *, but: int | None = None
) -> None:
    """Keep the quantities that press against a limit where they are, all but one."""
    for i, (value, (low, high)) in enumerate(zip(x, limits, strict=True)):
        if i == but:
            continue
        stuck = ((value <= low) & (gradient[i] > 0)) | ((value >= high) & (gradient[i] < 0))
        gradient[i] = rows.pick(stuck, 0.0, gradient[i])
        for j in range(len(x)):
            curvature[i][j] = rows.pick(stuck, float(i == j), curvature[i][j])
            if j != i:
                curvature[j][i] = rows.pick(stuck, 0.0, curvature[j][i])


def _unless_pressed(best: Number, limits: tuple[Number, Number], side: int, step: list[Number]) -> list[Number]:
    """Return a step to an edge, none where the best value presses against the limit on that side, 0 low and 1 high."""
    pressed = best >= limits[1] if side else best <= limits[0]
    return [rows.pick(pressed, 0.0, part) for part in step]


def _to_edge(i: int, lacking: Number, gradient: list[Number], curvature: list[list[Number]]) -> list[Number]:
    """Return the step to where the excess is greater by `lacking` and its slope along all but quantity `i` is none.

    The bend of the excess along Newton's step is made up for by a second one.
    """
    system, residual = curvature.copy(), [-value for value in gradient]
    system[i], residual[i] = gradient, lacking
    step = solve(system, residual)
    bend = sum(sum(map(_times, line, step)) * s for line, s in zip(curvature, step, strict=True))
    residual[i] = residual[i] - bend / 2
    return solve(system, residual)


def _first_edge(reach: Number, skew: Number) -> Number:
    """Return z where a (e^(kz) - 1 - kz) / k^2 equals a `reach`^2 / 2, on the side of `reach`, by its first terms.

    `skew` is k, the third derivative over the second.
    """
    u = rows.clamp(skew * reach, -2.0, 2.0)
    return reach * (1 - u / 6 + u * u / 36)


def solve(matrix: Sequence[Sequence[Number]], right: Sequence[Number]) -> list[Number]:
    """Return matrix^-1 right, for up to three quantities without a factorization; entries are numbers or columns.

    **Raises:** `Flat` for a number without an inverse; `RowsDiffer` for some of a column.

    >>> solve([[2.0, 0.0], [1.0, 1.0]], [2.0, 3.0])
    [1.0, 2.0]
    >>> solve([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 4.0]], [2.0, 3.0, 10.0])
    [1.0, 2.0, 2.0]
    """
    if len(right) == 2:
        (a, b), (c, d) = matrix
        u, v = right
        scale = a * d - b * c
        _singular(scale)
        return [(d * u - b * v) / scale, (a * v - c * u) / scale]
    if len(right) == 3:
        (a, b, c), (d, e, f), (g, h, i) = matrix
        u, v, w = right
        first, second, third = e * i - f * h, f * g - d * i, d * h - e * g
        scale = a * first + b * second + c * third
        _singular(scale)
        return [
            (u * first + v * (c * h - b * i) + w * (b * f - c * e)) / scale,
            (u * second + v * (a * i - c * g) + w * (c * d - a * f)) / scale,
            (u * third + v * (b * g - a * h) + w * (a * e - b * d)) / scale,
        ]
    if len(right) == 1:
        _singular(matrix[0][0])
        return [right[0] / matrix[0][0]]
    return _solve_many(matrix, right)


def _singular(scale: Number) -> None:
    """Refuse a number of zero; in arrays over scenarios it is left to give infinity."""
    if not isinstance(scale, np.ndarray) and not scale:
        raise Flat


def _solve_many(matrix: Sequence[Sequence[Number]], right: Sequence[Number]) -> list[Number]:
    whole = np.broadcast_arrays(*(np.asarray(entry, dtype=np.float64) for line in matrix for entry in line), *right)
    size = len(right)
    a = np.stack(whole[: size * size], axis=-1).reshape(*whole[0].shape, size, size)
    b = np.stack(whole[size * size :], axis=-1)
    try:
        return rows.unpack(np.linalg.solve(a, b[..., None])[..., 0])
    except np.linalg.LinAlgError:
        rows.one_by_one(*(entry for line in matrix for entry in line))
        raise Flat from None
