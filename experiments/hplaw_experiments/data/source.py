"""What a source of training data is: batches made inside the compiled step from a key, and a fixed held-out part."""

from __future__ import annotations

from abc import abstractmethod

import msgspec

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Integer, PRNGKeyArray, Shaped

from hplaw_experiments.data.draw import random_bits


class Dimensions(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes of what a source gives.

    - `features`: numbers of one example; 0 for text.
    - `outputs`: classes, or tokens in the vocabulary.
    - `side`: pixels on a side where an example is an image.
    - `language`: whether an example is a sequence of tokens.
    """

    features: int = 0
    outputs: int = 2
    side: int = 0
    language: bool = False


class AbstractSource(eqx.Module):
    """Training data: arrays on the device, or the rule that makes them."""

    @abstractmethod
    def batch(self, key: PRNGKeyArray, size: int) -> tuple[Shaped[Array, "batch ..."], Int[Array, "batch ..."]]:
        """Return `size` training examples and their labels, chosen by the key."""

    @abstractmethod
    def held_out(self, size: int) -> tuple[Shaped[Array, "batch ..."], Int[Array, "batch ..."]]:
        """Return at most `size` examples that training never sees, the same at each call."""


class Examples(AbstractSource):
    """Examples with a class each, drawn with replacement; the held-out ones are kept apart."""

    x: Float[Array, "train ..."]
    y: Int[Array, " train"]
    x_held: Float[Array, "held ..."]
    y_held: Int[Array, " held"]

    def batch(self, key: PRNGKeyArray, size: int) -> tuple[Float[Array, "batch ..."], Int[Array, " batch"]]:
        at = places(key, size, self.x.shape[0])
        return jnp.take(self.x, at, axis=0), jnp.take(self.y, at, axis=0)

    def held_out(self, size: int) -> tuple[Float[Array, "batch ..."], Int[Array, " batch"]]:
        return self.x_held[:size], self.y_held[:size]


class Tokens(AbstractSource):
    """One long row of tokens; sequences begin anywhere in it, the held-out ones behind its last tenth's start."""

    train: Integer[Array, " train"]
    held: Integer[Array, " held"]
    seq_len: int = eqx.field(static=True)

    def batch(self, key: PRNGKeyArray, size: int) -> tuple[Int[Array, "batch seq"], Int[Array, "batch seq"]]:
        starts = places(key, size, self.train.shape[0] - self.seq_len)
        return windows(self.train, starts, self.seq_len)

    def held_out(self, size: int) -> tuple[Int[Array, "batch seq"], Int[Array, "batch seq"]]:
        count = min(size, (self.held.shape[0] - 1) // self.seq_len)
        return windows(self.held, jnp.arange(count) * self.seq_len, self.seq_len)


def places(key: PRNGKeyArray, size: int, count: int) -> Int[Array, " size"]:
    """Return `size` places of `count`, each drawn with one word of random bits: less to compile than `randint`.

    The share of a place is out by at most `count` / 2^32 of itself.
    """
    bits = random_bits(key, size)
    return jnp.remainder(bits, jnp.uint32(count)).astype(jnp.int32)


def windows(
    row: Integer[Array, " tokens"], starts: Int[Array, " batch"], seq_len: int
) -> tuple[Int[Array, "batch seq"], Int[Array, "batch seq"]]:
    """Return sequences from a row, and each one moved on by one token."""
    at = starts[:, None] + jnp.arange(seq_len + 1, dtype=starts.dtype)[None, :]
    rows = jnp.take(row, at, axis=0).astype(jnp.int32)
    return rows[:, :-1], rows[:, 1:]
