"""What the handlers share: the laws, the settings, the counters, and a bounded number of places for long work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator
from typing import Any, TypeAlias, final

from litestar import Request
from litestar.exceptions import ClientException, InternalServerException, ServiceUnavailableException

from hplaw.catalogue.catalogue import Catalogue
from hplaw_api.law_store import LawStore
from hplaw_api.metrics import Metrics
from hplaw_api.settings import Settings


AnyRequest: TypeAlias = Request[Any, Any, Any]

_PLACES = 32
"""Batches that may be in the house at once, each with its body; more are told to come back."""

_WORKERS = 2
"""Batches worked on at once, in threads; the others wait."""

_BODY_S = 30.0
"""Seconds that a request's body may take to arrive."""


@final
class Context:
    """What one application's handlers work with."""

    def __init__(self, *, law_store: LawStore, settings: Settings, metrics: Metrics) -> None:
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

    async def in_thread(self, work: Callable[[bytes], bytes], body: bytes) -> bytes:
        """Return `work(body)`, done beside the event loop so that others are answered meanwhile."""
        async with self._workers:
            return await asyncio.to_thread(work, body)


async def worked_beside(request: AnyRequest, work: Callable[[bytes, Catalogue], bytes]) -> bytes:
    """Return what `work` makes of a request's body and the laws of the moment, beside the event loop."""
    context = context_of(request)
    catalogue = context.law_store.now.catalogue
    with context.place():
        body = await read_body(request)
        return await context.in_thread(lambda body: work(body, catalogue), body)


def context_of(request: AnyRequest) -> Context:
    """Return the context of the application that a request came to."""
    return request.app.state["context"]


async def read_body(request: AnyRequest) -> bytes:
    """Return the whole body, no longer than the route allows.

    **Raises:** `ClientException` when it does not arrive whole, or not in time.
    """
    try:
        async with asyncio.timeout(_BODY_S):
            return await request.body()
    except InternalServerException:
        # Litestar's word for a caller who left; nobody hears the answer, and it is no failure of ours
        detail = "the caller left before the body was whole"
        raise ClientException(detail=detail) from None
    except TimeoutError:
        detail = f"the body did not arrive within {_BODY_S:g} s"
        raise ClientException(detail=detail, status_code=408) from None
