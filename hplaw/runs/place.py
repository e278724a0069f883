"""A place of named blobs, each there whole or not at all: what a store of runs is kept in."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar


Item = TypeVar("Item")
Found = TypeVar("Found")

AT_ONCE = 16
"""Blobs that are asked for at the same time: from an object store each takes a round trip."""


class AbstractPlace(abc.ABC):
    """Blobs by name; a name is that of a file, or of one in a folder below: `.sweeps/tiny.json`.

    All methods raise `StoreError`, one sentence, where the place does not answer or may not be used.
    """

    @property
    @abc.abstractmethod
    def address(self) -> str:
        """Return what opens this place again, in this program and in others."""

    @abc.abstractmethod
    def exists(self) -> bool:
        """Return whether the place was ever written to."""

    @abc.abstractmethod
    def names(self, folder: str = "", *, start: str = "") -> list[str]:
        """Return the sorted names of the blobs directly in a folder, without the folder, that begin with `start`."""

    @abc.abstractmethod
    def read(self, name: str) -> bytes | str:
        """Return a blob, or why this one cannot be read."""

    @abc.abstractmethod
    def create(self, name: str, body: bytes) -> bool:
        """Write a blob that is not there; return false, and change nothing, where it is: of several that create it at
        once, one does."""

    @abc.abstractmethod
    def write(self, name: str, body: bytes) -> None:
        """Write a blob, in place of one that is there."""

    @abc.abstractmethod
    def delete(self, name: str) -> None:
        """Remove a blob, if it is there."""

    @abc.abstractmethod
    def leftovers(self, *, older_s: float = 0.0) -> list[str]:
        """Return the names of what programs that were killed left half written, so many seconds ago or more."""

    def label(self, name: str) -> str:
        """Return how a blob is shown."""
        return f"{self.address}/{name}"


def at_once(function: Callable[[Item], Found], items: Sequence[Item]) -> Iterator[Found]:
    """Yield a function's values in the order of the items, up to `AT_ONCE` computed at the same time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(function, items)
