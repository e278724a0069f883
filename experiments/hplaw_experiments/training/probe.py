"""How fast this device multiplies matrices of a model's shape: what an estimate of a sweep's time rests on."""

from __future__ import annotations

import functools as ft
import time
from collections.abc import Callable

import numpy as np

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Shaped

from hplaw_experiments.models.precision import find_policy
from hplaw_experiments.trial import Precision, Trial


PROBE_S = 0.3
"""Seconds spent on one shape."""

LARGEST = 4096
"""Rows and columns at which a shape is probed at most."""

REACHED = 0.15
"""Share of that rate which training is taken to reach: an assumption, since small steps cost more than products."""


def rate_here() -> Callable[[Trial], float]:
    """Return what says the FLOP/s that training a trial is taken to reach here; each shape is probed once."""
    return lambda trial: REACHED * matmul_rate(_rounded(trial.batch_tokens), _rounded(trial.width))


@ft.cache
def matmul_rate(rows: int, width: int) -> float:
    """Return FLOP/s of products in fp32, measured at the first call for a shape."""
    return measure_matmul(rows, width)


def measure_matmul(rows: int, width: int, precision: Precision = "fp32") -> float:
    """Return FLOP/s of products `[rows, width] x [width, width]`, measured over `PROBE_S`."""
    policy = find_policy(precision)
    # dense numbers, as zeros draw less power and run faster on a GPU; orthogonal, so that no product overflows
    at = np.arange(width) + 0.5
    cosines = np.sqrt(2 / width) * np.cos(np.pi / width * np.outer(at, at))
    b = jnp.asarray(cosines, policy.dtype)
    a = jnp.asarray(np.random.default_rng(0).standard_normal((rows, width)), policy.dtype)

    @jax.jit
    def products(x: Shaped[Array, "rows width"], count: int | Int[Array, ""]) -> Shaped[Array, "rows width"]:
        with jax.default_matmul_precision(policy.matmul):
            return jax.lax.fori_loop(0, count, lambda _, y: y @ b, x)

    def seconds(count: int) -> float:
        began = time.perf_counter()
        products(a, count).block_until_ready()
        return time.perf_counter() - began

    seconds(1)  # compiles
    count = 1
    while (once := seconds(count)) < PROBE_S / 8:
        count *= 2
    count = max(1, round(count * PROBE_S / once))
    return 2.0 * rows * width * width * count / seconds(count)


def _rounded(size: int) -> int:
    """Return the next power of four, so that a sweep over sizes is probed a few times."""
    found = 4
    while found < size and found < LARGEST:
        found *= 4
    return found
