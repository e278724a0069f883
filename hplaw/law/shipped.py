"""Single laws of theory that the library itself works with, read without the other laws."""

from __future__ import annotations

import functools as ft
from importlib.resources import as_file, files

from hplaw.law.law import Law
from hplaw.law.read import read_law


@ft.lru_cache(maxsize=64)
def theory_law(identity: str) -> Law:
    """Return a shipped law of theory by its id.

    **Raises:** `OSError` where none of that id is shipped.

    >>> theory_law("schedule-cosine").gives
    ('learning_rate',)
    """
    with as_file(files("hplaw_laws") / "theory" / f"{identity}.toml") as file:
        return read_law(file)
