"""The scores of a fit in words, each with the verdict on it where it has one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec


UNLIKELY = 0.005
"""Share of replicates on one side of the data below which a check fails, each side."""
LEAST_COVERAGE = 0.7
"""Share of left-out groups or runs that 90% intervals must hold."""

CHECKS = {"noise": "the size of the noise", "tail": "the tail of the noise", "bias": "the bias of groups"}
"""What replicates are compared with the data in."""

_CHECK = re.compile(rf"check_({'|'.join(CHECKS)})(?:_(\d+))?\Z")
_PLAIN = {"groups": "groups held out, one at a time", "ranges": "ranges of runs held out, one at a time"}
_PERCENT = {
    "error_percent": "mean error on held-out runs",
    "error_percent_largest": "mean error on the largest runs, held out",
    "regret_percent_mean": "excess loss at the predicted setting of a held-out group, mean",
    "regret_percent_max": "excess loss at the predicted setting of a held-out group, maximum",
}
_COVERED = {"coverage_runs": "held-out runs", "coverage_largest": "the largest runs, held out,"}


class Score(msgspec.Struct, frozen=True):
    """One score: what it is of, its value as text, whether it is good enough, and what is.

    `passed` is None for a score that nothing is asked of.
    """

    words: str
    value: str
    passed: bool | None = None
    allowed: str = ""

    @property
    def verdict(self) -> str:
        """Return the verdict in words; nothing where nothing is asked."""
        return "" if self.passed is None else f"{'passed' if self.passed else 'FAILED'} ({self.allowed})"

    @property
    def line(self) -> str:
        """Return the score in a line.

        >>> Score("held-out runs", "90%", True, "at least 70%").line
        'held-out runs: 90%, passed (at least 70%)'
        """
        return f"{self.words}: {self.value}" + (f", {self.verdict}" if self.verdict else "")


def covers(share: float) -> bool:
    """Return whether intervals hold enough of what was held out."""
    return share >= LEAST_COVERAGE


def likely(share: float) -> bool:
    """Return whether the data lie among their replicates, of which this share is above them."""
    return UNLIKELY <= share <= 1 - UNLIKELY


def read_scores(scores: Mapping[str, float], observed: Sequence[str]) -> list[Score]:
    """Return scores, by the names that a law file has for them, in words.

    **Arguments:**

    - `observed`: the quantities that replicates were made of, in the order in which their checks are counted.

    >>> read_scores({"check_tail": 0.001}, ["loss"])[0].verdict
    'FAILED (0.005 to 0.995)'
    """
    return [_score(name, value, observed) for name, value in scores.items()]


def _score(name: str, value: float, observed: Sequence[str]) -> Score:
    check = _CHECK.match(name)
    if check is not None:
        of = f" of {observed[int(check[2]) - 1]}" if check[2] else ""
        words = f"replicates{of} above the data in {CHECKS[check[1]]}, share"
        return Score(words, f"{value:.3f}", likely(value), f"{UNLIKELY} to {1 - UNLIKELY}")
    if name.startswith("coverage_"):
        what = _COVERED.get(name) or f"the best {name.removeprefix('coverage_')} of held-out groups"
        return Score(
            f"{what} inside their 90% intervals", f"{value:.0%}", covers(value), f"at least {LEAST_COVERAGE:.0%}"
        )
    if name in _PERCENT:
        return Score(_PERCENT[name], f"{value:.3g}%")
    return Score(_PLAIN.get(name, name.replace("_", " ")), f"{value:g}")
