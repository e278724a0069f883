"""The record of a metered run from what the meter says and what was run."""

from __future__ import annotations

from typing import Literal

from hplaw.messages.metering import MeteredRun
from hplaw.metering.meter import Energy


JOULES_PER_KWH = 3.6e6

_METERS: dict[str, Literal["nvml", "rapl", "none"]] = {"nvml_counter": "nvml", "nvml_power": "nvml", "rapl": "rapl"}
"""What is metered, by the way of reading it."""


def metered_run(
    energy: Energy,
    *,
    n_params: float | None = None,
    tokens: float | None = None,
    hardware: str | None = None,
    precision: str | None = None,
    devices: float | None = None,
) -> MeteredRun:
    """Return the record of a run that was metered.

    **Arguments:**

    - `devices`: accelerators that the run used, on all machines; those that were metered where this is not said.
    """
    meter = _METERS.get(energy.basis, "none")
    if devices is None and meter == "nvml":
        devices = float(energy.devices)
    joules = energy.energy_j
    return MeteredRun(
        seconds=energy.seconds,
        joules=joules,
        meter=meter,
        n_params=n_params,
        tokens=tokens,
        hardware=hardware,
        precision=precision,
        devices=devices,
        tokens_per_device_s=None if tokens is None or devices is None else tokens / devices / energy.seconds,
        basis=energy.basis,
        metered_devices=0 if meter == "none" else energy.devices,
        note=energy.note,
        mean_power_w=None if joules is None else joules / energy.seconds,
        kwh=None if joules is None else joules / JOULES_PER_KWH,
    )
