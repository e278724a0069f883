"""What the runs of one cell show by themselves: a smooth surface through them, and where it is minimal.

A thin-plate spline of the logarithm of the loss over the logarithms of the chosen quantities, each divided by the
median distance of its grid; losses far above the minimum are capped, so that diverged runs do not bend it.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.optimize import minimize


Array = NDArray[np.float64]

CAP = 0.25
"""Share above the lowest loss from which runs count as equally bad."""
SMOOTHING = 0.5
MIN_RUNS = 20
"""Runs that a cell must have to be smoothed."""
_GRID = 41


class Surface(msgspec.Struct, frozen=True):
    """A cell's surface: its spline, box, minimum and value, all in logarithms.

    `inside` says whether the minimum lies inside the box rather than at its edge.
    """

    spline: RBFInterpolator
    scale: Array
    low: Array
    high: Array
    best: Array
    least: float
    inside: bool

    def excess(self, x: Array) -> float:
        """Return the relative excess of the loss at `x`, moved into the box first, over the minimum."""
        place = np.clip(x, self.low, self.high)
        value = float(self.spline((place / self.scale)[None])[0])
        return float(np.expm1(min(max(value - self.least, 0.0), CAP)))

    def loss(self, x: Array) -> float:
        """Return the logarithm of the loss at `x`."""
        return self.least + float(np.log1p(self.excess(x)))


def smooth(x: Array, z: Array) -> Surface | None:
    """Return the surface through the runs of one cell, or None where they are too few or lie on a line.

    **Arguments:**

    - `x`: logarithms of the chosen quantities `[run, quantity]`.
    - `z`: logarithm of the loss `[run]`.
    """
    columns: list[Array] = [x[:, i] for i in range(x.shape[1])]
    if len(z) < MIN_RUNS or min(len(np.unique(column)) for column in columns) < 3:
        return None
    scale = np.array([_spacing(column) for column in columns])
    capped = np.minimum(z, z.min() + np.log1p(CAP))
    try:
        spline = RBFInterpolator(x / scale, capped, kernel="thin_plate_spline", smoothing=SMOOTHING)
    except np.linalg.LinAlgError:
        return None
    low, high = x.min(axis=0), x.max(axis=0)
    axes: list[Array] = [np.linspace(float(a), float(b), _GRID) for a, b in zip(low, high, strict=True)]
    grid: Array = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    values = spline(grid / scale)
    start = grid[int(np.argmin(values))]

    def objective(place: Array) -> float:
        return float(spline((np.clip(place, low, high) / scale)[None])[0])

    found = minimize(objective, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-8})
    best = np.clip(np.asarray(found.x, dtype=np.float64), low, high)
    edge = 0.02 * (high - low)
    return Surface(
        spline=spline,
        scale=scale,
        low=low,
        high=high,
        best=best,
        least=objective(best),
        inside=bool(((best > low + edge) & (best < high - edge)).all()),
    )


def _spacing(column: Array) -> float:
    """Return the median distance of the different values of a column."""
    values: Array = np.unique(np.round(column, 6))
    return float(np.median(values[1:] - values[:-1]))
