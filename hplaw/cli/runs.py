"""`hplaw runs list`, `query`, `import`, `compact` and `verify`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from hplaw.cli.exit_status import FAILED, OK
from hplaw.cli.extras import needing
from hplaw.cli.page import Page, write
from hplaw.cli.sweep_runs import RUNS, existing
from hplaw.formatting import number, plural
from hplaw.vocabulary.reading import parse_pairs


if TYPE_CHECKING:
    import polars as pl

    from hplaw.runs import Runs


Existing = Annotated[str, Parameter(name="DIR", help="The folder of runs, or their address in an object store.")]

SHOWN = 40
"""Rows of an answer that are shown on a page; a file gets all."""


def list_runs(folder: Existing = RUNS, /) -> int:
    """List what a folder of runs holds, by sweep."""
    with needing("a table of runs"):
        from hplaw.runs import summary

        found = _read(folder)
        rows = summary(found.table)
    _show(rows)
    print(plural(len(found.table), "run"))
    return OK


def query(
    folder: Existing,
    sql: Annotated[str, Parameter(name="SQL", help="A question to the table runs, or a condition.")],
    /,
    *,
    to: Annotated[Path | None, Parameter(help="A table to write: .csv, .jsonl or .parquet.")] = None,
) -> int:
    """Query a folder of runs in SQL."""
    with needing("a table of runs"):
        from hplaw.runs import export, known, query

        found = query(_read(folder).table, sql)
        if to is not None:
            export(found, to)
    if to is not None:
        print(f"wrote {to}: {plural(len(found), 'row')}")
    else:
        _show(known(found))
    return OK


def import_(
    file: Annotated[Path, Parameter(name="FILE", help="CSV with # comments, parquet, or a W&B export.")],
    /,
    *,
    to: Annotated[str, Parameter(help="The folder of runs, or an address: s3://BUCKET/PATH, gs://, az://.")] = RUNS,
    map_: Annotated[
        list[str] | None,
        Parameter(
            name="--map",
            negative=(),
            help="A quantity as a formula over the file's columns: loss=val_loss; may be repeated.",
        ),
    ] = None,
    where: Annotated[str, Parameter(help="Only rows for which this holds, in SQL.")] = "",
    name: Annotated[str, Parameter(help="What the runs are listed as.")] = "",
) -> int:
    """Import runs from elsewhere into a folder of runs; a second time adds nothing."""
    with needing("a table of runs"):
        from hplaw.runs import Store, import_runs

        found = import_runs(file, Store(to), maps=parse_pairs(map_, "--map"), where=where, sweep=name)
    left = f"; omitted {plural(found.unfinished, 'run')} that had not ended" if found.unfinished else ""
    print(f"added {found.added} of {plural(found.rows, 'run')} to {to}{left}")
    print(f"  quantities: {', '.join(found.quantities)}")
    return OK


def compact(folder: Existing = RUNS, /) -> int:
    """Put the runs of a folder into one file."""
    with needing("a table of runs"):
        from hplaw.runs import compact

        found = compact(existing(folder))
    for problem in found.problems:
        print(f"hplaw: left as it is: {problem}", file=sys.stderr)
    print(f"{plural(found.runs, 'run')} in {found.path}; {plural(found.replaced, 'file')} replaced")
    return FAILED if found.problems else OK


def verify(folder: Existing = RUNS, /) -> int:
    """Verify every row of a folder of runs, and name what is torn, foreign or not allowed."""
    with needing("a table of runs"):
        from hplaw.runs import verify

        found = verify(existing(folder))
    for problem in found.problems:
        print(f"hplaw: {problem}", file=sys.stderr)
    for path in found.leftovers:
        print(f"hplaw: {path}: half written by a program that was ended; it counts for nothing", file=sys.stderr)
    print(
        f"{plural(found.runs, 'run')} in {plural(found.files, 'file')} are in order; {plural(len(found.problems), 'problem')}"
    )
    return FAILED if found.problems else OK


def _read(folder: str) -> Runs:
    runs = existing(folder).read()
    for problem in runs.problems:
        print(f"hplaw: omitted {problem}", file=sys.stderr)
    return runs


def _show(table: pl.DataFrame) -> None:
    page = Page()
    rows: list[list[str]] = [
        [_cell(value) for value in row.values()] for row in table.head(SHOWN).iter_rows(named=True)
    ]
    page.table(rows, head=table.columns, indent=0)
    if len(table) > SHOWN:
        page.line(f"... {len(table) - SHOWN} more rows; --to FILE writes all")
    write(str(page))


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool() | str():
            return str(value)
        case int() | float():
            return number(float(value), digits=4)
        case list():
            return f"[{plural(len(value), 'value')}]"  # pyright: ignore[reportUnknownArgumentType]
        case _:
            return str(value)
