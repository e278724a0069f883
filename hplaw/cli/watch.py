"""`hplaw sweep run --watch`: a live table of the trials of a sweep, in a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from rich.console import Console, Group
from rich.live import Live as Canvas
from rich.table import Table
from rich.text import Text

from hplaw.cli.progress import duration
from hplaw.cli.value_text import value_text
from hplaw.formatting import number


if TYPE_CHECKING:
    from hplaw.runs import Store
    from hplaw_experiments.sweep.live import Live
    from hplaw_experiments.trial import Trial


EVERY_S = 0.25
"""Seconds between two states of the table."""

READING_SHARE = 0.05
"""Share of the time that is spent on reading stored runs at most."""

AROUND = 6
"""Lines of the terminal that are not rows of the table."""

SHOWN = ("loss", "diverged", "energy_j")
"""What is read of a stored run."""


class Stored(NamedTuple):
    """What is shown of a stored run: loss, nat/token, and energy, J; None where there is none."""

    loss: float | None
    diverged: bool
    energy_j: float | None


def terminal() -> bool:
    """Return whether a live table can be shown: standard error is a terminal that moves its cursor."""
    return Console(stderr=True).is_terminal and not Console(stderr=True).is_dumb_terminal


class Watch:
    """Shows each trial of a sweep: its share done, loss so far, whether it diverged, and joules.

    **Arguments:**

    - `store`: where losses and energies of stored runs are read.
    - `console`: where the table goes; standard error by default.
    - `clock`: seconds, of any origin.
    """

    def __init__(
        self, store: Store, *, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.live: Live | None = None
        self._store, self._clock = store, clock
        self._console = Console(stderr=True, highlight=False) if console is None else console
        self._canvas = Canvas(console=self._console, auto_refresh=False)
        self._stored: dict[str, Stored] = {}
        self._drawn = self._read_next = -1e9

    def __call__(self, live: Live, /) -> None:
        """Show how far it is, if it is time to."""
        if self.live is None:
            self._canvas.start()
        self.live = live
        now = self._clock()
        if now - self._drawn >= EVERY_S:
            self._drawn = now
            self._read(live, now)
            self._canvas.update(self._screen(live), refresh=True)

    def end(self) -> None:
        """Show the last state, and leave it on the terminal."""
        if self.live is not None:
            self._read_next = -1e9
            self._read(self.live, self._clock())
            self._canvas.update(self._screen(self.live), refresh=True)
        self._canvas.stop()
        sys.stderr.flush()

    def _read(self, live: Live, now: float) -> None:
        """Read the runs that were stored since, seldom enough that it costs little."""
        done = (live.stored | set(live.losses)) & set(live.trials)
        if now < self._read_next or done <= set(self._stored):
            return
        began = time.perf_counter()
        rows: Any = self._store.scan().select("key", *SHOWN).collect().iter_rows()
        self._stored = {key: Stored(loss, bool(diverged), energy) for key, loss, diverged, energy in rows}
        self._read_next = now + (time.perf_counter() - began) / READING_SHARE

    def _screen(self, live: Live) -> Group:
        varied = _varied(live)
        names = [*varied, "done", "loss"]
        training = [key for key in live.seen if key not in live.stored and key not in live.losses]
        ended = sorted((key for key in live.trials if key in self._stored), key=self._rank)
        energies = [self._stored[key].energy_j for key in ended]
        metered = any(energies)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in (*names, *(["J"] if metered else [])):
            table.add_column(name, justify="right", no_wrap=True)
        room = max(3, self._console.height - AROUND)
        # half of the room is for the best ones of those that ended, where others train
        first = training[: max(room - len(ended), room // 2)]
        last = ended[: room - len(first)]
        for key in first:
            seen = live.seen[key]
            loss = "diverged" if seen.diverged else "" if seen.loss is None else f"{seen.loss:.4g}"
            table.add_row(*_values(live.trials[key], varied), f"{seen.share:.0%}", loss, style="bold")
        for key in last:
            one = self._stored[key]
            loss = "diverged" if one.diverged else "" if one.loss is None else f"{one.loss:.4g}"
            joules = [] if not metered else ["" if one.energy_j is None else number(one.energy_j)]
            style = "red" if one.diverged else ""
            table.add_row(*_values(live.trials[key], varied), "100%", loss, *joules, style=style)
        left = live.left()
        head = f"{live.name}: {live.done} of {len(live.trials)} trials, {live.share:.0%}"
        head += "" if left is None else f", {duration(left)} left"
        head += f", {number(sum(energy or 0 for energy in energies))} J" if metered else ""
        diverged = sum(self._stored[key].diverged for key in ended)
        waiting = len(live.trials) - live.done - len(training)
        counts = [
            (len(training) - len(first), "more training"),
            (len(ended) - len(last), "more done"),
            (waiting, "waiting"),
            (diverged, "diverged"),
        ]
        return Group(Text(head), Text(""), table, Text(", ".join(f"{n} {what}" for n, what in counts if n > 0)))

    def _rank(self, key: str) -> tuple[bool, float]:
        loss = self._stored[key].loss
        return (loss is None, loss or 0.0)


def _varied(live: Live) -> list[str]:
    """Return the fields in which the trials differ, in their order, the seed last."""
    trials = list(live.trials.values())
    if not trials:
        return []
    names = [name for name in trials[0].__struct_fields__ if name != "seed"]
    return [name for name in (*names, "seed") if len({repr(getattr(trial, name)) for trial in trials}) > 1]


def _values(trial: Trial, names: list[str]) -> list[str]:
    fields = msgspec.structs.asdict(trial)
    return [value_text(fields[name]) for name in names]
