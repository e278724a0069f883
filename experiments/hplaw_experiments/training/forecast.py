"""Where a learning curve will end: the exponential fit of AutoLRS, loss(x) = a exp(b x) + c with b < 0.

**Source:** AutoLRS (2105.10762) and its released code: b = -exp(theta) by Nelder and Mead, a and c by linear least
squares, after a spline of degree 2 has taken the worst points of the first half away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxtyping import Float, Real


ROUNDS = 10
"""How often the spline is fitted and outliers are dropped."""

DROPPED = 0.03
"""Share of the points dropped in each round, from the first half."""

FEWEST = 8
"""Points that a forecast needs; the spline is omitted below twice as many."""

MARGIN = 1.25
"""A trial is hopeless where its forecast is this many times the loss that another has reached already."""


def exponential_forecast(
    steps: Sequence[float] | Real[np.ndarray, " points"],
    losses: Sequence[float] | Real[np.ndarray, " points"],
    *,
    at: float,
) -> float | None:
    """Return the loss that the fit expects at a later step; None for too few finite points.

    >>> x = np.arange(100)
    >>> round(exponential_forecast(x, 2 * np.exp(-0.05 * x) + 0.5, at=1000), 6)
    0.5
    """
    from scipy.optimize import minimize

    x, y = np.asarray(steps, np.float64), np.asarray(losses, np.float64)
    finite = np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(x) < FEWEST:
        return None
    x, y = smoothed(x, y)
    span = max(x[-1] - x[0], 1.0)

    def solve(theta: float) -> tuple[float, float, float]:
        wave = np.exp(-np.exp(theta) * (x - x[0]) / span)
        design = np.stack([wave, np.ones_like(wave)], axis=1)
        (a, c), *_ = np.linalg.lstsq(design, y, rcond=None)
        return float(np.sum((design @ np.array([a, c]) - y) ** 2)), float(a), float(c)

    # a first look over the decades keeps the search from a flat place
    starts = np.linspace(-1.0, 5.0, 13)
    start = min(starts, key=lambda theta: solve(float(theta))[0])
    bounds = [(-3.0, 8.0)]
    found = minimize(
        lambda t: solve(float(t[0]))[0],
        [start],
        method="Nelder-Mead",
        bounds=bounds,
        options={"xatol": 1e-8, "fatol": 0.0},
    )
    theta = float(found.x[0])
    _, a, c = solve(theta)
    return max(0.0, a * float(np.exp(-np.exp(theta) * (at - x[0]) / span)) + c)


def smoothed(
    x: Float[np.ndarray, " points"], y: Float[np.ndarray, " points"]
) -> tuple[Float[np.ndarray, " kept"], Float[np.ndarray, " kept"]]:
    """Return the points with the outliers of the first half dropped."""
    from scipy.interpolate import LSQUnivariateSpline

    count = max(1, round(DROPPED * len(x)))
    for _ in range(ROUNDS):
        if len(x) < 2 * FEWEST:
            break
        knots = np.quantile(x, [0.25, 0.5, 0.75])
        away = np.abs(y - LSQUnivariateSpline(x, y, knots, k=2)(x))
        half = len(x) // 2
        if np.max(away) <= 1e-9 * np.max(np.abs(y)):
            break
        keep = np.ones(len(x), bool)
        keep[np.argsort(away[:half])[-count:]] = False
        x, y = x[keep], y[keep]
    return x, y


def hopeless(forecasts: Sequence[float | None], now: Sequence[float | None], *, margin: float = MARGIN) -> list[bool]:
    """Return which trials are forecast to end worse than another already is.

    **Arguments:**

    - `forecasts`: the loss that each is expected to end with; None where nothing is expected.
    - `now`: the smoothed loss of each so far; None for one that diverged.

    >>> hopeless([0.9, 0.2], [1.0, 0.5])
    [True, False]
    """
    best = min((loss for loss in now if loss is not None), default=None)
    return [best is not None and f is not None and f > margin * best for f in forecasts]
