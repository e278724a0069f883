"""Number formats of the matrix products: fp32, tf32, bf16, and fp16 with a loss scale that looks after itself.

Weights, sums, norms, softmax and the loss stay in fp32 in every format (what others call mixed precision).
"""

from __future__ import annotations

import functools as ft
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from hplaw.errors import QueryError, nearest


FIRST_SCALE = 2.0**15
"""The loss scale that an fp16 run begins with."""

GROW_AFTER = 200
"""Steps without overflow after which the loss scale is doubled."""

LEAST_SCALE = 2.0**-14
"""A loss scale below this says that the run itself has diverged, not its number format."""


class Policy(eqx.Module):
    """How products are done.

    - `dtype`: what both factors are rounded to.
    - `matmul`: JAX's name for what the device does with fp32 factors; without effect on a CPU.
    - `scaled`: whether the loss is scaled, so that small gradients do not vanish.
    """

    dtype: Any = eqx.field(static=True)
    matmul: str = eqx.field(static=True)
    scaled: bool = eqx.field(static=True, default=False)

    def cast(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Return x rounded to the format of the products."""
        return x.astype(self.dtype)


POLICIES: Mapping[str, Policy] = {
    "fp32": Policy(jnp.float32, "float32"),
    "tf32": Policy(jnp.float32, "tensorfloat32"),
    "bf16": Policy(jnp.bfloat16, "default"),
    "fp16": Policy(jnp.float16, "default", scaled=True),
}
"""The formats by the vocabulary's names."""


def find_policy(precision: str) -> Policy:
    """Return the policy of a precision.

    **Raises:** `QueryError` for a name that is not known.

    >>> find_policy("fp16").scaled
    True
    """
    found = POLICIES.get(precision)
    if found is None:
        message = f"'{precision}' is no precision{nearest(precision, POLICIES)}; give one of {', '.join(POLICIES)}"
        raise QueryError(message, field="precision")
    return found


class LossScale(eqx.Module):
    """The factor of the loss before its gradient is taken, and the steps since it last overflowed."""

    scale: Float[Array | np.ndarray, ""]
    calm: Int[Array | np.ndarray, ""]

    def adjusted(self, finite: Bool[Array, ""]) -> LossScale:
        """Return the scale for the next step: halved on overflow, doubled after a calm time."""
        calm = jnp.where(finite, self.calm + 1, 0)
        grow = calm >= GROW_AFTER
        scale = jnp.where(finite, jnp.where(grow, self.scale * 2.0, self.scale), self.scale / 2.0)
        return LossScale(scale, jnp.where(grow, 0, calm))


def first_scale() -> LossScale:
    """Return the scale that a run begins with, on the host."""
    return LossScale(np.asarray(FIRST_SCALE, np.float32), np.asarray(0, np.int32))


def value_and_grad(
    function: Callable[..., Float[Array, ""]], policy: Policy
) -> Callable[..., tuple[Float[Array, ""], PyTree]]:
    """Return a function that gives loss and gradient in the policy's format.

    It is called with the loss scale first, then what `function` takes; the gradient, in the first of those, comes back
    unscaled.
    """

    @ft.wraps(function)
    def scaled(scale: LossScale, params: PyTree, *rest: Any) -> tuple[Float[Array, ""], PyTree]:
        with jax.default_matmul_precision(policy.matmul):
            if not policy.scaled:
                return jax.value_and_grad(function)(params, *rest)
            loss, gradient = jax.value_and_grad(lambda p: function(p, *rest) * scale.scale)(params)
            return loss / scale.scale, jax.tree.map(lambda g: g / scale.scale, gradient)

    return scaled


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Return whether every number of a tree is finite."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))
