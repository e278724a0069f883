"""Ctrl-C in a command that computes for long: one line on what is kept and how to go on, and the end at once.

XLA's programs do not see Python's signals, and a pool of threads is waited for when it is left. So a thread reads the
signal from a socket that the system writes to, says the line and ends the process: whatever is stored is stored whole.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from hplaw.cli.exit_status import STOPPED


@contextmanager
def stopping(words: Callable[[], str], close: Callable[[], object]) -> Generator[None]:
    """End the process at Ctrl-C with one line and status 130, wherever it computes.

    Within a thread, or where the signal is ignored, as in a shell's background, nothing is changed.

    **Arguments:**

    - `words`: what is said.
    - `close`: ends workers, before the process ends.
    """
    before: Any = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before in (signal.SIG_IGN, None):
        yield
        return
    reads, writes = socket.socketpair()
    writes.setblocking(False)

    def listen() -> None:
        while body := reads.recv(1):
            if body[0] == signal.SIGINT:
                _end(words, close)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    old = signal.set_wakeup_fd(writes.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, _nothing)
    try:
        yield
    finally:
        signal.set_wakeup_fd(old)
        signal.signal(signal.SIGINT, before)
        writes.close()
        listener.join()
        reads.close()


def _nothing(signum: int, frame: FrameType | None) -> None:
    """Take a signal that the listener answers."""


def _end(words: Callable[[], str], close: Callable[[], object]) -> None:
    try:
        sys.stdout.flush()
        print(words(), file=sys.stderr, flush=True)
        close()
    finally:
        os._exit(STOPPED)
