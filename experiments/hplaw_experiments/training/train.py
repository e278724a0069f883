"""The packed trainer: trials of one shape in one compiled program, each as if it had run alone.

On a CPU the program of one trial runs for several trials at once, a thread for each core: measured on two busy cores it
is as fast as one vmapped or mapped program over the pack (16 MLPs of width 32 and 128, 500 steps: 0.4 and 1.3 s against
0.4 to 0.5 and 0.9 to 1.5 s), compiles once whatever the pack's width, and gives each trial the numbers of a run alone.
On an accelerator the pack is one vmapped program, as wide as the device's memory allows; the numbers agree up to
rounding. A trial that diverges is frozen from that step on. Trials that ask for it are stopped when a forecast of
their curve is hopeless.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np

import jax
import jax.numpy as jnp

from hplaw.errors import QueryError
from hplaw_experiments.models import build_model, flop, n_params
from hplaw_experiments.training.compiling import cores, over_soon
from hplaw_experiments.training.curve import Curve, outcomes
from hplaw_experiments.training.forecast import exponential_forecast, hopeless
from hplaw_experiments.training.schedules import check_schedule
from hplaw_experiments.training.step import CALL, POINTS, SMOOTHED, Data, Program, data_of, find_program, hyper_of
from hplaw_experiments.trial import Outcome, Progress, Seen, Trial, shape_key, steps


__all__ = ["flop", "n_params", "train_pack"]

MOST_PACKED = 256
"""Trials in one vmapped program at most."""

MEMORY_SHARE = 0.8
"""Share of the device's free memory that a pack may fill."""

FORECAST_FROM, FORECAST_TO = 0.25, 0.8
"""Shares of a run between which it may be stopped by a forecast."""

STRIDE = 8
"""Stretches after which trials are compared, and it is given how far they are."""

SHORT_FLOP = 1e10
"""Training FLOP of a trial up to which nothing is given of it until its end is near: about a second on one core."""

T = TypeVar("T")
R = TypeVar("R")


def train_pack(trials: Sequence[Trial], *, progress: Progress | None = None) -> list[Outcome]:
    """Train trials of one shape together; return their outcomes in the order given.

    **Arguments:**

    - `trials`: alike but for what `hplaw_experiments.trial.TRACED` names.
    - `progress`: called with the share that is done, and what is seen of the trials that got on.

    **Raises:** `QueryError` for trials of several shapes, or one that cannot be trained; `DataError` for data that
    cannot be had.
    """
    if not trials:
        return []
    if len({shape_key(trial) for trial in trials}) > 1:
        message = "the trials of a pack differ in more than a program's values; group them by shape_key"
        raise QueryError(message)
    for trial in trials:
        _check(trial)
    data, told = data_of(trials[0]), _Told(progress, trials)
    if jax.default_backend() == "cpu":
        return _on_cores(trials, data, told)
    program = find_program(trials)
    width = pack_width(trials[0], program, data)
    run = lambda pack: _vmapped(pack, program, data, told)
    packs = (trials[i : i + width] for i in range(0, len(trials), width))
    return [outcome for pack in packs for outcome in halving(run, pack)]


def _check(trial: Trial) -> None:
    if trial.batch_tokens < trial.seq_len or trial.batch_tokens % trial.seq_len:
        message = (
            f"batch_tokens={trial.batch_tokens} is not a multiple of seq_len={trial.seq_len}; give whole sequences"
        )
        raise QueryError(message, field="batch_tokens")
    check_schedule(trial)


class _Told:
    """Progress over trials that are at different places, in several threads."""

    def __init__(self, progress: Progress | None, trials: Sequence[Trial]) -> None:
        self.progress, self.whole, self.done = progress, POINTS * sum(map(steps, trials)), 0
        self.one = threading.Lock()

    def __call__(self, curves: Sequence[Curve], first: int, last: int) -> None:
        """Tell that trials have these stretches behind them."""
        with self.one:
            self.done += (last - first) * sum(curve.total for curve in curves)
            if self.progress is not None:
                self.progress(min(1.0, self.done / self.whole), [_seen(curve, last) for curve in curves])

    def begins(self) -> None:
        """Tell that all is compiled."""
        if self.progress is not None:
            self.progress(self.done / self.whole)


def _seen(curve: Curve, last: int) -> Seen:
    diverged = curve.diverged_step >= 0
    return Seen(curve.trial, last / POINTS, None if diverged else curve.now(), diverged)


class _Call(NamedTuple):
    """The stretches of one call: from `first` up to before `last`; `measures` says that held-out loss is taken then."""

    first: int
    last: int
    measures: bool


def _calls(trials: Sequence[Trial]) -> list[_Call]:
    """Return the calls of a run: few, as each takes time of its own, then by stretch where held-out loss is taken."""
    short = all(flop(trial) <= SHORT_FLOP and not trial.forecast for trial in trials)
    stride, end = CALL if short else STRIDE, POINTS - SMOOTHED
    calls = [_Call(first, min(first + stride, end), False) for first in range(0, end, stride)]
    return calls + [_Call(point, point + 1, True) for point in range(end, POINTS)]


# On a CPU


def _on_cores(trials: Sequence[Trial], data: Data, told: _Told) -> list[Outcome]:
    ways = [over_soon(trial) for trial in trials]
    programs = {soon: find_program(trials, soon=soon) for soon in set(ways)}
    # trials are kept in step with one another only where they are compared
    together = len(trials) if any(trial.forecast for trial in trials) else 1
    packs = [range(i, min(i + together, len(trials))) for i in range(0, len(trials), together)]
    with ThreadPoolExecutor(cores()) as pool:
        compiling = [
            pool.submit(compiled, trials[0], data) for program in programs.values() for compiled in _compilings(program)
        ]
        for one in compiling:
            one.result()
        told.begins()  # who meters begins here
        begun = time.perf_counter()
        each = pool.map if together == 1 else map
        inner: Any = map if together == 1 else pool.map

        def run(pack: range) -> list[Curve]:
            runner = _Singly([programs[ways[i]] for i in pack], [trials[i] for i in pack], data, inner)
            return _lockstep(runner.trials, runner, told)

        curves = [curve for found in each(run, packs) for curve in found]
        seconds = time.perf_counter() - begun
    return outcomes(trials, curves, seconds)


def _compilings(program: Program) -> list[Callable[[Trial, Data], object]]:
    """Return what compiles each part of a program: a call that trains nothing, and one that measures."""
    nothing = np.zeros(CALL, np.int32)
    started = lambda trial: program.start(build_model(trial))
    return [
        lambda trial, data: program.advance(started(trial), hyper_of(trial), data, nothing)[1].block_until_ready(),
        lambda trial, data: program.held_out(started(trial).model, data).block_until_ready(),
    ]


@runtime_checkable
class _Runner(Protocol):
    """Trials in training: `advance` does the next stretches, `held_out` measures."""

    def advance(self, ends: Any) -> tuple[Any, Any, Any]:
        """Train each trial up to its last end; return summed losses by stretch, the step reached, that of divergence."""
        ...

    def held_out(self) -> Any:
        """Return the held-out loss of each trial."""
        ...


class _Singly:
    """Trials run one by one, or on several threads, each by the program of one."""

    def __init__(
        self, programs: Sequence[Program], trials: Sequence[Trial], data: Data, each: Callable[..., Iterator[Any]]
    ) -> None:
        self.programs, self.trials, self.data, self.each = programs, trials, data, each
        self.hypers = [hyper_of(trial) for trial in trials]
        self.states = [program.start(build_model(trial)) for program, trial in zip(programs, trials, strict=True)]

    def advance(self, ends: Any) -> tuple[Any, Any, Any]:
        def one(i: int) -> tuple[Any, Any, Any]:
            state, totals = self.programs[i].advance(self.states[i], self.hypers[i], self.data, ends[i])
            self.states[i] = state
            return np.asarray(totals), np.asarray(state.step), np.asarray(state.diverged_step)

        totals, reached, diverged = zip(*self.each(one, range(len(self.trials))), strict=True)
        return np.stack(totals), np.stack(reached), np.stack(diverged)

    def held_out(self) -> Any:
        one = lambda i: np.asarray(self.programs[i].held_out(self.states[i].model, self.data))
        return np.stack(list(self.each(one, range(len(self.trials)))))


# On an accelerator


class _Packed:
    """Trials run as one vmapped program."""

    def __init__(self, program: Program, trials: Sequence[Trial], data: Data) -> None:
        self.program, self.data = program, data
        self.hyper = _stacked([hyper_of(trial) for trial in trials])
        self.state = _stacked([program.start(build_model(trial)) for trial in trials])

    def advance(self, ends: Any) -> tuple[Any, Any, Any]:
        self.state, totals = self.program.pack_advance(self.state, self.hyper, self.data, ends)
        return jax.device_get((totals, self.state.step, self.state.diverged_step))

    def held_out(self) -> Any:
        return np.asarray(self.program.pack_held_out(self.state.model, self.data))


def _vmapped(trials: Sequence[Trial], program: Program, data: Data, told: _Told) -> list[Outcome]:
    warm = _Packed(program, trials, data)
    warm.advance(np.zeros((len(trials), CALL), np.int32))  # compiles
    warm.held_out()
    del warm  # its state fills the device's memory
    told.begins()  # who meters begins here
    begun = time.perf_counter()
    curves = _lockstep(trials, _Packed(program, trials, data), told)
    return outcomes(trials, curves, time.perf_counter() - begun)


def _stacked(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def pack_width(trial: Trial, program: Program, data: Data) -> int:
    """Return how many trials of a shape fit into the device together, by the compiler's account of one."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" not in stats:
        return MOST_PACKED
    state, ends = program.start(build_model(trial)), np.zeros(CALL, np.int32)
    asked = program.advance.lower(state, hyper_of(trial), data, ends).compile().memory_analysis()
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


# In step


def _lockstep(trials: Sequence[Trial], runner: _Runner, told: _Told) -> list[Curve]:
    curves = [Curve(trial) for trial in trials]
    for first, last, measures in _calls(trials):
        alive = [curve.alive for curve in curves]
        if not any(alive):
            told(curves, first, POINTS)
            break
        # one that was stopped has its end behind it, and is frozen
        ends = np.array([curve.ends_of(first, last) if curve.alive else [0] * CALL for curve in curves], np.int32)
        totals, reached, diverged = runner.advance(ends)
        held = runner.held_out() if measures else np.full(len(curves), np.nan)
        for i, curve in enumerate(curves):
            if alive[i]:
                curve.saw(first, last, totals[i], int(reached[i]))
                curve.held[first:last] = held[i]
                curve.diverged_step = int(diverged[i])
        if FORECAST_FROM <= last / POINTS <= FORECAST_TO:
            _stop_hopeless(curves)
        told(curves, first, last)
    return curves


def _stop_hopeless(curves: Sequence[Curve]) -> None:
    if not any(curve.trial.forecast for curve in curves) or len(curves) == 1:
        return
    forecasts = [
        exponential_forecast(*curve.seen(), at=curve.total) if curve.trial.forecast and curve.alive else None
        for curve in curves
    ]
    for curve, forecast, ends in zip(curves, forecasts, hopeless(forecasts, [c.now() for c in curves]), strict=True):
        if ends:
            curve.stopped, curve.forecast = True, forecast
