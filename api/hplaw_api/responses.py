"""What the handlers answer with: bytes that are ready to send, and how long they keep."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, final

from hplaw.messages.problem import MEDIA_TYPE, Problem
from hplaw.messages.record import encode


if TYPE_CHECKING:
    from litestar import Request
    from litestar.types import Receive, Scope, Send


JSON = b"application/json"
BIBTEX = b"application/x-bibtex"

Headers = Iterable[tuple[bytes, bytes]]


@final
class Reply:
    """A whole HTTP response as an ASGI application; leaner than a response that is still to be rendered."""

    __slots__ = ("_body", "_start")

    def __init__(self, body: bytes, *, kind: bytes | None = JSON, status: int = 200, headers: Headers = ()) -> None:
        told = list(headers)
        if kind is not None:
            told += [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        self._start = {"type": "http.response.start", "status": status, "headers": told}
        self._body = {"type": "http.response.body", "body": body}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(self._start)  # pyright: ignore[reportArgumentType]
        await send(self._body)  # pyright: ignore[reportArgumentType]


def problem_reply(problem: Problem, *, headers: Headers = ()) -> Reply:
    """Return the reply that carries a problem; none of them is to be kept."""
    kept = ((b"cache-control", b"no-store"), *headers)
    return Reply(encode(problem), kind=MEDIA_TYPE.encode(), status=problem.status, headers=kept)


def kept_reply(
    request: Request[Any, Any, Any],
    body: bytes,
    *,
    kind: bytes = JSON,
    lasting: bool = False,
    private: bool = False,
    headers: Headers = (),
) -> Reply:
    """Return `body` with an entity tag, or 304 where the caller has it already.

    **Arguments:**

    - `request`: the request, for its `If-None-Match`.
    - `lasting`: true where the address says the content, so that it can be kept for good.
    - `private`: true where only the caller may keep it.
    - `headers`: further headers.
    """
    tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    share = "private" if private else "public"
    age = "max-age=31536000, immutable" if lasting else "max-age=60"
    headers = ((b"etag", tag.encode()), (b"cache-control", f"{share}, {age}".encode()), *headers)
    if _matches(request.headers.get("if-none-match"), tag):
        return Reply(b"", kind=None, status=304, headers=headers)
    return Reply(body, kind=kind, headers=headers)


def _matches(asked: str | None, tag: str) -> bool:
    if asked is None:
        return False
    tags = [part.strip().removeprefix("W/") for part in asked.split(",")]
    return "*" in tags or tag in tags
