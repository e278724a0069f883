"""The rate from which on training diverges, measured: plain SGD from one starting point at many rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

import jax
import jax.numpy as jnp
import jax.random as jr

from hplaw_experiments.data import AbstractSource
from hplaw_experiments.diagnostics.spectrum.products import Problem


STEPS, WINDOW = 300, 25
"""Steps of a run, and steps that its loss is averaged over.

A shorter window takes the noise of small batches for divergence, a longer one overlooks large batches that blow up and
come back. Settled on digits with the starts 0 and 1; single starts differ by a fifth, so that several are averaged over."""

GAUGE = 256
"""Training examples that the loss is looked at with."""

RATES = tuple(2.0 ** (k / 4) for k in range(-6, 7))
"""Rates that are tried, over the one predicted."""


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep of rates at one batch found.

    - `rates`, `share`: the rates tried, ascending, and the share of runs that diverged at each.
    - `measured`: the rate at which half of the runs diverge; None where the rates tried do not bracket it.
    - `ratio`: measured over predicted.
    """

    batch_tokens: float
    predicted: float
    rates: list[float]
    share: list[float]
    measured: float | None
    ratio: float | None


def divergence(
    problems: Sequence[Problem],
    source: AbstractSource,
    size: int,
    predicted: float,
    *,
    seq_len: int,
    n_seeds: int,
    seed: int,
    steps: int = STEPS,
    rates: Sequence[float] = RATES,
) -> Divergence:
    """Return the rate at which runs start to diverge: their loss, averaged over a window of steps, rises above its start.

    **Arguments:**

    - `predicted`: the rate that those tried are spread around.
    - `n_seeds`: orders of the data for each starting point.
    """
    problem = problems[0]
    gauge = source.batch(jr.key(seed), GAUGE)

    def run(start: Any, key: Any, rate: Any) -> Any:
        def step(weights: Any, key: Any) -> tuple[Any, Any]:
            x, y = source.batch(key, size)
            weights = weights - rate * jax.grad(problem.loss)(weights, x, y)
            return weights, problem.loss(weights, *gauge)

        return jax.lax.scan(step, start, jr.split(key, steps))[1]

    runs = jax.jit(jax.vmap(jax.vmap(run, in_axes=(None, None, 0)), in_axes=(None, 0, None)))
    tried = np.asarray(rates) * predicted
    keys = jr.split(jr.fold_in(jr.key(seed), size), n_seeds)
    lost = np.concatenate(
        [
            diverged(
                np.asarray(runs(p.start, keys, jnp.asarray(tried, jnp.float32)), float),
                float(problem.loss(p.start, *gauge)),
            )
            for p in problems
        ]
    )
    share = lost.mean(axis=0)
    measured = half_way(tried, share)
    return Divergence(
        batch_tokens=float(size * seq_len),
        predicted=predicted,
        rates=[float(r) for r in tried],
        share=[float(s) for s in share],
        measured=measured,
        ratio=None if measured is None else measured / predicted,
    )


def diverged(losses: Any, start: float) -> Any:
    """Return which curves rise above their start, averaged over windows of steps; what is not finite has.

    Each step is looked at: a network that is blown up and left dead ends with a loss below that of its start.

    >>> diverged(np.array([[1.0] * 50, [1.0] * 25 + [3.0] * 25, [np.nan] * 50]), 2.0).tolist()
    [False, True, True]
    """
    each = np.where(np.isfinite(losses), losses, np.inf)
    whole = each.shape[-1] // WINDOW * WINDOW
    windows = each[..., :whole].reshape(*each.shape[:-1], -1, WINDOW).mean(axis=-1)
    return (windows > start).any(axis=-1)


def half_way(rates: Any, share: Any) -> float | None:
    """Return the rate at which half diverge, by the sum of the shares (Spearman and Karber); None where not bracketed.

    log rate = log last - spacing (sum of shares - 1/2), for rates evenly spaced in the logarithm.

    >>> round(half_way(np.array([1.0, 2.0, 4.0, 8.0]), np.array([0.0, 0.0, 1.0, 1.0])), 6)
    2.828427
    """
    if share[0] > 0.25 or share[-1] < 0.75:
        return None
    spacing = np.log(rates[1] / rates[0])
    return float(np.exp(np.log(rates[-1]) - spacing * (np.sum(share) - 0.5)))
