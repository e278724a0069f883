"""Errors as RFC 9457 problems, and problems as errors again: the one map that service and client share."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from hplaw.errors import (
    ClientError,
    ConflictingQuery,
    DataError,
    HplawError,
    LawError,
    LawNotFound,
    MalformedQuery,
    QueryError,
    without_list,
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


class _Kind(msgspec.Struct, frozen=True):
    """How an error travels: its class, and the type, title and status of its problem."""

    error: type[HplawError]
    type: str
    title: str
    status: int


_KINDS = (
    _Kind(MalformedQuery, "urn:hplaw:problem:malformed", "Malformed request", 400),
    _Kind(ConflictingQuery, "urn:hplaw:problem:conflict", "Values contradict", 409),
    _Kind(QueryError, "urn:hplaw:problem:query", "Question cannot be asked", 422),
    _Kind(LawNotFound, "urn:hplaw:problem:law-not-found", "Law not found", 404),
    _Kind(LawError, "urn:hplaw:problem:law", "Law cannot be used", 422),
    _Kind(DataError, "urn:hplaw:problem:data", "Data cannot be read", 422),
)
"""Errors that have a problem of their own; the first class that fits says which."""


def to_problem(error: HplawError) -> Problem:
    """Return the problem that tells a caller over HTTP of `error`; an error of ours that is no fault of the caller is a 500.

    >>> to_problem(QueryError("tokens=-3 is not positive", field="tokens")).status
    422
    """
    kind = next((kind for kind in _KINDS if isinstance(error, kind.error)), None)
    if kind is None:
        return plain_problem(500)
    field = error.field if isinstance(error, QueryError) else None
    return Problem(type=kind.type, title=kind.title, status=kind.status, detail=error.told("http"), field=field or None)


def to_error(problem: Problem) -> HplawError:
    """Return the error that `problem` was made from, or a `ClientError` with its status for any other.

    >>> to_error(Problem(type="about:blank", title="Forbidden", status=403, detail="no")).status
    403
    """
    kind = next((kind for kind in _KINDS if kind.type == problem.type), None)
    if kind is None:
        message = f"the service answered {problem.status} {problem.title}: {problem.detail}"
        return ClientError(message, status=problem.status)
    text, lists = without_list(problem.detail, "http")
    if issubclass(kind.error, QueryError):
        return kind.error(text, field=problem.field or "", lists=lists)
    return kind.error(text, lists=lists) if issubclass(kind.error, LawNotFound) else kind.error(text)


def plain_problem(status: int, detail: str = "") -> Problem:
    """Return a problem that says no more than its HTTP status does, with `detail` in place of the usual words.

    >>> plain_problem(405).title
    'Method Not Allowed'
    """
    known = HTTPStatus(status)
    return Problem(title=known.phrase, status=status, detail=detail or known.description or known.phrase)
