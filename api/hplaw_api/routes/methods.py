"""The two kinds of operations: what is read at an address, and what is asked with a body."""

from __future__ import annotations

from typing import Any

from litestar import HttpMethod, post, route
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec

from hplaw_api.middleware import PlaceMiddleware
from hplaw_api.problems import documented


_UNCHANGED = {304: ResponseSpec(None, description="The caller's copy is still right")}


def reading(path: str | list[str], *statuses: int, tagged: bool = True, **options: Any) -> HTTPRouteHandler:
    """Return the decorator of a handler for GET and HEAD, for which the server omits the body.

    **Arguments:**

    - `statuses`: of its problems, beside those of all operations.
    - `tagged`: true where the reply has an entity tag, so that it may be 304.
    - `options`: what else Litestar's handlers take.
    """
    responses = documented(*statuses) | (_UNCHANGED if tagged else {}) | options.pop("responses", {})
    return route(path, http_method=[HttpMethod.GET, HttpMethod.HEAD], responses=responses, **options)


def asking(path: str, *statuses: int, most_bytes: int, long: bool = False, **options: Any) -> HTTPRouteHandler:
    """Return the decorator of a handler for POST, which reads its body and changes nothing.

    **Arguments:**

    - `statuses`: of its problems, beside those of all that have a body.
    - `most_bytes`: the longest body that it takes.
    - `long`: true where it needs a place for long work.
    - `options`: what else Litestar's handlers take.
    """
    return post(
        path,
        status_code=200,
        request_max_body_size=most_bytes,
        responses=documented(408, 409, 413, 422, *statuses, *([503] if long else [])),
        middleware=[PlaceMiddleware()] if long else [],
        **options,
    )
