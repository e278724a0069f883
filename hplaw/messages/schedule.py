"""The wire types of schedules: what `hplaw schedule` and POST /v1/schedule take and answer."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from hplaw.messages.law import Citation
from hplaw.messages.record import Record


POINTS = 201
"""Points of a curve where no number is asked for."""


class ScheduleRequest(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A schedule by name or by a law's id, with what its law takes: `final_lr`, `warmup_steps`, `uba_phi` and so on."""

    schedule: str
    total_steps: Annotated[float, Meta(ge=1, le=1e15)]
    peak_lr: Annotated[float, Meta(gt=0, le=1e6)] = 1.0
    given: dict[str, float] = field(default_factory=dict[str, float])
    points: Annotated[float, Meta(ge=2, le=10_000)] = POINTS


class ScheduleCurve(Record, frozen=True, kw_only=True):
    """A schedule computed.

    - `steps`, `rates`: points of the curve, from step 0 to the last.
    - `area`: the sum of the rates of all steps from 0 to the last but one, those that a run takes.
    - `mean_share`: the mean rate of a step over the peak.
    - `say`: words of the law, where it has a reservation.
    """

    schedule: str
    law: str
    total_steps: float
    peak_lr: float
    given: dict[str, float]
    steps: list[float]
    rates: list[float]
    area: float
    mean_share: float
    say: str | None = None
    citation: Citation
