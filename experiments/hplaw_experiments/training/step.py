"""The compiled programs of a shape: many optimizer steps in one call, for one trial or for a pack of them.

A run has `POINTS` stretches of nearly equal length; one call does up to `CALL` of them and gives the sum of the training
losses over each. At the end of the last few the held-out loss is taken. A trial that has diverged is frozen.
"""

from __future__ import annotations

import functools as ft
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree, Shaped

from hplaw_experiments.data import AbstractSource, load_source
from hplaw_experiments.data.draw import fold_in, seed_key
from hplaw_experiments.models import build_model, cross_entropy
from hplaw_experiments.models.precision import (
    LEAST_SCALE,
    LossScale,
    all_finite,
    find_policy,
    first_scale,
    value_and_grad,
)
from hplaw_experiments.training.compiling import options
from hplaw_experiments.training.optim import Hyper, find_optimizer
from hplaw_experiments.training.schedules import lengths, make_schedule, schedule_law
from hplaw_experiments.trial import TRACED, Trial, steps


POINTS = 64
"""Stretches of a run; its curve has as many points."""

SMOOTHED = 4
"""The losses at the end are means over so many last stretches."""

CALL = POINTS - SMOOTHED
"""Stretches in one call of the program at most: all before the first held-out loss."""

HELD_OUT_EXAMPLES = 1024
"""Held-out examples of a classifier that a loss is taken over."""

HELD_OUT_TOKENS = 2**14
"""Held-out tokens that a loss is taken over."""

BOUND = 1e6
"""A loss above this, nat/token, has left all bounds."""


class State(eqx.Module):
    """A trial within its run; `diverged_step` is -1 while its loss is well."""

    model: PyTree
    optimizer: PyTree
    scale: LossScale
    step: Int[Array | np.ndarray, ""]
    diverged_step: Int[Array | np.ndarray, ""]


class Data(eqx.Module):
    """Where batches come from, and the held-out batches."""

    source: AbstractSource
    x_held: Shaped[Array, "batches batch ..."]
    y_held: Int[Array, "batches batch ..."]


class Program(NamedTuple):
    """The functions of a shape, for one trial (`advance`, `held_out`) and for a pack (`pack_advance`, `pack_held_out`).

    `start(model, hyper)` returns the state before the first step, on the host;
    `advance(state, hyper, data, ends)` trains up to the last of the steps at which its stretches end, and returns the
    state and the sum of the training losses over each stretch;
    `held_out(model, data)` returns the mean loss over the held-out batches.
    """

    start: Any
    advance: Any
    held_out: Any
    pack_advance: Any
    pack_held_out: Any


def find_program(trials: Sequence[Trial], *, soon: bool = False) -> Program:
    """Return the program of the shape that the trials share; it is built once in a process.

    **Arguments:**

    - `soon`: it is compiled in less time, and trains more slowly.
    """
    traced = dict.fromkeys(TRACED, 0) | {"tokens": 1, "peak_lr": 1.0}
    shape = msgspec.structs.replace(trials[0], **traced, curve_points=0)
    clips = any(trial.gradient_clip > 0 for trial in trials)
    decays = any(trial.weight_decay > 0 for trial in trials)
    return _program(msgspec.json.encode(shape, order="deterministic"), clips, decays, soon)


@ft.lru_cache(maxsize=64)
def _program(text: bytes, clips: bool, decays: bool, soon: bool) -> Program:  # noqa: FBT001
    shape = msgspec.json.decode(text, type=Trial)
    policy = find_policy(shape.precision)
    optimizer = find_optimizer(shape.optimizer, clips=clips, decays=decays)
    schedule = make_schedule(schedule_law(shape))
    size = max(1, shape.batch_tokens // shape.seq_len)

    def loss_of(model: PyTree, x: Array, y: Array) -> Float[Array, ""]:
        return cross_entropy(model(arranged(shape.family, x), policy), y)

    gradient_of = value_and_grad(loss_of, policy)

    @ft.cache
    def moments() -> PyTree:
        return optimizer.start(build_model(shape), hyper_of(shape))

    def start(model: PyTree) -> State:
        return State(model, moments(), first_scale(), np.asarray(0, np.int32), np.asarray(-1, np.int32))

    def one(state: State, hyper: Hyper, data: Data) -> tuple[State, Float[Array, ""]]:
        x, y = data.source.batch(fold_in(hyper.key, state.step), size)
        loss, gradient = gradient_of(state.scale, state.model, x, y)
        rate = schedule(state.step, hyper)
        model, moments = optimizer.update(gradient, state.optimizer, state.model, hyper, rate)
        scale, lost = state.scale, ~(loss < BOUND)
        if policy.scaled:
            finite = all_finite(gradient)
            keep = lambda new, old: jnp.where(finite, new, old)
            model = jax.tree.map(keep, model, state.model)
            moments = jax.tree.map(keep, moments, state.optimizer)
            scale = state.scale.adjusted(finite)
            lost = lost & jnp.isfinite(loss) | (scale.scale < LEAST_SCALE)
        diverged_step = jnp.where(lost, state.step, state.diverged_step)
        return State(model, moments, scale, state.step + 1, diverged_step), loss

    def advance(
        state: State, hyper: Hyper, data: Data, ends: Int[Array, " stretches"]
    ) -> tuple[State, Float[Array, " stretches"]]:
        def goes_on(carry: tuple[State, Array]) -> Bool[Array, ""]:
            return (carry[0].step < ends[-1]) & (carry[0].diverged_step < 0)

        def go(carry: tuple[State, Array]) -> tuple[State, Array]:
            before, totals = carry
            state, loss = one(before, hyper, data)
            here = jnp.sum(ends <= before.step, dtype=jnp.int32)
            return state, totals.at[here].add(loss)

        return jax.lax.while_loop(goes_on, go, (state, jnp.zeros(ends.shape, jnp.float32)))

    def held_out(model: PyTree, data: Data) -> Float[Array, ""]:
        with jax.default_matmul_precision(policy.matmul):
            each = jax.lax.map(lambda b: loss_of(model, b[0], b[1]), (data.x_held, data.y_held))
        return jnp.mean(each)

    trains, measures = options(soon=soon), options(soon=True)  # measuring updates nothing in place
    pack = jax.vmap(advance, in_axes=(0, 0, None, 0))
    return Program(
        start,
        jax.jit(advance, compiler_options=trains),
        jax.jit(held_out, compiler_options=measures),
        jax.jit(pack, donate_argnums=0, compiler_options=trains),
        jax.jit(jax.vmap(held_out, in_axes=(0, None)), compiler_options=measures),
    )


def forget() -> None:
    """Forget the programs built so far, so that the next ones are built and compiled again."""
    _program.cache_clear()


def end_of(point: Any, total_steps: Any) -> Any:
    """Return the step at which a stretch ends: the run's length in `POINTS` parts, rounded down.

    >>> end_of(63, 1000), end_of(0, 10)
    (1000, 0)
    """
    whole, rest = total_steps // POINTS, total_steps % POINTS
    return (point + 1) * whole + (point + 1) * rest // POINTS


def arranged(family: str, x: Array) -> Array:
    """Return examples as a family reads them: rows for an MLP, images with a channel for a ConvNet."""
    if family == "mlp":
        return jnp.reshape(x, (x.shape[0], -1))
    return x[..., None] if family == "convnet" else x


def hyper_of(trial: Trial) -> Hyper:
    """Return the values of a trial that its program takes, on the host: nothing need be compiled for them."""
    number = lambda x: np.asarray(x, np.float32)
    warmup, decay = lengths(trial)
    return Hyper(
        peak_lr=number(trial.peak_lr),
        final_lr=number(trial.final_lr_fraction * trial.peak_lr),
        warmup_steps=number(warmup),
        decay_steps=number(decay),
        total_steps=np.asarray(steps(trial), np.int32),
        weight_decay=number(trial.weight_decay),
        beta1=number(trial.beta1),
        beta2=number(trial.beta2),
        adam_epsilon=number(trial.adam_epsilon),
        momentum=number(trial.momentum),
        gradient_clip=number(trial.gradient_clip),
        key=seed_key(trial.seed),
    )


def data_of(trial: Trial) -> Data:
    """Return the data of a trial, its held-out part in batches no larger than those of training."""
    source = load_source(trial.data, trial.data_options, seed=trial.data_seed, seq_len=trial.seq_len)
    size = max(1, trial.batch_tokens // trial.seq_len)
    most = HELD_OUT_EXAMPLES if trial.seq_len == 1 else max(1, HELD_OUT_TOKENS // trial.seq_len)
    if trial.seq_len == 1:
        size = most
    x, y = source.held_out(most)
    size = min(size, x.shape[0])
    count = x.shape[0] // size
    batched = lambda a: jnp.reshape(a[: count * size], (count, size, *a.shape[1:]))
    return Data(source, batched(x), batched(y))
