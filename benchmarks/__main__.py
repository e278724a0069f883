"""`python -m benchmarks`, which `make bench` calls: run the benchmarks and print what was measured and what is asked for.

A benchmark is a module of this package with a function `run()` that returns rows: `name`, `value`, `unit`, `limit`
(text, or None where nothing is asked for) and `ok`. A new one is added to `BENCHMARKS`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


Row = dict[str, Any]

BENCHMARKS = (
    "startup",
    "serving",
    "decision",
    "bootstrap",
    "quality",
    "packed",
    "transformer",
    "few_runs",
    "energy",
    "formats",
    "device_energy",
    "layouts",
    "recipes",
)
"""Modules of this package, in the order in which they run."""

HEAD = ("benchmark", "what", "measured", "target", "met")

MISSED, BROKEN = 1, 2
"""Exit statuses: a target was missed; a benchmark could not be run."""


def measure(names: Iterable[str]) -> tuple[list[Row], list[str]]:
    """Return the rows of the benchmarks named, and those that could not be run."""
    rows: list[Row] = []
    broken: list[str] = []
    for name in names:
        begun = time.perf_counter()
        print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
        try:
            found = importlib.import_module(f"benchmarks.{name}").run()
        except Exception as error:  # the other benchmarks still tell something
            print(f"cannot be run: {type(error).__name__}: {error}", file=sys.stderr)
            broken.append(name)
        else:
            print(f"{time.perf_counter() - begun:.0f} s", file=sys.stderr)
            rows += [{"benchmark": name, **row} for row in found]
    return rows, broken


def table(rows: Sequence[Row]) -> str:
    """Return rows as a table, aligned for a terminal and in the form of Markdown.

    >>> print(table([{"benchmark": "a", "name": "b", "value": 0.51234, "unit": "1", "limit": ">= 0.5", "ok": True}]))
    | benchmark | what | measured | target | met |
    | --------- | ---- | -------- | ------ | --- |
    | a         | b    | 0.512    | >= 0.5 | yes |
    """
    lines = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    value, unit = row["value"], row["unit"]
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    measured = number if unit == "1" else f"{number} {unit}"
    limit = row["limit"]
    met = "" if limit is None else "yes" if row["ok"] else "NO"
    return (row["benchmark"], row["name"], measured, limit or "", met)


def machine() -> dict[str, Any]:
    """Return what was measured on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
    }


def main(words: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed and quality.")
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        choices=BENCHMARKS,
        help=f"one of {', '.join(BENCHMARKS)}; may be repeated",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the rows as JSON")
    asked = parser.parse_args(words)
    rows, broken = measure([name for name in BENCHMARKS if not asked.only or name in asked.only])
    here = machine()
    print(f"{here['system']}, {here['processors']} processors, Python {here['python']}\n")
    print(table(rows))
    if asked.json is not None:
        asked.json.write_text(json.dumps({"machine": here, "rows": rows}, indent=2) + "\n")
    missed = [row["name"] for row in rows if not row["ok"]]
    if missed:
        print(f"\n{len(missed)} missed: {'; '.join(missed)}")
    if broken:
        print(f"\ncould not be run: {', '.join(broken)}", file=sys.stderr)
    return BROKEN if broken else MISSED if missed else 0


if __name__ == "__main__":
    sys.exit(main())
