"""The numerical libraries behind a fit, as values without types, and the arithmetic that all of it runs in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jax as _jax
import jax.numpy as _jnp
import jax.random as _jr
import numpyro as _numpyro  # pyright: ignore[reportMissingTypeStubs]
import numpyro.distributions as _dist  # pyright: ignore[reportMissingTypeStubs]


jax: Any = _jax
jnp: Any = _jnp
jr: Any = _jr
numpyro: Any = _numpyro
dist: Any = _dist


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """Within it JAX counts in 64 bits on this thread, and mixes types as numpyro needs.

    numpyro 0.22's NUTS divides a float by an integer array, which strict promotion refuses; the second and third line
    may go when it casts.
    """
    with (
        jax.enable_x64(True),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        yield
