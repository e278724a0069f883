"""The time left of a sweep is right within a factor 2 after a minute: event times replayed on a clock of the test's own."""

import io
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import pytest

from hplaw.cli.progress import Progress
from hplaw_experiments.launch.job import Job
from hplaw_experiments.sweep.live import Live
from hplaw_experiments.sweep.plan import make_packs
from hplaw_experiments.sweep.time_left import LEAST_S, TimeLeft, Work
from hplaw_experiments.sweep.walkers import next_trials
from hplaw_experiments.training.train import flop
from hplaw_experiments.trial import SweepSpec, Trial, Walker, key, steps


GRID = SweepSpec(
    name="grid",
    model={"family": "transformer", "n_layers": 1, "n_heads": 2, "seq_len": 32},
    data={"source": "language", "options": {"vocab_size": 64}},
    training={"optimizer": "adamw"},
    space={
        "tokens": [51840, 103680],
        "width": [16, 24, 40],
        "batch_tokens": [64, 192, 576, 1728],
        "peak_lr": {"log_grid": [2e-3, 1.28e-1, 4]},
    },
)


MEASURED = (
    (10.32, 2.60),
    (4.99, 4.83),
    (15.91, 5.41),
    (4.36, 2.56),
    (4.56, 9.90),
    (15.71, 5.51),
    (4.55, 3.42),
    (4.72, 3.98),
    (4.62, 17.55),
    (5.11, 5.92),
    (14.65, 14.32),
    (16.27, 13.34),
)
"""Seconds of compilation and of training of each pack of the grid, measured on two busy cores."""


class Estimate(NamedTuple):
    """What was shown at a time, and what was true: seconds left."""

    at: float
    said: float | None
    true: float


Times = Callable[[int, Sequence[Trial]], tuple[float, float]]
"""Seconds of compilation and of training of a pack, by its number and its trials."""


def replay(spec: SweepSpec, times: Times, *, points: int = 8) -> list[Estimate]:
    """Return the estimates of a sweep whose packs take the times given, as `Progress` is told them."""
    now, shown, out = 0.0, list[tuple[float, float | None]](), io.StringIO()
    progress = Progress(spec.name, out=out, clock=lambda: now)

    def report(live: Live) -> None:
        left = live.left()
        progress.say(live.share, f"{live.done} of {len(live.trials)} trials", left)
        shown.append((now, left))

    live = Live(spec.name, report, lambda: now)
    trials = next_trials(spec, {})
    jobs = [Job(store="", sweep=spec.name, trials=tuple(pack)) for pack in make_packs(trials)]
    live.begins(trials, {}, jobs)
    for number, job in enumerate(jobs):
        setup, training = times(number, job.trials)
        now += setup
        live.told(job, 0.0, [])
        for point in range(points):
            now += training / points
            live.told(job, (point + 1) / points, [])
        live.ended(job)
    said = re.findall(r"(\d+%)(?:, ([\d.]+ (?:s|min|h)) left)?\n", out.getvalue())
    assert len(said) > 2  # lines were shown, with a time
    assert said[len(said) // 2][1]
    return [Estimate(at, left, now - at) for at, left in shown]


def check(estimates: Sequence[Estimate]) -> None:
    """Assert that from a minute on every estimate is right within a factor 2, but for the last seconds."""
    judged = [one for one in estimates if one.at >= min(60, estimates[-1].at / 3) and one.true > 10]
    assert len(judged) > 20
    for one in judged:
        assert one.said is not None
        assert one.true / 2 <= one.said <= 2 * one.true, one
    assert all(one.said is None for one in estimates if one.at < LEAST_S)


def test_the_time_left_of_a_measured_sweep_is_right() -> None:
    found = replay(GRID, lambda number, pack: MEASURED[number])
    check(found)
    assert found[-1].at == pytest.approx(sum(map(sum, MEASURED)))


@pytest.mark.parametrize("per_step", [1e-4, 1e-3, 3e-3], ids="{:g} s a step".format)
@pytest.mark.parametrize("rate", [5e8, 5e9], ids="{:g} FLOP/s".format)
@pytest.mark.parametrize("compiling", [0.5, 8.0], ids="{:g} s to compile".format)
def test_the_time_left_is_right_whatever_costs(per_step: float, rate: float, compiling: float) -> None:
    """Steps may cost most, or their FLOP, or compilation: packs of small batches come first, and tell little of others."""
    shapes: set[tuple[int, int]] = set()

    def times(number: int, pack: Sequence[Trial]) -> tuple[float, float]:
        shape = (pack[0].width, pack[0].batch_tokens)
        setup = 0.1 if shape in shapes else compiling * (1 + 0.3 * (number % 3 - 1))
        shapes.add(shape)
        training = sum(per_step * steps(trial) + flop(trial) / rate for trial in pack) / 2
        return setup, training * (1 + 0.2 * (number % 4 - 1.5) / 1.5)

    check(replay(GRID, times))


def test_later_rounds_of_halving_are_counted() -> None:
    spec = msgspec.structs.replace(GRID, walker=Walker(kind="halving", eta=2, least=0.25))
    trials = next_trials(spec, {})
    jobs = [Job(store="", sweep=spec.name, trials=tuple(pack)) for pack in make_packs(trials)]
    whole = next_trials(spec, {}, guess=True)
    known = {key(trial) for trial in trials}
    later = make_packs([trial for trial in whole if key(trial) not in known])
    now = 0.0
    live = Live(spec.name, lambda live: None, lambda: now)
    live.begins(trials, {}, jobs, later)
    for job in jobs:
        live.told(job, 0.0, [])
        now += sum(map(flop, job.trials)) / 1e9
        live.told(job, 1.0, [])
        live.ended(job)
    left = live.left()
    assert left is not None
    true = sum(flop(trial) for pack in later for trial in pack) / 1e9
    assert left == pytest.approx(true, rel=0.2)
    assert live.share == pytest.approx(now / (now + true))


def test_packs_of_other_processes_are_judged_by_their_ends() -> None:
    """Two workers end a pack in turn and tell nothing before: what counts is the time from one end to the next."""
    packs = {str(number): Work("a", 1000, 1e9) for number in range(20)}
    left = TimeLeft(packs, 0.0)
    for number in range(10):
        left.ended(str(number), 30.0 + 15.0 * number)
    found = left.left(165.0)
    assert found is not None
    assert found == pytest.approx(10 * 16.5, rel=0.1)


def test_nothing_is_said_before_a_pack_got_on() -> None:
    left = TimeLeft({"a": Work("a", 100, 1e9), "b": Work("b", 100, 1e9)}, 0.0)
    assert left.left(30.0) is None  # still compiling
    left.told("a", 0.0, 40.0)
    assert left.left(41.0) is None
    left.told("a", 0.5, 50.0)
    found = left.left(50.0)
    assert found is not None
    assert found == pytest.approx(10 + 40 + 20, rel=0.05)  # the rest, compiling the other, the other
