"""The gradient noise scale along a run: the run is trained again, which gives the same weights, and is stopped to measure.

At each stop the gradient of many small batches is taken at the weights as they are. The squared norm of one small batch
and that of all together give the noise scale without bias, as the law `gradient-noise-estimate` says; both are averaged over
stops before they are divided, where one number for the run is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hplaw.answer.answer import plain_outputs
from hplaw.errors import QueryError
from hplaw.law.shipped import theory_law
from hplaw_experiments.data.draw import fold_in, seed_key
from hplaw_experiments.models import build_model, cross_entropy
from hplaw_experiments.models.precision import find_policy
from hplaw_experiments.training.step import CALL, POINTS, arranged, data_of, end_of, find_program, hyper_of
from hplaw_experiments.trial import Trial, steps


LAW = "gradient-noise-estimate"
"""The law of theory that turns squared norms into a noise scale."""

SMALL_EXAMPLES, BATCHES = 16, 128
"""Examples or sequences in one small batch, and small batches at each stop."""

SHARES = (0.1, 0.25, 0.5, 0.75, 0.95)
"""Shares of a run at which it is stopped."""

_APART = 2**30
"""Added to the count of steps for batches that training does not see."""


class NoiseScale(msgspec.Struct, frozen=True, kw_only=True):
    """The gradient noise scale at one step of a run.

    - `step`: optimizer steps made before.
    - `noise_scale_tokens`: trace over square, tokens (examples of a classifier); None where the square came out negative.
    - `small_square`, `large_square`: mean squared norm of the gradient of one small batch, and of all together.
    - `small_tokens`, `large_tokens`: tokens of these.
    """

    step: int
    noise_scale_tokens: float | None
    small_square: float
    large_square: float
    small_tokens: int
    large_tokens: int


def noise_scales(
    trial: Trial, *, shares: Sequence[float] = SHARES, small: int = SMALL_EXAMPLES, batches: int = BATCHES
) -> list[NoiseScale]:
    """Return the gradient noise scale of a run at some shares of its steps.

    **Arguments:**

    - `trial`: the run; it is trained again up to each share.
    - `shares`: ascending, each between 0 and 1.
    - `small`: examples or sequences in a small batch.
    - `batches`: small batches at each stop.

    **Raises:** `QueryError` for shares that are none, or sizes below 1 and 2.

    **Source:** McCandlish et al. (2018), arXiv 1812.06162, appendix A.1.
    """
    if list(shares) != sorted(shares) or not all(0 <= share < 1 for share in shares) or small < 1 or batches < 2:
        message = f"shares={list(shares)}, small={small}, batches={batches}: give ascending shares from 0 to below 1, a small batch of 1 or more, and 2 batches or more"
        raise QueryError(message, field="shares")
    data, hyper, program = data_of(trial), hyper_of(trial), find_program([trial])
    policy = find_policy(trial.precision)

    def squares(model: Any, data: Any, step: Any) -> tuple[Float[Array, ""], Float[Array, ""]]:
        def gradient(number: Any) -> Any:
            key = fold_in(fold_in(seed_key(trial.seed), step + jnp.int32(_APART)), number)
            x, y = data.source.batch(key, small)
            return jax.grad(lambda m: cross_entropy(m(arranged(trial.family, x), policy), y))(model)

        each = jax.lax.map(gradient, jnp.arange(batches, dtype=jnp.int32))
        mean = jax.tree.map(lambda g: jnp.mean(g, axis=0), each)
        norm = lambda tree: sum(jnp.sum(jnp.square(g)) for g in jax.tree.leaves(tree))
        return norm(each) / batches, norm(mean)

    measured = jax.jit(squares)
    state, found = program.start(build_model(trial)), list[NoiseScale]()
    for share in shares:
        point = min(round(share * POINTS), POINTS - 1) - 1
        stop = 0 if point < 0 else int(end_of(point, steps(trial)))
        state, _ = program.advance(state, hyper, data, np.full(CALL, stop, np.int32))
        one, whole = (float(x) for x in measured(state.model, data, np.int32(stop)))
        tokens = small * trial.seq_len
        found.append(
            NoiseScale(
                step=stop,
                noise_scale_tokens=_scale(tokens, tokens * batches, one, whole),
                small_square=one,
                large_square=whole,
                small_tokens=tokens,
                large_tokens=tokens * batches,
            )
        )
    return found


def mean_scale(found: Sequence[NoiseScale]) -> float | None:
    """Return one noise scale, tokens, for several measurements of the same sizes: squared norms averaged, then divided."""
    first = found[0]
    small = float(np.mean([each.small_square for each in found]))
    large = float(np.mean([each.large_square for each in found]))
    return _scale(first.small_tokens, first.large_tokens, small, large)


def _scale(small: int, large: int, small_square: float, large_square: float) -> float | None:
    given = {
        "small_batch_tokens": float(small),
        "large_batch_tokens": float(large),
        "small_gradient_square": small_square,
        "large_gradient_square": large_square,
    }
    if not np.isfinite([small_square, large_square]).all():
        return None
    status, found = plain_outputs(theory_law(LAW), given)
    return float(found["noise_scale_tokens"]) if status == "ok" else None
