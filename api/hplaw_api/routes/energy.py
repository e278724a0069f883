"""What runs take and what budgets buy: energy of cases side by side, accelerators, frontiers, the settings of one GPU."""

from __future__ import annotations

from litestar import get, post
from litestar.types import ASGIApp

from hplaw.energy.device import device_energy as find_settings
from hplaw.energy.frontier import frontier as find_frontier
from hplaw.energy.training import energy as find_energy, hardware_records
from hplaw.messages.decode import decode
from hplaw.messages.device import DeviceEnergyRequest
from hplaw.messages.energy import EnergyRequest, FrontierRequest
from hplaw.messages.record import encode
from hplaw_api.context import AnyRequest, context_of, worked_beside
from hplaw_api.query_string import read_filters
from hplaw_api.responses import Reply, kept_reply


ENERGY_BYTES = 262_144
"""The longest body that asks for energy: room for a model's whole configuration."""

SHORT_BYTES = 65_536
"""The longest body that asks what a budget buys, or for the settings of one GPU."""


@post("/v1/energy", status_code=200, request_max_body_size=ENERGY_BYTES)
async def energy(request: AnyRequest) -> ASGIApp:
    """Say what a run takes on accelerators and in precisions, beside the event loop as there may be many."""
    return Reply(
        await worked_beside(request, lambda body, laws: encode(find_energy(decode(body, EnergyRequest), laws)))
    )


@get("/v1/hardware")
async def hardware(request: AnyRequest) -> ASGIApp:
    """List accelerators."""
    context = context_of(request)
    read_filters(request.scope["query_string"])
    body = context.law_store.now.reply(b"/v1/hardware", lambda catalogue: encode(hardware_records(catalogue)))
    return kept_reply(request, body, private=context.private)


@post("/v1/frontier", status_code=200, request_max_body_size=SHORT_BYTES)
async def frontier(request: AnyRequest) -> ASGIApp:
    """Say what a budget buys, beside the event loop: some hundred questions are behind it."""
    return Reply(
        await worked_beside(request, lambda body, laws: encode(find_frontier(decode(body, FrontierRequest), laws)))
    )


@post("/v1/device-energy", status_code=200, request_max_body_size=SHORT_BYTES)
async def device_energy(request: AnyRequest) -> ASGIApp:
    """Say which batch and power limit take least energy, beside the event loop: there may be thousands to choose among."""
    return Reply(
        await worked_beside(request, lambda body, laws: encode(find_settings(decode(body, DeviceEnergyRequest), laws)))
    )
