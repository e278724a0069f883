"""Every exception that leaves a handler, as the problem it is reported as, and the problems that operations document."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, final

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi import ResponseSpec
from litestar.plugins.problem_details import ProblemDetailsConfig, ProblemDetailsException, ProblemDetailsPlugin

from hplaw.errors import HplawError
from hplaw.messages.problem import MEDIA_TYPE, Problem, plain_problem, to_problem


_log = logging.getLogger("hplaw_api")

DOCUMENTED = {
    400: "The request is malformed; `field` names the part at fault",
    401: "The service's key is missing or wrong",
    404: "There is no such law; the nearest name is offered",
    408: "The body did not arrive in time",
    409: "Each value is allowed, but they contradict one another or the law",
    413: "The body is too large, or asks too much",
    422: "A value is not allowed; `field` names it",
    429: "Too many requests; `Retry-After` says when to ask again",
    500: "The service failed; the request is not at fault",
    503: "The service is busy; `Retry-After` says when to ask again",
}
"""What each status of a problem means, for the description."""


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """Return the problems of an operation for its description: those of all operations, 400 and 500, and `statuses`."""
    return {
        status: ResponseSpec(Problem, description=DOCUMENTED[status], media_type=MEDIA_TYPE, generate_examples=False)
        for status in sorted({400, 500, *statuses})
    }


@final
class ServiceProblem(ProblemDetailsException):
    """Any exception as a problem, worded when it is given, as the words may need the request."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def to_response(self, request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """Return the problem+json; what is no fault of the caller is logged here and reported without its trace."""
        error = _refusal_of_unrouted(request, self._error) or self._error
        headers = {"cache-control": "no-store"}
        match error:
            case HplawError():
                problem = to_problem(error)
            case HTTPException():
                problem = _of_http(request, error)
                headers |= error.headers or {}
            case _:
                problem = plain_problem(500)
        if problem.status == 500:
            _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        told = ProblemDetailsException(
            status_code=problem.status,
            title=problem.title,
            detail=problem.detail,
            type_=None if problem.type == "about:blank" else problem.type,
            extra={"field": problem.field} if problem.field else None,
            headers=headers,
        )
        return told.to_response(request)


PROBLEMS = ProblemDetailsPlugin(
    ProblemDetailsConfig(exception_to_problem_detail_map=dict.fromkeys((HTTPException, Exception), ServiceProblem))
)
"""Litestar's plugin, for all exceptions: its own map for those of HTTP has the sentence as title."""


def _refusal_of_unrouted(request: Request[Any, Any, Any], error: Exception) -> HTTPException | None:
    """Return the refusal of a request that no route takes, which middleware does not see: it needs the key as others do."""
    if "route_handler" in request.scope or not isinstance(error, HTTPException):
        return None
    return request.app.state["context"].access.refusal(request.scope)


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
