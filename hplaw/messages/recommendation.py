"""The wire types: what a question and an answer are, in Python, in JSON and over HTTP alike.

One Struct per record, shared by the library, the service, the client and the command line, so that the same
question has the same answer everywhere, byte for byte but for spacing. Numbers are finite or null, and a null
comes with a `reason`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from hplaw.vocabulary.quantities import Quantity


Scalar = float | str
"""A quantity's value: a number, or the name of a category."""

_SIZE = "parameters without embedding and unembedding"
Count = Annotated[float, Meta(gt=0, le=1e22)]

MAX_QUERIES = 10_000
"""Queries that one batch may hold."""


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The base of all wire types: frozen, named fields only, nothing unknown.

    Records are trees, so that the garbage collector, which looks for circles, need not go through them.
    """


class Bounds(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Limits for a quantity that the decision may choose, either side optional."""

    low: float | None = None
    high: float | None = None


class Query(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A question: what is known of a run, and what is wanted.

    The common quantities are fields; `given` takes any other of the vocabulary. Giving a quantity fixes it:
    `given={"batch_tokens": 4e6}` asks for the best rate at this batch.
    """

    n_params: Annotated[float, Meta(gt=0, le=1e18, description=f"{_SIZE}, all experts counted")] | None = None
    tokens: Annotated[float, Meta(gt=0, le=1e22, description="training tokens")] | None = None
    n_active_params: (
        Annotated[float, Meta(gt=0, le=1e18, description=f"{_SIZE} that one token uses; n_params when left out")] | None
    ) = None
    batch_tokens: Annotated[float, Meta(gt=0, le=1e15, description="tokens in one optimizer step; fixes it")] | None = (
        None
    )
    target_loss: Annotated[float, Meta(gt=0, le=1e6, description="loss to reach, in nat/token")] | None = None
    optimizer: str = "adamw"
    precision: str | None = None
    hardware: str | None = None
    devices: Annotated[float, Meta(ge=1, le=1e8, description="number of accelerators")] | None = None
    model: dict[str, Any] | None = None
    given: dict[str, float | str] = {}
    bounds: dict[str, Bounds] = {}
    want: list[str] = []
    laws: list[str] = []


class Step(Record, frozen=True, kw_only=True):
    """One step of a derivation: a law, its formulas as text and LaTeX, its constants, what went in and what came out."""

    law: str
    formula: str
    latex: str
    constants: dict[str, float | list[float]] = {}
    inputs: dict[str, Scalar]
    outputs: dict[str, Scalar | None]


class Alternative(Record, frozen=True, kw_only=True):
    """What another law says for the same quantity, and how far it is from its own domain in e-folds."""

    law: str
    value: Scalar
    outside_efolds: float
    outside: list[str] = []


class Estimate(Record, frozen=True, kw_only=True):
    """One answer: a value, its intervals, and where they come from."""

    value: Scalar | None
    low: float | None = None
    high: float | None = None
    low50: float | None = None
    high50: float | None = None
    transfer_low: float | None = None
    transfer_high: float | None = None
    plateau_low: float | None = None
    plateau_high: float | None = None
    unit: str = "1"
    law: str | None = None
    reason: str | None = None
    derivation: list[Step] = []
    elasticities: dict[str, float] = {}
    alternatives: list[Alternative] = []


class Warning(Record, frozen=True, kw_only=True):
    """Something to know before using an answer; `code` is for programs, `text` for people."""

    code: str
    text: str
    law: str | None = None
    quantity: str | None = None
    efolds: float | None = None


class Citation(Record, frozen=True, kw_only=True):
    """The source of a law that an answer used."""

    law: str
    title: str
    authors: str = ""
    year: int | None = None
    arxiv: str | None = None
    doi: str | None = None
    where: str = ""
    checked: str = ""
    bibtex: str = ""


class Recommendation(Record, frozen=True, kw_only=True):
    """An answer to a `Query`: estimates by quantity, warnings, citations, and an id that the same question repeats."""

    query: dict[str, Any]
    answers: dict[str, Estimate]
    warnings: list[Warning] = []
    predicted_regret: float | None = None
    predicted_regret_reason: str | None = None
    citations: list[Citation] = []
    id: str = ""


class BriefEstimate(Record, frozen=True, kw_only=True):
    """One answer in a batch: the value, its 90 percent intervals, the law, and the reason of what is null."""

    value: Scalar | None
    low: float | None = None
    high: float | None = None
    transfer_low: float | None = None
    transfer_high: float | None = None
    law: str | None = None
    reason: str | None = None


class BriefRecommendation(Record, frozen=True, kw_only=True):
    """One row of a batch: brief answers, the codes of its warnings, and `error`, null when the row could be answered."""

    answers: dict[str, BriefEstimate]
    warnings: list[str] = []
    error: str | None = None


class BatchRequest(Record, frozen=True, kw_only=True):
    """Many queries in one body."""

    queries: Annotated[list[Query], Meta(max_length=MAX_QUERIES)]


class BatchReply(Record, frozen=True, kw_only=True):
    """The answers to a `BatchRequest`, in its order."""

    results: list[BriefRecommendation]


class EvaluateRequest(Record, frozen=True, kw_only=True):
    """Values for the inputs of one law; a category table by its names."""

    given: dict[str, float | str | dict[str, float | str]] = {}


class Evaluation(Record, frozen=True, kw_only=True):
    """What one law says at one point: estimates for its outputs, its status there, and the words of a case that applies.

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


class LawSummary(Record, frozen=True, kw_only=True):
    """A line of the list of laws."""

    id: str
    version: int
    address: str
    title: str
    kind: str
    status: str
    checked: str
    inputs: list[str]
    outputs: list[str]
    shelf: str
    shadows: str | None = None


class LawRecord(Record, frozen=True, kw_only=True):
    """A law whole: summary, formulas as text and LaTeX, domain, source, notes, examples, and the file itself."""

    summary: LawSummary
    formulas: dict[str, str]
    latex: dict[str, str]
    domain: dict[str, list[Any]]
    citation: Citation
    notes: str
    evidence: dict[str, Any] | None
    examples: list[dict[str, Any]]
    text: str


class Dependence(Record, frozen=True, kw_only=True):
    """How a rule's output, or one `entry` of a table, goes with one input: d ln(output) / d ln(input), least and greatest.

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
    """What one law says of one quantity that it gives: how it goes with its inputs, and what is assumed.

    `domain` is what the law was seen on, `limits` what it says where it does not hold, `batch` at which batch a learning
    rate holds.
    """

    law: str
    title: str
    status: str
    checked: str
    gives: str
    by: list[Dependence]
    domain: dict[str, list[Any]] = {}
    limits: list[str] = []
    batch: str | None = None


class Comparison(Record, frozen=True, kw_only=True):
    """Which rules say that a quantity rises, falls or stays when another rises; `say` is what may tell them apart."""

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
    """Every rule that speaks of a quantity: those that give it, those that give its kin, and what else it moves.

    `works` are the cards of works that speak of it.
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
    """A quantity that rules speak of, and how many give and take it."""

    quantity: str
    meaning: str
    given_by: int
    taken_by: int


class QuantityRecord(Record, frozen=True, kw_only=True):
    """A word of the vocabulary."""

    name: str
    symbol: str
    unit: str
    meaning: str
    low: float | None = None
    high: float | None = None
    categories: list[str] = []


class Problem(Record, frozen=True, kw_only=True, omit_defaults=True):
    """An error over HTTP, as RFC 9457 has it; `field` names the part of the request at fault."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    field: str | None = None


class Health(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the service can answer, with how many laws, and the law files that could not be read."""

    status: str
    laws: int = 0
    problems: list[str] = []


def quantity_records(quantities: Iterable[Quantity]) -> list[QuantityRecord]:
    """Return words of the vocabulary as records.

    >>> from hplaw.vocabulary.quantities import vocabulary
    >>> quantity_records([vocabulary()["tokens"]])[0].unit
    'token'
    """
    return [
        QuantityRecord(
            name=item.name,
            symbol=item.symbol,
            unit=item.unit,
            meaning=item.meaning,
            low=item.low,
            high=item.high,
            categories=list(item.categories),
        )
        for item in quantities
    ]


_encoder = msgspec.json.Encoder()


def encode(record: object) -> bytes:
    """Return the JSON of a record.

    >>> encode(Bounds(low=1.0))
    b'{"low":1.0}'
    """
    return _encoder.encode(record)


def to_builtins(record: object) -> Any:
    """Return a record as dictionaries and lists."""
    return msgspec.to_builtins(record)
