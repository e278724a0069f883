"""What tuning is worth by its own scores: the best that some trials find, and how far tuning seeds flatter it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from hplaw.errors import DataError


class Optimism(msgspec.Struct, frozen=True, kw_only=True):
    """A setting chosen on tuning seeds and judged on test seeds; `gap` is by how much the first is better."""

    setting: str
    tuning_score: float
    test_score: float
    gap: float


def expected_best(scores: Sequence[float], n_trials: int) -> float:
    """Return the mean of the maximum of some scores drawn without replacement.

    sum over the order statistics s_(i) of s_(i) C(i - 1, k - 1) / C(n, k).

    **Arguments:**

    - `scores`: of the settings tried, higher is better; negate a loss.
    - `n_trials`: k, how many of them are drawn.

    **Raises:** `DataError` for a score that is not finite, or more trials than scores.

    >>> expected_best(range(1, 11), 3)
    8.25
    """
    ordered = sorted(float(score) for score in scores)
    if not all(math.isfinite(score) for score in ordered):
        message = "a score is not finite; omit what failed, or give it the worst score"
        raise DataError(message)
    if not 1 <= n_trials <= len(ordered):
        message = f"n_trials={n_trials}: between 1 and the {len(ordered)} settings that were scored can be drawn"
        raise DataError(message)
    return math.fsum(
        score * math.comb(place, n_trials - 1) / math.comb(len(ordered), n_trials)
        for place, score in enumerate(ordered)
    )


def optimism(tuning: Mapping[str, Sequence[float]], test: Mapping[str, Sequence[float]]) -> Optimism:
    """Return the setting with the best mean over its tuning seeds, and what it scores on test seeds.

    **Arguments:**

    - `tuning`, `test`: scores by setting and seed, higher is better; the seeds of the two must differ.

    **Raises:** `DataError` where a setting has no score in one of them.

    >>> found = optimism({"a": [1.0, 3.0], "b": [2.5, 2.5]}, {"a": [2.0], "b": [2.0, 2.2]})
    >>> found.setting, round(found.gap, 6)
    ('b', 0.4)
    """
    if not tuning or set(tuning) != set(test) or not all((*tuning.values(), *test.values())):
        message = "each setting needs scores on tuning seeds and on test seeds; one has them on one side only"
        raise DataError(message)
    mean = {name: math.fsum(scores) / len(scores) for name, scores in tuning.items()}
    best = max(mean, key=lambda name: mean[name])
    score = math.fsum(test[best]) / len(test[best])
    return Optimism(setting=best, tuning_score=mean[best], test_score=score, gap=mean[best] - score)
