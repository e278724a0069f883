"""One question for several values of a quantity: the answers side by side, and which value is best for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import find_quantity, known_quantities
from hplaw.errors import Caller, ConflictingQuery, HplawError, QueryError
from hplaw.messages.compare import MOST_OPTIONS, AnswerComparison, CompareRequest, Option, Reached, SameCost
from hplaw.messages.query import Query
from hplaw.messages.recommendation import Estimate
from hplaw.messages.record import Scalar
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.question import FIELDS
from hplaw.recommendation.record import recommend


LOW = (
    "loss",
    "serve_loss",
    "accelerator_hours",
    "duration_s",
    "energy_kwh",
    "energy_j",
    "carbon_kg",
    "cost",
    "compute_flop",
    "training_flop",
    "lifetime_flop",
    "lifetime_hours",
    "lifetime_energy_j",
    "training_state_bytes",
)
"""What is the better, the lower."""

SAME = 1e-3
"""Relative difference below which no value is called better than another."""

COST = "accelerator_hours"
"""What values are compared at equal amounts of."""


def compare(request: CompareRequest, catalogue: Catalogue, *, by: Caller = "python") -> AnswerComparison:
    """Return the answers to one question for several values of a quantity.

    **Arguments:**

    - `by`: who reads the errors of single values.

    **Raises:** `QueryError` where not one quantity has two or more values, or the question settles it.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> query = Query(n_params=1e9, tokens=1e11, want=["loss"])
    >>> found = compare(CompareRequest(query=query, compare={"precision": ["bf16", "fp4"]}), load_catalogue())
    >>> found.best
    {'loss': 'bf16'}
    """
    name, values = _compared(request, catalogue)
    queries = [_with(request.query, name, value) for value in values]
    options = [_option(value, query, catalogue, by) for value, query in zip(values, queries, strict=True)]
    answers = {option.value: option.answer.answers for option in options if option.answer is not None}
    best = _best(answers)
    return AnswerComparison(
        quantity=name,
        options=options,
        best=best,
        same_cost=_same_cost(queries, answers, catalogue) if COST in best else None,
        unchanged=len(answers) == len(options) and _unchanged(list(answers.values())),
    )


def _compared(request: CompareRequest, catalogue: Catalogue) -> tuple[str, list[Scalar]]:
    """Return the quantity to compare by, and its values, each once."""
    if len(request.compare) != 1:
        message = f"compare has {len(request.compare)} quantities; give one, with two or more values"
        raise ConflictingQuery(message, field="compare")
    ((name, given),) = request.compare.items()
    find_quantity(known_quantities(catalogue), name, field="compare", told="compare: ")
    values = list(dict.fromkeys(given))
    if not 2 <= len(values) <= MOST_OPTIONS:
        message = f"compare has {len(values)} different values of {name}; give 2 to {MOST_OPTIONS}"
        raise ConflictingQuery(message, field="compare")
    query = request.query
    settled = name in query.given or (name in FIELDS and getattr(query, name) != getattr(Query(), name))
    if settled:
        message = f"{name} is given and compared; give one or the other"
        raise ConflictingQuery(message, field="compare")
    return name, values


def _with(query: Query, name: str, value: Scalar) -> Query:
    """Return a question with one quantity settled."""
    if name in FIELDS:
        return msgspec.convert({**msgspec.structs.asdict(query), name: value}, Query)
    return msgspec.structs.replace(query, given={**query.given, name: value})


def _option(value: Scalar, query: Query, catalogue: Catalogue, by: Caller) -> Option:
    try:
        return Option(value=value, answer=recommend(query, catalogue))
    except HplawError as error:
        if type(error) is QueryError and error.field == "model":
            raise  # what is wrong with the model is so for every value
        return Option(value=value, error=error.told(by))


def _best(answers: Mapping[Scalar, Mapping[str, Estimate]]) -> dict[str, Scalar]:
    """Return the value with the lowest of each quantity that should be low, where the values differ."""
    best: dict[str, Scalar] = {}
    for name in LOW:
        found = {value: number for value, them in answers.items() if (number := _number(them, name)) is not None}
        if len(found) > 1 and max(found.values()) - min(found.values()) > SAME * max(found.values()):
            best[name] = min(found, key=lambda value: found[value])
    return best


def _number(answers: Mapping[str, Estimate], name: str) -> float | None:
    value = answers[name].value if name in answers else None
    return value if isinstance(value, float) else None


def _unchanged(answers: Sequence[Mapping[str, Estimate]]) -> bool:
    first, *others = ({name: (one.value, one.low, one.high) for name, one in them.items()} for them in answers)
    return all(other == first for other in others)


def _same_cost(
    queries: Sequence[Query], answers: Mapping[Scalar, Mapping[str, Estimate]], catalogue: Catalogue
) -> SameCost | None:
    """Return what each value reaches with the accelerator hours of the first, at its size; None without size and data."""
    if any(query.n_params is None or query.tokens is None or query.model is not None for query in queries):
        return None
    hours = next((found for them in answers.values() if (found := _number(them, COST)) is not None), None)
    if hours is None or len(answers) != len(queries):
        return None
    asked = [
        msgspec.structs.replace(query, tokens=None, given={**query.given, COST: hours}, want=["tokens", "loss"])
        for query in queries
    ]
    found = recommend_many(asked, catalogue)
    reached = [
        Reached(value=value, reason=row.error)
        if row.error
        else Reached(value=value, tokens=_plain(row.answers["tokens"].value), loss=_plain(row.answers["loss"].value))
        for value, row in zip(answers, found, strict=True)
    ]
    losses: dict[Scalar, float] = {one.value: one.loss for one in reached if one.loss is not None}
    best = min(losses, key=lambda value: losses[value]) if len(losses) > 1 else None
    return SameCost(accelerator_hours=hours, options=reached, best=best)


def _plain(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
