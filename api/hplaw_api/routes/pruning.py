"""Pruning: maps of regimes, and what to do to a training before its model is pruned."""

from __future__ import annotations

from typing import Annotated

from litestar import Router
from litestar.openapi.spec import Example
from litestar.params import Body, PathParameter

from hplaw.catalogue.catalogue import Catalogue
from hplaw.messages.pruning import PUBLISHED_MAP, PruneAdvice, PruneReply, PruneRequest, RegimeMap
from hplaw.messages.record import encode
from hplaw.pruning.advice import prune_advice as find_advice
from hplaw.pruning.regime_map import regime_map
from hplaw_api.context import context_of, law_reply
from hplaw_api.query_string import read_filters
from hplaw_api.request_types import ADDRESS
from hplaw_api.requests import AnyRequest
from hplaw_api.responses import Reply
from hplaw_api.routes.methods import asking, reading


CASES_BYTES = 4_000_000
"""The longest body that asks for advice: room for the most cases."""

_CASE = {"density": 0.1, "epochs": 80}

Address = Annotated[
    str,
    PathParameter(
        description="a map: id, id@version or id@version+digest",
        schema_extra={"pattern": ADDRESS, "maxLength": 200},
        examples=[Example(value=PUBLISHED_MAP)],
    ),
]
"""How a map is addressed."""


@reading("/regimes/{id:str}", 404)
async def read_regime_map(request: AnyRequest, id: Address) -> Reply[RegimeMap]:
    """Read a map of pruning regimes whole: axes, classes, probabilities."""
    read_filters(request.scope["query_string"])
    key = request.scope["path"].encode()
    return law_reply(request, key, lambda catalogue: encode(regime_map(id, catalogue)), lasting="+" in id)


def _answer(asked: PruneRequest, catalogue: Catalogue) -> bytes:
    return encode(find_advice(asked, catalogue, by="http"))


@asking("/prune-advice", most_bytes=CASES_BYTES, long=True)
async def prune_advice(
    request: AnyRequest, data: Annotated[PruneRequest, Body(examples=[Example(value=_CASE)])]
) -> Reply[PruneAdvice | PruneReply]:
    """Find the regime of a model to prune and whether to train hotter or cooler first; many cases in `cases`."""
    return Reply(await context_of(request).in_thread(_answer, data))


router = Router("/v1", route_handlers=[read_regime_map, prune_advice], tags=["pruning"])
