"""Laws and the words they use: lists, single laws, their citations, and their values at one point."""

from __future__ import annotations

from collections.abc import Callable

from litestar import get, post
from litestar.types import ASGIApp

from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import known_quantities, law_record, list_laws
from hplaw.law import Law
from hplaw.messages.decode import decode
from hplaw.messages.law import quantity_records
from hplaw.messages.query import EvaluateRequest
from hplaw.messages.record import encode
from hplaw.theory.rules import theory as look_up
from hplaw_api.context import AnyRequest, context_of, read_body
from hplaw_api.query_string import read_filters
from hplaw_api.responses import BIBTEX, JSON, Reply, kept_reply


EVALUATE_BYTES = 65_536
"""The longest body that evaluates a law."""


@get("/v1/laws")
async def list_all(request: AnyRequest) -> ASGIApp:
    """List the laws served."""
    context = context_of(request)
    asked: bytes = request.scope["query_string"]

    def make(catalogue: Catalogue) -> bytes:
        return encode(list_laws(catalogue, **read_filters(asked, "quantity", "status")))

    body = context.law_store.now.reply(b"/v1/laws?" + asked, make)
    return kept_reply(request, body, private=context.private)


@get("/v1/laws/{address:str}")
async def show(request: AnyRequest) -> ASGIApp:
    """Show one law whole."""
    return _about(request, lambda catalogue, law: encode(law_record(catalogue, law)))


@get("/v1/laws/{address:str}/bibtex")
async def cite(request: AnyRequest) -> ASGIApp:
    """Show the BibTeX entry of a law's source."""
    return _about(request, lambda _, law: law.citation().bibtex.encode(), kind=BIBTEX)


@post("/v1/laws/{address:str}/evaluate", status_code=200, request_max_body_size=EVALUATE_BYTES)
async def value(request: AnyRequest) -> ASGIApp:
    """Say what one law gives for the inputs in the body."""
    catalogue = context_of(request).law_store.now.catalogue
    law = catalogue.get(request.path_params["address"])
    asked = decode(await read_body(request), EvaluateRequest)
    return Reply(encode(evaluate(law, asked.given, catalogue)))


@get("/v1/quantities")
async def quantities(request: AnyRequest) -> ASGIApp:
    """List the words that questions and laws use."""
    context = context_of(request)
    read_filters(request.scope["query_string"])
    body = context.law_store.now.reply(
        b"/v1/quantities", lambda catalogue: encode(quantity_records(known_quantities(catalogue).values()))
    )
    return kept_reply(request, body, private=context.private)


@get("/v1/theory/{quantity:str}")
async def theory(request: AnyRequest) -> ASGIApp:
    """Say what every rule says of a quantity."""
    context = context_of(request)
    read_filters(request.scope["query_string"])
    quantity: str = request.path_params["quantity"]
    body = context.law_store.now.reply(
        request.scope["path"].encode(), lambda catalogue: encode(look_up(catalogue, quantity))
    )
    return kept_reply(request, body, private=context.private)


def _about(request: AnyRequest, make: Callable[[Catalogue, Law], bytes], *, kind: bytes = JSON) -> Reply:
    context = context_of(request)
    read_filters(request.scope["query_string"])
    address: str = request.path_params["address"]
    body = context.law_store.now.reply(
        request.scope["path"].encode(), lambda catalogue: make(catalogue, catalogue.get(address))
    )
    # only an address with a digest says which content it means
    return kept_reply(request, body, kind=kind, lasting="+" in address, private=context.private)
