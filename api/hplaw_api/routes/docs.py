"""The interface's description and the page that shows it; everything comes from this package, nothing from elsewhere."""

from __future__ import annotations

import asyncio
import functools as ft
from importlib.resources import files

from litestar import Router

from hplaw_api.context import context_of
from hplaw_api.middleware import OPEN
from hplaw_api.openapi.description import describe
from hplaw_api.requests import AnyRequest
from hplaw_api.responses import Reply, kept_reply
from hplaw_api.routes import energy, health, laws, pruning, recommendations, theory
from hplaw_api.routes.methods import reading


_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
_SAFE = (_POLICY, (b"x-content-type-options", b"nosniff"))
_KINDS = {
    "docs.html": b"text/html; charset=utf-8",
    "docs.css": b"text/css; charset=utf-8",
    "docs.js": b"text/javascript; charset=utf-8",
}


DESCRIBED = (recommendations.router, laws.router, theory.router, energy.router, pruning.router, health.router)
"""All routes but those of the description itself."""


@ft.cache
def _asset(name: str) -> bytes:
    return files("hplaw_api").joinpath("static", name).read_bytes()


@reading("/openapi.json")
async def schema(request: AnyRequest) -> Reply[bytes]:
    """Give the description of this interface, OpenAPI 3.1."""
    context = context_of(request)
    describe_routes = ft.partial(describe, routes=DESCRIBED, settings=context.settings)
    # beside the event loop, as it takes as long as hundreds of answers; once, until the laws change
    body = await asyncio.to_thread(context.law_store.now.description, describe_routes)
    return kept_reply(request, body)


@reading(["/", "/docs.css", "/docs.js"])
async def page(request: AnyRequest) -> Reply[bytes]:
    """Show the description for people."""
    name = request.scope["path"].removeprefix("/schema").lstrip("/") or "docs.html"
    return kept_reply(request, _asset(name), kind=_KINDS[name], headers=_SAFE)


@reading("/", include_in_schema=False)
async def entrance(request: AnyRequest) -> Reply[bytes]:
    """Lead to the page."""
    return Reply(b"", status=307, headers=((b"location", b"/schema"),))


router = Router("/schema", route_handlers=[schema, page], opt=OPEN, include_in_schema=False)
