"""The application: routes, errors and the watch over the law folders, put together from settings."""

from __future__ import annotations

import asyncio
import contextlib
import functools as ft
from collections.abc import AsyncGenerator

from litestar import Litestar
from litestar.config.compression import CompressionConfig
from litestar.config.cors import CORSConfig
from litestar.datastructures import State

from hplaw_api.context import Context
from hplaw_api.heap import give_back
from hplaw_api.law_store import LawStore
from hplaw_api.metrics import Metrics
from hplaw_api.middleware import AccessMiddleware, AddressMiddleware, ClockMiddleware
from hplaw_api.problems import PROBLEMS
from hplaw_api.requests import RecordRequest
from hplaw_api.routes import docs
from hplaw_api.settings import Settings


_LEAST_COMPRESSED = 1000
"""Bytes of a reply from which on compressing it pays, where the caller takes gzip."""

_KNOWN_PATHS = 64
"""Paths of which the router remembers where they lead: all that are fixed, and some with names in them.

Litestar remembers 1,024. Callers with ever new names fill them over hours: small objects that stay where a batch was keep
its memory from being given back.
"""


def create_app(settings: Settings | None = None) -> Litestar:
    """Return the service as an ASGI application.

    **Raises:** `LawError` for a law folder that is not there.
    """
    settings = settings or Settings()
    law_store = LawStore(settings.laws, kept_replies=settings.kept_replies)
    metrics = Metrics()
    context = Context(law_store=law_store, settings=settings, metrics=metrics)

    @contextlib.asynccontextmanager
    async def watching(_: Litestar) -> AsyncGenerator[None]:
        tasks = [asyncio.create_task(law_store.watch(settings.reload_s)), asyncio.create_task(give_back())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    app = Litestar(
        route_handlers=[*docs.DESCRIBED, docs.router, docs.entrance],
        request_class=RecordRequest,
        plugins=[PROBLEMS],
        middleware=[ClockMiddleware(metrics), *([AccessMiddleware(context.access)] if context.access.guarded else [])],
        before_send=[metrics.count],
        state=State({"context": context}),
        lifespan=[watching],
        compression_config=CompressionConfig(backend="gzip", minimum_size=_LEAST_COMPRESSED),
        cors_config=CORSConfig(allow_origins=list(settings.cors_origins)) if settings.cors_origins else None,
        openapi_config=None,  # the description follows the laws of the moment, see openapi/description.py
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    router = app.asgi_router
    router.handle_routing = ft.lru_cache(_KNOWN_PATHS)(router.handle_routing.__wrapped__)
    app.asgi_handler = AddressMiddleware(app.asgi_handler)
    return app
