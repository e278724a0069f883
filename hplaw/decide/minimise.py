"""Many small minimizations at once: damped Newton steps in the logarithm of a few positive quantities, with bounds.

A decision has one to a few free quantities and must answer within a millisecond, for one objective or for one per
scenario; general minimizers cost more to import than that and take one problem at a time.
"""

from __future__ import annotations

import itertools as it
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray


Array = NDArray[np.float64]
Objective = Callable[[Array], Array]

_STEP = 3e-3
"""Distance between the points of a difference, in e-folds."""
_REACH = 1.5
"""Longest step of one iteration, in e-folds."""
_TOLERANCE = 1e-9
"""Step at which a problem is solved, in e-folds."""
_ROUNDS = 40
"""Iterations at most."""


class Minimum(msgspec.Struct, frozen=True):
    """Where each problem is minimal: `x[quantity, problem]`, the value there, and whether the iteration settled."""

    x: Array
    value: Array
    settled: NDArray[np.bool_]


def minimise(objective: Objective, start: Array, low: Array, high: Array) -> Minimum:
    """Return the minimum of each problem, from a start near it.

    **Arguments:**

    - `objective`: from `[point, quantity, problem]` to `[point, problem]`.
    - `start`: `[quantity, problem]`, logarithms; moved inside the bounds first.
    - `low`, `high`: `[quantity, 1]` or `[quantity, problem]`.

    >>> bowl = lambda x: (x[:, 0] - 1.0) ** 2
    >>> float(minimise(bowl, np.zeros((1, 1)), np.array([[-9.0]]), np.array([[9.0]])).x[0, 0].round(6))
    1.0
    """
    with np.errstate(all="ignore"):  # an objective may be infinite, and so are its differences then
        return _minimise(objective, start, low, high)


def _minimise(objective: Objective, start: Array, low: Array, high: Array) -> Minimum:
    x = np.clip(start, low, high)
    size, problems = x.shape
    offsets, pairs = _stencil(size)
    settled = np.zeros(problems, dtype=bool)
    value = objective(x[None])[0]
    for _ in range(_ROUNDS):
        # a stencil that would leave the bounds is moved inside them, so that nothing outside is ever evaluated
        centre = np.clip(x, np.minimum(low + _STEP, high), np.maximum(high - _STEP, low))
        values = objective(np.clip(centre[None] + offsets[:, :, None], low, high))
        gradient, hessian = _derivatives(values, size, pairs)
        stuck = ((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0))
        step = _newton(gradient, hessian, stuck)
        x_new, value_new = _backtrack(objective, x, value, step, low, high)
        settled = np.abs(x_new - x).max(axis=0) < _TOLERANCE
        x, value = x_new, value_new
        if settled.all():
            break
    return Minimum(x, value, settled)


def _stencil(size: int) -> tuple[Array, list[tuple[int, int]]]:
    """Return the offsets of center, both sides of every axis, and four corners of every pair of axes."""
    pairs = list(it.combinations(range(size), 2))
    unit = np.eye(size) * _STEP
    rows = [np.zeros(size)]
    for i in range(size):
        rows += [unit[i], -unit[i]]
    for i, j in pairs:
        rows += [unit[i] + unit[j], unit[i] - unit[j], unit[j] - unit[i], -unit[i] - unit[j]]
    return np.asarray(rows), pairs


def _derivatives(values: Array, size: int, pairs: list[tuple[int, int]]) -> tuple[Array, Array]:
    """Return the gradient `[quantity, problem]` and the Hessian `[problem, quantity, quantity]` by differences."""
    middle, sides = values[0], values[1 : 1 + 2 * size].reshape(size, 2, -1)
    gradient = (sides[:, 0] - sides[:, 1]) / (2 * _STEP)
    hessian = np.zeros((values.shape[1], size, size))
    for i in range(size):
        hessian[:, i, i] = (sides[i, 0] - 2 * middle + sides[i, 1]) / _STEP**2
    corners = values[1 + 2 * size :].reshape(-1, 4, values.shape[1])
    for (i, j), corner in zip(pairs, corners, strict=True):
        hessian[:, i, j] = hessian[:, j, i] = (corner[0] - corner[1] - corner[2] + corner[3]) / (4 * _STEP**2)
    return gradient, hessian


def _newton(gradient: Array, hessian: Array, stuck: NDArray[np.bool_]) -> Array:
    """Return a step downhill for every problem; quantities stuck at a bound stay."""
    gradient = np.where(stuck, 0.0, np.nan_to_num(gradient))
    free = ~stuck.T
    hessian = np.nan_to_num(hessian) * (free[:, :, None] & free[:, None, :])
    curvature, axes = np.linalg.eigh(hessian)
    floor = 1e-9 * np.maximum(np.abs(curvature).max(axis=1, keepdims=True), 1e-12)
    along = np.einsum("pij,ip->pj", axes, gradient) / np.maximum(np.abs(curvature), floor)
    step = -np.einsum("pij,pj->ip", axes, along)
    longest = np.abs(step).max(axis=0)
    return step * np.minimum(1.0, _REACH / np.maximum(longest, 1e-300))


_FRACTIONS = np.array([1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 0.001])[:, None, None]


def _backtrack(
    objective: Objective, x: Array, value: Array, step: Array, low: Array, high: Array
) -> tuple[Array, Array]:
    """Return the first fraction of the step that does not go uphill, or the old place."""
    full = np.clip(x + step, low, high)
    at_full = objective(full[None])[0]
    if (at_full <= value).all():
        return full, at_full
    tries = np.clip(x + _FRACTIONS * step, low, high)
    values = np.where(np.isfinite(found := objective(tries)), found, np.inf)
    good = values <= value
    first = good.argmax(axis=0)
    any_good = good.any(axis=0)
    every = np.asarray(np.arange(x.shape[1]), dtype=np.intp)
    return np.where(any_good, tries[first, :, every].T, x), np.where(any_good, values[first, every], value)
