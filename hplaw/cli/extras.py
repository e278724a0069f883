"""What an extra installs: a command that cannot do without says which one is missing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from hplaw.errors import DataError, HplawError, install


_OWN = ("hplaw", "hplaw_experiments")


@contextmanager
def needing(what: str, extra: str = "sweep", *, error: type[HplawError] = DataError) -> Generator[None]:
    """Say in one sentence which extra is missing.

    **Raises:** `error`; a module of hplaw's own that is missing is a defect, and stays one.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] in _OWN:
            raise
        message = f"{what} needs {missing.name}; {install(extra)}"
        raise error(message) from None
