"""Who chooses points of a space: all of them, random ones, Sobol's, or the better ones of an earlier round.

A walker is a pure function of the sweep and of the losses known so far, so that a sweep that was interrupted goes on
as if it had not been.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from hplaw.errors import QueryError
from hplaw_experiments.sweep.plan import make_trials, space_of
from hplaw_experiments.sweep.space import Point, Record, count, dimensions, enumerate_points, place
from hplaw_experiments.trial import SweepSpec, Trial, Walker, key


LARGEST_GRID = 1_000_000
"""Points beyond which a full grid is taken for a mistake."""


def points_of(space: Record, walker: Walker) -> list[Point]:
    """Return the points that a walker starts from, each once, in a fixed order.

    >>> from hplaw_experiments.sweep.space import choice, log_grid
    >>> space = Record({"a": choice(1, 2), "b": log_grid(1, 4, 3)})
    >>> len(points_of(space, Walker())), len(points_of(space, Walker(kind="random", points=4)))
    (6, 4)
    """
    total = count(space)
    if walker.kind == "grid" or (walker.kind == "halving" and not walker.points):
        if not total <= LARGEST_GRID:
            size = "endlessly many" if total == math.inf else f"{total:g}"
            message = f"the space has {size} points, more than {LARGEST_GRID:g}; give walker = {{ kind = 'sobol', points = .. }}, or fewer choices"
            raise QueryError(message, field="walker")
        return list(enumerate_points(space))
    if walker.points < 1:
        message = f"walker.points = {walker.points}; say how many points {walker.kind} is to choose"
        raise QueryError(message, field="points")
    wanted = min(walker.points, total)
    found: dict[str, Point] = {}
    for tried, coordinates in enumerate(_coordinates(walker, dimensions(space))):
        point = place(space, coordinates)
        found.setdefault(repr(sorted(point.items(), key=lambda item: item[0])), point)
        if len(found) >= wanted or tried > 200 * walker.points:
            break
    return list(found.values())


def _coordinates(walker: Walker, size: int) -> Iterator[list[float]]:
    if walker.kind in ("random", "halving"):
        generator = np.random.default_rng(walker.seed)
        while True:
            yield generator.random(size).tolist()
    from scipy.stats.qmc import Sobol

    sobol = Sobol(max(size, 1), scramble=True, rng=np.random.default_rng(walker.seed))
    while True:
        yield from sobol.random(1)[:, :size].tolist()


def shares(walker: Walker) -> list[float]:
    """Return the shares of the full budget that the rounds of a walker train for, the last 1.

    >>> shares(Walker(kind="halving", eta=3, least=0.1))
    [0.1111111111111111, 0.3333333333333333, 1.0]
    """
    if walker.kind != "halving":
        return [1.0]
    if walker.eta < 2 or not 0 < walker.least <= 1:
        message = f"halving with `eta` = {walker.eta}, `least` = {walker.least:g}; give `eta` >= 2 and 0 < `least` <= 1"
        raise QueryError(message, field="walker")
    rounds = math.floor(math.log(1 / walker.least) / math.log(walker.eta) + 1e-9)
    return [walker.eta ** -float(left) for left in range(rounds, -1, -1)]


class Round(NamedTuple):
    """The trials of one round of a walker, each with the point of the space that it is of."""

    trials: list[Trial]
    points: list[Point]


def rounds(spec: SweepSpec, losses: Mapping[str, float | None], *, guess: bool = False) -> Iterator[Round]:
    """Yield the rounds of a sweep as far as its results tell.

    **Arguments:**

    - `losses`: loss by the key of a trial that is done, None where it diverged.
    - `guess`: all rounds, where what is not done yet counts as diverged: as many trials as there will be.

    A point's loss in a round is its mean over seeds; a diverged one is infinite. When all trials of a round are
    done, its better share `1 / eta` goes on.
    """
    points = points_of(space_of(spec), spec.walker)
    for share in shares(spec.walker):
        pairs = [(trial, point) for point in points for trial in make_trials(spec, [point], share=share)]
        found: dict[str, tuple[Trial, Point]] = {}
        for trial, point in sorted(pairs, key=lambda pair: spec.seeds.index(pair[0].seed)):
            found.setdefault(key(trial), (trial, point))
        yield Round([trial for trial, _ in found.values()], [point for _, point in found.values()])
        if not guess and any(name not in losses for name in found):
            break
        points = _better(spec, points, share, losses)


def next_trials(spec: SweepSpec, losses: Mapping[str, float | None], *, guess: bool = False) -> list[Trial]:
    """Return the trials that a sweep asks for as far as its results tell, those done among them; see `rounds`."""
    asked = [trial for one in rounds(spec, losses, guess=guess) for trial in one.trials]
    return list({key(trial): trial for trial in asked}.values())


def _better(spec: SweepSpec, points: list[Point], share: float, losses: Mapping[str, float | None]) -> list[Point]:
    def mean(point: Point) -> float:
        found = [losses.get(key(trial)) for trial in make_trials(spec, [point], share=share)]
        return float(np.mean([math.inf if loss is None else loss for loss in found]))

    kept = max(1, len(points) // spec.walker.eta)
    best = sorted(range(len(points)), key=lambda number: (mean(points[number]), number))[:kept]
    return [points[number] for number in sorted(best)]
