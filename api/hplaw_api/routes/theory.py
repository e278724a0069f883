"""What theory computes for one request: tables of parametrizations, regimes, schedules, other batches."""

from __future__ import annotations

from typing import Annotated

from litestar import Router
from litestar.openapi.spec import Example
from litestar.params import Body

from hplaw.messages.parametrization import AbcReply, AbcRequest, LayerTable, ParametrizeRequest
from hplaw.messages.record import encode
from hplaw.messages.schedule import ScheduleCompareRequest, ScheduleComparison, ScheduleCurve, ScheduleRequest
from hplaw.messages.transfer import Transfer, TransferRequest
from hplaw.parametrization.abc_regime import classify as find_regime
from hplaw.parametrization.layer_table import parametrize as find_table
from hplaw.theory.batch_transfer import transfer as find_transfer
from hplaw.theory.schedule_losses import compare_schedules as find_comparison
from hplaw.theory.schedules import schedule_curve
from hplaw_api.context import context_of
from hplaw_api.requests import AnyRequest
from hplaw_api.responses import Reply
from hplaw_api.routes.methods import asking


PARAMETRIZE_BYTES = 524_288
"""The longest body that asks for a parametrization: room for two models' whole configurations."""

SHORT_BYTES = 65_536
"""The longest body that asks for a regime, a schedule or another batch."""

_SIZE = {"scheme": "mup", "optimizer": "adamw", "width": 4096, "base_width": 256}
_ABC = {"a": {"input": "-1/2", "hidden": 0, "output": "1/2"}, "b": {"input": "1/2", "hidden": "1/2", "output": "1/2"}}
_RUN = {"schedule": "cosine", "total_steps": 1000, "given": {"warmup_steps": 100}, "points": 11}
_RUNS = {"total_steps": 24000, "peak_lr": 3e-4, "n_params": 1e8, "given": {"warmup_steps": 240}}
_BATCHES = {"peak_lr": 3e-4, "batch_tokens": 256, "to_batch_tokens": 2048, "optimizer": "adamw"}


@asking("/parametrize", most_bytes=PARAMETRIZE_BYTES)
async def parametrize(data: Annotated[ParametrizeRequest, Body(examples=[Example(value=_SIZE)])]) -> Reply[LayerTable]:
    """Compute init, multiplier, rate, weight decay and epsilon of layers in a wider or deeper model."""
    return Reply(encode(find_table(data)))


@asking("/classify", most_bytes=SHORT_BYTES)
async def classify(data: Annotated[AbcRequest, Body(examples=[Example(value=_ABC)])]) -> Reply[AbcReply]:
    """Classify an infinitely wide network: unstable, trivial, kernel or feature learning."""
    return Reply(encode(find_regime(data)))


@asking("/schedule", most_bytes=SHORT_BYTES, long=True)
async def schedule(
    request: AnyRequest, data: Annotated[ScheduleRequest, Body(examples=[Example(value=_RUN)])]
) -> Reply[ScheduleCurve]:
    """Compute a schedule of the learning rate and the area under it."""
    # beside the event loop, as the area is a sum over many steps
    return Reply(await context_of(request).in_thread(lambda asked, laws: encode(schedule_curve(asked, laws)), data))


@asking("/schedule/compare", 404, most_bytes=SHORT_BYTES, long=True)
async def compare_schedules(
    request: AnyRequest, data: Annotated[ScheduleCompareRequest, Body(examples=[Example(value=_RUNS)])]
) -> Reply[ScheduleComparison]:
    """Compare schedules by the loss predicted for the end of a run, and find the best share of decay."""
    return Reply(await context_of(request).in_thread(lambda asked, laws: encode(find_comparison(asked, laws)), data))


@asking("/transfer", most_bytes=SHORT_BYTES)
async def transfer(
    request: AnyRequest, data: Annotated[TransferRequest, Body(examples=[Example(value=_BATCHES)])]
) -> Reply[Transfer]:
    """Show what each rule gives for a learning rate at another batch size, where rules agree, and what decides."""
    return Reply(encode(find_transfer(data, context_of(request).law_store.now.catalogue)))


router = Router("/v1", route_handlers=[parametrize, classify, schedule, compare_schedules, transfer], tags=["theory"])
