"""What all models are made of: weights that know their kind and rule, and the few operations on them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hplaw.parametrization.factors import LayerKind, LayerRule, attention_factor, branch_factor, layer_rule
from hplaw_experiments.models.precision import Policy


class Weight(eqx.Module):
    """One array of parameters, the kind of its layer, and the factors that its parametrization gives it.

    In a tree of factors or a mask, `value` is one number for the whole array.
    """

    value: Float[Array | np.ndarray, "*shape"] | float
    kind: LayerKind = eqx.field(static=True)
    rule: LayerRule = eqx.field(static=True)

    @property
    def vector(self) -> bool:
        """Return whether it is a bias or gain, which is not decayed."""
        return self.kind in {"vector", "block_vector"}


def is_weight(leaf: Any) -> bool:
    """Return whether a node of a model is a `Weight`."""
    return isinstance(leaf, Weight)


class Scaling(eqx.Module):
    """A parametrization at a size: how often the base model's width and depth go into this one's."""

    parametrization: str = eqx.field(static=True)
    optimizer: str = eqx.field(static=True)
    width: float = eqx.field(static=True, default=1.0)
    depth: float = eqx.field(static=True, default=1.0)

    def rule(self, kind: LayerKind, width: float | None = None) -> LayerRule:
        """Return the factors of a kind of layer; `width` where its fan-in grows otherwise than the model's width."""
        return layer_rule(
            kind,
            parametrization=self.parametrization,
            optimizer=self.optimizer,
            width=self.width if width is None else width,
            depth=self.depth,
            fan_out=None if width is None else self.width,
        )

    def matrix(
        self,
        kind: LayerKind,
        shape: tuple[int, ...],
        *,
        fan_in: int,
        width: float | None = None,
        rng: np.random.Generator,
    ) -> Weight:
        """Return normal weights whose deviation at the base shape is 1 / sqrt(fan-in there).

        Drawn on the host: the same on every device, in a pack and alone, and nothing to compile.
        """
        rule = self.rule(kind, width)
        grows = kind in {"hidden", "output"}
        base_fan_in = fan_in / (self.width if width is None else width) if grows else fan_in
        deviation = rule.init / math.sqrt(base_fan_in)
        value = rng.standard_normal(shape, dtype=np.float32) * np.float32(deviation)
        return Weight(value, kind, rule)

    def constant(self, kind: LayerKind, shape: tuple[int, ...], value: float) -> Weight:
        """Return a gain or bias."""
        return Weight(np.full(shape, value, np.float32), kind, self.rule(kind))

    @property
    def branch(self) -> float:
        """Return the factor of a residual branch."""
        return branch_factor(self.parametrization, depth=self.depth)

    def attention(self, d_head: int, base_d_head: int) -> float:
        """Return the factor of attention's logits, 1 / sqrt(d_head) at the base shape."""
        return attention_factor(self.parametrization, head=d_head / base_d_head) / math.sqrt(d_head)


def times(x: Float[Array, "*shape"], factor: float) -> Float[Array, "*shape"]:
    """Return x times a factor of the parametrization; x itself where that is 1, to the bit."""
    return x if factor == 1.0 else x * factor


def linear(x: Float[Array, "*batch fan_in"], weight: Weight, policy: Policy) -> Float[Array, "*batch fan_out"]:
    """Return the layer's output in fp32, the product done in the policy's format."""
    w = weight.value
    y = jax.lax.dot_general(
        policy.cast(x), policy.cast(w), (((x.ndim - 1,), (0,)), ((), ())), preferred_element_type=jnp.float32
    )
    return times(y, weight.rule.multiplier)


def rms_norm(x: Float[Array, "*batch d"], gain: Weight) -> Float[Array, "*batch d"]:
    """Return x over its root mean square, times the gain."""
    scaled = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 1e-6)
    g = times(gain.value, gain.rule.multiplier)
    return scaled * jax.lax.broadcast_in_dim(g, x.shape, (x.ndim - 1,))


def cross_entropy(logits: Float[Array, "*batch classes"], labels: Any) -> Float[Array, ""]:
    """Return the mean negative log-likelihood of the labels, nat; NaN for logits that are not finite."""
    picked = jnp.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
    # `jax.nn.logsumexp` without its cases, each of which is a kernel more to compile
    top = jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    total = jnp.log(jnp.sum(jnp.exp(logits - top), axis=-1)) + top[..., 0]
    return jnp.mean(total - picked)


ACTIVATIONS = {"relu": jax.nn.relu, "gelu": jax.nn.gelu, "tanh": jnp.tanh, "silu": jax.nn.silu}
"""Nonlinearities by name."""
