"""The wire types of a Pareto front: loss against what runs take, over sizes, accelerators and precisions."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from hplaw.messages.energy import Amount, FrontierPoint, Names, Prices
from hplaw.messages.recommendation import AnswerWarning
from hplaw.messages.record import Record, Scalar


class ParetoRequest(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Budgets of one kind from `low` to `high`, and the accelerators and precisions that they may be spent on.

    - `axis`: what is budgeted. Money needs `prices`, by accelerator, or `price_per_hour` for all; time needs `devices`.
    - `points`: budgets between the two, in equal ratios; one where `low` is `high`.
    - `law`: the law of the loss, that of a recommendation by default.
    """

    hardware: Annotated[list[Annotated[str, Meta(min_length=1, max_length=80)]], Meta(min_length=1, max_length=8)]
    axis: Literal["energy_kwh", "accelerator_hours", "cost", "duration_s"]
    low: Amount
    high: Amount
    precision: Names = field(default_factory=list[str])
    points: Annotated[float, Meta(ge=1, le=101, multiple_of=1)] = 9
    price_per_hour: Annotated[float, Meta(ge=1e-3, le=1e9)] | None = None
    prices: Prices = field(default_factory=dict[str, float])
    devices: Annotated[float, Meta(ge=1, le=1e8, multiple_of=1)] | None = None
    given: dict[str, Scalar] = field(default_factory=dict[str, Scalar])
    law: str | None = None


class ParetoPoint(FrontierPoint, frozen=True, kw_only=True):
    """The run of lowest loss for one budget on one accelerator in one precision."""

    hardware: str
    precision: str
    budget: float


class ParetoCase(Record, frozen=True, kw_only=True):
    """One accelerator in one precision: how many of its runs are on the front, what to know about them, or why there is none."""

    hardware: str
    precision: str
    on_front: int
    warnings: list[AnswerWarning] = field(default_factory=list[AnswerWarning])
    reason: str | None = None


class Pareto(Record, frozen=True, kw_only=True):
    """Runs by rising budget: those of `front`, which none beats at its budget or less, and the `dominated` others.

    `energy_scope` says what the energy covers.
    """

    axis: str
    front: list[ParetoPoint]
    dominated: list[ParetoPoint]
    cases: list[ParetoCase]
    laws: list[str]
    energy_scope: str | None = None
