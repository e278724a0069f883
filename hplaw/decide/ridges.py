"""Decisions on sums of linex ridges: expectation over effects in closed form, Newton steps over the draws together.

What is minimised is the expected logarithm of the objective, its excess over each scenario's best: for the losses of
good settings the same as expected loss to first order in an excess of parts in a thousand. Many questions are
decided at once, one row each.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hplaw.forms.linex import Linex


Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROUNDS = 30
"""Newton steps at most."""
TOLERANCE = 1e-5
"""Newton step, in e-folds, behind which the error is its square."""
REACH = 1.5
"""Longest step, in e-folds."""


class Ridges:
    """The ridges of a law at one question or many.

    **Arguments:**

    - `form`: the law's ridges.
    - `inputs`: the law's inputs, chosen quantities left out: numbers, or `[row, 1]`.
    - `fixed`: logarithms of the chosen quantities that are given, by their place among the chosen, likewise.
    - `stretch`: by how much discrepancy is wider there, likewise.

    Arrays over ridges and scenarios are `[row, ridge x scenario]`; free quantities are logarithms, `[row, quantity]`.
    """

    def __init__(self, form: Linex, inputs: Mapping[str, Any], fixed: Mapping[int, Any], *, stretch: Any = 0.0) -> None:
        self.form, self.size, self.stretch = form, form.size, stretch
        self.c, offset = form.at(inputs)
        for place, value in fixed.items():
            offset = offset + form.slopes[place] * value
        self.offset = offset
        self.free = tuple(i for i in range(len(form.slopes)) if i not in fixed)
        self.slopes = form.slopes[list(self.free)]

    @property
    def ridges(self) -> int:
        """Return the number of ridges."""
        return self.c.shape[1] // self.size

    def held(self, place: int, values: Array) -> Ridges:
        """Return the ridges with one more chosen quantity fixed, at a logarithm for each row."""
        inner = copy.copy(self)
        inner.offset = self.offset + self.form.slopes[place] * values[:, None]
        inner.free = tuple(i for i in self.free if i != place)
        inner.slopes = self.form.slopes[list(inner.free)]
        return inner

    @property
    def convex(self) -> bool:
        """Return whether every ridge rises to both sides, so that a least point is the only one."""
        return bool(self.c.min() > 0 and self.c.max() < np.inf)

    def mean(self, x: Array) -> Array:
        """Return the expected excess at `x` by row, discrepancy left out."""
        m = self.offset + x @ self.slopes
        return np.vecdot(self.c, np.exp(m + self.form.variance / 2) - 1 - m) / self.size

    def least(self, start: Array, low: Array, high: Array) -> Array:
        """Return where the expected excess is least, inside bounds; NaN where ridges leave a direction flat."""
        bounds = _bounds(low, high)
        x = np.clip(start, low, high)
        settled: Mask = np.zeros(len(x), dtype=bool)
        half, slopes = self.offset + self.form.variance / 2, self.slopes
        for _ in range(ROUNDS):
            e: Array = self.c * np.exp(half + x @ slopes)
            gradient: Array = np.matmul(e - self.c, slopes.T)
            hessian: Array = np.matmul(e[:, None, :] * slopes, slopes.T)
            x, settled = _newton(x, gradient, hessian, bounds, settled)
            if settled.all():
                break
        return x

    def excess(self, x: Array) -> Array:
        """Return each scenario's excess at `x`, `[row, scenario]`, effects of a new group and discrepancy included."""
        m = self._scattered() + x @ self.slopes
        each: Array = self.c * (np.exp(m) - 1 - m)
        return each.reshape(len(each), self.ridges, self.size).sum(axis=1)

    def _scattered(self) -> Array:
        """Return the offsets of t with each scenario's effects of a new group and discrepancy."""
        return self.offset + (self.form.groups - self.stretch * self.form.strays)

    def own(self, start: Array, low: Array, high: Array) -> tuple[Array, Array]:
        """Return each scenario's own best free quantities `[row, quantity, scenario]`, and its least excess there."""
        bounds = _bounds(low, high)
        shape = (len(self.c), self.ridges, self.size)
        base = self._scattered().reshape(shape)
        c = self.c.reshape(shape)
        slopes = self.slopes.reshape(len(self.free), *shape[1:])
        # scenarios come before quantities, as the solver wants them last
        x: Array = np.repeat(np.clip(start, low, high)[:, None, :], self.size, axis=1)
        settled: Mask = np.zeros(x.shape[:-1], dtype=bool)

        def value(x: Array) -> Array:
            return base + sum(x[:, None, :, i] * slope for i, slope in enumerate(slopes))

        for _ in range(ROUNDS):
            e: Array = c * np.exp(value(x))
            gradient: Array = np.stack([((e - c) * slope).sum(axis=1) for slope in slopes], axis=-1)
            rows = [[(e * a * b).sum(axis=1) for b in slopes] for a in slopes]
            hessian: Array = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
            x, settled = _newton(x, gradient, hessian, bounds, settled)
            if settled.all():
                break
        m = value(x)
        return np.moveaxis(x, 1, 2), np.sum(c * (np.exp(m) - 1 - m), axis=1)


def _bounds(low: Array, high: Array) -> tuple[Array, Array] | None:
    """Return the bounds, or None where none is finite."""
    return (low, high) if np.isfinite(low).any() or np.isfinite(high).any() else None


def _newton(
    x: Array, gradient: Array, hessian: Array, bounds: tuple[Array, Array] | None, settled: Mask
) -> tuple[Array, Mask]:
    """Return `x[..., quantity]` after one step of convex problems inside bounds, and which of them are settled.

    What is settled stays, so that a problem ends where it ends alone.
    """
    if bounds is not None:
        low, high = bounds
        stuck: Mask = ((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0))
        if stuck.any():
            gradient = np.where(stuck, 0.0, gradient)
            held = stuck[..., :, None] | stuck[..., None, :]
            hessian = np.where(held, np.eye(x.shape[-1]), hessian)
    step = -_solve(hessian, gradient)
    longest = np.abs(step).max(axis=-1, keepdims=True)
    moved = x + step * (REACH / np.maximum(longest, REACH))
    if bounds is not None:
        moved = np.clip(moved, *bounds)
    moved = np.where(settled[..., None], x, moved)
    return moved, settled | (np.abs(moved - x).max(axis=-1) < TOLERANCE)


def _solve(matrix: Array, right: Array) -> Array:
    """Return matrix^-1 right; for one and two quantities, the usual ones, without a factorisation."""
    size = right.shape[-1]
    if size == 1:
        return right / matrix[..., 0]
    if size == 2:
        a, b, c, d = (matrix[..., i, j] for i in (0, 1) for j in (0, 1))
        u, v, scale = right[..., 0], right[..., 1], a * d - b * c
        first: Array = (d * u - b * v) / scale
        found = np.empty((*first.shape, 2))
        found[..., 0], found[..., 1] = first, (a * v - c * u) / scale
        return found
    return np.asarray(np.linalg.solve(matrix, right[..., None]), dtype=np.float64)[..., 0]
