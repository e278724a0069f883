"""The best learning rate of sign-like optimizers over the batch, from gradients themselves: exact, and in the form of a surge.

Steps follow the sign of a gradient of mean mu and deviation sigma / sqrt(B). The law surge-best-rate is the form.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from hplaw.arrays import Array, Float
from hplaw.errors import DataError


def surge_rate(batch: float, mean: ArrayLike, deviation: ArrayLike, hessian: ArrayLike) -> float:
    """Return the learning rate that lowers the loss most in one step along the sign of the gradient.

    sum E_i mu_i / (sum (1 - E_i^2) H_ii + sum E_i E_j H_ij), with E_i = erf(sqrt(B / 2) mu_i / sigma_i) the mean sign.

    **Arguments:**

    - `batch`: examples; infinity gives the limit, in which a component without mean still has no sign.
    - `mean`, `deviation`: shape (parameter,), of one example's gradient; deviations are positive.
    - `hessian`: shape (parameter, parameter).

    **Raises:** `DataError` where shapes do not fit, or no step lowers the loss.

    **Source:** Li et al. (2024), Surge phenomenon in optimal learning rate and batch size scaling, arXiv 2405.14578.

    >>> round(surge_rate(math.inf, [1.0, 0.0], [1.0, 1.0], np.eye(2)), 12)
    0.5
    """
    mu, sigma, h = _checked(mean, deviation, hessian)
    if not batch > 0:
        message = f"batch={batch:g} is not positive; give the number of examples"
        raise DataError(message)
    with np.errstate(invalid="ignore"):
        at = np.where(mu == 0, 0.0, math.sqrt(batch / 2) * mu / sigma)
    sign = np.array([math.erf(x) for x in at])
    bend = float((1 - sign**2) @ np.diag(h) + sign @ h @ sign)
    if bend <= 0:
        message = "the loss does not bend upwards along these steps, so that no rate is best; give a positive definite Hessian"
        raise DataError(message)
    return float(sign @ mu) / bend


def surge_form(mean: ArrayLike, deviation: ArrayLike, hessian: ArrayLike) -> tuple[float, float]:
    """Return the batch at which the rate peaks and the rate there, for batches small enough that signs are mostly noise.

    B_noise = pi sum H_ii / (2 S), eta_max = M / (2 sqrt(S sum H_ii)), S = sum over i != j of mu_i mu_j H_ij / (sigma_i
    sigma_j), M = sum mu_i^2 / sigma_i.

    **Arguments:** those of `surge_rate`.

    **Raises:** `DataError` where shapes do not fit, or S is not positive: the rate then has no peak.

    **Source:** as `surge_rate`; eta_max derived from its equation.

    >>> mean = np.array([0.1, -0.2, 0.05, 0.3])
    >>> hessian = np.where(np.eye(4) > 0, 1, 0.1 * np.outer(np.sign(mean), np.sign(mean)))
    >>> [round(part, 6) for part in surge_form(mean, np.ones(4), hessian)]
    [224.399475, 0.2129]
    """
    mu, sigma, h = _checked(mean, deviation, hessian)
    scaled = mu / sigma
    trace = float(np.trace(h))
    cross = float(scaled @ h @ scaled - scaled**2 @ np.diag(h))
    if cross <= 0 or trace <= 0:
        message = "the sum over pairs of parameters is not positive, so that the rate has no peak over the batch"
        raise DataError(message)
    return math.pi * trace / (2 * cross), float(mu @ scaled) / (2 * math.sqrt(cross * trace))


def _checked(
    mean: ArrayLike, deviation: ArrayLike, hessian: ArrayLike
) -> tuple[Float[Array, " param"], Float[Array, " param"], Float[Array, "param param"]]:
    mu, sigma, h = (np.asarray(part, dtype=np.float64) for part in (mean, deviation, hessian))
    fits = mu.ndim == 1 and mu.size > 0 and sigma.shape == mu.shape and h.shape == (mu.size, mu.size)
    if not fits or not all(np.all(np.isfinite(part)) for part in (mu, sigma, h)) or not np.all(sigma > 0):
        message = f"give finite means and positive deviations of one shape and a square Hessian; there are {mu.shape}, {sigma.shape} and {h.shape}"
        raise DataError(message)
    return mu, sigma, h
