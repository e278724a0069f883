"""What a long command says while it works."""

import io
from typing import Any

import pytest

from hplaw.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_long_command_says_the_time_left_and_a_short_one_little(kind: Any) -> None:
    now, out = 0.0, kind()
    progress = Progress("sweep", out=out, clock=lambda: now)
    for step in range(11):
        now = 20.0 * step
        progress(step / 10, f"{step} of 10 trials")
    progress.end()
    text = out.getvalue()
    assert "sweep: 1 of 10 trials, 10%, 3 min left" in text
    assert "sweep: 9 of 10 trials, 90%, 20 s left" in text
    assert text.count("\n") == (1 if out.isatty() else 10)


def test_what_is_soon_over_leaves_no_line_in_a_log() -> None:
    out = io.StringIO()
    progress = Progress("sweep", out=out, clock=lambda: 0.0)
    for share in (0.0, 0.5, 1.0):
        progress(share, "trials")
    progress.end()
    assert not out.getvalue()


def test_a_new_count_begins_where_the_share_goes_back() -> None:
    now, out = 0.0, io.StringIO()
    progress = Progress("fit", out=out, clock=lambda: now)
    progress(0.0, "sampling")
    now = 100.0
    progress(0.5, "sampling")
    now = 200.0
    progress(0.0, "omitting")
    now = 300.0
    progress(0.5, "omitting")
    assert out.getvalue().splitlines()[-1] == "fit: omitting, 50%, 100 s left"
