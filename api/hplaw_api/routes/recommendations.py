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
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.record import recommend
from hplaw_api.context import AnyRequest, context_of, read_body
from hplaw_api.query_string import read_query
from hplaw_api.responses import Reply, kept_reply


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
    context = context_of(request)
    serving = context.law_store.now
    reply = serving.replies.get(body)
    if reply is None:
        context.metrics.miss()
        reply = encode(recommend(decode(body, Query), serving.catalogue))
        serving.replies.keep(body, reply)
    else:
        context.metrics.hit()
    return Reply(reply)


@get("/v1/recommendations")
async def ask_by_address(request: AnyRequest) -> ASGIApp:
    """Answer the question in the query string."""
    context = context_of(request)
    asked: bytes = request.scope["query_string"]
    body = context.law_store.now.reply(
        b"/v1/recommendations?" + asked, lambda catalogue: encode(recommend(read_query(asked), catalogue))
    )
    return kept_reply(request, body, private=context.private)


@post("/v1/recommendations/batch", status_code=200, request_max_body_size=BATCH_BYTES)
async def ask_many(request: AnyRequest) -> ASGIApp:
    """Answer all questions in the body, briefly."""
    context = context_of(request)
    catalogue = context.law_store.now.catalogue

    def answer(body: bytes) -> bytes:
        queries = _read_batch(body)
        return encode(BatchReply(results=recommend_many(queries, catalogue)))

    with context.place():
        body = await read_body(request)
        if len(body) <= _SHORT_BATCH_BYTES:
            return Reply(answer(body))
        return Reply(await context.in_thread(answer, body))


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
