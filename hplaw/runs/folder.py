"""A folder as a place: a file is written under a temporary name, forced to the disk, and then gets its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Generator
from pathlib import Path

from hplaw.errors import StoreError
from hplaw.runs.place import AbstractPlace


PART = ".part"
"""How the names of files that are still being written end; they begin with a dot."""


class Folder(AbstractPlace):
    """The files of a folder and of the folders directly in it; made when the first is written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def address(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        return self.path.is_dir()

    def names(self, folder: str = "", *, start: str = "") -> list[str]:
        try:
            with os.scandir(self.path / folder) as entries:
                found = [entry.name for entry in entries if entry.name.startswith(start)]
        except FileNotFoundError:
            return []
        except OSError as error:
            message = f"{self.path / folder}: {error.strerror or error}; give a folder of runs"
            raise StoreError(message) from None
        return sorted(name for name in found if not _is_part(name) and (self.path / folder / name).is_file())

    def read(self, name: str) -> bytes | str:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            return f"cannot be read: {error.strerror or error}"

    def create(self, name: str, body: bytes) -> bool:
        path = self.path / name
        if path.exists():
            return False
        with self._written(path, body) as temporary:
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                return False
            except OSError:
                # a file system without links: of two that create a file at once, the later one's stays
                temporary.replace(path)
        return True

    def write(self, name: str, body: bytes) -> None:
        path = self.path / name
        with self._written(path, body) as temporary:
            temporary.replace(path)

    def delete(self, name: str) -> None:
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(self.path / name, error) from None

    def leftovers(self, *, older_s: float = 0.0) -> list[str]:
        found: list[str] = []
        now = time.time()
        for path in (*self.path.glob(f".*{PART}"), *self.path.glob(f"*/.*{PART}")):
            with contextlib.suppress(FileNotFoundError):
                if now - path.stat().st_mtime >= older_s:
                    found.append(path.relative_to(self.path).as_posix())
        return sorted(found)

    @contextlib.contextmanager
    def _written(self, path: Path, body: bytes) -> Generator[Path]:
        """Write a temporary file that the caller gives its own name; force that name to the disk, too."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{PART}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as file:
                    file.write(body)
                    file.flush()
                    os.fsync(file.fileno())
                yield temporary
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
            _sync(path.parent)
        except OSError as error:
            raise _unwritable(path, error) from None


def _is_part(name: str) -> bool:
    return name.startswith(".") and name.endswith(PART)


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path}: {error.strerror or error}; give a folder that can be written, with room on its disk")


def _sync(folder: Path) -> None:
    """Force the names in a folder to the disk, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
