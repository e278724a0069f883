"""The command line, run in this process."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from hplaw.cli import main


class Done(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str

    def check_misused(self, says: str) -> None:
        """Assert that the words were refused in one sentence that says so."""
        assert (self.status, self.out) == (2, "")
        assert self.err.startswith("hplaw: ")
        assert self.err.count("\n") == 1
        assert says in self.err


Run = Callable[..., Done]


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `hplaw` with the words given, on a page of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words: object) -> Done:
        capfdbinary.readouterr()
        status = main([str(word) for word in words])
        out, err = capfdbinary.readouterr()
        return Done(status, out.decode(), err.decode())

    return call
