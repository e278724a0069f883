"""Whether the service lives, whether it can answer, and what it has counted."""

from __future__ import annotations

from litestar import get
from litestar.types import ASGIApp

from hplaw.messages.law import Health
from hplaw.messages.record import encode
from hplaw_api.context import AnyRequest, desk_of
from hplaw_api.responses import Reply


PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"
"""What the counters' text format calls itself."""

_NOT_KEPT = ((b"cache-control", b"no-store"),)


@get("/health/live")
async def live(request: AnyRequest) -> ASGIApp:
    """Say that the process runs."""
    laws = len(desk_of(request).shelf.now.catalogue.laws)
    return Reply(encode(Health(status="live", laws=laws)), headers=_NOT_KEPT)


@get("/health/ready")
async def ready(request: AnyRequest) -> ASGIApp:
    """Say whether questions can be answered, and name the law files that cannot be read."""
    health = desk_of(request).shelf.health
    status = 503 if health.status == "unavailable" else 200
    return Reply(encode(health), status=status, headers=_NOT_KEPT)


@get("/metrics")
async def metrics(request: AnyRequest) -> ASGIApp:
    """Show the counters in the text format of Prometheus."""
    desk = desk_of(request)
    text = desk.metrics.text(desk.shelf.health)
    return Reply(text, kind=PROMETHEUS, headers=_NOT_KEPT)
