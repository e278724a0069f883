"""Many queries at once: rows that know and want the same are carried through the planner's route as columns.

Every step is the one that a single question takes, on arrays: laws ranked by row, cases checked, outputs worked out,
intervals in closed form or by scenario. A row that arrays cannot serve (a decision, a table, a bound) is answered on
its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hplaw.answer.choose import NeedsSearch, in_rows
from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import HplawError
from hplaw.expression.backends import Undefined
from hplaw.law import Law
from hplaw.messages.query import Query
from hplaw.messages.recommendation import BriefEstimate, BriefRecommendation
from hplaw.recommendation.derivation import derive, route_of
from hplaw.recommendation.question import Question, understand
from hplaw.recommendation.record import recommend
from hplaw.recommendation.route import Route, check_want
from hplaw.recommendation.walk import Walk


_COUNTS = ("n_params", "n_active_params", "n_params_with_embedding", "tokens")
"""Quantities that count what a run is made of."""

_FEW = 8
"""Rows below which columns cost more than they save."""


def recommend_many(queries: Sequence[Query], catalogue: Catalogue) -> list[BriefRecommendation]:
    """Return brief answers to many queries, in their order; a row that cannot be asked says so in `error`.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> query = Query(n_params=1e9, tokens=1e11, laws=["step-law-2025"])
    >>> rows = recommend_many([query] * 9, load_catalogue())
    >>> round(rows[8].answers["peak_lr"].value, 6)
    0.001632
    """
    results: list[BriefRecommendation | None] = [None] * len(queries)
    groups: dict[Any, list[tuple[int, Question]]] = {}
    for i, query in enumerate(queries):
        try:
            question = understand(query, catalogue)
        except HplawError as error:
            results[i] = BriefRecommendation(answers={}, error=str(error))
            continue
        if _countless(question):
            results[i] = _single(query, catalogue)
            continue
        groups.setdefault(_signature(question), []).append((i, question))
    for rows in groups.values():
        whole = _columns(rows, catalogue) if len(rows) >= _FEW else None
        for place, (i, _) in enumerate(rows):
            results[i] = whole[place] if whole is not None else _single(queries[i], catalogue)
    return [result for result in results if result is not None]


def _countless(question: Question) -> bool:
    """Return whether a count is below one, so far from what any law was seen on that rounding shows in what is chosen."""
    return any(question.known.get(name, 1.0) < 1.0 for name in _COUNTS)


def _signature(question: Question) -> Any:
    """Return what rows must share to be columns: which names are known, all categories, what is wanted and preferred."""
    names = tuple(question.known)
    words = tuple([value for value in question.known.values() if isinstance(value, str)])
    bounds = tuple(question.bounds.items())
    return (
        names,
        words,
        question.want,
        question.prefer,
        bounds,
        question.given,
        tuple(w.code for w in question.warnings),
    )


def _single(query: Query, catalogue: Catalogue) -> BriefRecommendation:
    try:
        whole = recommend(query, catalogue)
    except HplawError as error:
        return BriefRecommendation(answers={}, error=str(error))
    answers = {
        name: BriefEstimate(
            value=e.value,
            low=e.low,
            high=e.high,
            transfer_low=e.transfer_low,
            transfer_high=e.transfer_high,
            law=e.law,
            reason=e.reason if e.value is None else None,
        )
        for name, e in whole.answers.items()
    }
    return BriefRecommendation(answers=answers, warnings=list(dict.fromkeys(w.code for w in whole.warnings)))


def _columns(rows: Sequence[tuple[int, Question]], catalogue: Catalogue) -> list[BriefRecommendation] | None:
    """Return the answers to rows of one signature, or None where they must be asked one by one."""
    question = rows[0][1]
    try:
        if question.asked:
            check_want(catalogue, question.want)
        route = route_of(question, catalogue)
    except HplawError as error:
        return [BriefRecommendation(answers={}, error=str(error)) for _ in rows]
    if question.bounds or not all(_plain(c.law) for slot in route.slots for c in slot.candidates):
        return None
    known: dict[str, Any] = {
        name: value if isinstance(value, str) else np.array([q.known[name] for _, q in rows])
        for name, value in question.known.items()
    }
    words = _words(route, question, catalogue)
    if words is None:
        return None
    walk = Walk(route, [q for _, q in rows], known | words)
    # what overflows or vanishes in one row is said of that row, as of a question alone
    with np.errstate(all="ignore"):
        try:
            walk.run()
        except (NeedsSearch, Undefined):
            return None
        return walk.results(catalogue)


def _words(route: Route, question: Question, catalogue: Catalogue) -> dict[str, str] | None:
    """Return the categories that a route derives, where these follow from categories alone, which rows share.

    None where they do not, or one has no value, or is wanted itself.
    """
    slots = [slot for slot in route.slots if slot.quantity not in question.known]
    slots = [s for s in slots if s.candidates[0].law.quantity(s.quantity).categorical]
    if not slots:
        return {}
    laws = [candidate.law for slot in slots for candidate in slot.candidates]
    numbers = any(not law.quantity(name).categorical for law in laws for name in law.inputs)
    if numbers or any(slot.quantity in question.want for slot in slots):
        return None
    found = derive(question, catalogue).known
    if any(slot.quantity not in found for slot in slots):
        return None
    return {slot.quantity: found[slot.quantity] for slot in slots}


def _plain(law: Law) -> bool:
    return (
        law.spec.kind == "formula"
        and not law.exact
        and in_rows(law)
        and all(over is None for _, over in law.outputs.values())
        and all(item.over is None for item in law.inputs.values())
    )
