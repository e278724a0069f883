"""Sources of examples with a class each: scikit-learn's digits, and a random teacher that labels random inputs."""

from __future__ import annotations

import math

import numpy as np

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hplaw.errors import DataError, install
from hplaw_experiments.data.source import AbstractSource, Examples


HELD_OUT = 0.2
"""Share of a finite set of examples that is held out."""


def digits(*, seed: int) -> Examples:
    """Return the 1,797 handwritten digits of scikit-learn, 8 by 8 pixels from 0 to 1, a fifth of them held out."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        message = f"the digits need scikit-learn; {install('fit')}, or take data=teacher"
        raise DataError(message) from None
    found = load_digits()
    order = np.random.default_rng(seed).permutation(len(found.target))
    cut = round(len(order) * (1 - HELD_OUT))
    x = (found.data.reshape(-1, 8, 8) / 16).astype(np.float32)[order]
    y = found.target.astype(np.int32)[order]
    return Examples(jnp.asarray(x[:cut]), jnp.asarray(y[:cut]), jnp.asarray(x[cut:]), jnp.asarray(y[cut:]))


class Teacher(AbstractSource):
    """Normal inputs without end, labeled by drawing from what a random two-layer network says of them.

    `sharpness` multiplies the teacher's logits: the larger, the less is left to chance.
    """

    first: Float[Array, "features hidden"]
    last: Float[Array, "hidden classes"]
    sharpness: float = eqx.field(static=True)
    held: PRNGKeyArray

    def logits(self, x: Float[Array, "batch features"]) -> Float[Array, "batch classes"]:
        """Return the teacher's own logits."""
        return self.sharpness * jnp.tanh(x @ self.first) @ self.last

    def batch(self, key: PRNGKeyArray, size: int) -> tuple[Float[Array, "batch features"], Int[Array, " batch"]]:
        k_x, k_y = jr.split(jr.fold_in(key, 0))
        x = jr.normal(k_x, (size, self.first.shape[0]), jnp.float32)
        with jax.default_matmul_precision("float32"):
            return x, jr.categorical(k_y, self.logits(x)).astype(jnp.int32)

    def held_out(self, size: int) -> tuple[Float[Array, "batch features"], Int[Array, " batch"]]:
        return self.batch(self.held, size)


def teacher(*, seed: int, features: int = 32, classes: int = 8, hidden: int = 64, sharpness: float = 4.0) -> Teacher:
    """Return a random teacher."""
    k_first, k_last, k_held = jr.split(jr.key(seed), 3)
    return Teacher(
        jr.normal(k_first, (features, hidden), jnp.float32) / math.sqrt(features),
        jr.normal(k_last, (hidden, classes), jnp.float32) / math.sqrt(hidden),
        float(sharpness),
        k_held,
    )
