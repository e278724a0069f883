"""How far a long command is and how long it will still take: one line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO


EVERY_S = 15.0
"""Seconds between two lines where they cannot be written over."""

BLINK_S = 0.2
"""Seconds between two states of the line of a terminal."""


class Progress:
    """Says a share that is done, what it is of, and the time left at the pace so far.

    **Arguments:**

    - `name`: text before each line.
    - `out`: where lines go; standard error by default.
    - `clock`: seconds, of any origin.
    """

    def __init__(self, name: str, *, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._out, self._clock = name, out or sys.stderr, clock
        self._over = self._out.isatty()
        self._first = (0.0, 0.0)
        self._last: float | None = None
        self._said: float | None = None

    def __call__(self, share: float, words: str) -> None:
        """Say that a share is done, and the time left at the pace so far; a share that goes back begins a new count."""
        now = self._clock()
        if self._last is None or share < self._last:
            self._first = now, share
        self._last = share
        began, start = self._first
        self.say(share, words, (now - began) * (1 - share) / (share - start) if start < share < 1 else None)

    def say(self, share: float, words: str, left: float | None) -> None:
        """Say that a share is done, if it is time to, and the seconds left where they are known."""
        now = self._clock()
        if self._said is None and not self._over:
            self._said = now  # what is over soon needs no line
        pause = BLINK_S if self._over else EVERY_S
        if self._said is not None and now - self._said < pause and not (self._over and share >= 1):
            return
        self._said = now
        line = f"{self._name}: {words}, {share:.0%}" + ("" if left is None else f", {duration(left)} left")
        before, after = ("\r\x1b[K", "") if self._over else ("", "\n")
        print(before + line, end=after, file=self._out, flush=True)

    def end(self) -> None:
        """Leave the line as it is."""
        if self._over and self._said is not None:
            print(file=self._out, flush=True)


def duration(seconds: float) -> str:
    """Return a time for display.

    >>> duration(95), duration(600), duration(9000)
    ('95 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
