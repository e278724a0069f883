"""The wire types of time and energy: what `hplaw energy`, `hardware` and `frontier` take and answer."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from hplaw.messages.law import Citation
from hplaw.messages.metering import MeteredRun
from hplaw.messages.recommendation import AnswerWarning, Estimate
from hplaw.messages.record import Record, Scalar


Amount = Annotated[float, Meta(ge=1e-3, le=1e18)]
"""What a budget may be."""
Time = Annotated[float, Meta(ge=1e-3, le=1e15)]
"""What a budget of hours or seconds may be."""
Prices = Annotated[dict[str, Annotated[float, Meta(ge=1e-3, le=1e9)]], Meta(max_length=64)]
"""What one accelerator costs in an hour, by its name."""
Names = Annotated[list[Annotated[str, Meta(min_length=1, max_length=80)]], Meta(max_length=8)]


class EnergyRequest(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What will this run draw: size, data, and the accelerators and precisions to compare.

    `given` takes any other quantity: `seq_len`, `energy_scope`, `tokens_per_device_s`, `measured_board_w`, `pue`,
    `price_per_hour`, `carbon_g_per_kwh`, or a device of your own by `peak_flop_per_s`, `memory_bytes_per_s` and
    `board_power_w`. `prices` of an hour by accelerator take the place of one `price_per_hour`. `probe` is what a short metered
    run of the same model measured.
    """

    n_params: Annotated[float, Meta(ge=1e5, le=1e18)] | None = None
    n_active_params: Annotated[float, Meta(ge=1, le=1e18)] | None = None
    tokens: Annotated[float, Meta(ge=1, le=1e22)] | None = None
    hardware: Names = field(default_factory=list[str])
    precision: Names = field(default_factory=list[str])
    devices: Annotated[float, Meta(ge=1, le=1e8, multiple_of=1)] | None = None
    country: str | None = None
    model: dict[str, Any] | None = None
    probe: MeteredRun | None = None
    prices: Prices = field(default_factory=dict[str, float])
    given: dict[str, Scalar] = field(default_factory=dict[str, Scalar])


class EnergyCase(Record, frozen=True, kw_only=True):
    """One accelerator in one precision: hours, time, energy, carbon and cost, or the reason why they are unknown.

    `energy_scope` says what energy and carbon cover: `gpu` boards, `system` whole servers, either `_x_pue`.
    """

    hardware: str | None
    precision: str
    answers: dict[str, Estimate]
    energy_scope: str | None = None
    warnings: list[AnswerWarning] = field(default_factory=list[AnswerWarning])
    reason: str | None = None


class EnergyReply(Record, frozen=True, kw_only=True):
    """The cases in the order asked, and the sources of the laws used."""

    cases: list[EnergyCase]
    citations: list[Citation] = field(default_factory=list[Citation])


class HardwareRecord(Record, frozen=True, kw_only=True):
    """An accelerator: other names, FLOP/s by precision without sparsity, bytes, byte/s of memory and of the link to others of
    a node, watt, and how far that was checked."""

    name: str
    aliases: list[str]
    generation: str
    peak_flop_per_s: dict[str, float]
    device_memory_bytes: float
    memory_bytes_per_s: float
    link_bytes_per_s: float
    board_power_w: float | None
    checked: str


class FrontierRequest(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A budget of one kind, energy, accelerator-hours, FLOP, money, or time of so many devices, and the accelerator it is
    spent on.

    `law` is the law of the loss, that of a recommendation by default.
    """

    hardware: str
    energy_kwh: Amount | None = None
    accelerator_hours: Time | None = None
    compute_flop: Annotated[float, Meta(ge=1, le=1e36)] | None = None
    cost: Amount | None = None
    price_per_hour: Annotated[float, Meta(ge=1e-3, le=1e9)] | None = None
    duration_s: Time | None = None
    devices: Annotated[float, Meta(ge=1, le=1e8, multiple_of=1)] | None = None
    precision: str | None = None
    given: dict[str, Scalar] = field(default_factory=dict[str, Scalar])
    points: Annotated[float, Meta(ge=5, le=201)] = 25
    law: str | None = None


class FrontierPoint(Record, frozen=True, kw_only=True):
    """One way to spend the budget: a size, the tokens that are left for it, and what comes of it."""

    n_params: float
    tokens: float
    loss: float
    loss_low: float | None
    loss_high: float | None
    accelerator_hours: float
    energy_kwh: float | None
    cost: float | None = None
    duration_s: float | None = None
    carbon_kg: float | None = None


class Frontier(Record, frozen=True, kw_only=True):
    """Ways to spend a budget by rising size, and the one of lowest loss; `near` are the sizes within 0.5% of its loss."""

    best: FrontierPoint
    near: list[float]
    points: list[FrontierPoint]
    laws: list[str]
    warnings: list[AnswerWarning] = field(default_factory=list[AnswerWarning])
