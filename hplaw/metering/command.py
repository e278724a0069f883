"""A command run as if it had been started by itself, with its energy metered."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import FrameType

from hplaw.metering.meter import AbstractMeter, Energy


NOT_FOUND, NOT_RUN = 127, 126
"""The exit statuses of shells for a command that is not there, and for one that cannot be run."""

KILLED = 128
"""What shells add to the number of the signal that ended a command."""

KEYS = ("SIGINT", "SIGQUIT")
"""Signals that a terminal sends to all processes in its foreground when keys are pressed."""

PASSED = (*KEYS, "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
"""Signals that are passed on to the command, as far as the system has them."""


def run_metered(command: Sequence[str], meter: AbstractMeter) -> tuple[int, Energy]:
    """Return the exit status of a command, as a shell gives it, and what it drew.

    The command has this process's standard streams, and gets the signals that this process gets.

    **Raises:** `OSError` where it cannot be started.
    """
    with _signals_passed_on() as to:
        meter.start()
        child = subprocess.Popen(list(command), close_fds=False)
        to(child)
        status = child.wait()
        found = meter.stop()
    return (KILLED - status if status < 0 else status), found


@contextmanager
def _signals_passed_on() -> Generator[Callable[[subprocess.Popen[bytes]], None]]:
    """Pass signals on to the process that is named in the block; those that come before wait for it."""
    child: list[subprocess.Popen[bytes]] = []
    early: list[int] = []
    keys = {getattr(signal, name) for name in KEYS if hasattr(signal, name)}

    def pass_on(number: int, frame: FrameType | None) -> None:
        if not child:
            early.append(number)
        elif not (number in keys and _in_foreground()):
            child[0].send_signal(number)

    def to(process: subprocess.Popen[bytes]) -> None:
        child.append(process)
        for number in early:
            process.send_signal(number)

    numbers = [getattr(signal, name) for name in PASSED if hasattr(signal, name)]
    # what is ignored here is ignored by the command too: that is how nohup works
    numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        yield to
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_foreground() -> bool:
    """Return whether the terminal's keys reach the command without our help."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return os.name == "nt"  # where a console sends Ctrl-C to all of its processes
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
