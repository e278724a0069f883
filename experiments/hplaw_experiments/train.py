"""The packed trainer: trials of one shape in one compiled program, each as if it had run alone.

On a CPU the program of one trial runs for several trials at once, a thread for each core: measured on two busy cores it
is as fast as one vmapped or mapped program over the pack (16 MLPs of width 32 and 128, 500 steps: 0.4 and 1.3 s against
0.4 to 0.5 and 0.9 to 1.5 s), compiles once whatever the pack's width, and gives each trial the numbers of a run alone. On an accelerator the pack is
one vmapped program, as wide as the device's memory allows; the numbers agree up to rounding. A trial that diverges
stands still from that step on. Trials that ask for it are stopped when a forecast of their curve is hopeless.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import numpy as np

import jax
import jax.numpy as jnp
from jaxtyping import Float

from hplaw.errors import QueryError
from hplaw_experiments.forecast import exponential_forecast, hopeless
from hplaw_experiments.models import build_model, flop_per_token, n_params
from hplaw_experiments.optim import Hyper
from hplaw_experiments.schedules import check_schedule
from hplaw_experiments.spec import Outcome, Trial, shape_key, steps
from hplaw_experiments.step import (
    CALL,
    POINTS,
    SMOOTHED,
    Data,
    Program,
    State,
    data_of,
    end_of,
    find_program,
    hyper_of,
)


__all__ = ["flop", "n_params", "train_pack"]

MOST_PACKED = 256
"""Trials in one vmapped program at most."""

MEMORY_SHARE = 0.8
"""Share of the device's free memory that a pack may fill."""

FORECAST_FROM, FORECAST_TO = 0.25, 0.8
"""Shares of a run between which it may be stopped by a forecast."""

Progress = Callable[[float], object]
"""Told the share of the pack's steps that is done, from 0 to 1."""

T = TypeVar("T")
R = TypeVar("R")


def flop(trial: Trial) -> float:
    """Return the training FLOP of a trial: FLOP of a token times the tokens of its steps.

    >>> flop(Trial(width=128, tokens=6400, batch_tokens=64, peak_lr=1e-3))
    992870400.0
    """
    return flop_per_token(trial) * steps(trial) * trial.batch_tokens


def train_pack(trials: Sequence[Trial], *, progress: Progress | None = None) -> list[Outcome]:
    """Train trials of one shape together; return their outcomes in the order given.

    **Arguments:**

    - `trials`: alike but for what `hplaw_experiments.spec.TRACED` names.
    - `progress`: called with the share that is done.

    **Raises:** `QueryError` for trials of several shapes, or one that cannot be trained; `DataError` for data that
    cannot be had.
    """
    if not trials:
        return []
    if len({shape_key(trial) for trial in trials}) > 1:
        message = (
            "the trials of a pack differ in more than a program's values; group them by shape_key"
        )
        raise QueryError(message)
    for trial in trials:
        _check(trial)
    program, data = find_program(trials), data_of(trials[0])
    told = _Told(progress, len(trials))
    if jax.default_backend() == "cpu":
        return _on_cores(trials, program, data, told)
    width = pack_width(trials[0], program, data)
    run = lambda pack: _vmapped(pack, program, data, told)
    packs = (trials[i : i + width] for i in range(0, len(trials), width))
    return [outcome for pack in packs for outcome in halving(run, pack)]


def _check(trial: Trial) -> None:
    if trial.batch_tokens < trial.seq_len or trial.batch_tokens % trial.seq_len:
        message = f"batch_tokens={trial.batch_tokens} is not a multiple of seq_len={trial.seq_len}; give whole sequences"
        raise QueryError(message, field="batch_tokens")
    check_schedule(trial)


class _Told:
    """Progress over trials that are at different places."""

    def __init__(self, progress: Progress | None, trials: int) -> None:
        self.progress, self.whole, self.done = progress, trials * POINTS // CALL, 0

    def __call__(self, calls: int) -> None:
        self.done += calls
        if self.progress is not None:
            self.progress(min(1.0, self.done / self.whole))


# On a CPU


def _on_cores(trials: Sequence[Trial], program: Program, data: Data, told: _Told) -> list[Outcome]:
    hypers = [hyper_of(trial) for trial in trials]
    warm = hyper_of(trials[0], total=0)
    jax.block_until_ready(
        program.advance(program.start(build_model(trials[0]), warm), warm, data, jnp.int32(0))
    )
    # trials are kept in step with one another only where they are compared
    together = len(trials) if any(trial.forecast for trial in trials) else 1
    packs = [range(i, min(i + together, len(trials))) for i in range(0, len(trials), together)]
    told(0)  # compiled: who meters begins here
    begun = time.perf_counter()
    with ThreadPoolExecutor(_cores()) as pool:
        each = pool.map if together == 1 else map
        inner: Any = map if together == 1 else pool.map

        def run(pack: range) -> list[_Curve]:
            chosen, values = [trials[i] for i in pack], [hypers[i] for i in pack]
            return _lockstep(chosen, _Singly(program, chosen, values, data, inner), told)

        curves = [curve for found in each(run, packs) for curve in found]
    return _outcomes(trials, curves, time.perf_counter() - begun)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Runner(Protocol):
    """Trials in training: `call` does the next stretches of those alive."""

    def call(self, first: int, alive: list[bool]) -> tuple[Any, Any, Any, Any]:
        """Return, by trial: losses and held-out losses by stretch, the step reached, the step of divergence."""
        ...


class _Singly:
    """Trials run one by one, or on several threads, by the program of one."""

    def __init__(
        self,
        program: Program,
        trials: Sequence[Trial],
        hypers: list[Hyper],
        data: Data,
        each: Callable[..., Iterator[Any]],
    ) -> None:
        self.program, self.trials, self.hypers, self.data, self.each = (
            program,
            trials,
            hypers,
            data,
            each,
        )
        self.states: list[State | None] = [None] * len(hypers)

    def call(self, first: int, alive: list[bool]) -> tuple[Any, Any, Any, Any]:
        def one(i: int) -> tuple[Any, Any, Any, Any]:
            state = self.states[i]
            if state is None:
                state = self.program.start(build_model(self.trials[i]), self.hypers[i])
            nothing = np.full(CALL, np.nan, np.float32)
            losses, held = nothing, nothing
            if alive[i]:
                state, losses, held = self.program.advance(
                    state, self.hypers[i], self.data, jnp.int32(first)
                )
            self.states[i] = state
            return tuple(np.asarray(x) for x in (losses, held, state.step, state.diverged_step))

        found = list(self.each(one, range(len(self.hypers))))
        losses, held, reached, diverged = (np.stack(column) for column in zip(*found, strict=True))
        return losses, held, reached, diverged


# On an accelerator


class _Packed:
    """Trials run as one vmapped program."""

    def __init__(
        self, program: Program, trials: Sequence[Trial], hypers: list[Hyper], data: Data
    ) -> None:
        self.program, self.data = program, data
        self.hyper = _stacked(hypers)
        self.state = program.pack_start(_stacked([build_model(t) for t in trials]), self.hyper)

    def call(self, first: int, alive: list[bool]) -> tuple[Any, Any, Any, Any]:
        # a trial that was stopped has its end behind it, and stands still
        lengths = jnp.where(jnp.asarray(alive), self.hyper.total_steps, 0)
        hyper = _with_steps(self.hyper, lengths)
        self.state, losses, held = self.program.pack_advance(
            self.state, hyper, self.data, jnp.int32(first)
        )
        found = losses, held, self.state.step, self.state.diverged_step
        losses, held, reached, diverged = (np.asarray(x) for x in jax.device_get(found))
        return losses, held, reached, diverged


def _vmapped(trials: Sequence[Trial], program: Program, data: Data, told: _Told) -> list[Outcome]:
    hypers = [hyper_of(trial) for trial in trials]
    idle = [hyper_of(trial, total=0) for trial in trials]
    _Packed(program, trials, idle, data).call(0, [True] * len(trials))  # compiles
    told(0)  # compiled: who meters begins here
    begun = time.perf_counter()
    curves = _lockstep(trials, _Packed(program, trials, hypers, data), told)
    return _outcomes(trials, curves, time.perf_counter() - begun)


def _stacked(hypers: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *hypers)


def _with_steps(hyper: Hyper, total_steps: Any) -> Hyper:
    return jax.tree.unflatten(
        jax.tree.structure(hyper),
        [total_steps if leaf is hyper.total_steps else leaf for leaf in jax.tree.leaves(hyper)],
    )


def pack_width(trial: Trial, program: Program, data: Data) -> int:
    """Return how many trials of a shape fit into the device together, by the compiler's account of one."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" not in stats:
        return MOST_PACKED
    hyper = hyper_of(trial)
    state = jax.eval_shape(program.start, build_model(trial), hyper)
    asked = program.advance.lower(state, hyper, data, jnp.int32(0)).compile().memory_analysis()
    if asked is None:
        return MOST_PACKED
    shared = sum(leaf.nbytes for leaf in jax.tree.leaves(data) if hasattr(leaf, "nbytes"))
    own = asked.temp_size_in_bytes + asked.argument_size_in_bytes + asked.output_size_in_bytes
    free = MEMORY_SHARE * stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    return int(max(1, min(MOST_PACKED, free // max(1, own - shared))))


def halving(run: Callable[[Sequence[T]], list[R]], pack: Sequence[T]) -> list[R]:
    """Return what `run` gives for a pack; where the device's memory does not hold it, for its halves.

    >>> halving(lambda pack: [2 * x for x in pack], [1, 2, 3])
    [2, 4, 6]
    """
    try:
        return run(pack)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error) or len(pack) == 1:
            raise
    half = len(pack) // 2
    return [*halving(run, pack[:half]), *halving(run, pack[half:])]


# What came of it


class _Curve:
    """What is known of one trial while it runs."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.total = steps(trial)
        self.ends = [end_of(point, self.total) for point in range(POINTS)]
        self.losses = np.full(POINTS, np.nan)
        self.held = np.full(POINTS, np.nan)
        self.steps_done, self.diverged_step = 0, -1
        self.forecast: float | None = None
        self.stopped = False

    @property
    def alive(self) -> bool:
        """Return whether it still trains."""
        return not self.stopped and self.diverged_step < 0

    def seen(self) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
        """Return the last step of each stretch that had one, counted from zero, and the mean loss there."""
        known = np.isfinite(self.losses)
        return np.asarray(self.ends)[known] - 1, self.losses[known]

    def now(self) -> float | None:
        """Return the smoothed training loss so far."""
        losses = self.seen()[1]
        return float(np.mean(losses[-SMOOTHED:])) if len(losses) and self.diverged_step < 0 else None  # fmt: skip


def _lockstep(trials: Sequence[Trial], runner: _Runner, told: _Told) -> list[_Curve]:
    curves = [_Curve(trial) for trial in trials]
    for first in range(0, POINTS, CALL):
        alive = [curve.alive for curve in curves]
        if not any(alive):
            told((POINTS - first) // CALL * len(curves))
            break
        losses, held, reached, diverged = runner.call(first, alive)
        for i, curve in enumerate(curves):
            if alive[i]:
                curve.losses[first : first + CALL] = losses[i]
                curve.held[first : first + CALL] = held[i]
                curve.steps_done, curve.diverged_step = int(reached[i]), int(diverged[i])
        if FORECAST_FROM <= (first + CALL) / POINTS <= FORECAST_TO:
            _stop_hopeless(curves)
        told(len(curves))
    return curves


def _stop_hopeless(curves: Sequence[_Curve]) -> None:
    if not any(curve.trial.forecast for curve in curves) or len(curves) == 1:
        return
    forecasts = [
        exponential_forecast(*curve.seen(), at=curve.total) if curve.trial.forecast and curve.alive else None
        for curve in curves
    ]  # fmt: skip
    for curve, forecast, ends in zip(
        curves, forecasts, hopeless(forecasts, [c.now() for c in curves]), strict=True
    ):
        if ends:
            curve.stopped, curve.forecast = True, forecast


def _outcomes(trials: Sequence[Trial], curves: Sequence[_Curve], seconds: float) -> list[Outcome]:
    work = [curve.steps_done for curve in curves]
    return [
        _outcome(trial, curve, seconds * curve.steps_done / max(1, sum(work)), len(trials))
        for trial, curve in zip(trials, curves, strict=True)
    ]


def _outcome(trial: Trial, curve: _Curve, seconds: float, width: int) -> Outcome:
    diverged = curve.diverged_step >= 0
    held = curve.held[np.isfinite(curve.held)]
    train = curve.now()
    x, y = _thinned(*curve.seen(), trial.curve_points)
    loss = float(np.mean(held)) if len(held) else train
    return Outcome(
        loss=None if diverged else loss, train_loss=None if diverged else train, diverged=diverged,
        diverged_step=curve.diverged_step if diverged else None, steps_done=curve.steps_done,
        stopped_early=curve.stopped, forecast_loss=curve.forecast, seconds=seconds, pack_width=width,
        shared=width > 1, curve_steps=tuple(map(int, x)), curve_losses=tuple(map(float, y)),
        n_params=n_params(trial), training_flop=flop_per_token(trial) * curve.steps_done * trial.batch_tokens,
    )  # fmt: skip


def _thinned(x: Any, y: Any, most: int) -> tuple[Any, Any]:
    """Return at most so many points of a curve, evenly chosen, the last one always."""
    if len(x) <= most:
        return x, y
    at = (
        np.linspace(0, len(x) - 1, most).round().astype(int) if most > 1 else np.array([len(x) - 1])
    )
    return x[at], y[at]
