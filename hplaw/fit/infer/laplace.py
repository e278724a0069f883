"""The mode of a density and a normal distribution around it.

A joint mode over effects and the scales they are drawn with is of no use: the scales shrink to nothing. So scales are
held while the rest is at its mode, and then moved to where the normal distribution of the rest makes them likeliest
(expectation and maximization, by a few draws).
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from hplaw.errors import FitError
from hplaw.fit.model.density import Density
from hplaw.posterior.scenarios import standard_normals


Array = NDArray[np.float64]

STARTS = 8
"""Starts of the search for the mode."""
_LEAST_CURVATURE = 0.05
"""Minimum curvature that is trusted, in units of the prior: where the posterior is much wider than its prior, it is not."""
_REACH = 0.5
"""How far from the center of the priors the other starts lie, as a share of a prior draw's distance."""
_ROUNDS = 4
"""Rounds of expectation and maximization."""
_LARGE = 150
"""Numbers above which the search for the mode learns no matrix of curvatures, whose upkeep is cubic in them: it goes by the
Hessian, taken again `_TURNS` times at most."""
_TURNS = 4
_MISSING = 2.0
"""Factor on the variance of scales given the effects, as these are known only through runs."""
_EXPECT = 32
"""Draws behind one expectation."""


class Normal(msgspec.Struct, frozen=True):
    """A normal distribution over the flat vector: its mode, a factor of its covariance, and the potential at the mode.

    `root` is square; scales are independent of the rest.
    """

    mode: Array
    root: Array
    potential: float

    def draws(self, z: Array) -> Array:
        """Return draws `[draw, number]` from standard normals `[draw, number]`."""
        return self.mode + z @ self.root.T


def fit_normal(
    density: Density, weights: Array, *, seed: int = 0, start: Array | None = None, rounds: int = _ROUNDS
) -> Normal:
    """Return the normal distribution around the mode.

    **Arguments:**

    - `weights`: of each run; zero drops it.
    - `start`: where to begin; the center of the priors and places around it by default.

    **Raises:** `FitError` where no start leads to a mode.
    """
    starts = _starts(density, seed) if start is None else [start]
    found = [_descend(density, weights, begin, ~density.scales) for begin in starts]
    usable = [item for item in found if np.isfinite(item[0])]
    if not usable:
        message = f"no start leads to a mode of {density.model.law.id}; look at its priors and at the runs' units"
        raise FitError(message)
    mode = min(usable, key=lambda item: item[0])[1]
    variance = np.full(int(density.scales.sum()), SCALE_VARIANCE)
    for _ in range(rounds if density.scales.any() else 0):
        root = _root(density, weights, mode, variance)
        mode, variance = _move_scales(density, weights, mode, root)
        mode = _descend(density, weights, mode, ~density.scales)[1]
    root = _root(density, weights, mode, variance)
    return Normal(mode, root, density.value(mode, weights))


SCALE_VARIANCE = 0.15
"""Variance of unconstrained scales in the metric, where nothing better is known."""


def _starts(density: Density, seed: int) -> list[Array]:
    draws = density.prior_draws
    centre = np.median(draws, axis=0)
    chosen = np.random.default_rng(seed).permutation(len(draws))[: STARTS - 1]
    others = [centre + _REACH * (draws[i] - centre) for i in chosen]
    for other in others:
        other[density.scales] = centre[density.scales]
    return [centre, *others]


def _descend(density: Density, weights: Array, start: Array, free: NDArray[np.bool_]) -> tuple[float, Array]:
    """Return the minimum potential over the free numbers, and where."""
    if free.sum() <= _LARGE:
        return _minimum(density, weights, start, free, np.eye(int(free.sum())), "BFGS")
    value, z = np.inf, start
    for _ in range(_TURNS):
        try:
            root = _inverse_root(density, weights, z, free)
        except FitError:  # nowhere to go from here; other starts may do
            break
        found = _minimum(density, weights, z, free, root, "L-BFGS-B")
        before, (value, z) = value, found
        if before - value < _STILL:
            break
    return value, z


_STILL = 1e-3
"""Fall of the potential below which a search has settled."""


def _minimum(
    density: Density, weights: Array, start: Array, free: NDArray[np.bool_], root: Array, method: str
) -> tuple[float, Array]:
    """Return the minimum potential over the free numbers, searched in coordinates of which `root` makes steps."""

    def place(x: Array) -> Array:
        z = start.copy()
        z[free] += root @ x
        return z

    def objective(x: Array) -> tuple[float, Array]:
        value, gradient = density.value_and_gradient(place(x), weights)
        if not np.isfinite(value) or not np.isfinite(gradient).all():
            return 1e300, np.zeros_like(x)
        return value, root.T @ gradient[free]

    begin = np.zeros(int(free.sum()))
    found = minimize(objective, begin, jac=True, method=method, options={"maxiter": 2000, "gtol": 1e-5})
    return float(found.fun), place(found.x)


def _inverse_root(density: Density, weights: Array, place: Array, free: NDArray[np.bool_]) -> Array:
    """Return a factor of the inverse Hessian of the free numbers."""
    units = density.units[free]
    hessian = density.hessian(place, weights)[np.ix_(free, free)] * np.outer(units, units)
    if not np.isfinite(hessian).all():
        message = f"the posterior of {density.model.law.id} has no curvature at its mode; look at its priors"
        raise FitError(message)
    values, vectors = np.linalg.eigh(hessian)
    return units[:, None] * vectors / np.sqrt(np.maximum(values, _LEAST_CURVATURE))


def _root(density: Density, weights: Array, mode: Array, variance: Array) -> Array:
    """Return a factor of the covariance: the inverse Hessian of all but the scales, and the scales' own variances."""
    free = ~density.scales
    root = np.zeros((density.size, density.size))
    root[np.ix_(free, free)] = _inverse_root(density, weights, mode, free)
    root[np.ix_(density.scales, density.scales)] = np.diag(np.sqrt(variance))
    return root


def _move_scales(density: Density, weights: Array, mode: Array, root: Array) -> tuple[Array, Array]:
    """Return the mode with its scales where the rest's distribution makes them likeliest, and their variances."""
    scales = density.scales
    z = standard_normals(density.size, _EXPECT).T.copy()
    z[:, scales] = 0.0
    cloud = mode + z @ root.T

    def objective(s: Array) -> tuple[float, Array]:
        total, slope = 0.0, np.zeros(len(s))
        for point in cloud:
            place = point.copy()
            place[scales] = s
            value, gradient = density.value_and_gradient(place, weights)
            total += value / len(cloud)
            slope += gradient[scales] / len(cloud)
        return (total, slope) if np.isfinite(total) else (1e300, np.zeros(len(s)))

    found = minimize(objective, mode[scales], jac=True, method="BFGS", options={"maxiter": 30, "gtol": 1e-3})
    moved = mode.copy()
    moved[scales] = np.clip(found.x, mode[scales] - 2.0, mode[scales] + 2.0)
    variance = np.clip(_MISSING * np.diag(np.asarray(found.hess_inv)), 0.02, 1.0)
    return moved, variance
