"""The arithmetic that a fit runs in: 64 bits."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import jax


@contextlib.contextmanager
def double_precision() -> Generator[None]:
    """Within it JAX counts in 64 bits on this thread, and mixes types as numpyro needs.

    numpyro 0.22's NUTS divides a float by an integer array, which strict promotion refuses; the second and third line
    may go when it casts.
    """
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
