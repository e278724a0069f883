"""What requests pass on their way to a handler: the clock, the key and the rate limit, and the places for long work."""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, final

from litestar import Request
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, NotAuthorizedException, TooManyRequestsException
from litestar.middleware import ASGIMiddleware

from hplaw_api.metrics import Metrics
from hplaw_api.problems import ServiceProblem
from hplaw_api.rate_limit import RateLimit
from hplaw_api.settings import Settings


if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send


OPEN = {"open": True}
"""Options of handlers for which nobody needs a key, and which do not count towards a limit."""

_LONGEST_PATH = 256
"""Bytes that a path may have: the router remembers a thousand of them, whatever is in the place of a law."""

_LONGEST_QUERY = 8_192
"""Bytes that a query string may have; addresses that were refused are remembered too, for a while."""


@final
class Access:
    """Who may ask, and how often."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.api_key.encode() if settings.api_key else None
        self._limit = RateLimit(settings.rate_limit) if settings.rate_limit else None
        self.guarded = self._key is not None or self._limit is not None

    def refusal(self, scope: Any) -> HTTPException | None:
        """Return why a request is refused, if it is; it counts towards the limit of who asks."""
        # the limit comes first, so that guessing keys is limited too
        if self._limit is not None:
            client = scope["client"]
            wait = self._limit.wait(client[0] if client else "", now=time.perf_counter())
            if wait:
                detail = f"too many requests; ask again in {wait} s"
                return TooManyRequestsException(detail=detail, headers={"retry-after": str(wait)})
        if self._key is not None and not hmac.compare_digest(_given_key(scope["headers"]), self._key):
            detail = "give the service's key as bearer token or in X-API-Key"
            return NotAuthorizedException(detail=detail, headers={"www-authenticate": "Bearer"})
        return None


@final
class AccessMiddleware(ASGIMiddleware):
    """Lets in who may ask."""

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = "open"

    def __init__(self, access: Access) -> None:
        self._access = access

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass a request on, or raise its refusal."""
        refusal = self._access.refusal(scope)
        if refusal is not None:
            raise refusal
        await next_app(scope, receive, send)


@final
class AddressMiddleware:
    """Refuses addresses that are too long, before the router sees them: outside of what Litestar calls middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a problem."""
        if scope["type"] != "http" or (
            len(scope["raw_path"]) <= _LONGEST_PATH and len(scope["query_string"]) <= _LONGEST_QUERY
        ):
            await self._app(scope, receive, send)
            return
        detail = (
            f"the address is longer than a path of {_LONGEST_PATH} and a query string of {_LONGEST_QUERY:,} bytes; "
            "ask with POST"
        )
        request: Request[Any, Any, Any] = Request(scope)
        response = ServiceProblem(HTTPException(detail=detail, status_code=400)).to_response(request)
        await response.to_asgi_response(None, request)(scope, receive, send)


@final
class ClockMiddleware(ASGIMiddleware):
    """Measures how long requests take, by route."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass a request on, and note its seconds when its reply is sent."""
        start = time.perf_counter()
        try:
            await next_app(scope, receive, send)
        finally:
            self._metrics.time(route=scope["path_template"], seconds=time.perf_counter() - start)


@final
class PlaceMiddleware(ASGIMiddleware):
    """Holds one of the places for long work from before a request's body is read until its reply is sent."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass a request on when a place is free."""
        with scope["litestar_app"].state["context"].place():
            await next_app(scope, receive, send)


def _given_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    given = b""
    for name, value in headers:
        if name == b"x-api-key":
            given = value
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            given = value[7:].strip()
    return given
