"""Laws and the words they use: lists, single laws, their citations, and their values at one point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from litestar import Router
from litestar.openapi.spec import Example
from litestar.params import Body, PathParameter, QueryParameter

from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import full_quantities, law_record, list_laws as find_laws, list_recipes as find_recipes
from hplaw.law import Law
from hplaw.messages.law import LawRecord, LawSummary, QuantityRecord, quantity_records
from hplaw.messages.query import EvaluateRequest
from hplaw.messages.recipe import Recipe
from hplaw.messages.recommendation import Evaluation
from hplaw.messages.record import encode
from hplaw.messages.theory import Theory
from hplaw.theory.rules import theory
from hplaw_api.context import context_of, law_reply
from hplaw_api.query_string import read_filters
from hplaw_api.request_types import ADDRESS
from hplaw_api.requests import AnyRequest
from hplaw_api.responses import BIBTEX, JSON, Reply
from hplaw_api.routes.methods import asking, reading


EVALUATE_BYTES = 65_536
"""The longest body that evaluates a law."""

_POINT = {"given": {"n_params": 1e9, "tokens": 1e11}}

Address = Annotated[
    str,
    PathParameter(
        description="a law: id, id@version or id@version+digest",
        # described only, as any other address is that of a law that is not found
        schema_extra={"pattern": ADDRESS, "maxLength": 200},
        examples=[Example(value="step-law-2025")],
    ),
]
"""How a law is addressed."""


@reading("/laws", 422)
async def list_laws(
    request: AnyRequest,
    quantity: Annotated[str | None, QueryParameter(description="laws that give it")] = None,
    status: Annotated[str | None, QueryParameter(description="laws of this status")] = None,
) -> Reply[list[LawSummary]]:
    """List the laws, or those that give a quantity or have a status."""
    asked: bytes = request.scope["query_string"]

    def make(catalogue: Catalogue) -> bytes:
        read_filters(asked, "quantity", "status")
        return encode(find_laws(catalogue, quantity=quantity, status=status))

    return law_reply(request, b"/v1/laws?" + asked, make)


@reading("/laws/{address:str}", 404)
async def read_law(request: AnyRequest, address: Address) -> Reply[LawRecord]:
    """Read one law whole."""
    return _about(request, address, lambda catalogue, law: encode(law_record(catalogue, law)))


@reading("/laws/{address:str}/bibtex", 404, media_type=BIBTEX.decode())
async def cite_law(request: AnyRequest, address: Address) -> Reply[str]:
    """Read the BibTeX entry of a law's source."""
    return _about(request, address, lambda _, law: law.citation().bibtex.encode(), kind=BIBTEX)


@asking("/laws/{address:str}/evaluate", 404, most_bytes=EVALUATE_BYTES)
async def evaluate_law(
    request: AnyRequest, address: Address, data: Annotated[EvaluateRequest, Body(examples=[Example(value=_POINT)])]
) -> Reply[Evaluation]:
    """Evaluate one law at one point."""
    catalogue = context_of(request).law_store.now.catalogue
    return Reply(encode(evaluate(catalogue.get(address), data.given, catalogue)))


@reading("/quantities")
async def list_quantities(request: AnyRequest) -> Reply[list[QuantityRecord]]:
    """List the vocabulary: name, symbol, unit, meaning and bounds."""
    read_filters(request.scope["query_string"])
    return law_reply(
        request, b"/v1/quantities", lambda catalogue: encode(quantity_records(full_quantities(catalogue).values()))
    )


@reading("/recipes")
async def list_recipes(request: AnyRequest) -> Reply[list[Recipe]]:
    """List the recipes that questions may name, each with the laws that hold for it."""
    read_filters(request.scope["query_string"])
    return law_reply(request, b"/v1/recipes", lambda catalogue: encode(find_recipes(catalogue)))


@reading("/theory/{quantity:str}", 422)
async def read_theory(
    request: AnyRequest,
    quantity: Annotated[str, PathParameter(description="a quantity", examples=[Example(value="peak_lr")])],
) -> Reply[Theory]:
    """Show every rule for a quantity: direction, exponent, assumptions, agreement and conflict."""
    read_filters(request.scope["query_string"])
    return law_reply(request, request.scope["path"].encode(), lambda catalogue: encode(theory(catalogue, quantity)))


def _about(
    request: AnyRequest, address: str, make: Callable[[Catalogue, Law], bytes], *, kind: bytes = JSON
) -> Reply[Any]:
    read_filters(request.scope["query_string"])
    key = request.scope["path"].encode()
    # only an address with a digest says which content it means
    lasting = "+" in address
    return law_reply(
        request, key, lambda catalogue: make(catalogue, catalogue.get(address)), kind=kind, lasting=lasting
    )


router = Router(
    "/v1",
    route_handlers=[list_laws, read_law, cite_law, evaluate_law, list_quantities, list_recipes, read_theory],
    tags=["laws"],
)
