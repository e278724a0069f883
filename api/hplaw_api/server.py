"""The service as a process."""

from __future__ import annotations

import logging

from litestar.types import ASGIApp

from hplaw_api.app import create_app
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
            "listening on %s without a key: everybody who reaches it may ask; set HPLAW_API_KEY",
            settings.host,
        )
    listen(create_app(settings), host=settings.host, port=settings.port)


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
