"""Whether the service lives, whether it can answer, and what it has counted."""

from __future__ import annotations

from litestar import get
from litestar.types import ASGIApp

from hplaw.messages.law import Health
from hplaw.messages.record import encode
from hplaw_api.context import AnyRequest, context_of
from hplaw_api.responses import Reply


PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"
"""What the counters' text format calls itself."""

_NOT_KEPT = ((b"cache-control", b"no-store"),)


@get("/health/live")
async def live(request: AnyRequest) -> ASGIApp:
    """Say that the process runs."""
    laws = len(context_of(request).law_store.now.catalogue.laws)
    return Reply(encode(Health(status="live", laws=laws)), headers=_NOT_KEPT)


@get("/health/ready")
async def ready(request: AnyRequest) -> ASGIApp:
    """Say whether questions can be answered, and name the law files that cannot be read."""
    health = context_of(request).law_store.health
    status = 503 if health.status == "unavailable" else 200
    return Reply(encode(health), status=status, headers=_NOT_KEPT)


@get("/metrics")
async def metrics(request: AnyRequest) -> ASGIApp:
    """Show the counters in the text format of Prometheus."""
    context = context_of(request)
    text = context.metrics.text(context.law_store.health)
    return Reply(text, kind=PROMETHEUS, headers=_NOT_KEPT)
