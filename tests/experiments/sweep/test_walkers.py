"""Walkers: which points of a space are run, and which runs would teach most."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hplaw.errors import QueryError
from hplaw_experiments.recipes.next_best import RUNS_PER_CELL, Block, gain, next_best, seen
from hplaw_experiments.sweep.plan import space_of
from hplaw_experiments.sweep.walkers import next_trials, points_of, shares
from hplaw_experiments.trial import SweepSpec, Trial, Walker, key


def spec(walker: Walker, **more: object) -> SweepSpec:
    space = {"peak_lr": {"log_grid": [1e-4, 1e-1, 9]}, "width": [8, 16, 32]}
    return SweepSpec(name="s", training={"tokens": 9600, "batch_tokens": 32}, space={**space, **more}, walker=walker)


@pytest.mark.parametrize("kind", ["random", "sobol"])
def test_points_are_seeded_and_each_once(kind: str) -> None:
    space = space_of(spec(Walker()))
    walker = Walker(kind=kind, points=12, seed=3)  # type: ignore[arg-type]
    points = points_of(space, walker)
    assert points == points_of(space, walker)
    assert len({tuple(p.items()) for p in points}) == len(points) == 12
    assert points != points_of(space, Walker(kind=kind, points=12, seed=4))  # type: ignore[arg-type]


def test_sobol_covers_more_evenly_than_random() -> None:
    space = space_of(spec(Walker(), peak_lr={"log_range": [1e-4, 1e-1]}))

    def gap(kind: str) -> float:
        points = points_of(space, Walker(kind=kind, points=64))  # type: ignore[arg-type]
        return float(np.max(np.diff(np.sort([math.log(p["peak_lr"]) for p in points]))))

    assert gap("sobol") < gap("random")


def test_asking_for_more_points_than_there_are_gives_all() -> None:
    assert len(points_of(space_of(spec(Walker())), Walker(kind="random", points=1000))) == 27


def test_an_endless_space_has_no_grid() -> None:
    endless = spec(Walker(), peak_lr={"log_range": [1e-4, 1e-1]})
    with pytest.raises(QueryError, match="endlessly many"):
        points_of(space_of(endless), Walker())


def loss(trial: Trial) -> float | None:
    best = 1e-2
    return None if trial.peak_lr > 0.09 else math.log(trial.peak_lr / best) ** 2 + 1 / trial.width


def test_halving_keeps_the_better_share_and_ends_at_the_full_budget() -> None:
    sweep = spec(Walker(kind="halving", eta=3, least=0.1))
    assert shares(sweep.walker) == pytest.approx([1 / 9, 1 / 3, 1])
    losses: dict[str, float | None] = {}
    sizes = []
    while True:
        asked = next_trials(sweep, losses)
        fresh = [trial for trial in asked if key(trial) not in losses]
        if not fresh:
            break
        sizes.append(len(fresh))
        losses |= {key(trial): loss(trial) for trial in fresh}
    assert sizes == [27, 9, 3]
    full = [trial for trial in asked if trial.tokens == 9600]
    assert len(full) == 3
    assert min(full, key=lambda t: loss(t) or math.inf).width == 32
    assert all(loss(trial) is not None for trial in full)


def test_halving_goes_on_from_what_is_known() -> None:
    sweep = spec(Walker(kind="halving"))
    first = next_trials(sweep, {})
    some = {key(trial): loss(trial) for trial in first[:5]}
    assert next_trials(sweep, some) == first


# The next best runs

covariances = st.integers(1, 4).map(
    lambda n: (lambda a: a @ a.T + 0.1 * np.eye(n))(np.random.default_rng(n).normal(size=(n, n)))
)


@given(covariances, st.integers(0, 99))
def test_seeing_runs_narrows_by_their_gain(covariance: np.ndarray, seed: int) -> None:
    random = np.random.default_rng(seed)
    n = len(covariance)
    block, target = random.normal(size=(3, n)), random.normal(size=(2, n))
    before = np.trace(target @ covariance @ target.T)
    after = np.trace(target @ seen(covariance, block) @ target.T)
    saved = gain(covariance, block, target, np.eye(2))
    assert saved >= 0
    assert saved == pytest.approx(0.5 * (before - after), rel=1e-9, abs=1e-12)


def test_cheap_runs_that_teach_the_same_come_first() -> None:
    def block(cell: str, gradient: float, flop: float, runs: int = 2) -> Block:
        return Block(cell=cell, gradients=np.full((runs, 1), gradient), flop=flop, runs=({},) * runs)

    blocks = [block("dear", 1.0, 10.0), block("cheap", 1.0, 1.0), block("mute", 0.0, 0.1)]
    one = np.eye(1)
    chosen = next_best(blocks, covariance=one, target=one, curvature=one, runs=4)
    assert [b.cell for b in chosen] == ["cheap", "dear"]
    full = next_best(blocks, covariance=one, target=one, curvature=one, runs=9, done={"cheap": RUNS_PER_CELL - 1})
    assert [b.cell for b in full] == ["dear"]
