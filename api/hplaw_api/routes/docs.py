"""The interface's description and the page that shows it; everything comes from this package, nothing from elsewhere."""

from __future__ import annotations

import functools as ft
from importlib.resources import files

from litestar import get
from litestar.types import ASGIApp

from hplaw_api.context import AnyRequest, context_of
from hplaw_api.openapi.document import document
from hplaw_api.responses import Reply, kept_reply


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


@ft.cache
def _asset(name: str) -> bytes:
    return files("hplaw_api").joinpath("static", name).read_bytes()


@get("/schema/openapi.json")
async def schema(request: AnyRequest) -> ASGIApp:
    """Give the description of this interface, OpenAPI 3.1."""
    context = context_of(request)
    body = context.law_store.now.reply(
        b"/schema/openapi.json", lambda catalogue: document(catalogue, settings=context.settings)
    )
    return kept_reply(request, body)


@get(["/schema", "/schema/docs.css", "/schema/docs.js"])
async def page(request: AnyRequest) -> ASGIApp:
    """Show the description for people."""
    name = request.scope["path"].removeprefix("/schema").lstrip("/") or "docs.html"
    return kept_reply(request, _asset(name), kind=_KINDS[name], headers=_SAFE)


@get("/")
async def entrance(request: AnyRequest) -> ASGIApp:
    """Lead to the page."""
    return Reply(b"", status=307, headers=((b"location", b"/schema"),))
