"""A place of runs, one parquet file per finished run, that survives being killed at any moment.

A file is there whole or not at all, in a folder as in an object store. Its name holds the run's key, so that the same
run is not stored twice (rows are counted once by key in any case), and the beginning of the sha256 of its bytes, so
that none is read that is torn or was changed: polars ends the process on some such files.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from hplaw.errors import DataError
from hplaw.runs.bucket import CREDENTIALS, Bucket
from hplaw.runs.folder import Folder
from hplaw.runs.place import AbstractPlace, at_once
from hplaw.runs.schema import MARK, SCHEMA_VERSION, columns, frame_of, make_row


COMPACT = "compact"
"""What the name of a file of many runs has in place of a key."""

NAME = re.compile(r"([A-Za-z0-9_.][A-Za-z0-9_.-]*)-([0-9a-f]{16})\.parquet")
"""The name of a file of runs: key, and the first 16 digits of the sha256 of its bytes."""

ENDING = ".parquet"
"""How the names of files of runs end."""

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+([^/]*)/*(.*)")
"""An address, as s3://bucket/runs, which a path may have robbed of a slash; a drive is one letter."""


class Problem(msgspec.Struct, frozen=True):
    """A file, or a row of one, that was omitted, and why."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


class Runs(msgspec.Struct, frozen=True):
    """The runs of a store, each once, and what was skipped."""

    table: pl.DataFrame
    problems: tuple[Problem, ...]


class Store:
    """The runs in one place.

    **Arguments:**

    - `where`: a folder, made when the first run is put into it, or the address of a bucket: `s3://bucket/runs`.

    **Raises:** `DataError` for an address of another kind, `StoreError` for one that cannot be opened.
    """

    def __init__(self, where: AbstractPlace | Path | str) -> None:
        self.place = where if isinstance(where, AbstractPlace) else open_place(where)

    @property
    def address(self) -> str:
        """Return what opens this store again, in this program and in others."""
        return self.place.address

    def put(self, values: Mapping[str, Any]) -> bool:
        """Store a finished run; return whether it was new.

        **Raises:** `StoreError` where it cannot be written (a full disk); nothing is left of it then.
        """
        row = make_row(values)
        key = str(row["key"])
        if not NAME.fullmatch(file_name(key, b"")):
            message = f"key '{key}' cannot be part of a file's name; give letters and digits"
            raise DataError(message)
        there = [name for name in self.place.names(start=f"{key}-") if name.endswith(ENDING)]
        if any(isinstance(self._table(name), pl.DataFrame) for name in there):
            return False
        name, body = file_of(key, frame_of([row]))
        if name in there:
            # torn or changed
            self.place.write(name, body)
            return True
        return self.place.create(name, body)

    def put_many(self, table: pl.DataFrame) -> str:
        """Store many runs as one file, and return its name."""
        name, body = file_of(COMPACT, table)
        self.place.write(name, body)
        return name

    def tables(self) -> tuple[list[tuple[str, pl.DataFrame]], list[Problem]]:
        """Return the tables of all files that are as they were written, by name, those of many runs first, and what
        is wrong with the others."""
        good: list[tuple[str, pl.DataFrame]] = []
        problems: list[Problem] = []
        found = [name for name in self.place.names() if name.endswith(ENDING) and not name.startswith(".")]
        names = sorted(found, key=_rank)
        for name, table in zip(names, at_once(self._table, names), strict=True):
            if isinstance(table, str):
                problems.append(Problem(self.place.label(name), table))
            else:
                good.append((name, table))
        return good, problems

    def scan(self) -> pl.LazyFrame:
        """Return the runs as a lazy table with all columns, each run once.

        Torn, changed and foreign files are omitted: `tables` names them.
        """
        return _whole(self.tables()[0])

    def read(self) -> Runs:
        """Return the runs, each once, in the order of their keys, and what was skipped."""
        good, problems = self.tables()
        return Runs(_whole(good).sort("key").collect(), tuple(problems))

    def keys(self) -> set[str]:
        """Return the keys of the runs that are stored whole."""
        return {key for _, table in self.tables()[0] for key in table["key"]}

    def _table(self, name: str) -> pl.DataFrame | str:
        """Return the runs in a file, or why it is not read."""
        named = NAME.fullmatch(name)
        if not named:
            return "is no file of runs by its name; import it, or move it elsewhere"
        body = self.place.read(name)
        if isinstance(body, str):
            return body
        if file_name(named[1], body) != name:
            return "is torn or was changed; remove it, and resume the sweep that it is from"
        return runs_of(body)


def open_place(where: Path | str) -> AbstractPlace:
    """Return the place at an address: a bucket's, or a folder's.

    **Raises:** `DataError` for an address of another kind, `StoreError` for a bucket that cannot be opened.

    >>> open_place("runs").address
    'runs'
    """
    named = ADDRESS.fullmatch(str(where))
    if named is None:
        return Folder(Path(where))
    scheme, bucket, prefix = named.groups()
    if scheme not in CREDENTIALS or not bucket:
        schemes = ", ".join(f"{each}://BUCKET/PATH" for each in CREDENTIALS)
        message = f"{scheme}://{bucket}{'/' if prefix else ''}{prefix} is no place of runs; give a folder, or an address such as {schemes}"
        raise DataError(message)
    return Bucket(scheme, bucket, prefix)


def file_name(key: str, body: bytes) -> str:
    """Return the name of a file of runs with that content."""
    return f"{key}-{hashlib.sha256(body).hexdigest()[:16]}.parquet"


def file_of(key: str, table: pl.DataFrame) -> tuple[str, bytes]:
    """Return the name and the bytes of a file of runs."""
    buffer = io.BytesIO()
    table.write_parquet(buffer, metadata={MARK: str(SCHEMA_VERSION)}, statistics=False)
    body = buffer.getvalue()
    return file_name(key, body), body


def runs_of(body: bytes) -> pl.DataFrame | str:
    """Return the runs in the bytes of a file that is whole, or why they are not read."""
    try:
        version = pl.read_parquet_metadata(io.BytesIO(body)).get(MARK)
        table = pl.read_parquet(io.BytesIO(body))
    except (pl.exceptions.PolarsError, ValueError, OSError):
        return "is no parquet; move it elsewhere"
    if version is None:
        return "is no file of runs; import it, or move it elsewhere"
    if version != str(SCHEMA_VERSION):
        return f"has schema {version}, and this program reads {SCHEMA_VERSION}; use a newer hplaw"
    known = columns()
    for name, kind in table.schema.items():
        if name not in known or kind != known[name]:
            return f"has a column '{name}' of type {kind} that no run has"
    return table if "key" in table.columns else "has no column key"


def _whole(good: list[tuple[str, pl.DataFrame]]) -> pl.LazyFrame:
    """Return tables as one, with all columns and each run once."""
    empty = pl.DataFrame(schema=dict(columns()))
    whole = pl.concat([empty, *(table for _, table in good)], how="diagonal").lazy()
    return whole.unique("key", keep="first", maintain_order=True)


def _rank(name: str) -> tuple[bool, str]:
    return (not name.startswith(f"{COMPACT}-"), name)
