"""The intrinsic dimension of a task: the minimum random subspace in which training does nearly as well as in all of it.

The model's parameters are theta_0 + P z with P random, its columns of norm 1, and only z is trained. All dimensions,
rates and seeds of one study train in one compiled program: a smaller subspace is a larger one with directions omitted.
The rate of each dimension is chosen on seeds of its own, which take no part in the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jax.flatten_util import ravel_pytree

from hplaw_experiments.models import build_model, cross_entropy
from hplaw_experiments.models.precision import find_policy
from hplaw_experiments.training.step import arranged, data_of
from hplaw_experiments.trial import Trial, steps


SHARE = 0.9
"""Share of the full model's held-out accuracy that counts as solved; 0.9 by convention, hence d90."""

RATES = (0.01, 0.03, 0.1, 0.3)
"""Learning rates of Adam that are tried for each dimension."""


_ALL_HELD_OUT = 1_000_000
"""More held-out examples than there are."""


class Subspace(msgspec.Struct, frozen=True, kw_only=True):
    """Held-out accuracy in a random subspace: mean and standard deviation over the test seeds, at the rate chosen."""

    dimension: int
    accuracy: float
    deviation: float
    peak_lr: float


class IntrinsicReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a study of the intrinsic dimension found.

    - `n_params`: parameters of the model; `full_accuracy` held-out accuracy of training them all.
    - `d90`: minimum dimension tried that reaches `share` of it, None where none does; `below` the maximum that does not.
    - `say`: the finding in words.
    """

    n_params: int
    full_accuracy: float
    share: float
    d90: int | None
    below: int | None
    say: str
    subspaces: list[Subspace]


def intrinsic_dimension(
    trial: Trial, dimensions: Sequence[int], *, rates: Sequence[float] = RATES, n_seeds: int = 3, share: float = SHARE
) -> IntrinsicReport:
    """Return the minimum dimension in which a classifier trains to `share` of its full accuracy.

    **Arguments:**

    - `trial`: model, data, batch and tokens; its optimizer and rate are not used.
    - `dimensions`: those to try, none above the number of parameters.
    - `n_seeds`: test seeds, each with its own start, subspace and order of data; rates are chosen on one more.

    **Raises:** `ValueError` where a dimension is no positive number of directions that the model has.

    **Source:** Li, Farkhoor, Liu, Yosinski (2018), arXiv 1804.08838.
    """
    size = int(ravel_pytree(build_model(trial, seed=0))[0].size)
    tried = sorted(set(dimensions))
    if not tried or tried[0] < 1 or tried[-1] > size:
        message = f"dimensions lie between 1 and the {size} parameters of the model; {', '.join(map(str, tried)) or 'none'} were given"
        raise ValueError(message)
    scores = _accuracies(trial, tried, rates, n_seeds + 1)
    best = np.argmax(scores[0], axis=1)
    kept = scores[1:, np.arange(len(best)), best]
    full = float(kept[:, -1].mean())
    subspaces = [
        Subspace(
            dimension=d, accuracy=float(kept[:, i].mean()), deviation=float(kept[:, i].std()), peak_lr=rates[best[i]]
        )
        for i, d in enumerate(tried)
    ]
    solved = [s.dimension for s in subspaces if s.accuracy >= share * full]
    d90 = min(solved, default=None)
    below = max((d for d in tried if d90 is None or d < d90), default=None)
    if d90 is None:
        say = f"no dimension up to {tried[-1]} reaches {share:.0%} of the accuracy of all {size} parameters"
    else:
        say = f"{d90} of {size} directions reach {share:.0%} of the accuracy of training all, {size / d90:.0f} times fewer"
    return IntrinsicReport(
        n_params=size, full_accuracy=full, share=share, d90=d90, below=below, say=say, subspaces=subspaces
    )


def _accuracies(trial: Trial, tried: Sequence[int], rates: Sequence[float], n_seeds: int) -> np.ndarray:
    """Return held-out accuracies, shape (seed, dimension, rate); the last dimension means all parameters."""
    policy, source = find_policy(trial.precision), data_of(trial).source
    starts = [ravel_pytree(build_model(trial, seed=seed))[0] for seed in range(n_seeds)]
    size, dtype = starts[0].size, starts[0].dtype
    rebuild = ravel_pytree(build_model(trial, seed=0))[1]
    x_held, y_held = source.held_out(_ALL_HELD_OUT)
    n_steps, batch = steps(trial), trial.batch_tokens // trial.seq_len
    masks = jnp.arange(tried[-1])[None] < jnp.asarray(tried)[:, None]
    speeds = jnp.asarray(rates, dtype)

    def logits(theta: Any, x: Any) -> Any:
        return rebuild(theta)(arranged(trial.family, x), policy)

    def trained(place: Any, moved: Any, rate: Any, key: Any) -> Any:
        """Return the held-out accuracy after training `moved`, whose place in the parameters `place` says."""
        falling = lambda t: 0.5 * rate * (1 + jnp.cos(jnp.pi * t.astype(dtype) / n_steps))
        optimizer = optax.adam(falling)

        def go(carry: Any, t: Any) -> tuple[Any, None]:
            z, state = carry
            x, y = source.batch(jr.fold_in(key, t), batch)
            gradient = jax.grad(lambda z: cross_entropy(logits(place(z), x), y))(z)
            # optax 0.2.8 raises a float to an integer count; until it casts, it may promote
            with jax.numpy_dtype_promotion("standard"):
                update, state = optimizer.update(gradient, state, z)
            return (optax.apply_updates(z, update), state), None

        (z, _), _ = jax.lax.scan(go, (moved, optimizer.init(moved)), jnp.arange(n_steps, dtype=jnp.int32))
        guess = jnp.argmax(logits(place(z), x_held), axis=-1).astype(y_held.dtype)
        return jnp.mean(guess == y_held)

    @jax.jit
    def one_seed(start: Any, key: Any) -> Any:
        key_subspace, key_data = jr.split(key)
        directions = jr.normal(key_subspace, (size, tried[-1]), dtype)
        directions = directions / jnp.linalg.norm(directions, axis=0, keepdims=True)

        def inside(mask: Any, rate: Any) -> Any:
            place = lambda z: start + directions @ (mask * z)
            return trained(place, jnp.zeros(tried[-1], dtype), rate, key_data)

        over_rates = jax.vmap(inside, in_axes=(None, 0))
        some = jax.vmap(over_rates, in_axes=(0, None))(masks.astype(dtype), speeds)
        whole = jax.vmap(lambda rate: trained(lambda theta: theta, start, rate, key_data))(speeds)
        return jnp.concatenate([some, whole[None]])

    return np.stack([np.asarray(one_seed(start, jr.key(i))) for i, start in enumerate(starts)])
