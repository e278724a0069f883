"""The service as a process."""

from __future__ import annotations

import contextlib
import gc
import logging

from litestar.types import ASGIApp

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import HplawError
from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend
from hplaw_api.app import create_app
from hplaw_api.heap import use_one_heap
from hplaw_api.settings import Settings


_log = logging.getLogger("hplaw_api")

_MOST_CONNECTIONS = 1000
"""Requests in flight and idle connections beyond which more are refused with 503."""

_STOP_S = 10
"""Seconds that requests in flight may take after the signal to stop."""


def serve(settings: Settings) -> None:
    """Listen until SIGTERM or SIGINT, then finish what is in flight and return."""
    if settings.exposed:
        _log.warning(
            "listening on %s without a key: everybody who reaches it may ask; set HPLAW_API_KEY", settings.host
        )
    use_one_heap()
    app = create_app(settings)
    _warm_up(app.state["context"].law_store.now.catalogue)
    listen(app, host=settings.host, port=settings.port)


def _warm_up(catalogue: Catalogue) -> None:
    """Ask once, so that laws are compiled before anybody waits for it, and let garbage be looked for in new things only.

    Laws are tens of thousands of objects that stay; to go through them again and again is what the slowest of a
    hundred answers would wait for.
    """
    with contextlib.suppress(HplawError):  # a service without laws serves on, and says so at /health/ready
        recommend(Query(n_params=1e9, tokens=1e11), catalogue)
    gc.collect()
    gc.freeze()


def listen(app: ASGIApp, *, host: str, port: int) -> None:
    """Serve any ASGI application as hplaw is served; benchmarks serve theirs with it."""
    import uvicorn

    uvicorn.run(
        app,
        host=host,
        port=port,
        access_log=False,
        log_level="info",
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_STOP_S,
        server_header=False,
    )
