"""Errors as RFC 9457 problems, and problems as errors again: the one map that service and client share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from hplaw.errors import (
    ClientError,
    ConflictingQuery,
    DataError,
    HplawError,
    LawError,
    LawNotFound,
    MalformedQuery,
    QueryError,
)
from hplaw.messages.record import Record


class Problem(Record, frozen=True, kw_only=True, omit_defaults=True):
    """An error over HTTP, as RFC 9457 has it; `field` names the part of the request at fault."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    field: str | None = None


MEDIA_TYPE = "application/problem+json"
"""What a reply that carries a `Problem` calls itself."""

_MALFORMED = "urn:hplaw:problem:malformed"
_CONFLICT = "urn:hplaw:problem:conflict"
_QUERY = "urn:hplaw:problem:query"
_LAW_NOT_FOUND = "urn:hplaw:problem:law-not-found"
_LAW = "urn:hplaw:problem:law"
_DATA = "urn:hplaw:problem:data"

_ERRORS: Mapping[str, Callable[[str, str], HplawError]] = {
    _MALFORMED: lambda text, field: MalformedQuery(text, field=field),
    _CONFLICT: lambda text, field: ConflictingQuery(text, field=field),
    _QUERY: lambda text, field: QueryError(text, field=field),
    _LAW_NOT_FOUND: lambda text, field: LawNotFound(text),
    _LAW: lambda text, field: LawError(text),
    _DATA: lambda text, field: DataError(text),
}


def to_problem(error: HplawError) -> Problem:
    """Return the problem that tells a caller over HTTP of `error`; an error of ours that is no fault of the caller is a 500.

    >>> to_problem(QueryError("tokens=-3 is not positive", field="tokens")).status
    422
    """
    match error:
        case MalformedQuery():
            return _problem(_MALFORMED, "Malformed request", 400, error.text, field=error.field)
        case ConflictingQuery():
            return _problem(_CONFLICT, "Values contradict", 409, error.text, field=error.field)
        case QueryError():
            return _problem(_QUERY, "Question cannot be asked", 422, error.text, field=error.field)
        case LawNotFound():
            return _problem(_LAW_NOT_FOUND, "Law not found", 404, error.text)
        case LawError():
            return _problem(_LAW, "Law cannot be used", 422, error.text)
        case DataError():
            return _problem(_DATA, "Data cannot be read", 422, error.text)
        case _:
            return plain_problem(500)


def to_error(problem: Problem) -> HplawError:
    """Return the error that `problem` was made from, or a `ClientError` with its status for any other.

    >>> to_error(Problem(type="about:blank", title="Forbidden", status=403, detail="no")).status
    403
    """
    make = _ERRORS.get(problem.type)
    if make is not None:
        return make(problem.detail, problem.field or "")
    message = f"the service answered {problem.status} {problem.title}: {problem.detail}"
    return ClientError(message, status=problem.status)


def plain_problem(status: int, detail: str = "") -> Problem:
    """Return a problem that says no more than its HTTP status does, with `detail` in place of the usual words.

    >>> plain_problem(405).title
    'Method Not Allowed'
    """
    known = HTTPStatus(status)
    return Problem(title=known.phrase, status=status, detail=detail or known.description or known.phrase)


def _problem(kind: str, title: str, status: int, detail: str, *, field: str = "") -> Problem:
    return Problem(type=kind, title=title, status=status, detail=detail, field=field or None)
