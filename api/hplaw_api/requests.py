"""Requests whose body becomes the record that a handler asks for, with every refusal in the words of the library."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias, cast, final

from litestar import Request
from litestar.exceptions import ClientException, InternalServerException

from hplaw.messages.decode import decode, decode_queries
from hplaw.messages.query import BatchRequest, Query


AnyRequest: TypeAlias = Request[Any, Any, Any]

_BODY_S = 30.0
"""Seconds that a request's body may take to arrive."""

_LONG_BODY = 65_536
"""Bytes of a body beyond which it is decoded beside the event loop, which takes longer than to hand it to a thread."""


@final
class RecordRequest(Request[Any, Any, Any]):
    """A request that decodes its body into the type of the handler's `data`."""

    async def body(self) -> bytes:
        """Return the whole body, no longer than the route allows.

        **Raises:** `ClientException` when it does not arrive whole, or not in time; `QueryError` when there is none.
        """
        try:
            async with asyncio.timeout(_BODY_S):
                body = await super().body()
        except InternalServerException:
            # Litestar's word for a caller who left; nobody hears the answer, and it is no failure of ours
            detail = "the caller left before the body was whole"
            raise ClientException(detail=detail) from None
        except TimeoutError:
            detail = f"the body did not arrive within {_BODY_S:g} s"
            raise ClientException(detail=detail, status_code=408) from None
        # Litestar takes an empty body for `data` omitted, and refuses that in words of its own
        return body or decode(body, bytes)

    async def json(self) -> Any:
        """Return the record that the body holds.

        **Raises:** `QueryError` naming the field at fault.
        """
        kind: type[Any] = self.route_handler.parsed_fn_signature.parameters["data"].annotation
        body = await self.body()
        if len(body) <= _LONG_BODY:
            return _read(body, kind)
        return await asyncio.to_thread(_read, body, kind)


def _read(body: bytes, kind: type[Any]) -> Any:
    """Return the record in a body; a row of a batch that cannot be read is there as its error, to be answered by it."""
    if kind is BatchRequest:
        return BatchRequest(queries=cast("list[Query]", decode_queries(body)))
    return decode(body, kind)
