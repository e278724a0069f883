"""The record of a metered run from what the meter says and what was run."""

from __future__ import annotations

from typing import Literal, TypedDict, Unpack

from hplaw.messages.metering import MeteredRun
from hplaw.metering.meter import Energy


JOULES_PER_KWH = 3.6e6

_METERS: dict[str, Literal["nvml", "rapl", "none"]] = {"nvml_counter": "nvml", "nvml_power": "nvml", "rapl": "rapl"}
"""What is metered, by the way of reading it."""


class Trained(TypedDict, total=False):
    """What was run while the meter ran, as a `MeteredRun` has it.

    `devices` are the accelerators on all machines; those that were metered where this is not said.
    """

    n_params: float | None
    tokens: float | None
    hardware: str | None
    precision: str | None
    devices: float | None


def metered_run(energy: Energy, **trained: Unpack[Trained]) -> MeteredRun:
    """Return the record of a run that was metered."""
    meter = _METERS.get(energy.basis, "none")
    devices, tokens = trained.get("devices"), trained.get("tokens")
    if devices is None and meter == "nvml":
        devices = float(energy.devices)
    joules = energy.energy_j
    return MeteredRun(
        seconds=energy.seconds,
        joules=joules,
        meter=meter,
        n_params=trained.get("n_params"),
        tokens=tokens,
        hardware=trained.get("hardware"),
        precision=trained.get("precision"),
        devices=devices,
        tokens_per_device_s=None if tokens is None or devices is None else tokens / devices / energy.seconds,
        basis=energy.basis,
        metered_devices=0.0 if meter == "none" else float(energy.devices),
        note=energy.note,
        mean_power_w=None if joules is None else joules / energy.seconds,
        kwh=None if joules is None else joules / JOULES_PER_KWH,
    )
