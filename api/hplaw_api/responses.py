"""What the handlers answer with: bytes that are ready to send, and how long they keep."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar, final

from litestar import Response


if TYPE_CHECKING:
    from litestar import Request
    from litestar.types import ASGIApp, Receive, Scope, Send


JSON = b"application/json"
BIBTEX = b"application/x-bibtex"

Headers = Iterable[tuple[bytes, bytes]]

Record = TypeVar("Record")
"""What the bytes of a reply are the JSON of; the description reads it from the handlers' annotations."""


@final
class Reply(Response[Record]):
    """A whole HTTP response; leaner than one that is still to be rendered."""

    def __init__(self, body: bytes, *, kind: bytes | None = JSON, status: int = 200, headers: Headers = ()) -> None:
        told = list(headers)
        if kind is not None:
            told += [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        self._start = {"type": "http.response.start", "status": status, "headers": told}
        self._whole = {"type": "http.response.body", "body": body}

    def to_asgi_response(self, *_: object, **__: object) -> ASGIApp:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the application that sends the reply, whatever else a response may be given."""
        return self._send

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(self._start)  # pyright: ignore[reportArgumentType]
        await send(self._whole)  # pyright: ignore[reportArgumentType]


def kept_reply(
    request: Request[Any, Any, Any],
    body: bytes,
    *,
    kind: bytes = JSON,
    lasting: bool = False,
    private: bool = False,
    headers: Headers = (),
) -> Reply[Any]:
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
