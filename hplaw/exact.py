"""Decisions on sums of linex ridges: expectation over effects in closed form, Newton steps over the draws together.

What is minimised is the expected logarithm of the objective, its excess over each scenario's best: for the losses of
good settings the same as expected loss to first order in an excess of parts in a thousand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hplaw.linex import Linex


Array = NDArray[np.float64]

_ROUNDS = 30
_TOLERANCE = 1e-5
"""Newton step, in e-folds, behind which the error is its square."""
_REACH = 1.5
_EDGE = 1e-2
"""Newton step, in e-folds, at which an edge of a plateau is known well enough."""
_THIN = 16
"""Every which draw is used for the edges of a plateau, which need two digits, not six."""


class Ridges:
    """The ridges of a law at one question.

    **Arguments:**

    - `form`: the law's ridges.
    - `inputs`: the law's inputs, chosen quantities left out.
    - `fixed`: logarithms of the chosen quantities that are given, by their place among the chosen.
    """

    def __init__(self, form: Linex, inputs: Mapping[str, Any], fixed: Mapping[int, float]) -> None:
        self.form, self.size = form, form.size
        self.c, offset = form.at(inputs)
        for place, value in fixed.items():
            offset = offset + form.slopes[place] * value
        self.offset = offset
        self.free = [i for i in range(len(form.slopes)) if i not in fixed]
        self.slopes = form.slopes[self.free]

    def mean(self, x: Array, variance: Array) -> float:
        """Return the expected excess at `x`, logarithms of the free quantities, for a variance of every t."""
        m = self.offset + x @ self.slopes
        return float(self.c @ (np.exp(m + variance / 2) - 1 - m)) / self.size

    def least(self, start: Array, low: Array, high: Array) -> Array:
        """Return the free quantities' logarithms where the expected excess is least, inside bounds."""
        x = np.clip(start, low, high)
        half, slopes = self.offset + self.form.variance / 2, self.slopes
        for _ in range(_ROUNDS):
            e = self.c * np.exp(half + x @ slopes)
            gradient = slopes @ (e - self.c)
            hessian = (slopes * e) @ slopes.T
            stuck = ((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0))
            step = _step(gradient, hessian, stuck)
            x_new = np.clip(x + step, low, high)
            done = bool(np.abs(x_new - x).max() < _TOLERANCE)
            x = x_new
            if done:
                break
        return x

    def stray_variance(self, strays: Sequence[Array | None]) -> Array:
        """Return the variance that shifts of the optimum, by chosen quantity, add to every t."""
        total: Any = np.zeros(self.form.slopes.shape[1:])
        present = [
            (slope, stray)
            for slope, stray in zip(self.form.slopes, strays, strict=True)
            if stray is not None
        ]
        for slope, stray in present:
            for other, beside in present:
                total = total + slope * other * float(np.mean(stray * beside))
        return np.asarray(total)

    def moved(self, strays: Sequence[Array | None]) -> Array:
        """Return by how much shifts of the optimum, by chosen quantity, lower t, `[ridge x scenario]`."""
        ridges = len(self.c) // self.size
        total: Any = np.zeros(len(self.c))
        for slope, stray in zip(self.form.slopes, strays, strict=True):
            if stray is not None:
                total = total + slope * np.tile(stray, ridges)
        return np.asarray(total)

    def excess(self, x: Array, strays: Sequence[Array | None]) -> Array:
        """Return each scenario's excess at `x`, effects of a new group and shifts of its optimum included."""
        m = self.offset + self.form.groups + x @ self.slopes - self.moved(strays)
        return (self.c * (np.exp(m) - 1 - m)).reshape(-1, self.size).sum(axis=0)

    def curvature(self, x: Array) -> Array:
        """Return the Hessian of the expected excess."""
        e = self.c * np.exp(self.offset + self.form.variance / 2 + x @ self.slopes)
        return (self.slopes * e) @ self.slopes.T / self.size

    def own(
        self, start: Array, low: Array, high: Array, strays: Sequence[Array | None]
    ) -> tuple[Array, Array]:
        """Return each scenario's own best free quantities `[quantity, scenario]`, and its least excess there.

        **Arguments:**

        - `strays`: by chosen quantity, how far a scenario's optimum is moved by discrepancy.
        """
        ridges = len(self.c) // self.size
        base = (self.offset + self.form.groups - self.moved(strays)).reshape(ridges, self.size)
        c, slopes = (
            self.c.reshape(ridges, self.size),
            self.slopes.reshape(len(self.free), ridges, self.size),
        )
        x = np.repeat(np.clip(start, low, high)[:, None], self.size, axis=1)
        lows, highs = low[:, None], high[:, None]
        for _ in range(_ROUNDS):
            m = base + (x[:, None] * slopes).sum(axis=0)
            e = c * np.exp(m)
            gradient = (slopes * (e - c)).sum(axis=1)
            hessian = np.einsum("irs,jrs,rs->sij", slopes, slopes, e)
            stuck = ((x <= lows) & (gradient > 0)) | ((x >= highs) & (gradient < 0))
            x_new = np.clip(x + _steps(gradient, hessian, stuck), lows, highs)
            done = bool(np.abs(x_new - x).max() < _TOLERANCE)
            x = x_new
            if done:
                break
        m = base + (x[:, None] * slopes).sum(axis=0)
        return x, (c * (np.exp(m) - 1 - m)).sum(axis=0)

    def plateau(self, x: Array, cost: float, low: Array, high: Array) -> list[tuple[float, float]]:
        """Return for each free quantity the range whose expected excess is at most `cost` above the least, others re-chosen.

        An edge solves excess = limit with the other quantities at their best, from the curvature's first guess.
        """
        thin = np.arange(len(self.c)).reshape(-1, self.size)[:, ::_THIN].reshape(-1)
        c, slopes = self.c[thin], self.slopes[:, thin]
        half = (self.offset + self.form.variance / 2)[thin]
        m0 = self.offset[thin]
        scale = len(thin) // (len(self.c) // self.size)
        limit = float(c @ (np.exp(half + x @ slopes) - 1 - m0 - x @ slopes)) / scale + cost
        inverse = np.linalg.inv(self.curvature(x))
        count = len(x)
        # one row per edge: below and above for every quantity
        which = np.repeat(np.arange(count), 2)
        sign = np.tile([-1.0, 1.0], count)
        reach: Array = sign * np.sqrt(2 * cost / np.diag(inverse)[which])
        edges: Array = x + reach[:, None] * inverse[which]
        rows = np.arange(len(which))
        for _ in range(_ROUNDS):
            move: Array = np.matmul(edges, slopes)
            e: Array = c * np.exp(half + move)
            excess: Array = np.sum(e - c * (1 + m0 + move), axis=1) / scale
            gradient: Array = np.matmul(e - c, slopes.T) / scale
            system: Array = np.matmul(e[:, None, :] * slopes, slopes.T) / scale
            residual = -gradient
            system[rows, which] = gradient
            residual[rows, which] = limit - excess
            step: Array = np.linalg.solve(system, residual[:, :, None])[:, :, 0]
            edges = edges + np.clip(step, -1.0, 1.0)
            if np.abs(step).max() < _EDGE:
                break
        at = np.clip(edges[rows, which], low[which], high[which])
        return [(float(at[2 * i]), float(at[2 * i + 1])) for i in range(count)]


def _step(gradient: Array, hessian: Array, stuck: NDArray[np.bool_]) -> Array:
    """Return a Newton step of a convex problem, with quantities stuck at a bound left out, at most `_REACH` long."""
    if stuck.any():
        gradient = np.where(stuck, 0.0, gradient)
        hessian = np.where(stuck[:, None] | stuck[None], np.eye(len(stuck)), hessian)
    if len(gradient) == 2:
        (a, b), (_, d) = hessian
        u, v = gradient
        step = np.array([b * v - d * u, b * u - a * v]) / (a * d - b * b)
    else:
        step = -np.linalg.solve(hessian, gradient)
    longest = max(float(np.abs(step).max()), _REACH)
    return np.asarray(step * (_REACH / longest), dtype=np.float64)


def _steps(gradient: Array, hessian: Array, stuck: NDArray[np.bool_]) -> Array:
    """Return the same for every scenario: `gradient[quantity, scenario]`, `hessian[scenario, quantity, quantity]`."""
    gradient = np.where(stuck, 0.0, gradient)
    held = stuck.T
    hessian = np.where(held[:, :, None] | held[:, None], np.eye(len(gradient)), hessian)
    step = -np.linalg.solve(hessian, gradient.T[:, :, None])[:, :, 0].T
    longest = np.maximum(np.abs(step).max(axis=0), 1e-300)
    return step * np.minimum(1.0, _REACH / longest)
