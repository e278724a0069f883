"""Tables in and out: CSV with # comments (commas, semicolons or tabs), JSON lines, and parquet where polars is installed.

A CSV cell stays the text it was, so that what nobody asked about comes out as it went in.
"""

from __future__ import annotations

import csv
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hplaw.errors import DataError, QueryError, install
from hplaw.vocabulary.reading import separator_of


STANDARD = Path("-")
"""The path that represents standard input and standard output, in CSV."""

CSV, LINES, PARQUET = "CSV", "JSON lines", "parquet"

FORMATS = {
    ".csv": CSV,
    ".tsv": CSV,
    ".txt": CSV,
    ".jsonl": LINES,
    ".ndjson": LINES,
    ".parquet": PARQUET,
    ".pq": PARQUET,
}
"""The format of a table by the ending of its name."""

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""A number as JSON writes it; 007 is none, but a name."""

LARGEST_CELL = 10_000_000
"""Characters that one CSV cell may hold."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table held by columns.

    **Arguments:**

    - `columns`: a list of cells by column name, all of one length; an empty cell is None.
    - `rows`: the number of rows.
    - `comments`: the lines above the header that begin with #.
    - `problems`: what is wrong with the form of a row, by its place.
    - `separator`: what is between cells where the table is CSV.
    """

    columns: dict[str, list[Any]]
    rows: int
    comments: tuple[str, ...] = ()
    problems: dict[int, str] = {}
    separator: str = ","


def read_table(path: Path | str) -> Table:
    """Return the table in a file; `-` reads CSV from standard input.

    **Raises:** `DataError` where the file cannot be read as the table that its ending says.
    """
    path = Path(path)
    kind = _format(path)
    try:
        if kind == PARQUET:
            return _read_parquet(path)
        body = sys.stdin.buffer.read() if path == STANDARD else path.read_bytes()
    except OSError as error:
        message = f"{path}: {error.strerror or error}"
        raise DataError(message) from None
    return _read_lines(body, path) if kind == LINES else _read_csv(body, path)


def write_table(table: Table, path: Path | str) -> None:
    """Write a table, whole or not at all; `-` writes CSV to standard output.

    A file of that name is replaced only when the new one is complete.
    """
    path = Path(path)
    if path == STANDARD:
        for text in _csv_text(table):
            sys.stdout.write(text)
        return
    kind = _format(path)
    writers: dict[str, Callable[[Table, Path], None]] = {CSV: _write_csv, LINES: _write_lines, PARQUET: _write_parquet}
    try:
        _replace(path, lambda temporary: writers[kind](table, temporary))
    except OSError as error:
        message = f"{path}: {error.strerror or error}"
        raise DataError(message) from None


def refuse_same_file(source: Path, target: Path) -> None:
    """Raise `QueryError` where a table would be written over the one it is read from."""
    if STANDARD not in (source, target) and source.exists() and target.exists():
        if source.samefile(target):
            message = f"--to {target} would replace the table that is read; give another file"
            raise QueryError(message, field="to")


def _format(path: Path) -> str:
    if path == STANDARD or not path.suffix:
        return CSV
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        message = f"{path}: the ending names no table; give one of {', '.join(FORMATS)}"
        raise DataError(message)
    return kind


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    path = path.resolve()
    if path.exists() and not path.is_file():
        write(path)  # a device or a pipe, which must not be renamed away
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_csv(body: bytes, path: Path) -> Table:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{path}: byte {error.start} is not UTF-8; save the table as UTF-8"
        raise DataError(message) from None
    comments: list[str] = []
    lines = io.StringIO(text, newline="")
    previous = csv.field_size_limit(LARGEST_CELL)
    separator = ","
    try:
        kept = list(_without_comments(lines, comments))
        separator = separator_of(next((line for line in kept if line.strip()), ""))
        rows = list(csv.reader(kept, delimiter=separator))
    except csv.Error as error:
        message = f"{path}: {error}"
        raise DataError(message) from None
    finally:
        csv.field_size_limit(previous)
    rows = [row for row in rows if row]
    names = [name.strip() for name in rows[0]] if rows else []
    if not any(names):
        message = f"{path}: no header; the first line names the columns, for example n_params,tokens"
        raise DataError(message)
    _refuse_repeated(names, path)
    columns: dict[str, list[Any]] = {name: [] for name in names}
    problems: dict[int, str] = {}
    for place, row in enumerate(rows[1:]):
        if len(row) != len(names):
            problems[place] = f"the row has {len(row)} cells where the header has {len(names)}"
            row = [*row, *[""] * (len(names) - len(row))]
        for name, cell in zip(names, row, strict=False):
            columns[name].append(cell if cell.strip() else None)
    return Table(columns=columns, rows=len(rows) - 1, comments=tuple(comments), problems=problems, separator=separator)


def _without_comments(lines: Iterable[str], comments: list[str]) -> Iterator[str]:
    quoted = False  # inside a quoted cell a line may begin with # and belong to it
    header = False
    for line in lines:
        if not quoted and line.startswith("#"):
            if not header:
                comments.append(line.rstrip("\r\n"))
            continue
        quoted ^= line.count('"') % 2 == 1
        header = header or bool(line.strip())
        yield line


def _refuse_repeated(names: Sequence[str], path: Path) -> None:
    for name in names:
        if names.count(name) > 1:
            message = f"{path}: two columns are named '{name}'; give each column a name of its own"
            raise DataError(message)


def _csv_text(table: Table) -> Iterator[str]:
    yield "".join(f"{comment}\n" for comment in table.comments)
    buffer = io.StringIO()
    between = table.separator
    plain = csv.writer(buffer, lineterminator="\n", delimiter=between)
    # a # that opens a line, or that other readers take for a comment, hides behind quotes
    quoted = csv.writer(buffer, lineterminator="\n", delimiter=between, quoting=csv.QUOTE_ALL)
    for row in (list(table.columns), *zip(*table.columns.values(), strict=True)):
        cells = [_csv_cell(cell) for cell in row]
        hides = any("#" in cell for cell in cells)
        (quoted if hides else plain).writerow(cells)
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _csv_cell(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, float):
        return repr(cell)
    return msgspec.json.encode(cell).decode() if isinstance(cell, dict | list | bool) else str(cell)


def _write_csv(table: Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(_csv_text(table))


def _read_lines(body: bytes, path: Path) -> Table:
    decoder = msgspec.json.Decoder(dict[str, Any])
    records: list[dict[str, Any]] = []
    for place, line in enumerate(body.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            records.append(decoder.decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            message = f"{path}: line {place} is no JSON object ({error})"
            raise DataError(message) from None
    names = list(dict.fromkeys(name for record in records for name in record))
    if not names:
        message = f"{path}: no rows; give one JSON object a line"
        raise DataError(message)
    columns = {name: [record.get(name) for record in records] for name in names}
    return Table(columns=columns, rows=len(records))


def _write_lines(table: Table, path: Path) -> None:
    columns = {name: _typed(cells) for name, cells in table.columns.items()}
    with path.open("wb") as file:
        for row in zip(*columns.values(), strict=True):
            file.write(msgspec.json.encode(dict(zip(columns, row, strict=True))) + b"\n")


def _typed(cells: list[Any]) -> list[Any]:
    """Return a column of texts as numbers where every cell is one as JSON writes it, otherwise as it is."""
    texts = [cell.strip() for cell in cells if isinstance(cell, str)]
    if not texts or not all(NUMBER.fullmatch(text) for text in texts):
        return cells
    kind = int if all(text.lstrip("-").isdigit() for text in texts) else float
    return [kind(cell) if isinstance(cell, str) else cell for cell in cells]


def _polars(path: Path) -> Any:
    try:
        import polars as pl
    except ImportError:
        message = f"{path}: a parquet table needs polars; {install('fit')}, or use CSV"
        raise DataError(message) from None
    return pl


def _read_parquet(path: Path) -> Table:
    pl = _polars(path)
    if not path.is_file():
        message = f"{path}: no such file"
        raise DataError(message)
    try:
        frame = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        message = f"{path}: {error}"
        raise DataError(message) from None
    return Table(columns=frame.to_dict(as_series=False), rows=frame.height)


def _write_parquet(table: Table, path: Path) -> None:
    pl = _polars(path)
    columns = {name: _typed(cells) for name, cells in table.columns.items()}
    pl.DataFrame(columns, strict=False).write_parquet(path)
