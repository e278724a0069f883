"""What the handlers share: the laws, the settings, the counters, and a bounded number of places for long work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator
from typing import Any, TypeVar, final

from litestar.exceptions import ServiceUnavailableException

from hplaw.catalogue.catalogue import Catalogue
from hplaw_api.law_store import LawStore
from hplaw_api.metrics import Metrics
from hplaw_api.middleware import Access
from hplaw_api.requests import AnyRequest
from hplaw_api.responses import JSON, Reply, kept_reply
from hplaw_api.settings import Settings


_Asked = TypeVar("_Asked")

_PLACES = 32
"""Batches that may be in flight at once, each with its body; further ones get HTTP 503."""

_WORKERS = 2
"""Batches worked on at once, in threads; the others wait."""


@final
class Context:
    """What one application's handlers work with."""

    def __init__(self, *, law_store: LawStore, settings: Settings, metrics: Metrics) -> None:
        self.access = Access(settings)
        self.law_store = law_store
        self.metrics = metrics
        self.settings = settings
        self._taken = 0
        self._workers = asyncio.Semaphore(_WORKERS)

    @property
    def private(self) -> bool:
        """Whether replies are for those with the key only."""
        return self.settings.api_key is not None

    @contextlib.contextmanager
    def place(self) -> Generator[None]:
        """Hold a place for a large request.

        **Raises:** `ServiceUnavailableException` when all are taken.
        """
        if self._taken >= _PLACES:
            detail = f"{_PLACES} batches are being answered already; ask again in a second"
            raise ServiceUnavailableException(detail=detail, headers={"retry-after": "1"})
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def in_thread(self, work: Callable[[_Asked, Catalogue], bytes], asked: _Asked) -> bytes:
        """Return what `work` gives for a question and the laws of the moment, done beside the event loop."""
        catalogue = self.law_store.now.catalogue
        async with self._workers:
            return await asyncio.to_thread(work, asked, catalogue)


def context_of(request: AnyRequest) -> Context:
    """Return the context of the application that a request came to."""
    return request.app.state["context"]


def law_reply(
    request: AnyRequest, key: bytes, make: Callable[[Catalogue], bytes], *, kind: bytes = JSON, lasting: bool = False
) -> Reply[Any]:
    """Return what is made from the laws of the moment and kept under a key until they change, with an entity tag.

    **Arguments:**

    - `kind`, `lasting`: as `kept_reply` takes them.
    """
    context = context_of(request)
    body = context.law_store.now.reply(key, make)
    return kept_reply(request, body, kind=kind, lasting=lasting, private=context.private)
