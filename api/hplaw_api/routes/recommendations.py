"""Questions and answers: one by body or query string, many by body."""

from __future__ import annotations

import msgspec
from litestar import HttpMethod, get, post, route
from litestar.exceptions import ClientException
from litestar.types import ASGIApp

from hplaw.errors import QueryError
from hplaw.messages.decode import decode
from hplaw.messages.query import MAX_QUERIES, BatchRequest, Query
from hplaw.messages.recommendation import BatchReply
from hplaw.messages.record import encode
from hplaw.recommendation.record import recommend, recommend_many
from hplaw_api.context import AnyRequest, desk_of, read_body
from hplaw_api.responses import Reply, kept_reply
from hplaw_api.routes.query_string import read_query


QUERY_BYTES = 262_144
"""The longest body that asks one question: room for a model's whole configuration."""

BATCH_BYTES = 8_000_000
"""The longest body that asks many."""

_SHORT_BATCH_BYTES = 4_096
"""A batch up to this long is answered at once, which takes less than handing it to a thread."""


class _Counted(msgspec.Struct):
    queries: list[msgspec.Raw]


@route("/v1/recommendations", http_method=HttpMethod.OPTIONS)
async def methods(request: AnyRequest) -> ASGIApp:
    """Name the methods of the two handlers below."""
    # Litestar 2.25 makes this answer by itself, but from the first of several handlers at a path only;
    # it can go when OPTIONS names both without it. It must be registered before them.
    return Reply(b"", kind=None, status=204, headers=((b"allow", b"GET, OPTIONS, POST"),))


@post("/v1/recommendations", status_code=200, request_max_body_size=QUERY_BYTES)
async def ask(request: AnyRequest) -> ASGIApp:
    """Answer the question in the body."""
    body = await read_body(request)
    desk = desk_of(request)
    serving = desk.shelf.now
    reply = serving.replies.get(body)
    if reply is None:
        desk.metrics.miss()
        reply = encode(recommend(decode(body, Query), serving.catalogue))
        serving.replies.keep(body, reply)
    else:
        desk.metrics.hit()
    return Reply(reply)


@get("/v1/recommendations")
async def ask_by_address(request: AnyRequest) -> ASGIApp:
    """Answer the question in the query string."""
    desk = desk_of(request)
    asked: bytes = request.scope["query_string"]
    body = desk.shelf.now.reply(
        b"/v1/recommendations?" + asked, lambda catalogue: encode(recommend(read_query(asked), catalogue))
    )
    return kept_reply(request, body, private=desk.private)


@post("/v1/recommendations/batch", status_code=200, request_max_body_size=BATCH_BYTES)
async def ask_many(request: AnyRequest) -> ASGIApp:
    """Answer all questions in the body, briefly."""
    desk = desk_of(request)
    catalogue = desk.shelf.now.catalogue

    def answer(body: bytes) -> bytes:
        queries = _read_batch(body)
        return encode(BatchReply(results=recommend_many(queries, catalogue)))

    with desk.place():
        body = await read_body(request)
        if len(body) <= _SHORT_BATCH_BYTES:
            return Reply(answer(body))
        return Reply(await desk.in_thread(answer, body))


def _read_batch(body: bytes) -> list[Query]:
    try:
        return decode(body, BatchRequest).queries
    except QueryError:
        count = _count(body)
        if count <= MAX_QUERIES:
            raise
        detail = f"{count} queries are too many; send at most {MAX_QUERIES} at once"
        raise ClientException(detail=detail, status_code=413) from None


def _count(body: bytes) -> int:
    try:
        return len(msgspec.json.decode(body, type=_Counted).queries)
    except (msgspec.MsgspecError, RecursionError):
        return 0
