"""Questions and answers: one by body or query string, many by body."""

from __future__ import annotations

from typing import Annotated

from litestar import HttpMethod, Router, route
from litestar.exceptions import ClientException
from litestar.openapi.spec import Example
from litestar.params import Body, RawBody

from hplaw.catalogue.catalogue import Catalogue
from hplaw.messages.compare import AnswerComparison, CompareRequest
from hplaw.messages.query import MAX_QUERIES, BatchRequest, Query
from hplaw.messages.recommendation import BatchReply, Recommendation
from hplaw.messages.record import encode
from hplaw.recommendation.compare import compare as compare_answers
from hplaw.recommendation.many import recommend_many as answer_many
from hplaw.recommendation.record import recommend as answer
from hplaw_api.context import context_of, law_reply
from hplaw_api.query_string import read_query
from hplaw_api.requests import AnyRequest
from hplaw_api.responses import Reply
from hplaw_api.routes.methods import asking, reading


QUERY_BYTES = 262_144
"""The longest body that asks one question: room for a model's whole configuration."""

BATCH_BYTES = 8_000_000
"""The longest body that asks many."""

_SHORT_BATCH_BYTES = 4_096
"""A batch up to this long is answered at once, which takes less than handing it to a thread."""

_QUESTION = {"n_params": 7e9, "tokens": 1.4e12, "want": ["peak_lr", "batch_tokens", "loss"]}
_ONE = Body(examples=[Example(value=_QUESTION)])
_MANY = Body(examples=[Example(value={"queries": [_QUESTION]})])
_SEVERAL = Body(examples=[Example(value={"query": _QUESTION, "compare": {"precision": ["bf16", "fp8"]}})])


@route("/recommendations", http_method=HttpMethod.OPTIONS, include_in_schema=False)
async def methods(request: AnyRequest) -> Reply[None]:
    """Name the methods of the two handlers below."""
    # Litestar 2.25 makes this answer by itself, but from the first of several handlers at a path only;
    # it can go when OPTIONS names both without it. It must be registered before them.
    return Reply(b"", kind=None, status=204, headers=((b"allow", b"GET, HEAD, OPTIONS, POST"),))


async def _kept(request: AnyRequest) -> Reply[Recommendation] | None:
    """Return the reply kept for a question asked again, which then need not be decoded."""
    context = context_of(request)
    reply = context.law_store.now.replies.get(await request.body())
    (context.metrics.miss if reply is None else context.metrics.hit)()
    return None if reply is None else Reply(reply)


@asking("/recommendations", 404, most_bytes=QUERY_BYTES, before_request=_kept)
async def recommend(request: AnyRequest, data: Annotated[Query, _ONE], body: RawBody) -> Reply[Recommendation]:
    """Answer one question."""
    serving = context_of(request).law_store.now
    reply = encode(answer(data, serving.catalogue))
    serving.replies.keep(body, reply)
    return Reply(reply)


@reading("/recommendations", 404, 409, 422)
async def recommend_by_address(request: AnyRequest) -> Reply[Recommendation]:
    """Answer one question asked by query string."""
    asked: bytes = request.scope["query_string"]
    key = b"/v1/recommendations?" + asked
    return law_reply(request, key, lambda catalogue: encode(answer(read_query(asked), catalogue)))


@asking("/recommendations/batch", 404, most_bytes=BATCH_BYTES, long=True)
async def recommend_many(request: AnyRequest, data: Annotated[BatchRequest, _MANY], body: RawBody) -> Reply[BatchReply]:
    """Answer up to 10,000 questions in 8 MB, briefly; a row that cannot be answered says so in `error`."""
    count = len(data.queries)
    if count > MAX_QUERIES:
        detail = f"{count} queries are too many; send at most {MAX_QUERIES} at once"
        raise ClientException(detail=detail, status_code=413)
    context = context_of(request)
    if len(body) <= _SHORT_BATCH_BYTES:
        return Reply(_answer(data, context.law_store.now.catalogue))
    return Reply(await context.in_thread(_answer, data))


@asking("/compare", 404, most_bytes=QUERY_BYTES, long=True)
async def compare(request: AnyRequest, data: Annotated[CompareRequest, _SEVERAL]) -> Reply[AnswerComparison]:
    """Answer one question for several values of a quantity, side by side; a value that cannot be answered says so."""
    return Reply(
        await context_of(request).in_thread(lambda asked, laws: encode(compare_answers(asked, laws, by="http")), data)
    )


def _answer(asked: BatchRequest, catalogue: Catalogue) -> bytes:
    return encode(BatchReply(results=answer_many(asked.queries, catalogue, by="http")))


router = Router(
    "/v1", route_handlers=[methods, recommend, recommend_by_address, recommend_many, compare], tags=["recommendations"]
)
