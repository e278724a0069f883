"""Random bits to draw a batch by: those of `jax.random`, bit for bit, in a form that a CPU's compiler is soon done with.

On a CPU, JAX keeps the rounds of Threefry in a loop of many small kernels. Written out, they are one kernel each, which
takes a third of the time to compile; a batch needs two of them.

**Source:** Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3; Threefry-2x32 with 20 rounds.
"""

from __future__ import annotations

import numpy as np

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Int, PRNGKeyArray, UInt32


ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
"""Bits by which four rounds turn, in turns (table 2 of the source)."""

PARITY = 0x1BD11BDA
"""What the two words of a key make the third with (Skein's constant)."""


def seed_key(seed: int) -> PRNGKeyArray:
    """Return the key of a seed, as `jax.random.key` does with words of 32 bits.

    >>> bool(seed_key(3) == jr.key(3)), bool(seed_key(-1) == jr.key(-1))
    (True, True)
    """
    words = np.array([0, seed & 0xFFFFFFFF], np.uint32)
    return jr.wrap_key_data(words, impl="threefry2x32")


def fold_in(key: PRNGKeyArray, step: Int[Array, ""]) -> PRNGKeyArray:
    """Return the key of a step, as `jax.random.fold_in` does.

    >>> bool(fold_in(jr.key(3), jnp.int32(7)) == jr.fold_in(jr.key(3), 7))
    True
    """
    words = threefry(jr.key_data(key), jnp.zeros((), jnp.uint32), step.astype(jnp.uint32))
    return jr.wrap_key_data(jnp.stack(words), impl="threefry2x32")


def random_bits(key: PRNGKeyArray, size: int) -> UInt32[Array, " size"]:
    """Return a row of random words, as `jax.random.bits` does.

    >>> bool(jnp.all(random_bits(jr.key(3), 5) == jr.bits(jr.key(3), 5)))
    True
    """
    count = jnp.arange(size, dtype=jnp.uint32)
    high, low = threefry(jr.key_data(key), jnp.zeros_like(count), count)
    return high ^ low


def threefry(
    key: UInt32[Array, " 2"], x0: UInt32[Array, "*shape"], x1: UInt32[Array, "*shape"]
) -> tuple[UInt32[Array, "*shape"], UInt32[Array, "*shape"]]:
    """Return two words of random bits for each pair of words that is counted."""
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(PARITY))
    x0, x1 = x0 + keys[0], x1 + keys[1]
    for i in range(5):
        for turn in ROTATIONS[i % 2]:
            x0 = x0 + x1
            x1 = x0 ^ (x1 << jnp.uint32(turn) | x1 >> jnp.uint32(32 - turn))
        x0, x1 = x0 + keys[(i + 1) % 3], x1 + keys[(i + 2) % 3] + jnp.uint32(i + 1)
    return x0, x1
