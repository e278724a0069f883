"""A decoder-only Transformer: RMSNorm before each branch, rotary positions, SwiGLU, no biases, optional tied embedding."""

from __future__ import annotations

import math

import msgspec
import numpy as np

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hplaw_experiments.models.layers import Scaling, Weight, linear, rms_norm, times
from hplaw_experiments.models.precision import Policy


D_HEAD = 32
"""Width of a head where the number of heads is not given."""

ROTARY_BASE = 10_000.0
"""Wavelengths of the rotary positions go up to 2 pi times this."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes of a Transformer, all of them said."""

    d_model: int
    n_layers: int
    d_ff: int
    n_heads: int
    n_kv_heads: int

    @property
    def d_head(self) -> int:
        """Return the width of a head."""
        return self.d_model // self.n_heads


def full_shape(*, width: int, n_layers: int, d_ff: int = 0, n_heads: int = 0, n_kv_heads: int = 0) -> Shape:
    """Return a shape with what was left at 0 filled in: heads of 32, d_ff 8/3 of the width in multiples of 8.

    >>> full_shape(width=64, n_layers=2)
    Shape(d_model=64, n_layers=2, d_ff=176, n_heads=2, n_kv_heads=2)
    """
    n_heads = n_heads or max(1, width // D_HEAD)
    return Shape(
        d_model=width,
        n_layers=n_layers,
        d_ff=d_ff or 8 * math.ceil(width / 3),
        n_heads=n_heads,
        n_kv_heads=n_kv_heads or n_heads,
    )


class Block(eqx.Module):
    """The weights of one block; of all blocks, with a leading axis over layers, within a `Transformer`."""

    norm_attention: Weight
    query: Weight
    key: Weight
    value: Weight
    out: Weight
    norm_ffn: Weight
    gate: Weight
    up: Weight
    down: Weight

    def __init__(self, scaling: Scaling, shape: Shape, *, d_ff_ratio: float, rng: np.random.Generator) -> None:
        d, d_kv, d_ff = shape.d_model, shape.n_kv_heads * shape.d_head, shape.d_ff

        def hidden(fan_in: int, fan_out: int, ratio: float | None = None) -> Weight:
            return scaling.matrix("hidden", (fan_in, fan_out), fan_in=fan_in, width=ratio, rng=rng)

        self.norm_attention = scaling.constant("block_vector", (d,), 1.0)
        self.query, self.key, self.value = hidden(d, d), hidden(d, d_kv), hidden(d, d_kv)
        self.out = hidden(d, d)
        self.norm_ffn = scaling.constant("block_vector", (d,), 1.0)
        self.gate, self.up = hidden(d, d_ff), hidden(d, d_ff)
        self.down = hidden(d_ff, d, d_ff_ratio)


class Transformer(eqx.Module):
    """Weights of a Transformer; `unembedding` is None where the embedding serves twice."""

    embedding: Weight
    blocks: Block
    norm: Weight
    unembedding: Weight | None
    shape: Shape = eqx.field(static=True)
    branch: float = eqx.field(static=True)
    logit_scale: float = eqx.field(static=True)
    readout: float = eqx.field(static=True)

    def __init__(
        self,
        scaling: Scaling,
        *,
        shape: Shape,
        base: Shape,
        vocab_size: int,
        tied: bool = False,
        rng: np.random.Generator,
    ) -> None:
        d, ratio = shape.d_model, shape.d_ff / base.d_ff
        self.embedding = scaling.matrix("embedding", (vocab_size, d), fan_in=1, rng=rng)
        blocks = [Block(scaling, shape, d_ff_ratio=ratio, rng=rng) for _ in range(shape.n_layers)]
        self.blocks = jax.tree.map(lambda *layers: np.stack(layers), *blocks)
        self.norm = scaling.constant("vector", (d,), 1.0)
        rule = scaling.rule("output")
        if tied:  # the readout's own deviation goes into its multiplier
            self.unembedding = None
            self.readout = rule.multiplier * rule.init / math.sqrt(base.d_model)
        else:
            self.unembedding = scaling.matrix("output", (d, vocab_size), fan_in=d, rng=rng)
            self.readout = 1.0
        self.shape = shape
        self.branch = scaling.branch
        self.logit_scale = scaling.attention(shape.d_head, base.d_head)

    def activations(self, x: Int[Array, "batch seq"], policy: Policy) -> dict[str, Float[Array, "batch seq _"]]:
        """Return embedding, every block's output and the logits, by name."""
        h = times(jnp.take(self.embedding.value, x, axis=0), self.embedding.rule.multiplier)
        found = {"embedding": h}
        h, each = jax.lax.scan(lambda h, block: (self._block(h, block, policy),) * 2, h, self.blocks)
        found |= {f"block {i + 1}": each[i] for i in range(self.shape.n_layers)}
        found["output"] = self._readout(h, policy)
        return found

    def __call__(self, x: Int[Array, "batch seq"], policy: Policy) -> Float[Array, "batch seq vocab"]:
        """Return the logits of each next token."""
        h = times(jnp.take(self.embedding.value, x, axis=0), self.embedding.rule.multiplier)
        h, _ = jax.lax.scan(lambda h, block: (self._block(h, block, policy), None), h, self.blocks)
        return self._readout(h, policy)

    def _readout(self, h: Float[Array, "batch seq d"], policy: Policy) -> Float[Array, "batch seq vocab"]:
        h = rms_norm(h, self.norm)
        if self.unembedding is not None:
            return linear(h, self.unembedding, policy)
        tied = Weight(self.embedding.value.T, self.norm.kind, self.norm.rule)
        return times(linear(h, tied, policy), self.readout / self.norm.rule.multiplier)

    def _block(self, h: Float[Array, "batch seq d"], block: Block, policy: Policy) -> Float[Array, "batch seq d"]:
        h = h + times(self._attention(rms_norm(h, block.norm_attention), block, policy), self.branch)
        x = rms_norm(h, block.norm_ffn)
        inner = jax.nn.silu(linear(x, block.gate, policy)) * linear(x, block.up, policy)
        return h + times(linear(inner, block.down, policy), self.branch)

    def _attention(self, x: Float[Array, "batch seq d"], block: Block, policy: Policy) -> Float[Array, "batch seq d"]:
        shape, (batch, seq, d) = self.shape, x.shape
        heads = lambda y, n: jnp.reshape(y, (batch, seq, n, shape.d_head))
        q = rotate(heads(linear(x, block.query, policy), shape.n_heads))
        k = rotate(heads(linear(x, block.key, policy), shape.n_kv_heads))
        v = heads(linear(x, block.value, policy), shape.n_kv_heads)
        shared = shape.n_heads // shape.n_kv_heads
        k, v = jnp.repeat(k, shared, axis=2), jnp.repeat(v, shared, axis=2)
        product = lambda form, a, b: jnp.einsum(
            form, policy.cast(a), policy.cast(b), preferred_element_type=jnp.float32
        )
        logits = product("bqhd,bkhd->bhqk", q, k) * self.logit_scale
        earlier = jax.lax.broadcast_in_dim(jnp.tri(seq, dtype=bool), logits.shape, (2, 3))
        shares = jax.nn.softmax(jnp.where(earlier, logits, -1e30), axis=-1)
        mixed = product("bhqk,bkhd->bqhd", shares, v)
        return linear(jnp.reshape(mixed, (batch, seq, d)), block.out, policy)


def rotate(x: Float[Array, "batch seq heads d_head"]) -> Float[Array, "batch seq heads d_head"]:
    """Return x with each pair of its numbers turned by an angle that goes with the position."""
    seq, half = x.shape[1], x.shape[3] // 2
    speeds = ROTARY_BASE ** -(jnp.arange(half, dtype=jnp.float32) / half)
    angles = jnp.outer(jnp.arange(seq, dtype=jnp.float32), speeds)
    first, second = x[..., :half], x[..., half : 2 * half]
    place = lambda t: jax.lax.broadcast_in_dim(t, first.shape, (1, 3))
    cos, sin = place(jnp.cos(angles)), place(jnp.sin(angles))
    turned = [first * cos - second * sin, second * cos + first * sin, x[..., 2 * half :]]
    return jnp.concatenate(turned, axis=-1)


def transformer_params(shape: Shape) -> int:
    """Return the parameters without embedding and unembedding; the law `transformer-params` says the same.

    >>> transformer_params(full_shape(width=64, n_layers=2))
    100672
    """
    attention = 2 * shape.d_model * shape.d_head * (shape.n_heads + shape.n_kv_heads)
    norms = (2 * shape.n_layers + 1) * shape.d_model
    return shape.n_layers * (attention + 3 * shape.d_model * shape.d_ff) + norms
