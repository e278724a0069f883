"""What theory works out for one request: tables of parametrisations, regimes, schedules, other batches."""

from __future__ import annotations

from litestar import post
from litestar.types import ASGIApp

from hplaw.messages.decode import decode
from hplaw.messages.parametrization import AbcRequest, ParametrizeRequest
from hplaw.messages.record import encode
from hplaw.messages.schedule import ScheduleRequest
from hplaw.messages.transfer import TransferRequest
from hplaw.parametrization.abc_regime import classify as find_regime
from hplaw.parametrization.layer_table import parametrize as find_table
from hplaw.theory.batch_transfer import transfer as find_transfer
from hplaw.theory.schedules import schedule_curve
from hplaw_api.context import AnyRequest, context_of, read_body, worked_beside
from hplaw_api.responses import Reply


PARAMETRIZE_BYTES = 524_288
"""The longest body that asks for a parametrisation: room for two models' whole configurations."""

SHORT_BYTES = 65_536
"""The longest body that asks for a regime, a schedule or another batch."""


@post("/v1/parametrize", status_code=200, request_max_body_size=PARAMETRIZE_BYTES)
async def parametrize(request: AnyRequest) -> ASGIApp:
    """Say what layers become in a wider or deeper model."""
    return Reply(encode(find_table(decode(await read_body(request), ParametrizeRequest))))


@post("/v1/classify", status_code=200, request_max_body_size=SHORT_BYTES)
async def classify(request: AnyRequest) -> ASGIApp:
    """Say what an infinitely wide network does."""
    return Reply(encode(find_regime(decode(await read_body(request), AbcRequest))))


@post("/v1/schedule", status_code=200, request_max_body_size=SHORT_BYTES)
async def schedule(request: AnyRequest) -> ASGIApp:
    """Work out a schedule, beside the event loop: the area under it is a sum over many steps."""
    return Reply(
        await worked_beside(request, lambda body, laws: encode(schedule_curve(decode(body, ScheduleRequest), laws)))
    )


@post("/v1/transfer", status_code=200, request_max_body_size=SHORT_BYTES)
async def transfer(request: AnyRequest) -> ASGIApp:
    """Say what each rule makes of a learning rate at another batch."""
    catalogue = context_of(request).law_store.now.catalogue
    asked = decode(await read_body(request), TransferRequest)
    return Reply(encode(find_transfer(asked, catalogue)))
