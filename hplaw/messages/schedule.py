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


SIZE, PEAK = 1e8, 3e-4
"""Parameters and peak rate where none are given: those of the curves that the law of every step's rate was fitted to."""


class ScheduleCompareRequest(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Schedules to compare by the loss at the end of a run of one length and peak; all by default.

    `given` is what they take beside: a final rate of a tenth of the peak and a warm-up of 1% of the steps by default.
    """

    total_steps: Annotated[float, Meta(ge=1, le=1e15)]
    peak_lr: Annotated[float, Meta(gt=0, le=1e6)] = PEAK
    n_params: Annotated[float, Meta(gt=0, le=1e18)] = SIZE
    schedules: Annotated[list[str], Meta(max_length=32)] = []
    given: dict[str, float] = field(default_factory=dict[str, float])
    law: str = "schedule-loss"


class ScheduledLoss(Record, frozen=True, kw_only=True):
    """One schedule compared: the loss at its end, null with the reason where it has none, and the mean rate over the peak."""

    schedule: str
    law: str
    loss: float | None
    mean_share: float | None = None
    reason: str | None = None


class DecayShare(Record, frozen=True, kw_only=True):
    """The share of a run in which the rate falls to the lowest loss, of a schedule that is constant before.

    - `low`, `high`: shares that cost at most a thousandth more loss.
    - `shares`, `losses`: the curve that they are read from.
    """

    share: float
    loss: float
    low: float
    high: float
    shares: list[float]
    losses: list[float]


class ScheduleComparison(Record, frozen=True, kw_only=True):
    """Schedules of one length and peak, the lowest loss first; `given` is what all of them share, defaults included."""

    law: str
    n_params: float
    total_steps: float
    peak_lr: float
    given: dict[str, float]
    schedules: list[ScheduledLoss]
    decay: DecayShare | None = None
    warnings: list[str] = []
    citation: Citation
