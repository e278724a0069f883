"""The application: routes, errors and the watch over the law folders, put together from settings."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from litestar import Litestar
from litestar.datastructures import State

from hplaw_api.context import Desk
from hplaw_api.law_store import Shelf
from hplaw_api.metrics import Metrics
from hplaw_api.middleware import Gate
from hplaw_api.problems import on_exception
from hplaw_api.routes import docs, energy, health, laws, recommendations, theory
from hplaw_api.settings import Settings


def create_app(settings: Settings | None = None) -> Litestar:
    """Return the service as an ASGI application.

    **Raises:** `LawError` for a law folder that is not there.
    """
    settings = settings or Settings()
    shelf = Shelf(settings.laws, kept_replies=settings.kept_replies)
    metrics = Metrics()
    desk = Desk(shelf=shelf, settings=settings, metrics=metrics)

    @contextlib.asynccontextmanager
    async def watching(_: Litestar) -> AsyncGenerator[None]:
        watch = asyncio.create_task(shelf.watch(settings.reload_s))
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
        state=State({"desk": desk}),
        lifespan=[watching],
        exception_handlers={Exception: on_exception},
        openapi_config=None,  # the description is made from the records, see openapi.py
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    app.asgi_handler = Gate(app.asgi_handler, settings=settings, metrics=metrics)
    return app
