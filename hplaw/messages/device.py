"""The wire types of one GPU's energy: probes of a training, and which batch and power limit take minimum."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from hplaw.messages.recommendation import AnswerWarning
from hplaw.messages.record import Record


Batch = Annotated[float, Meta(ge=1, le=1e9, description="samples in one step of one GPU")]
Watts = Annotated[float, Meta(ge=1, le=1e5, description="power limit of the board, W")]
Measured = Annotated[float, Meta(ge=1e-12, le=1e12)]


class Probe(Record, frozen=True, kw_only=True):
    """A short measured stretch of your own training; `power_limit_w` is the board's maximum where none was set."""

    batch_samples: Batch
    power_limit_w: Watts
    energy_per_sample_j: Measured
    time_per_sample_s: Measured


class DeviceEnergyRequest(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Three probes of a training on one GPU, and the batches and power limits to choose among.

    Two probes run under the maximum limit, with a small and a large batch; the third runs the large batch under a low
    limit. `batch_samples` is the batch that is compared with, under the maximum limit; the large probe's by default.
    """

    probes: Annotated[list[Probe], Meta(min_length=1, max_length=64)]
    batch_samples: Batch | None = None
    batches: Annotated[list[Batch], Meta(max_length=32)] = field(default_factory=list[float])
    limits: Annotated[list[Watts], Meta(max_length=64)] = field(default_factory=list[float])


class DevicePoint(Record, frozen=True, kw_only=True):
    """One batch under one limit: energy and time of a sample, power, and both against the default.

    `saving` is the share of the default's energy that is saved, `longer` the share of its time that is added; each has the
    bounds of its 90% interval, null for the default itself.
    """

    batch_samples: float
    power_limit_w: float
    energy_per_sample_j: float
    time_per_sample_s: float
    power_w: float
    saving: float
    saving_low: float | None
    saving_high: float | None
    longer: float
    longer_low: float | None
    longer_high: float | None


class DeviceEnergy(Record, frozen=True, kw_only=True):
    """The default, what takes minimum energy and what minimum time, and the points that nothing beats in both, fastest first."""

    default: DevicePoint
    least_energy: DevicePoint
    fastest: DevicePoint
    front: list[DevicePoint]
    considered: int
    law: str
    warnings: list[AnswerWarning] = field(default_factory=list[AnswerWarning])
