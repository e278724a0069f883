"""Observations known to lie within bounds only: the share of the noise between them, in closed form."""

from __future__ import annotations

import functools as ft
import math

import numpy as np
from numpy.typing import NDArray

import jax.numpy as jnp
import numpyro.distributions as dist
from jax import Array

from hplaw.fit.model.typed_jax import asarray, location_and_scale, log_normal_tail, zeros


_CLOSEST = 1e-12
"""Share of a tail that bounds as good as equal have between them, so that its logarithm stays a number."""

_NEAR, _TERMS = 0.1, 16
"""Below this share of 1 - q^2, so many terms of the rest of the sum have all digits."""

_FAR = 1e6
"""Scales beyond which an open side lies."""


def log_share(
    noise: dist.Distribution, freedom: float | None, low: NDArray[np.float64], high: NDArray[np.float64]
) -> Array:
    """Return the logarithm of the share of the noise between two bounds `[row]`; one that is NaN is open.

    Both bounds are turned into the lower tail first, where the share of a tail loses no digits.

    **Arguments:**

    - `noise`: a normal, or a Student's t of an even number `freedom`.

    >>> import math
    >>> found = log_share(dist.Normal(0.0, 1.0), None, np.array([-1.0]), np.array([math.nan]))
    >>> round(math.exp(float(found[0])), 4)
    0.8413
    """
    log_tail = log_normal_tail if freedom is None else ft.partial(_log_student_tail, freedom=int(freedom))
    centre, scale = location_and_scale(noise)
    a, b = (
        jnp.where(asarray(np.isnan(edge)), side * _FAR, (asarray(np.nan_to_num(edge)) - centre) / scale)
        for edge, side in ((low, -1.0), (high, 1.0))
    )
    upper = a + b > 0
    below, above = log_tail(jnp.where(upper, -b, a)), log_tail(jnp.where(upper, -a, b))
    return above + jnp.log(-jnp.expm1(jnp.minimum(below - above, -_CLOSEST)))


def _log_student_tail(t: Array, freedom: int) -> Array:
    return jnp.log(student_tail(t, freedom))


def student_tail(t: Array, freedom: int) -> Array:
    """Return the share of a Student's t below `t`, for an even number of degrees of freedom.

    1/2 + q/2 sum_k C(2k, k) ((1 - q^2) / 4)^k over k < freedom / 2, q = t / sqrt(freedom + t^2). The sum over all k is
    1 / |q|: far below, where the two halves cancel, the rest of the sum represents their difference.

    **Source:** Abramowitz and Stegun, 26.7.4.
    """
    rest = freedom / (freedom + t * t)
    q = t / jnp.sqrt(freedom + t * t)
    first = freedom // 2
    near = 0.5 + 0.5 * q * _binomial_sum(rest, range(first))
    far = -0.5 * q * _binomial_sum(jnp.minimum(rest, _NEAR), range(first, first + _TERMS))
    return jnp.where((t < 0) & (rest < _NEAR), far, near)


def _binomial_sum(x: Array, places: range) -> Array:
    return sum((math.comb(2 * k, k) * (x / 4) ** k for k in places), zeros(()))
