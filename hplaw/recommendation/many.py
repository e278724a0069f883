"""Many queries -> brief answers: those that share all but their numbers are derived together."""

from __future__ import annotations

from collections.abc import Sequence

from hplaw import rows
from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import Caller, HplawError, QueryError
from hplaw.messages.query import Query
from hplaw.messages.recommendation import BriefEstimate, BriefRecommendation
from hplaw.recommendation.budget import settle_many
from hplaw.recommendation.derivation import Derivation, derive_many
from hplaw.recommendation.ignored import ignored
from hplaw.recommendation.question import Question, understand
from hplaw.recommendation.sense import sensible
from hplaw.recommendation.warnings import codes_of


def recommend_many(
    queries: Sequence[Query | QueryError], catalogue: Catalogue, *, by: Caller = "python"
) -> list[BriefRecommendation]:
    """Return brief answers to many queries, in their order; a row that cannot be asked says so in `error`.

    **Arguments:**

    - `queries`: questions; in place of one that could not be read, the error that says why.
    - `by`: who reads the errors.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> query = Query(n_params=1e9, tokens=1e11, laws=["step-law-2025"])
    >>> answers = recommend_many([query] * 9, load_catalogue())
    >>> round(answers[8].answers["peak_lr"].value, 6)
    0.001632
    """
    results: list[BriefRecommendation | None] = [None] * len(queries)
    questions: list[Question] = []
    asked: list[int] = []
    for place, query in enumerate(queries):
        try:
            if isinstance(query, QueryError):
                raise query
            questions.append(understand(query, catalogue))
        except HplawError as error:
            results[place] = _failed(error, by)
        else:
            asked.append(place)
    settled: list[Question] = []
    taken: list[int] = []
    for place, question in zip(asked, settle_many(questions, catalogue), strict=True):
        if isinstance(question, HplawError):
            results[place] = _failed(question, by)
        else:
            settled.append(question)
            taken.append(place)
    for places, found in derive_many(settled, catalogue):
        size = len(places)
        brief = [_failed(found, by)] * size if isinstance(found, HplawError) else _brief(found, size)
        for place, row in zip(places, brief, strict=True):
            results[taken[place]] = row
    return [result for result in results if result is not None]


def _failed(error: HplawError, by: Caller) -> BriefRecommendation:
    return BriefRecommendation(answers={}, error=error.told(by))


def _brief(found: Derivation, size: int) -> list[BriefRecommendation]:
    """Return the answers of a derivation, a record for each row."""
    question = found.question
    wanted = [name for name in question.want if question.asked or found.offered(name)]
    columns = {name: _estimates(name, found, size) for name in wanted}
    if "loss" in columns:
        columns["loss"] = sensible(columns["loss"], found.known)
    codes = codes_of(found, found.used, size)
    passed = list(ignored(found, found.used))
    return [
        BriefRecommendation(answers={name: columns[name][row] for name in wanted}, ignored=passed, warnings=codes[row])
        for row in range(size)
    ]


def _estimates(name: str, found: Derivation, size: int) -> list[BriefEstimate]:
    answer = found.answer_of(name)
    if answer is None:
        return [BriefEstimate(value=None, reason=found.reasons.get(name, f"no law here gives {name}"))] * size
    law, value = answer.law, answer.values.get(name)
    if value is None:
        return [BriefEstimate(value=None, law=law.address, reason=answer.failed.get(name) or answer.say)] * size
    spread, same = answer.interval(name)
    sides = (spread and spread.low, spread and spread.high, same and same.low, same and same.high)
    lists = [[None] * size if side is None else rows.listed(side, size) for side in sides]
    values = [value] * size if isinstance(value, str) else rows.listed(value, size)
    return [
        BriefEstimate(
            value=v, low=low, high=high, same_recipe_low=same_low, same_recipe_high=same_high, law=law.address
        )
        for v, low, high, same_low, same_high in zip(values, *lists, strict=True)
    ]
