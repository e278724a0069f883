"""Functions of JAX whose own types a checker cannot read in full, with types that it can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import Array
from jax.typing import ArrayLike


P = ParamSpec("P")
R = TypeVar("R")


def asarray(x: ArrayLike | Sequence[float], dtype: type[float] | None = None) -> Array:
    """Return numbers as an array."""
    return jnp.asarray(x, dtype)  # pyright: ignore[reportUnknownMemberType]


def ones(count: int) -> Array:
    """Return as many ones."""
    return jnp.ones(count)  # pyright: ignore[reportUnknownMemberType]


def zeros(shape: int | tuple[int, ...]) -> Array:
    """Return zeros of a shape."""
    return jnp.zeros(shape)  # pyright: ignore[reportUnknownMemberType]


def eye(size: int) -> Array:
    """Return the unit matrix."""
    return jnp.eye(size)  # pyright: ignore[reportUnknownMemberType]


def jit(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function compiled at its first call."""
    compiled: Any = jax.jit(function)  # pyright: ignore[reportUnknownMemberType]
    return compiled


def value_and_grad(
    function: Callable[Concatenate[Array, P], Array],
) -> Callable[Concatenate[Array, P], tuple[Array, Array]]:
    """Return a function's value and its gradient in the first argument."""
    both: Any = jax.value_and_grad(function)  # pyright: ignore[reportUnknownMemberType]
    return both


def jacfwd(function: Callable[[Array], R]) -> Callable[[Array], R]:
    """Return the derivatives of a function by forward differentiation: of each of its arrays, an axis more."""
    found: Any = jax.jacfwd(function)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return found


def jacrev(function: Callable[[Array], R]) -> Callable[[Array], R]:
    """Return the same by reverse differentiation, for few values of many numbers."""
    found: Any = jax.jacrev(function)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return found


def eval_shape(function: Callable[[Array], object], shape: tuple[int, ...]) -> None:
    """Run a function of one array without numbers."""
    jax.eval_shape(function, jax.ShapeDtypeStruct(shape, jnp.float64))  # pyright: ignore[reportUnknownMemberType]


def cholesky(matrix: Array) -> Array:
    """Return the lower factor of a covariance."""
    return jnp.linalg.cholesky(matrix)  # pyright: ignore[reportUnknownVariableType]


def solve(matrix: Array, right: Array) -> Array:
    """Return x of matrix @ x = right."""
    return jnp.linalg.solve(matrix, right)  # pyright: ignore[reportUnknownVariableType]


def log_normal_tail(t: Array) -> Array:
    """Return the logarithm of the share of a standard normal below `t`."""
    found: Any = jax.scipy.stats.norm.logcdf(t)
    return found


def location_and_scale(noise: dist.Distribution) -> tuple[Array, Array]:
    """Return location and scale of a distribution that has them."""
    found: Any = noise
    return asarray(found.loc), asarray(found.scale)
