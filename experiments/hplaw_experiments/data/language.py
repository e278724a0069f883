"""A language made up on the device, without end: Zipf unigrams, pairs that a topic ties, and copies from far back.

Each sequence has a topic. A token is drawn with probability about 1 / rank; behind an even place, with probability
`tie`, the next token follows from it by the topic's own map, which stays within the octave of its rank, so that the
unigrams keep their law. Then, span by span, with probability `copy`, tokens repeat what was at a distance drawn
evenly in its logarithm. A model gains first by the unigrams, then by the pairs once it knows the topic, then by copying.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Int, PRNGKeyArray

from hplaw_experiments.data.source import AbstractSource


SPAN = 8
"""Tokens that are copied, or not, together."""


class Language(AbstractSource):
    """The rule of the language; `held` makes the sequences that are held out."""

    seed: PRNGKeyArray
    held: PRNGKeyArray
    seq_len: int = eqx.field(static=True)
    vocab_size: int = eqx.field(static=True)
    topics: int = eqx.field(static=True)
    tie: float = eqx.field(static=True)
    copy: float = eqx.field(static=True)

    def batch(self, key: PRNGKeyArray, size: int) -> tuple[Int[Array, "batch seq"], Int[Array, "batch seq"]]:
        rows = self.rows(jr.fold_in(key, 0), size)
        return rows[:, :-1], rows[:, 1:]

    def held_out(self, size: int) -> tuple[Int[Array, "batch seq"], Int[Array, "batch seq"]]:
        rows = self.rows(self.held, size)
        return rows[:, :-1], rows[:, 1:]

    def rows(self, key: PRNGKeyArray, size: int) -> Int[Array, "batch length"]:
        """Return sequences of one token more than a model reads."""
        length = self.seq_len + 1
        even = length + length % 2
        k_zipf, k_topic, k_tie, k_copy, k_far = jr.split(key, 5)
        tokens = zipf(k_zipf, (size, even), self.vocab_size)
        topic = jr.randint(k_topic, (size, 1), 0, self.topics, jnp.int32)
        firsts, seconds = tokens[:, 0::2], tokens[:, 1::2]
        tied = jr.bernoulli(k_tie, jnp.float32(self.tie), firsts.shape)
        seconds = jnp.where(tied, self.follow(firsts, topic), seconds)
        tokens = jnp.reshape(jnp.stack([firsts, seconds], axis=2), (size, even))[:, :length]
        return self._copied(tokens, k_copy, k_far)

    def follow(self, token: Int[Array, "batch n"], topic: Int[Array, "batch 1"]) -> Int[Array, "batch n"]:
        """Return the token that a topic ties to each: another rank of the same octave."""
        rank = token + 1
        octave = jnp.floor(jnp.log2(rank.astype(jnp.float32) + 0.5)).astype(jnp.int32)
        low = jnp.left_shift(jnp.ones_like(rank), octave)
        width = jnp.minimum(low, self.vocab_size + 1 - low)
        mixed = jr.bits(self.seed, (self.topics,), jnp.uint32).astype(jnp.int32)
        step = jnp.bitwise_and(jnp.take(mixed, topic, axis=0), 0x3FFF) * 2 + 1
        return low + jnp.remainder(rank - low + step + octave, width) - 1

    def _copied(
        self, tokens: Int[Array, "batch length"], k_copy: PRNGKeyArray, k_far: PRNGKeyArray
    ) -> Int[Array, "batch length"]:
        size, length = tokens.shape
        spans = -(-length // SPAN)
        copied = jr.bernoulli(k_copy, jnp.float32(self.copy), (size, spans))
        reach = math.log(max(length / SPAN, 1.0))
        far = SPAN * jnp.exp(jr.uniform(k_far, (size, spans), jnp.float32) * jnp.float32(reach))
        stretch = lambda x: jnp.repeat(x, SPAN, axis=1)[:, :length]
        place = jnp.arange(length, dtype=jnp.int32)[None, :]
        source = place - stretch(far.astype(jnp.int32))
        source = jnp.where(stretch(copied) & (source >= 0), source, place)
        for _ in range(max(1, math.ceil(math.log2(spans + 1)))):  # a copy of a copy, to its origin
            source = jnp.take_along_axis(source, source, axis=1)
        return jnp.take_along_axis(tokens, source, axis=1)


def zipf(key: PRNGKeyArray, shape: tuple[int, ...], vocab_size: int) -> Int[Array, "*shape"]:
    """Return tokens with P(token r) = log((r + 2) / (r + 1)) / log(vocab_size + 1), which falls as 1 / (r + 1)."""
    u = jr.uniform(key, shape, jnp.float32)
    rank = jnp.floor(jnp.exp(u * jnp.float32(math.log(vocab_size + 1)))).astype(jnp.int32)
    return jnp.clip(rank - 1, 0, vocab_size - 1)


def language(
    *, seed: int, seq_len: int, vocab_size: int = 256, topics: int = 16, tie: float = 0.7, copy: float = 0.3
) -> Language:
    """Return a source of synthetic text."""
    k_seed, k_held = jr.split(jr.key(seed))
    return Language(k_seed, k_held, seq_len, vocab_size, topics, float(tie), float(copy))
