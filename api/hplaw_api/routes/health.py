"""Whether the service lives, whether it can answer, and what it has counted."""

from __future__ import annotations

from litestar import Router
from litestar.openapi import ResponseSpec

from hplaw.messages.law import Health
from hplaw.messages.record import encode
from hplaw_api.context import context_of
from hplaw_api.middleware import OPEN
from hplaw_api.requests import AnyRequest
from hplaw_api.responses import Reply
from hplaw_api.routes.methods import reading


PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"
"""What the counters' text format calls itself."""

_NOT_KEPT = ((b"cache-control", b"no-store"),)
_NOT_READY = ResponseSpec(Health, description="The same, when the answer is no", generate_examples=False)


@reading("/health/live", tagged=False, opt=OPEN)
async def live(request: AnyRequest) -> Reply[Health]:
    """Report that the process runs."""
    laws = len(context_of(request).law_store.now.catalogue.laws)
    return Reply(encode(Health(status="live", laws=laws)), headers=_NOT_KEPT)


@reading("/health/ready", tagged=False, opt=OPEN, responses={503: _NOT_READY})
async def ready(request: AnyRequest) -> Reply[Health]:
    """Report whether questions can be answered; names law files that cannot be read."""
    health = context_of(request).law_store.health
    status = 503 if health.status == "unavailable" else 200
    return Reply(encode(health), status=status, headers=_NOT_KEPT)


@reading("/metrics", tagged=False, media_type="text/plain")
async def metrics(request: AnyRequest) -> Reply[str]:
    """Show the service's counters for Prometheus."""
    context = context_of(request)
    text = context.metrics.text(context.law_store.health)
    return Reply(text, kind=PROMETHEUS, headers=_NOT_KEPT)


router = Router("/", route_handlers=[live, ready, metrics], tags=["service"])
