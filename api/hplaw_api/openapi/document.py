"""The description of the interface, OpenAPI 3.1: written from the records that the handlers read and write."""

from __future__ import annotations

from importlib.metadata import version

import msgspec

from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import known_quantities
from hplaw.messages.problem import MEDIA_TYPE
from hplaw_api.openapi.operations import Operation, operations
from hplaw_api.openapi.schemas import Schema, components, reference
from hplaw_api.settings import Settings


_ABOUT = """\
Which learning rate, batch size, loss and energy, and how sure: scaling laws with sources.

Numbers are finite or null, and a null comes with a `reason`. Give each field once, and no unknown ones.
Errors are `application/problem+json` (RFC 9457); `field` names the part of the request at fault.
Replies to GET carry an `ETag` and honour `If-None-Match`; at a law's address with its digest they never change."""

_ERRORS = {
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


def document(catalogue: Catalogue, *, settings: Settings) -> bytes:
    """Return the description as JSON, for the laws and the settings of one service."""
    schemas = components(catalogue)
    paths: dict[str, Schema] = {}
    for operation in operations(schemas["Query"], known_quantities(catalogue)):
        paths.setdefault(operation.path, {})[operation.method] = _written(operation, settings)
    parts: Schema = {"schemas": schemas, "responses": {str(status): _error(text) for status, text in _ERRORS.items()}}
    if settings.api_key is not None:
        parts["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "hplaw",
                "version": version("hplaw"),
                "description": _ABOUT,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "paths": paths,
            "components": parts,
        }
    )


def _written(operation: Operation, settings: Settings) -> Schema:
    guarded = not operation.free
    general = [400, 500]
    if guarded and settings.api_key is not None:
        general.append(401)
    if guarded and settings.rate_limit is not None:
        general.append(429)
    good = {"description": "The answer", "content": {operation.kind: {"schema": operation.reply}}}
    responses: Schema = {"200": good}
    if operation.tagged:
        responses["304"] = {"description": "The caller's copy is still right"}
    for status in sorted({*operation.errors, *general}):
        responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    for status, schema in operation.also.items():
        responses[str(status)] = {
            "description": "The same, when the answer is no",
            "content": {operation.kind: {"schema": schema}},
        }
    written: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": responses,
    }
    if operation.parameters:
        written["parameters"] = operation.parameters
    if operation.body is not None:
        content: Schema = {"schema": operation.body}
        if operation.example is not None:
            content["example"] = operation.example
        written["requestBody"] = {"required": True, "content": {"application/json": content}}
    if guarded and settings.api_key is not None:
        written["security"] = [{"bearer": []}, {"header": []}]
    return written


def _error(text: str) -> Schema:
    return {"description": text, "content": {MEDIA_TYPE: {"schema": reference("Problem")}}}
