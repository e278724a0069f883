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
from hplaw_api.law_store import LawStore
from hplaw_api.metrics import Metrics
from hplaw_api.middleware import AccessMiddleware
from hplaw_api.problems import on_exception
from hplaw_api.routes import docs, energy, health, laws, recommendations, theory
from hplaw_api.settings import Settings


_LEAST_COMPRESSED = 1000
"""Bytes of a reply from which on compressing it pays, where the caller takes gzip."""

_KNOWN_PATHS = 64
"""Paths of which the router remembers where they lead: all that are fixed, and some with names in them.

Litestar remembers 1,024, which callers of ever other names fill over hours: each is a small thing that stays where a batch
was, and keeps a megabyte from being given back.
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
        watch = asyncio.create_task(law_store.watch(settings.reload_s))
        try:
            yield
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    app = Litestar(
        route_handlers=[
            recommendations.methods,
            recommendations.ask,
            recommendations.ask_by_address,
            recommendations.ask_many,
            laws.list_all,
            laws.show,
            laws.cite,
            laws.value,
            laws.quantities,
            theory.parametrize,
            theory.classify,
            theory.schedule,
            theory.transfer,
            energy.energy,
            energy.hardware,
            energy.frontier,
            energy.device_energy,
            laws.theory,
            health.live,
            health.ready,
            health.metrics,
            docs.entrance,
            docs.page,
            docs.schema,
        ],
        state=State({"context": context}),
        lifespan=[watching],
        exception_handlers={Exception: on_exception},
        compression_config=CompressionConfig(backend="gzip", minimum_size=_LEAST_COMPRESSED),
        cors_config=CORSConfig(allow_origins=list(settings.cors_origins)) if settings.cors_origins else None,
        openapi_config=None,  # the description is made from the records, see openapi.py
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    router = app.asgi_router
    router.handle_routing = ft.lru_cache(_KNOWN_PATHS)(router.handle_routing.__wrapped__)
    app.asgi_handler = AccessMiddleware(app.asgi_handler, settings=settings, metrics=metrics)
    return app
