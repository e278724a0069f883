"""The numerical libraries behind a fit, as values without types, and the arithmetic that all of it runs in."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Generator
from typing import Any


jax: Any = importlib.import_module("jax")
jnp: Any = importlib.import_module("jax.numpy")
jr: Any = importlib.import_module("jax.random")
numpyro: Any = importlib.import_module("numpyro")
dist: Any = importlib.import_module("numpyro.distributions")
stdtrit: Any = importlib.import_module("scipy.special").stdtrit
minimize: Any = importlib.import_module("scipy.optimize").minimize
RBFInterpolator: Any = importlib.import_module("scipy.interpolate").RBFInterpolator


@contextlib.contextmanager
def double_precision() -> Generator[None]:
    """Within it JAX counts in 64 bits on this thread, and mixes types as numpyro needs.

    numpyro 0.22's NUTS divides a float by an integer array, which strict promotion refuses; the second and third line
    may go when it casts.
    """
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
