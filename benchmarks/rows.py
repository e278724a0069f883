"""What benchmarks share: a line of the report, and files of measurements by others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


Row = dict[str, Any]
"""A line of a report: `name`, `value`, `unit`, `limit` (text, or None) and `ok`."""


def row(name: str, value: float, unit: str = "%", *, most: float | None = None, least: float | None = None) -> Row:
    """Return one line of a benchmark; what has no limit cannot miss it."""
    limit = f"<= {most:g}" if most is not None else f">= {least:g}" if least is not None else None
    ok = (most is None or value <= most) and (least is None or value >= least)
    return {"name": name, "value": value, "unit": unit, "limit": limit, "ok": ok}


def data_file(name: str) -> Path:
    """Return a file of the folder that HPLAW_DATA names.

    **Raises:** `FileNotFoundError` where it is not there.
    """
    folder = os.environ.get("HPLAW_DATA", "")
    path = Path(folder) / name
    if not folder or not path.is_file():
        message = f"HPLAW_DATA names no folder with {name}"
        raise FileNotFoundError(message)
    return path
