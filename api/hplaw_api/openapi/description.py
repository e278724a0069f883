"""The description of the interface, OpenAPI 3.1: Litestar's of the handlers, with the words that the laws know."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Litestar, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import License

from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import STATUSES
from hplaw.messages.record import Record
from hplaw_api.openapi.requests import REF, Schema, narrow
from hplaw_api.problems import DOCUMENTED
from hplaw_api.query_string import PARAMETERS
from hplaw_api.request_types import layout_parameters, query_parameter, query_string_types
from hplaw_api.settings import Settings


_ABOUT = """\
Learning rate, batch size, loss and energy of pre-training, with uncertainty: scaling laws with sources.

Numbers are finite or null, and a null comes with a `reason`. Give each field once, and no unknown ones.
Errors are `application/problem+json` (RFC 9457); `field` names the part of the request at fault.
Replies to GET carry an `ETag` and honor `If-None-Match`; at a law's address with its digest they never change."""

_BEARER = {"type": "http", "scheme": "bearer"}
_KEYS = {"bearer": _BEARER, "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}


def describe(catalogue: Catalogue, routes: Sequence[Router], *, settings: Settings) -> bytes:
    """Return the description as JSON, for the laws and the settings of one service."""
    config = OpenAPIConfig(
        title="hplaw",
        version=version("hplaw"),
        description=_ABOUT,
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
    )
    whole: Schema = Litestar(routes, openapi_config=config, logging_config=None).openapi_schema.to_schema()
    # of msgspec's structs Litestar 2.25 omits docstrings, bounds of items, and that they take no other fields
    kinds = [kind for kind in Record.__subclasses__() if kind.__name__ in whole["components"]["schemas"]]
    if settings.api_key is not None:
        whole["components"]["securitySchemes"] = _KEYS
    whole["components"]["schemas"] = schemas = msgspec.json.schema_components(kinds, ref_template=REF)[1]
    narrow(schemas, catalogue)
    for schema in schemas.values():
        schema["description"] = inspect.cleandoc(schema["description"])
    known: dict[str, Any] = {"quantity": {"$ref": REF.format(name="Quantity")}, "status": {"enum": list(STATUSES)}}
    for path, operations in whole["paths"].items():
        operations.pop("head", None)  # what GET says
        for operation in operations.values():
            _settle(operation, known)
            if not path.startswith("/health/"):
                _guard(operation, settings)
    by_address = whole["paths"]["/v1/recommendations"]["get"]
    asked = schemas["Query"]["properties"] | {
        name: msgspec.json.schema(kind) for name, kind in query_string_types(catalogue).items()
    }
    by_address["parameters"] = [query_parameter(name, asked[name]) for name in PARAMETERS]
    whole["paths"]["/v1/layouts"]["get"]["parameters"] = layout_parameters(catalogue)
    return msgspec.json.encode(whole)


def _settle(operation: Schema, known: dict[str, Any]) -> None:
    """Put the docstring, the examples and the words of an operation where readers of OpenAPI look for them."""
    operation["summary"] = operation.pop("description").rstrip(".")
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = known.get(parameter["name"], parameter["schema"])
        for example in parameter.pop("examples", {}).values():
            parameter["example"] = example["value"]
    for content in operation.get("requestBody", {"content": {}})["content"].values():
        content |= {"example": content["schema"]["examples"][0], "schema": content["schema"]["allOf"][0]}


def _guard(operation: Schema, settings: Settings) -> None:
    """Add what a key and a limit bring to an operation that not everybody may ask."""
    for status, guard in ((401, settings.api_key), (429, settings.rate_limit)):
        if guard is not None:
            operation["responses"][str(status)] = operation["responses"]["400"] | {"description": DOCUMENTED[status]}
    if settings.api_key is not None:
        operation["security"] = [{"bearer": []}, {"header": []}]


def _operation_id(handler: HTTPRouteHandler, method: str, _: object) -> str:
    first, *others = handler.handler_name.split("_")
    return first + "".join(word.title() for word in others) + ("Head" if method == "HEAD" else "")
