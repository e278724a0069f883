"""One way to an answer: a question alone and a question among many take the same lines to the same digits."""

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import hplaw
from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import full_quantities
from hplaw.messages.query import Bounds, Query
from hplaw.recommendation.derivation import FEW, derive_many
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.question import FIELDS, understand
from hplaw.recommendation.record import recommend
from tests.helpers import shipped
from tests.recommendation.test_any_question import FIXTURES, question, value


ALIKE = 12
"""Questions of one kind; more than are derived one by one."""


def another(rng: random.Random, query: Query, catalogue: Catalogue) -> Query:
    """Return a question of the same kind: what is given is the same, the numbers are others."""
    words = full_quantities(catalogue)

    def again(name: str, old: Any) -> Any:
        return value(rng, words[name]) if isinstance(old, float) else old

    changes: dict[str, Any] = {name: again(name, getattr(query, name)) for name in FIELDS}
    if isinstance(query.n_params, float) and isinstance(query.tokens, float) and rng.random() < 0.8:
        changes |= {"n_params": 10 ** rng.uniform(6, 13), "tokens": 10 ** rng.uniform(8, 15)}
    changes["given"] = {name: again(name, old) for name, old in query.given.items()}
    changes["bounds"] = {}
    for name in query.bounds:
        low, high = sorted(float(value(rng, words[name])) for _ in range(2))
        old = query.bounds[name]
        changes["bounds"][name] = Bounds(low=None if old.low is None else low, high=None if old.high is None else high)
    return msgspec.structs.replace(query, **changes)


def queries(seed: int, kinds: int, catalogue: Catalogue) -> list[Query]:
    """Return questions of some kinds in a mixed order."""
    rng = random.Random(seed)
    firsts = [question(rng, catalogue) for _ in range(kinds)]
    found = [
        query for first in firsts for query in (first, *(another(rng, first, catalogue) for _ in range(ALIKE - 1)))
    ]
    rng.shuffle(found)
    return found


def compare(asked: list[Query], catalogue: Catalogue) -> None:
    together = recommend_many(asked, catalogue)
    for query, row in zip(asked, together, strict=True):
        (alone,) = recommend_many([query], catalogue)
        assert row == alone, query


@pytest.mark.parametrize("seed", range(4))
def test_drawn_questions_are_answered_together_as_alone(seed: int) -> None:
    catalogue = (shipped(), FIXTURES)[seed % 2]
    compare(queries(seed, 14, catalogue), catalogue)


@pytest.mark.slow
def test_five_thousand_drawn_questions_are_answered_together_as_alone() -> None:
    compare(queries(2026, 417, shipped()), shipped())


def lines_of(work: Callable[[], Any]) -> set[tuple[str, int]]:
    """Return the lines of the answering rooms that some work executes."""
    folder = Path(hplaw.__file__).parent
    rooms = tuple(str(folder / room) for room in ("answer", "decide", "recommendation"))
    seen: set[tuple[str, int]] = set()

    def note(frame: Any, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(rooms):
            return None
        if event == "line":
            seen.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
        return note

    before = sys.gettrace()
    sys.settrace(note)
    try:
        work()
    finally:
        sys.settrace(before)
    return seen


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"batch_tokens": 1e6},
        {"bounds": {"peak_lr": Bounds(high=1e-4)}},
        {"bounds": {"batch_tokens": Bounds(low=1e3, high=1e10)}},
        {"hardware": "h100-sxm", "devices": 64.0, "precision": "bf16", "given": {"country": "FR"}},
        {"laws": ["step-law-2025"], "want": ["peak_lr"]},
    ],
)
def test_one_row_and_many_take_the_same_lines(fields: dict[str, Any]) -> None:
    query = Query(n_params=1e9, tokens=1e11, **fields)
    understood = understand(query, shipped())

    def derive(count: int) -> set[tuple[str, int]]:
        return lines_of(lambda: list(derive_many([understood] * count, shipped())))

    derive(1), derive(FEW)  # what is made once is there before
    assert derive(1) == derive(FEW)
    alone, many = (lines_of(lambda n=n: recommend_many([query] * n, shipped())) for n in (1, FEW))
    assert alone == many


def test_a_batch_of_one_takes_the_lines_of_a_question_but_for_its_record() -> None:
    query = Query(n_params=1e9, tokens=1e11)
    brief, whole = (
        lines_of(lambda work=work: work())
        for work in (lambda: recommend_many([query], shipped()), lambda: recommend(query, shipped()))
    )
    records = {"many.py", "record.py", "elasticity.py", "estimate.py", "warnings.py", "parallel.py"}
    rest = {(name, line) for name, line in brief ^ whole if name not in records}
    # many questions are put together first; other laws and published trainings are looked at for a whole record alone
    assert {name for name, _ in rest} <= {"derivation.py", "question.py", "route.py", "nearest.py"}
