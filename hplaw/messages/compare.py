"""The wire types of comparisons: one question asked for several values of a quantity, side by side."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from hplaw.messages.query import Query
from hplaw.messages.recommendation import Recommendation
from hplaw.messages.record import Record, Scalar


MOST_OPTIONS = 8
"""Values that one question may be compared for."""


class CompareRequest(Record, frozen=True, kw_only=True):
    """A question, and the values of one quantity that it is asked for."""

    query: Query
    compare: Annotated[
        dict[str, list[Scalar]], Meta(description="one quantity with two or more values, for example precision")
    ]


class Option(Record, frozen=True, kw_only=True):
    """The answer for one value, or `error`, why there is none."""

    value: Scalar
    answer: Recommendation | None = None
    error: str | None = None


class Reached(Record, frozen=True, kw_only=True):
    """What one value reaches for the same cost: its tokens and loss; null with a `reason`."""

    value: Scalar
    tokens: float | None = None
    loss: float | None = None
    reason: str | None = None


class SameCost(Record, frozen=True, kw_only=True):
    """Each value at the accelerator hours of the first, its tokens changed; `best` is the one of lowest loss."""

    accelerator_hours: float
    options: list[Reached]
    best: Scalar | None = None


class AnswerComparison(Record, frozen=True, kw_only=True):
    """Answers side by side.

    - `best`: of what should be low, the value that is lowest, where they differ.
    - `same_cost`: which value reaches the lowest loss for the same accelerator hours; null where all take as many.
    - `unchanged`: whether no answer differs, so that the quantity changes nothing here.
    """

    quantity: str
    options: list[Option]
    best: dict[str, Scalar] = {}
    same_cost: SameCost | None = None
    unchanged: bool = False
