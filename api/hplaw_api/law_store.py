"""The laws that the service answers from, exchanged whole when their files change, and the replies made from them."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import final

from hplaw.catalogue.catalogue import Catalogue, load_catalogue, search_path, stamp
from hplaw.catalogue.listing import health
from hplaw.errors import HplawError
from hplaw.messages.law import Health


_log = logging.getLogger("hplaw_api")

_KEPT_BYTES = 4_000_000
"""Bytes that the kept replies and their questions may take together: hundreds of whole answers, little beside the laws."""

_LONGEST_KEPT = 65_536
"""A question or reply longer than this, in bytes, is not kept."""


@final
class Replies:
    """The replies given last, by question: the oldest-used goes first when there are too many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._replies: OrderedDict[bytes, bytes] = OrderedDict()

    def get(self, key: bytes) -> bytes | None:
        """Return the reply kept for `key`, if there is one."""
        reply = self._replies.get(key)
        if reply is not None:
            self._replies.move_to_end(key)
        return reply

    def keep(self, key: bytes, reply: bytes) -> None:
        """Keep `reply` for `key`, unless either is long."""
        if key in self._replies or max(len(key), len(reply)) > _LONGEST_KEPT:
            return
        self._replies[key] = reply
        self._size += len(key) + len(reply)
        while len(self._replies) > self._most or self._size > _KEPT_BYTES:
            old = self._replies.popitem(last=False)
            self._size -= len(old[0]) + len(old[1])


@final
class Serving:
    """One state of the laws, never changed, with the replies made from it."""

    __slots__ = ("_description", "catalogue", "replies")

    def __init__(self, catalogue: Catalogue, *, kept_replies: int) -> None:
        self.catalogue = catalogue
        self.replies = Replies(kept_replies)
        self._description: bytes | None = None

    def description(self, make: Callable[[Catalogue], bytes]) -> bytes:
        """Return the interface's description, made once: there is one, and it is longer than replies that are kept."""
        if self._description is None:
            self._description = make(self.catalogue)
        return self._description

    def reply(self, key: bytes, make: Callable[[Catalogue], bytes]) -> bytes:
        """Return the bytes kept for `key`, made from the catalogue where there are none."""
        kept = self.replies.get(key)
        if kept is None:
            kept = make(self.catalogue)
            self.replies.keep(key, kept)
        return kept


@final
class LawStore:
    """The laws now served; a change of their files that breaks one leaves the last good set in place.

    **Arguments:**

    - `folders`: searched before those that the catalogue knows by itself.
    - `kept_replies`: replies kept for questions asked again.

    **Raises:** what `load_catalogue` raises when it is made: a service does not start without its folders.
    """

    def __init__(self, folders: tuple[str, ...] = (), *, kept_replies: int = 4096) -> None:
        self._folders = tuple(Path(folder) for folder in folders)
        self._kept_replies = kept_replies
        # before the files are read, so that a change meanwhile is seen
        self._stamp = self._look()
        self._serve(load_catalogue(self._folders))

    @property
    def health(self) -> Health:
        """Whether questions can be answered, and what is wrong with the files."""
        return health(self.now.catalogue, self._problems)

    def refresh(self) -> bool:
        """Look at the files; return whether the laws served are others than before."""
        seen = self._look()
        if seen == self._stamp:
            return False
        self._stamp = seen
        self._problems = self._vanished()
        if not self._problems:
            try:
                fresh = load_catalogue(self._folders, before=self.now.catalogue)
            except (HplawError, OSError) as error:
                self._problems = (str(error),)
            else:
                known = {error.file for error in self.now.catalogue.problems}
                if all(error.file in known for error in fresh.problems):
                    self._serve(fresh)
                    gc.collect()  # laws and what is derived from them hold each other
                    _log.info("laws reloaded: %d", len(fresh.laws))
                    return True
                self._problems = tuple(error.text for error in fresh.problems)
        _log.warning("the laws loaded before serve on: %s", "; ".join(self._problems))
        return False

    async def watch(self, pause_s: float) -> None:
        """Look at the files every `pause_s` seconds, beside the event loop, until canceled."""
        while True:
            await asyncio.sleep(pause_s)
            try:
                await asyncio.to_thread(self.refresh)
            except Exception:  # the watch must outlive whatever a file system does
                _log.exception("the law folders could not be looked at")

    def _serve(self, catalogue: Catalogue) -> None:
        self._present = tuple(folder for folder in catalogue.folders if folder.is_dir())
        self._problems: tuple[str, ...] = ()
        self.now = Serving(catalogue, kept_replies=self._kept_replies)

    def _look(self) -> object:
        folders = [folder for folder, _ in search_path(self._folders, environ=os.environ)]
        return stamp(folders), [folder.is_dir() for folder in folders]

    def _vanished(self) -> tuple[str, ...]:
        return tuple(
            f"{folder}: the folder of laws is gone; its laws are served as they were read last"
            for folder in self._present
            if not folder.is_dir()
        )
