"""Stochastic Lanczos quadrature: Ritz values and weights of a matrix known by its products with vectors."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from hplaw.errors import DeviceError, install


STEPS = 30
"""Products of one run: enough for the edges of a matrix whose largest eigenvalues are separate."""


def ritz(
    product: Callable[[Float[Array, " param"]], Float[Array, " param"]],
    *,
    size: int,
    key: PRNGKeyArray,
    steps: int = STEPS,
) -> tuple[Float[Array, " ritz"], Float[Array, " ritz"]]:
    """Return Ritz values, ascending, and their weights, which sum to one: an estimate of the spectral density.

    T = Q' A Q of a Krylov space grown from a random unit vector, with full reorthogonalization; a weight is the square of
    the first component of T's eigenvector.

    **Arguments:**

    - `product`: v -> A v for a symmetric matrix; `size` its rows.
    - `steps`: products, at most `size`.

    **Raises:** `DeviceError` where matfree is not installed.
    """
    try:
        from matfree import decomp
    except ImportError:
        message = f"a spectrum needs matfree; {install('sweep')}"
        raise DeviceError(message) from None
    vector = jr.normal(key, (size,), jnp.float32)
    decompose = decomp.tridiag_sym(min(steps, size), custom_vjp=False)
    values, vectors = jnp.linalg.eigh(decompose(product, vector / jnp.linalg.norm(vector)).J_small)
    return values, jnp.square(vectors[0])


def dense(
    product: Callable[[Float[Array, " param"]], Float[Array, " param"]], size: int
) -> Float[Array, "param param"]:
    """Return the whole matrix, for few parameters."""
    return jax.vmap(product)(jnp.eye(size, dtype=jnp.float32))
