"""Every exception that leaves a handler, as the problem it is told as."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from hplaw.errors import HplawError
from hplaw.messages.problem import MEDIA_TYPE, Problem, plain_problem, to_problem
from hplaw.messages.record import encode


_log = logging.getLogger("hplaw_api")


def on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Return the problem+json of `error`; what is no fault of the caller is logged here and told without its trace."""
    headers: dict[str, str] = {"cache-control": "no-store"}
    match error:
        case HplawError():
            problem = to_problem(error)
        case HTTPException():
            problem = _of_http(request, error)
            headers.update(error.headers or {})
        case _:
            problem = plain_problem(500)
    if problem.status == 500:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return Response(encode(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def _of_http(request: Request[Any, Any, Any], error: HTTPException) -> Problem:
    path = request.url.path
    match error.status_code:
        case 404:
            return plain_problem(404, f"{path} is no path of this service; /schema lists them")
        case 405:
            allowed = (error.headers or {}).get("allow", "")
            return plain_problem(405, f"{request.method} does nothing at {path}; use {allowed}")
        case 413:
            own = error.detail != HTTPStatus(413).phrase
            most = request.route_handler.resolve_request_max_body_size()
            large = f"the body is larger than the {most:,} bytes that {path} takes; send a smaller one"
            detail = error.detail if own else large
            return plain_problem(413, detail)
        case 503:
            return plain_problem(503, error.detail)
        case status if status >= 500:
            return plain_problem(500)
        case status:
            return plain_problem(status, error.detail)
