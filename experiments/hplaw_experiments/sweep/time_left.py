"""How long a sweep will still take, learned from its own packs.

A pack takes a time for each step and a time for each FLOP, both unknown; a shape is compiled once, before its first
pack. The two prices follow from the packs trained so far, by least squares with a weak prior that each makes half of
the first pack's time: a prior that knows no device. So a sweep over batches, whose packs differ in steps a thousandfold
at equal FLOP, is not judged by its first pack alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hplaw_experiments.sweep.plan import COMPILE_S
from hplaw_experiments.trial import Trial, shape_key, steps


PRIOR = 0.1
"""Weight of the prior, in packs."""

LEAST_SHARE = 0.1
"""Share of a pack that is done before its pace is believed."""

LEAST_S = 10.0
"""Seconds before an estimate is worth showing."""


class Work(NamedTuple):
    """What a pack is: its shape, its steps and its FLOP, those of its trials together."""

    shape: str
    steps: float
    flop: float


def work_of(pack: Sequence[Trial]) -> Work:
    """Return the work of a pack of trials of one shape.

    >>> work_of([Trial(width=128, tokens=6400, batch_tokens=64, peak_lr=1e-3)] * 2)[1:]
    (200, 1985740800.0)
    """
    from hplaw_experiments.training.train import flop

    return Work(shape_key(pack[0]), sum(map(steps, pack)), sum(map(flop, pack)))


class TimeLeft:
    """The time that packs will still take.

    **Arguments:**

    - `packs`: what is to be trained, by name, in the order in which it will be.
    - `now`: seconds, of any origin, as in all calls.
    """

    def __init__(self, packs: dict[str, Work], now: float) -> None:
        self._left = dict(packs)
        self._start = self._since = now
        self._current: tuple[str, float, float] | None = None  # its name, when it was compiled, the share done
        self._spent = 0.0  # seconds of the current pack when that share was done
        self._seen: list[tuple[Work, float]] = []
        self._shapes: set[str] = set()
        self._compiled: list[float] = []
        self._apart = True  # packs of other processes do not tell when they are compiled: their time holds that

    def put(self, packs: dict[str, Work]) -> None:
        """Replace what is still to be trained."""
        self._left = dict(packs)

    def told(self, name: str, share: float, now: float) -> None:
        """Note a share of a pack: 0 when it is compiled."""
        if name not in self._left:
            return
        if self._current is None or self._current[0] != name:
            shape = self._left[name].shape
            if shape not in self._shapes:
                self._compiled.append(now - self._since)
                self._shapes.add(shape)
            self._current = (name, now, 0.0)
        self._current = (*self._current[:2], share)
        self._spent = now - self._current[1]

    def ended(self, name: str, now: float) -> None:
        """Note that a pack is stored."""
        work = self._left.pop(name, None)
        if work is not None:
            tells = self._current is not None and self._current[0] == name
            began = self._current[1] if self._current is not None and tells else self._since
            self._apart &= tells
            self._seen.append((work, now - began))
            self._shapes.add(work.shape)
        self._current, self._since = None, now

    def left(self, now: float) -> float | None:
        """Return the seconds that are left; None while that is not worth saying."""
        seen = list(self._seen)
        current = self._current
        if current is not None and current[2] >= LEAST_SHARE:
            work = self._left[current[0]]
            seen.append((Work(work.shape, work.steps * current[2], work.flop * current[2]), self._spent))
        if not seen or now - self._start < LEAST_S:
            return None
        a_step, a_flop = prices(seen)
        total = sum(a_step * work.steps + a_flop * work.flop for work in self._left.values())
        if current is not None:
            work = self._left[current[0]]
            whole = a_step * work.steps + a_flop * work.flop
            # a pack that got on is judged by its own pace
            own = self._spent / current[2] if current[2] >= LEAST_SHARE else whole
            total += max(own - (now - current[1]), 0.0) - whole
        fresh = {work.shape for work in self._left.values()} - self._shapes
        compiling = sum(self._compiled) / len(self._compiled) if self._compiled else COMPILE_S
        if self._apart and fresh:
            total += len(fresh) * compiling - (min(compiling, now - self._since) if current is None else 0.0)
        return max(total, 0.0)


def prices(seen: Iterable[tuple[Work, float]]) -> tuple[float, float]:
    """Return the seconds of a step and of a FLOP that packs and their times tell, neither below 0.

    >>> steps, flop = prices([(Work("a", 1000, 1e9), 3.0), (Work("b", 100, 1e9), 1.2), (Work("c", 10, 1e9), 1.02)])
    >>> 0.0018 < steps < 0.0022, 0.9e-9 < flop < 1.1e-9
    (True, True)
    """
    packs = [(work.steps, work.flop, max(seconds, 1e-6)) for work, seconds in seen]
    mean = sum(seconds for *_, seconds in packs) / len(packs)
    # in units of the first pack: each price is the share of its time; errors grow with the square root of the time
    steps_1, flop_1, first = packs[0]
    rows = [(s / steps_1, f / flop_1, t / first, 1 / (t * (t + mean))) for s, f, t in packs]
    scale = sum(w * t * t for *_, t, w in rows)
    prior = PRIOR * scale / len(rows)
    ss = sum(w * s * s for s, _, _, w in rows) + prior
    ff = sum(w * f * f for _, f, _, w in rows) + prior
    sf = sum(w * s * f for s, f, _, w in rows)
    st = sum(w * s * t for s, _, t, w in rows) + prior / 2
    ft = sum(w * f * t for _, f, t, w in rows) + prior / 2
    det = ss * ff - sf * sf
    a, b = (st * ff - ft * sf) / det, (ft * ss - st * sf) / det
    if a < 0:
        a, b = 0.0, ft / ff
    if b < 0:
        a, b = st / ss, 0.0
    return a * first / steps_1, b * first / flop_1
