"""The record of a metered run: what `hplaw meter` writes and `hplaw energy --probe` reads."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from hplaw.messages.recommendation import BriefEstimate
from hplaw.messages.record import Record


Count = Annotated[float, Meta(ge=1, le=1e22)]
Positive = Annotated[float, Meta(gt=0, le=1e18)]


class MeteredRun(Record, frozen=True, kw_only=True):
    """A run whose time and energy were measured.

    - `n_params`, `tokens`, `hardware`, `precision`, `devices`: what the one who ran it says that it was.
    - `seconds`: from start to end; `joules` what the meter counted, null where nothing could be read.
    - `tokens_per_device_s`: tokens over devices and seconds, start-up counted; null without tokens.
    - `meter`: `nvml` for the boards of GPUs, `rapl` for the packages of processors, or `none`; `basis` says how NVML was read.
    - `metered_devices`: the boards or packages that were read on this machine; `note` why none, or what is in doubt.
    - `mean_power_w`: of all that was metered together; `carbon_kg` with the grid's interval; `cost` of all devices.
    - `predicted`: what the laws gave for such a run.
    - `command`, `exit_status`: null where a block of Python was metered.
    """

    seconds: Positive
    joules: Annotated[float, Meta(ge=0, le=1e24)] | None
    meter: Literal["nvml", "rapl", "none"]
    n_params: Annotated[float, Meta(ge=1, le=1e18)] | None = None
    tokens: Count | None = None
    hardware: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    precision: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    devices: Annotated[float, Meta(ge=1, le=1e8, multiple_of=1)] | None = None
    tokens_per_device_s: Positive | None = None
    basis: str = "none"
    metered_devices: Annotated[float, Meta(ge=0, le=1e8, multiple_of=1)] = 0.0
    note: str = ""
    mean_power_w: float | None = None
    kwh: float | None = None
    country: str | None = None
    carbon_kg: float | None = None
    carbon_low_kg: float | None = None
    carbon_high_kg: float | None = None
    pue: float | None = None
    price_per_hour: float | None = None
    cost: float | None = None
    predicted: dict[str, BriefEstimate] = {}
    command: list[str] | None = None
    exit_status: Annotated[float, Meta(ge=0, le=255, multiple_of=1)] | None = None
