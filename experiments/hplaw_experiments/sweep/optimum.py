"""The optimum that a sweep found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from hplaw_experiments.sweep.space import Point
from hplaw_experiments.sweep.walkers import Round, rounds
from hplaw_experiments.trial import SweepSpec, key


RATE = "peak_lr"
"""The field whose best value at an end of its grid says that the grid is too narrow."""


class Optimum(msgspec.Struct, frozen=True, kw_only=True):
    """The point of lowest loss.

    **Arguments:**

    - `setting`: its values of the fields that the sweep varies.
    - `loss`: nat/token, the mean over `seeds` seeds.
    - `edge`: `lowest` or `highest` where the rate is at that end of those tried, all else equal; else empty.
    """

    setting: Point
    loss: float
    seeds: int
    edge: str = ""


def find_optimum(spec: SweepSpec, losses: Mapping[str, float | None]) -> Optimum | None:
    """Return the point of lowest loss, its mean over seeds; None where no trial that is done came to an end.

    A point with a seed that diverged, or is not done, does not count. Of several rounds the last one that has such a
    point is taken, whose trials are the longest.
    """
    for one in reversed(list(rounds(spec, losses))):
        points, means = _means(one, losses)
        number = min(range(len(points)), key=means.__getitem__)
        if means[number] < math.inf:
            varied = [name for name in _names(points) if len({repr(point.get(name)) for point in points}) > 1]
            best = points[number]
            return Optimum(
                setting={name: best[name] for name in varied if name in best},
                loss=means[number],
                seeds=len(spec.seeds),
                edge=_edge(best, points),
            )
    return None


def _means(one: Round, losses: Mapping[str, float | None]) -> tuple[list[Point], list[float]]:
    """Return the points of a round, each once, and the mean loss of each; infinity where a seed has none."""
    found: dict[str, tuple[Point, list[float]]] = {}
    for trial, point in zip(one.trials, one.points, strict=True):
        loss = losses.get(key(trial))
        found.setdefault(repr(point), (point, []))[1].append(math.inf if loss is None else loss)
    return [point for point, _ in found.values()], [float(np.mean(values)) for _, values in found.values()]


def _edge(best: Point, points: Sequence[Point]) -> str:
    """Return at which end of the rates tried with the same other values the best one is, or nothing."""
    others = lambda point: {name: value for name, value in point.items() if name != RATE}
    rates = sorted({point[RATE] for point in points if RATE in point and others(point) == others(best)})
    if len(rates) < 2:
        return ""
    return {rates[0]: "lowest", rates[-1]: "highest"}.get(best[RATE], "")


def _names(points: Sequence[Point]) -> list[str]:
    return list(dict.fromkeys(name for point in points for name in point))
