"""What every request passes before it is routed: the key, the rate limit, and the counters."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, final

from hplaw.messages.problem import plain_problem
from hplaw_api.metrics import Metrics
from hplaw_api.rate_limit import RateLimit
from hplaw_api.responses import Reply, problem_reply
from hplaw_api.settings import Settings


if TYPE_CHECKING:
    from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send


_OPEN = ("/health/", "/schema/")
"""Paths under which nobody needs a key, nor is counted towards a limit."""


@final
class AccessMiddleware:
    """An ASGI application around another that lets in who may ask, and counts."""

    def __init__(self, app: ASGIApp, *, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._key = settings.api_key.encode() if settings.api_key else None
        self._limit = RateLimit(settings.rate_limit) if settings.rate_limit else None
        self._guarded = self._key is not None or self._limit is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500
        method = scope["method"]
        if method == "HEAD":  # what GET says, and the server leaves out the body
            scope = {**scope, "method": "GET"}

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = self._refuse(scope, start) if self._guarded else None
            await (refusal or self._app)(scope, receive, noted)
        finally:
            self._metrics.count(
                route=scope.get("path_template", "unknown"),
                method=method,
                status=status,
                seconds=time.perf_counter() - start,
            )

    def _refuse(self, scope: HTTPScope, now: float) -> Reply | None:
        path = scope["path"]
        if path == "/schema" or path.startswith(_OPEN):
            return None
        # the limit comes first, so that guessing keys is limited too
        if self._limit is not None:
            client = scope["client"]
            wait = self._limit.wait(client[0] if client else "", now=now)
            if wait:
                problem = plain_problem(429, f"too many requests; ask again in {wait} s")
                return problem_reply(problem, headers=((b"retry-after", b"%d" % wait),))
        if self._key is not None and not self._has_key(scope):
            problem = plain_problem(401, "give the service's key as bearer token or in X-API-Key")
            return problem_reply(problem, headers=((b"www-authenticate", b"Bearer"),))
        return None

    def _has_key(self, scope: HTTPScope) -> bool:
        given = b""
        for name, value in scope["headers"]:
            if name == b"x-api-key":
                given = value
            elif name == b"authorization" and value[:7].lower() == b"bearer ":
                given = value[7:].strip()
        return hmac.compare_digest(given, self._key or b"")
