"""Recipes that laws hold for, and trainings that were published."""

from __future__ import annotations

from hplaw.messages.record import Record, Scalar


class Recipe(Record, frozen=True, kw_only=True):
    """A recipe that questions may name, with the laws that hold for it and what these were fitted on."""

    name: str
    laws: list[str]
    gives: list[str]
    domain: dict[str, list[Scalar]]
    runs: int | None = None
    title: str


class Training(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A published training: what a team used. `apart` is how far it is from a question, as a factor in size and data."""

    name: str
    year: int
    n_params: float
    n_active_params: float
    tokens: float
    optimizer: str
    peak_lr: float
    batch_tokens: float | None = None
    weight_decay: float | None = None
    schedule: str | None = None
    parametrization: str | None = None
    source: str
    apart: float | None = None
