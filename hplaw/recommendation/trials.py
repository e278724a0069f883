"""Runs of a question at sizes and data to try, and searches over them: each trial is a question of its own.

Searches are written for one question in floats; those of many questions advance in step, and their trials are derived
together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

from hplaw import rows
from hplaw.answer.quantiles import Spread
from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import ConflictingQuery, HplawError, QueryError
from hplaw.law import Law
from hplaw.recommendation.derivation import Derivation, derive_many
from hplaw.recommendation.question import SPENT, Question, resized
from hplaw.recommendation.route import COHERENT


T = TypeVar("T")

EXACT = 1e-10
"""Logarithm of a ratio below which two amounts are the same."""

PAID = (*SPENT, "duration_s")
"""What a trial does not know, as it is counted there."""


class Found(msgspec.Struct, frozen=True):
    """One quantity of a trial: its value, or the reason why there is none."""

    value: float | None
    law: Law | None
    spread: Spread | None = None
    transfer: Spread | None = None
    reason: str = ""


Point: TypeAlias = tuple[float | None, float]
"""A size, None where the question's shape says it, and tokens."""

Outcome: TypeAlias = "Mapping[str, Found] | HplawError"
Search: TypeAlias = Generator[list[Question], list[Outcome], T]


class Trials:
    """Runs of one question at sizes and data to try, each derived as the answer will be."""

    def __init__(self, question: Question, catalogue: Catalogue) -> None:
        self.question, self.catalogue = question, catalogue
        self._given = {law: set(catalogue.gives(catalogue.get(law))) for law in question.prefer}

    def losses(self, points: Sequence[Point]) -> Search[list[Found]]:
        """Return the loss of runs of some sizes and tokens; a size of None is that of the question."""
        found = yield from self.values(("loss",), points)
        return [found_in(outcome, "loss") for outcome in found]

    def values(
        self, want: tuple[str, ...], points: Sequence[Point], *, without: Sequence[str] = ()
    ) -> Search[list[Outcome]]:
        """Return wanted quantities of runs of some sizes and tokens."""
        return (yield [self._at(want, n, tokens, without) for n, tokens in points])

    def optimum(self, n: float, tokens: float) -> Search[Outcome]:
        """Return what laws of the optimum give at the compute of a run: how far its size is uncertain."""
        known: dict[str, Any] = {
            name: value
            for name, value in self.question.known.items()
            if isinstance(value, str) and name not in ("hardware", "precision")
        }
        known["compute_flop"] = 6 * n * tokens
        asked = msgspec.structs.replace(
            self.question, known=known, want=("n_params", "tokens"), prefer=(), bounds={}, filled=(), stand_in=None
        )
        (found,) = yield [asked]
        return found

    def _at(self, want: tuple[str, ...], n: float | None, tokens: float, without: Sequence[str]) -> Question:
        sizes = {"tokens": tokens} if n is None else {"n_params": n, "tokens": tokens}
        question = self.question
        leads = {*want, *COHERENT} if "loss" in want else {*want}
        return msgspec.structs.replace(
            resized(question, sizes, without=(*PAID, *without)),
            want=want,
            prefer=tuple(law for law in question.prefer if self._given[law] & leads),
            asked=question.asked and "loss" in question.want,
        )


def found_in(outcome: Outcome, name: str) -> Found:
    """Return one quantity of a trial.

    **Raises:** the error of the trial, or `QueryError` with the reason why there is no value.
    """
    if isinstance(outcome, HplawError):
        raise outcome
    found = outcome[name]
    if found.value is None:
        raise QueryError(found.reason, field=name)
    return found


def positive(found: Found) -> float:
    """Return the value of a quantity that must be positive.

    **Raises:** `ConflictingQuery` where it is not.
    """
    value = found.value
    if value is None or not 0 < value < math.inf:
        message = f"{found.law.id if found.law else 'the law'} gives no positive number here; give another budget"
        raise ConflictingQuery(message)
    return value


def _outcomes(questions: Sequence[Question], catalogue: Catalogue) -> list[Outcome]:
    """Return what each of some questions wants, derived together."""
    outcomes: dict[int, Outcome] = {}
    for places, found in derive_many(questions, catalogue):
        for row, place in enumerate(places):
            outcomes[place] = (
                found
                if isinstance(found, HplawError)
                else {name: _read(found, name, row) for name in questions[place].want}
            )
    return [outcomes[place] for place in range(len(questions))]


def _read(found: Derivation, name: str, row: int) -> Found:
    law = found.source.get(name)
    if law is None:
        return Found(None, None, reason=found.reasons.get(name, f"no law here gives {name}"))
    answer = found.answers[law]
    value = rows.take(answer.values.get(name), row)
    if not isinstance(value, float) or math.isnan(value):
        return Found(None, law, reason=answer.failed.get(name) or answer.say or f"{law.id} gives no {name} here")
    return Found(value, law, _row(answer.spreads.get(name), row), _row(answer.transfers.get(name), row))


def _row(spread: Spread | None, row: int) -> Spread | None:
    if spread is None:
        return None
    levels = [rows.take(level, row) for level in msgspec.structs.astuple(spread)]
    return Spread(*levels) if all(map(math.isfinite, levels)) else None


# Searches in step


def run_searches(search: Search[T], catalogue: Catalogue) -> T:
    """Run a search to its end."""
    try:
        asked = next(search)
        while True:
            asked = search.send(_outcomes(asked, catalogue))
    except StopIteration as ended:
        return ended.value


def in_step(searches: Sequence[Search[T]]) -> Search[list[T | HplawError]]:
    """Run searches in step, so that their trials are derived together; an error ends its own search alone."""
    results: dict[int, T | HplawError] = {}
    waiting: dict[int, list[Question]] = {}

    def advance(place: int, replies: list[Outcome] | None) -> None:
        search = searches[place]
        try:
            waiting[place] = next(search) if replies is None else search.send(replies)
        except StopIteration as ended:
            results[place] = ended.value
        except HplawError as error:
            results[place] = error

    for place in range(len(searches)):
        advance(place, None)
    while waiting:
        asked, waiting_before = [question for some in waiting.values() for question in some], dict(waiting)
        waiting.clear()
        replies = iter((yield asked))
        for place, some in waiting_before.items():
            advance(place, [next(replies) for _ in some])
    return [results[place] for place in range(len(searches))]


def find_root(function: Callable[[float], Search[float]], ends: tuple[float, float]) -> Search[float | None]:
    """Return where a function that rises over logarithms crosses zero, None where it does not between the ends."""
    grid = ladder(*ends, GRID)
    found = yield from in_step([function(x) for x in grid])
    values = [value for value in found if not isinstance(value, HplawError)]
    if len(values) < len(found):
        places = [i for i, value in enumerate(found) if not isinstance(value, HplawError)]
        if len(places) < 2:
            raise next(value for value in found if isinstance(value, HplawError))
        grid = [grid[i] for i in places]
    place = next((i for i in range(len(grid) - 1) if values[i] <= 0 < values[i + 1]), None)
    if place is None:
        return None
    a, b, at_a, at_b = math.log(grid[place]), math.log(grid[place + 1]), values[place], values[place + 1]
    x = b
    for _ in range(60):  # false position, the end that stays counting half (the Illinois rule)
        x = (a * at_b - b * at_a) / (at_b - at_a)
        value = yield from function(math.exp(x))
        if abs(value) < EXACT or b - a < EXACT:
            break
        if value > 0:
            b, at_b, at_a = x, value, at_a / 2
        else:
            a, at_a, at_b = x, value, at_b / 2
    return math.exp(x)


GRID = 9
"""Points among which a crossing is looked for first."""


def ladder(low: float, high: float, count: int) -> list[float]:
    """Return so many numbers from `low` to `high`, in equal ratios."""
    return [low * (high / low) ** (i / (count - 1)) for i in range(count)]


class Parabola(msgspec.Struct, frozen=True):
    """A curve near its lowest point: where that is, and its second derivative; flat where none was found."""

    lowest: float
    bend: float

    @staticmethod
    def through(x: Sequence[float], y: Sequence[float], best: int) -> Parabola:
        """Return the curve through the lowest of some points in equal steps and its neighbors."""
        if not 0 < best < len(x) - 1:
            return Parabola(x[best], 0.0)
        before, here, after = y[best - 1], y[best], y[best + 1]
        bend, step = before - 2 * here + after, x[best + 1] - x[best]
        if not 0 < bend < math.inf:
            return Parabola(x[best], 0.0)
        return Parabola(x[best] + step * (before - after) / (2 * bend), bend / step**2)


def apart(a: float, b: float) -> float:
    """Return the logarithm of a ratio that may itself be too large or too small to write down."""
    return math.log(a) - math.log(b)
