"""What rules of theory say of a quantity, and the works that they come from."""

from __future__ import annotations

from hplaw.messages.record import Record, Scalar


class Dependence(Record, frozen=True, kw_only=True):
    """How a rule's output, or one `entry` of a table, goes with one input: d ln(output) / d ln(input), minimum and maximum.

    `everywhere` tells an exponent of a power law from slopes at the rule's examples; `direction` is rises, falls, flat, or
    either. `at_fixed_batch` is the exponent of a learning rate at a batch that stays, by the rules that move a rate over
    batches, where a rule's own batch moves too.
    """

    quantity: str
    entry: str = ""
    low: float
    high: float
    direction: str
    everywhere: bool
    at_fixed_batch: dict[str, float] = {}


class Rule(Record, frozen=True, kw_only=True):
    """What one law gives for one quantity that it gives: how it depends on its inputs, and what is assumed.

    `domain` is what the law was fitted on, `limits` what it says where it does not hold, `batch` at which batch a learning
    rate holds.
    """

    law: str
    title: str
    status: str
    checked: str
    gives: str
    by: list[Dependence]
    domain: dict[str, list[Scalar]] = {}
    limits: list[str] = []
    batch: str | None = None


class Comparison(Record, frozen=True, kw_only=True):
    """Which rules say that a quantity rises, falls or stays when another rises; `say` is what may distinguish them."""

    by: str
    agree: bool
    rises: list[str] = []
    falls: list[str] = []
    flat: list[str] = []
    either: list[str] = []
    say: str = ""


class Work(Record, frozen=True, kw_only=True):
    """One work of the literature: what it says of which hyperparameter, and what is computed from it.

    `laws` are ids, `commands` what else of hplaw computes from it; where there is neither, `no_rule` says why.
    """

    id: str
    title: str
    says: str
    about: list[str]
    laws: list[str] = []
    commands: list[str] = []
    no_rule: str = ""


class Theory(Record, frozen=True, kw_only=True):
    """Every rule for a quantity: those that give it, those that give related quantities, and what else it moves.

    `works` are the cards of works that cover it.
    """

    quantity: str
    unit: str
    meaning: str
    rules: list[Rule]
    kin: list[Rule] = []
    affects: list[Rule] = []
    comparisons: list[Comparison] = []
    works: list[Work] = []


class TheoryLine(Record, frozen=True, kw_only=True):
    """A quantity that rules cover, and how many give and take it."""

    quantity: str
    meaning: str
    given_by: int
    taken_by: int
