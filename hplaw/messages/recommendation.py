"""What an answer is: estimates with intervals, warnings and sources, whole or in brief."""

from __future__ import annotations

from typing import Any

from hplaw.messages.law import Citation
from hplaw.messages.layout import Layout
from hplaw.messages.recipe import Training
from hplaw.messages.record import Record, Scalar


class Step(Record, frozen=True, kw_only=True):
    """One step of a derivation: a law, its formulas as text and LaTeX, its constants, what went in and what came out."""

    law: str
    formula: str
    latex: str
    constants: dict[str, float | list[float]] = {}
    inputs: dict[str, Scalar]
    outputs: dict[str, Scalar | None]


class Alternative(Record, frozen=True, kw_only=True):
    """What another law gives for the same quantity, and how far it is from its own domain in e-folds."""

    law: str
    value: Scalar
    outside_efolds: float
    outside: list[str] = []


class Estimate(Record, frozen=True, kw_only=True):
    """One answer: a value, its intervals, and where they come from.

    - `low`, `high`, `low50`, `high50`: the 90% and 50% interval for the run of the one who asks, in the recipe that was named.
    - `same_recipe_low`, `same_recipe_high`: the 90% interval if that run has the recipe of the law's own runs; null where that
      is the recipe that was asked for, or the law has no recipe of its own.
    - `plateau_low`, `plateau_high`: values that cost at most a thousandth of expected loss.
    """

    value: Scalar | None
    low: float | None = None
    high: float | None = None
    low50: float | None = None
    high50: float | None = None
    same_recipe_low: float | None = None
    same_recipe_high: float | None = None
    plateau_low: float | None = None
    plateau_high: float | None = None
    unit: str = "1"
    law: str | None = None
    reason: str | None = None
    derivation: list[Step] = []
    elasticities: dict[str, float] = {}
    alternatives: list[Alternative] = []


class AnswerWarning(Record, frozen=True, kw_only=True):
    """Something to know before using an answer; `code` is for programs, `text` for people."""

    code: str
    text: str
    law: str | None = None
    quantity: str | None = None
    efolds: float | None = None


class Recommendation(Record, frozen=True, kw_only=True):
    """An answer to a `Query`: estimates by quantity, warnings, citations, and an id that the same question repeats.

    - `record`: the version of this record.
    - `recipe`: the recipe that the answers are for; `unknown` where the question names none.
    - `ignored`: what was given and changes no answer, with the reason.
    - `nearest`: published trainings near the question, nearest first.
    - `layout`: where accelerators and their number are named, the fastest parallel layout that fits; null where none is
      known to.
    """

    record: int = 2
    query: dict[str, Any]
    recipe: str
    answers: dict[str, Estimate]
    ignored: dict[str, str] = {}
    nearest: list[Training] = []
    layout: Layout | None = None
    warnings: list[AnswerWarning] = []
    predicted_regret: float | None = None
    predicted_regret_reason: str | None = None
    citations: list[Citation] = []
    id: str = ""


class BriefEstimate(Record, frozen=True, kw_only=True):
    """One answer in a batch: the value, its 90% intervals, the law, and the reason of what is null."""

    value: Scalar | None
    low: float | None = None
    high: float | None = None
    same_recipe_low: float | None = None
    same_recipe_high: float | None = None
    law: str | None = None
    reason: str | None = None


class BriefRecommendation(Record, frozen=True, kw_only=True):
    """One row of a batch: brief answers, what was given and changes none, the codes of its warnings, and `error`, null when
    the row could be answered."""

    answers: dict[str, BriefEstimate]
    ignored: list[str] = []
    warnings: list[str] = []
    error: str | None = None


class BatchReply(Record, frozen=True, kw_only=True):
    """The answers to a `BatchRequest`, in its order."""

    results: list[BriefRecommendation]


class Evaluation(Record, frozen=True, kw_only=True):
    """What one law gives at one point: estimates for its outputs, its status there, and the words of a case that applies.

    `tables` has the outputs that go over categories, by quantity and then by category; `accepted_with` the checks that
    the law's fit failed and was accepted with.
    """

    law: str
    status: str
    outputs: dict[str, Estimate]
    tables: dict[str, dict[str, Estimate]] = {}
    say: str | None = None
    outside: dict[str, float | str] = {}
    accepted_with: list[str] = []
