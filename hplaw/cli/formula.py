"""Formulas for people: choices written as cases, a long list of them cut short."""

from __future__ import annotations

from collections.abc import Iterator


MOST_CASES = 4
"""Cases of a choice that are shown; of more, the first and the last."""

_WHERE = "where("


def readable(formula: str) -> str:
    """Return a formula with each `where(condition, value, other)` as cases, nested ones as one list.

    >>> readable("log_h = a + where(basis == steps, 0, where(basis == calendar, r + held, r))")
    'log_h = a + {0 if basis == steps; r + held if basis == calendar; else r}'
    """
    start = _find(formula)
    if start is None:
        return formula
    inside = start + len(_WHERE)
    end = _closing(formula, inside)
    cases = list(_cases(formula[start : end + 1]))
    if len(cases) > MOST_CASES:
        left = len(cases) - MOST_CASES + 1
        cases = [*cases[: MOST_CASES - 2], f"{left} more cases", cases[-1]]
    return f"{formula[:start]}{{{'; '.join(cases)}}}{readable(formula[end + 1 :])}"


def _find(formula: str) -> int | None:
    """Return where the first `where(` begins that is no end of another name."""
    start = formula.find(_WHERE)
    while start > 0 and (formula[start - 1].isalnum() or formula[start - 1] == "_"):
        start = formula.find(_WHERE, start + 1)
    return None if start < 0 else start


def _closing(formula: str, start: int) -> int:
    """Return the place of the bracket that closes the one before `start`."""
    depth = 1
    for place in range(start, len(formula)):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(formula[place], 0)
        if depth == 0:
            return place
    return len(formula)


def _cases(choice: str) -> Iterator[str]:
    """Yield the cases of a `where(...)` that is all of `choice`."""
    condition, value, other = _arguments(choice[len(_WHERE) : -1])
    yield f"{readable(value)} if {readable(condition)}"
    if other.startswith(_WHERE) and _closing(other, len(_WHERE)) == len(other) - 1:
        yield from _cases(other)
    else:
        yield f"else {readable(other)}"


def _arguments(text: str) -> list[str]:
    """Return the arguments of a call, without the commas between them."""
    depth, begun = 0, 0
    found: list[str] = []
    for place, letter in enumerate(text):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            found.append(text[begun:place].strip())
            begun = place + 1
    return [*found, text[begun:].strip()]
