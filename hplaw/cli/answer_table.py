"""A table of questions, one a row, answered: columns named like quantities are given, all others pass through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from hplaw.catalogue.listing import known_quantities
from hplaw.cli.tables import Table
from hplaw.errors import QueryError
from hplaw.messages.query import MAX_QUERIES, Query
from hplaw.messages.recommendation import BriefEstimate, BriefRecommendation
from hplaw.recommendation.question import FIELDS
from hplaw.vocabulary.names import meant_quantity
from hplaw.vocabulary.quantities import vocabulary
from hplaw.vocabulary.reading import parse_value


if TYPE_CHECKING:
    from hplaw.catalogue.catalogue import Catalogue


PARTS = ("", "_low", "_high", "_same_recipe_low", "_same_recipe_high", "_law")
"""What follows a quantity's name in the columns that answer it."""

NOTES = ("ignored", "warnings", "error")
"""The columns on a row as a whole."""

_CLOSE = 0.75
"""How like a quantity's name a column's must be to be taken for it, where columns may have any name."""


def answer_table(table: Table, query: Query, catalogue: Catalogue) -> tuple[Table, int]:
    """Return the table with the answers added, and the number of rows that failed.

    A cell that is empty takes its value from `query`, where that has one. A row that cannot be answered says
    why in the column `error` and stops no other.

    **Raises:** `QueryError` where no row could be answered as asked: a column `loss`, nothing left to answer,
    options that cannot be asked; `LawNotFound` for a law that is not there.
    """
    _check(query, catalogue)
    names = _inputs(table, catalogue)
    decimal_comma = table.separator == ";"
    if query.want and set(query.want) <= set(names):
        message = f"the table gives {', '.join(query.want)} already; want a quantity that is no column of it"
        raise QueryError(message, field="want")
    questions: list[Query] = []
    places: list[int] = []
    errors: dict[int, str] = dict(table.problems)
    cells = [table.columns[name] for name in names]
    for place in range(table.rows):
        if place in errors:
            continue
        row = {name: column[place] for name, column in zip(names, cells, strict=True)}
        try:
            if decimal_comma:
                _refuse_commas(row)
            questions.append(_question(row, query))
            places.append(place)
        except QueryError as error:
            errors[place] = error.told("command")
    answers: list[BriefRecommendation | None] = [None] * table.rows
    for place, answer in zip(places, _ask(questions, catalogue), strict=True):
        answers[place] = answer
        wrong = _failure(answer)
        if wrong:
            errors[place] = wrong
    wanted = _wanted(query.want, answers, names)
    columns = dict(table.columns)
    for name in (*(f"{name}{part}" for name in wanted for part in PARTS), *NOTES):
        columns.pop(name, None)  # an answer of an earlier run makes room, and is at the end
    for name in wanted:
        columns |= _columns(name, answers)
    columns["ignored"] = [";".join(answer.ignored) or None if answer else None for answer in answers]
    columns["warnings"] = [";".join(answer.warnings) or None if answer else None for answer in answers]
    columns["error"] = [errors.get(place) for place in range(table.rows)]
    return msgspec.structs.replace(table, columns=columns), len(errors)


def strange_columns(table: Table, catalogue: Catalogue) -> list[str]:
    """Return a sentence for each column that looks like a quantity and is none, with the one that may be meant.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> strange_columns(Table(columns={"params": [], "tokens": [], "note": []}, rows=0), load_catalogue())
    ["the column params is no quantity and not read; did you mean 'n_params'?"]
    """
    words = known_quantities(catalogue)
    answers = {f"{word}{part}" for word in words for part in PARTS} | {*NOTES}
    told: list[str] = []
    for name in table.columns:
        meant = "" if name in answers else meant_quantity(name, words, close=_CLOSE)
        if meant and not any(f"'{other}'" in meant for other in table.columns):
            told.append(f"the column {name[:80]} is no quantity and not read{meant}")
    return told


def _refuse_commas(row: Mapping[str, Any]) -> None:
    """Refuse numbers with commas in a table parted by semicolons, where a comma may be a decimal one."""
    words = vocabulary()
    for name, cell in row.items():
        if isinstance(cell, str) and "," in cell and not (name in words and words[name].categorical):
            message = (
                f"{name}={cell.strip()!r:.40} has a comma; between semicolons write a point, as in 0.001, or no comma"
            )
            raise QueryError(message, field=name)


def _check(query: Query, catalogue: Catalogue) -> None:
    """Refuse once what would fail in every row: options that cannot be asked, names that are not there."""
    from hplaw.recommendation.question import understand
    from hplaw.recommendation.route import check_want

    understand(query, catalogue)
    check_want(catalogue, query.want)
    for address in query.laws:
        catalogue.get(address)


def _inputs(table: Table, catalogue: Catalogue) -> list[str]:
    known = set(known_quantities(catalogue))
    names = [name for name in table.columns if name in known]
    if "loss" in names:
        message = "the column loss is an outcome; name the loss to reach target_loss, or leave the column out"
        raise QueryError(message, field="loss")
    return names


def _question(row: dict[str, Any], query: Query) -> Query:
    fields: dict[str, Any] = {name: getattr(query, name) for name in FIELDS}
    given = dict(query.given)
    for name, cell in row.items():
        if cell is None:
            continue
        into = fields if name in FIELDS else given
        into[name] = _value(name, cell)
    return Query(
        **fields,
        given=given,
        model=query.model,
        bounds=query.bounds,
        want=[name for name in query.want if name not in row],
        laws=query.laws,
    )


def _value(name: str, cell: Any) -> float | str:
    quantity = vocabulary().get(name)
    if isinstance(cell, str):
        value = parse_value(name, cell.strip())
    elif isinstance(cell, int | float) and not isinstance(cell, bool):
        value = str(cell) if quantity is not None and quantity.categorical else float(cell)
    else:
        value = cell
    return value


def _ask(questions: Sequence[Query], catalogue: Catalogue) -> Iterable[BriefRecommendation]:
    from hplaw.recommendation.many import recommend_many

    for start in range(0, len(questions), MAX_QUERIES):
        yield from recommend_many(questions[start : start + MAX_QUERIES], catalogue, by="command")


def _failure(answer: BriefRecommendation) -> str | None:
    """Return why a row has no answer at all, or None where it has one."""
    if answer.error is not None or any(e.value is not None for e in answer.answers.values()):
        return answer.error
    reasons = [e.reason for e in answer.answers.values() if e.reason]
    return reasons[0] if reasons else "no law answers this row"


def _wanted(want: Sequence[str], answers: Iterable[BriefRecommendation | None], given: Sequence[str]) -> list[str]:
    names = dict.fromkeys(want)
    for answer in answers:
        if answer is not None:
            names |= dict.fromkeys(answer.answers)
    return [name for name in names if name not in given]


def _columns(name: str, answers: Sequence[BriefRecommendation | None]) -> dict[str, list[float | str | None]]:
    empty = BriefEstimate(value=None)
    estimates = [answer.answers.get(name, empty) if answer else empty for answer in answers]
    return {
        name: [e.value for e in estimates],
        f"{name}_low": [e.low for e in estimates],
        f"{name}_high": [e.high for e in estimates],
        f"{name}_same_recipe_low": [e.same_recipe_low for e in estimates],
        f"{name}_same_recipe_high": [e.same_recipe_high for e in estimates],
        f"{name}_law": [e.law for e in estimates],
    }
