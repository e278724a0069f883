"""A folder of runs, one parquet file per finished run, that survives being killed at any moment.

A file is written under a temporary name, forced to the disk, and renamed: it is there whole or not at all. Its name
holds the run's key, so that the same run is not stored twice (rows are counted once by key in any case), and the
beginning of the sha256 of its bytes, so that none is read that is torn or was changed: polars ends the process on
some such files.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from hplaw.errors import DataError, StoreError
from hplaw.runs.schema import MARK, SCHEMA_VERSION, columns, frame_of, make_row


COMPACT = "compact"
"""What the name of a file of many runs has in place of a key."""

NAME = re.compile(r"([A-Za-z0-9_.][A-Za-z0-9_.-]*)-([0-9a-f]{16})\.parquet")
"""The name of a file of runs: key, and the first 16 digits of the sha256 of its bytes."""

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
"""How a path starts that was an address, as s3://bucket/runs; a drive is one letter."""

PART = ".part"
"""How the names of files that are still being written end."""


class Problem(msgspec.Struct, frozen=True):
    """A file, or a row of one, that was omitted, and why."""

    path: Path
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


class Runs(msgspec.Struct, frozen=True):
    """The runs of a store, each once, and what was skipped."""

    table: pl.DataFrame
    problems: tuple[Problem, ...]


class Store:
    """The runs in one folder.

    **Arguments:**

    - `folder`: made when the first run is put into it.

    **Raises:** `DataError` for the address of an object store, which would be taken for a folder of that name.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        start, *rest = self.folder.parts or ("",)
        if ADDRESS.fullmatch(start):
            message = f"{start}//{'/'.join(rest)} is an address, and runs are kept in a folder; mount the object store on all machines (s3fs, gcsfuse, rclone mount), and give the folder where it is mounted"
            raise DataError(message)

    def put(self, values: Mapping[str, Any]) -> bool:
        """Store a finished run; return whether it was new.

        **Raises:** `StoreError` where it cannot be written (a full disk); nothing is left of it then.
        """
        row = make_row(values)
        key = str(row["key"])
        if not NAME.fullmatch(file_name(key, b"")):
            message = f"key '{key}' cannot be part of a file's name; give letters and digits"
            raise DataError(message)
        for path in self.folder.glob(f"{key}-*.parquet"):
            if isinstance(read_file(path), pl.DataFrame):
                return False
        write_whole(self.folder, key, frame_of([row]))
        return True

    def tables(self) -> tuple[list[tuple[Path, pl.DataFrame]], list[Problem]]:
        """Return the tables of all files that are as they were written, those of many runs first, and the others."""
        good: list[tuple[Path, pl.DataFrame]] = []
        problems: list[Problem] = []
        for path in sorted(self.folder.glob("*.parquet"), key=_rank):
            if path.name.startswith("."):
                continue
            found = read_file(path)
            if isinstance(found, str):
                problems.append(Problem(path, found))
            else:
                good.append((path, found))
        return good, problems

    def scan(self) -> pl.LazyFrame:
        """Return the runs as a lazy table with all columns, each run once, for stores too large to be read whole.

        Torn, changed and foreign files are omitted: `tables` names them.
        """
        paths = [path for path, _ in self.tables()[0]]
        if not paths:
            return pl.LazyFrame(schema=dict(columns()))
        found = pl.scan_parquet(paths, schema=dict(columns()), missing_columns="insert", glob=False)
        return found.unique("key", keep="first", maintain_order=True)

    def read(self) -> Runs:
        """Return the runs, each once, in the order of their keys, and what was skipped."""
        good, problems = self.tables()
        empty = pl.DataFrame(schema=dict(columns()))
        whole = pl.concat([empty, *(table for _, table in good)], how="diagonal")
        return Runs(whole.unique("key", keep="first", maintain_order=True).sort("key"), tuple(problems))

    def keys(self) -> set[str]:
        """Return the keys of the runs that are stored whole."""
        return {key for _, table in self.tables()[0] for key in table["key"]}

    def leftovers(self) -> list[Path]:
        """Return the files that a program that was killed left half written."""
        return sorted(self.folder.glob(f".*{PART}"))


def file_name(key: str, body: bytes) -> str:
    """Return the name of a file of runs with that content."""
    return f"{key}-{hashlib.sha256(body).hexdigest()[:16]}.parquet"


def read_file(path: Path) -> pl.DataFrame | str:
    """Return the runs in a file, or why it is not read."""
    named = NAME.fullmatch(path.name)
    if not named:
        return "is no file of runs by its name; import it, or move it elsewhere"
    try:
        body = path.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if file_name(named[1], body) != path.name:
        return "is torn or was changed; remove it, and resume the sweep that it is from"
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


def write_whole(folder: Path, key: str, table: pl.DataFrame) -> Path:
    """Write a file of runs, whole or not at all, and force it and its name to the disk; return where it is.

    **Raises:** `StoreError`.
    """
    buffer = io.BytesIO()
    table.write_parquet(buffer, metadata={MARK: str(SCHEMA_VERSION)}, statistics=False)
    body = buffer.getvalue()
    path = folder / file_name(key, body)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{PART}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        sync_folder(folder)
    except OSError as error:
        message = f"{path}: {error.strerror or error}; give a folder that can be written, with room on its disk"
        raise StoreError(message) from None
    return path


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rank(path: Path) -> tuple[bool, str]:
    return (not path.name.startswith(f"{COMPACT}-"), path.name)
