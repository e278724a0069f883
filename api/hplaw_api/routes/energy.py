"""What runs take and what budgets buy: energy of cases side by side, accelerators, frontiers, the settings of one GPU.

Long work is done beside the event loop: there may be many cases, and some hundred questions are behind a frontier.
"""

from __future__ import annotations

from typing import Annotated

from litestar import Router
from litestar.openapi.spec import Example
from litestar.params import Body

from hplaw.energy.device import device_energy as find_settings
from hplaw.energy.frontier import frontier as find_frontier
from hplaw.energy.pareto import pareto as find_front
from hplaw.energy.training import energy as find_energy, hardware_records
from hplaw.layout.layouts import layouts as find_layouts
from hplaw.messages.device import DeviceEnergy, DeviceEnergyRequest
from hplaw.messages.energy import EnergyReply, EnergyRequest, Frontier, FrontierRequest, HardwareRecord
from hplaw.messages.layouts import LayoutReply
from hplaw.messages.pareto import Pareto, ParetoRequest
from hplaw.messages.record import encode
from hplaw_api.context import context_of, law_reply
from hplaw_api.query_string import read_filters, read_layout_request
from hplaw_api.requests import AnyRequest
from hplaw_api.responses import Reply
from hplaw_api.routes.methods import asking, reading


ENERGY_BYTES = 262_144
"""The longest body that asks for energy: room for a model's whole configuration."""

SHORT_BYTES = 65_536
"""The longest body that asks what a budget buys, or for the settings of one GPU."""

_DRAW = {"n_params": 7e10, "tokens": 1.5e13, "hardware": ["h100-sxm"], "precision": ["bf16", "fp8"], "country": "US"}
_BUDGET = {"hardware": "h100-sxm", "energy_kwh": 10000}
_FRONT = {
    "hardware": ["h100-sxm", "b200-sxm"],
    "precision": ["bf16", "fp8"],
    "axis": "energy_kwh",
    "low": 1000,
    "high": 1000000,
}
_PROBES = {
    "probes": [
        {"batch_samples": 16, "power_limit_w": 300, "energy_per_sample_j": 0.925, "time_per_sample_s": 0.00384},
        {"batch_samples": 256, "power_limit_w": 300, "energy_per_sample_j": 0.706, "time_per_sample_s": 0.003},
        {"batch_samples": 256, "power_limit_w": 125, "energy_per_sample_j": 0.946, "time_per_sample_s": 0.00753},
    ]
}


@asking("/energy", 404, most_bytes=ENERGY_BYTES, long=True)
async def energy(
    request: AnyRequest, data: Annotated[EnergyRequest, Body(examples=[Example(value=_DRAW)])]
) -> Reply[EnergyReply]:
    """Estimate hours, energy and carbon of a run, for several accelerators and precisions."""
    return Reply(await context_of(request).in_thread(lambda asked, laws: encode(find_energy(asked, laws)), data))


@reading("/layouts", 404, 409, 422)
async def list_layouts(request: AnyRequest) -> Reply[LayoutReply]:
    """List the parallel layouts that fit a model on accelerators, the fastest first."""
    asked: bytes = request.scope["query_string"]
    key = b"/v1/layouts?" + asked
    return law_reply(request, key, lambda catalogue: encode(find_layouts(read_layout_request(asked), catalogue)))


@reading("/hardware", 404)
async def list_hardware(request: AnyRequest) -> Reply[list[HardwareRecord]]:
    """List accelerators: peak by precision, memory, bandwidth, board power, how far that was checked."""
    read_filters(request.scope["query_string"])
    return law_reply(request, b"/v1/hardware", lambda catalogue: encode(hardware_records(catalogue)))


@asking("/frontier", 404, most_bytes=SHORT_BYTES, long=True)
async def frontier(
    request: AnyRequest, data: Annotated[FrontierRequest, Body(examples=[Example(value=_BUDGET)])]
) -> Reply[Frontier]:
    """Find the size and the tokens of lowest loss within a budget of energy, hours, money or time."""
    return Reply(await context_of(request).in_thread(lambda asked, laws: encode(find_frontier(asked, laws)), data))


@asking("/pareto", 404, most_bytes=SHORT_BYTES, long=True)
async def pareto(
    request: AnyRequest, data: Annotated[ParetoRequest, Body(examples=[Example(value=_FRONT)])]
) -> Reply[Pareto]:
    """Find the runs of lowest loss for budgets from low to high, on several accelerators and in several precisions."""
    return Reply(await context_of(request).in_thread(lambda asked, laws: encode(find_front(asked, laws)), data))


@asking("/device-energy", 404, most_bytes=SHORT_BYTES, long=True)
async def device_energy(
    request: AnyRequest, data: Annotated[DeviceEnergyRequest, Body(examples=[Example(value=_PROBES)])]
) -> Reply[DeviceEnergy]:
    """Find the batch size and power limit of minimum energy per sample for one GPU, and the trade-off with time, from three probes."""
    return Reply(await context_of(request).in_thread(lambda asked, laws: encode(find_settings(asked, laws)), data))


router = Router(
    "/v1", route_handlers=[energy, list_layouts, list_hardware, frontier, pareto, device_energy], tags=["energy"]
)
