"""Priors as a law file writes them: a name and arguments, read into a tree; and their centres."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hplaw.expression.parse import parse_call
from hplaw.expression.tree import Call


PRIORS = {
    "normal": 2,
    "lognormal": 2,
    "halfnormal": 1,
    "uniform": 2,
    "beta": 2,
    "gamma": 2,
    "student_t": 3,
    "exponential": 1,
    "truncnormal": 4,
    "atanh_normal": 2,
    "fixed": 1,
}
"""Priors with their number of arguments: truncnormal takes mean, sd, low, high; atanh_normal is a correlation."""

CORRELATIONS = {"atanh_normal": 2, "lkj": 1}
"""Priors of a correlation: of two effects, or of a matrix."""

HYPERPRIORS = PRIORS | CORRELATIONS
"""What the scale or correlation of an effect may be, where it is no formula of parameters."""


def parse_prior(text: str) -> Call:
    """Return the tree of a prior.

    **Raises:** `LawError` naming what is allowed.

    >>> parse_prior("normal(0, 1)").function
    'normal'
    """
    return parse_call(text, PRIORS)


def is_call(text: str, functions: Iterable[str]) -> bool:
    """Return whether a text is one of `functions` called, rather than a formula.

    >>> is_call("normal(0, 1)", PRIORS)
    True
    """
    return any(text.lstrip().startswith(f"{name}(") for name in functions)


def wrong_prior(prior: str, *x: float) -> str | None:
    """Return what is wrong with a prior's arguments, or None.

    >>> wrong_prior("normal", 0.0, -1.0)
    'normal needs a positive scale, not -1'
    """
    if not all(abs(v) <= _LARGEST for v in x):
        return f"{prior} has an argument beyond {_LARGEST:g}"
    match prior, x:
        case ("uniform", (low, high)) | ("truncnormal", (_, _, low, high)) if low >= high:
            return f"{prior} needs its lower bound below its upper one, not {low:g} and {high:g}"
        case ("lognormal", (mean, _)) if abs(mean) > _LARGEST_LOG:
            return f"{prior} has a median that is too large or small to write down"
        case ("fixed" | "uniform", _):
            return None
        case ("normal" | "lognormal" | "atanh_normal" | "truncnormal", (_, scale, *_)):
            positive = {"scale": scale}
        case ("student_t", (freedom, _, scale)):
            positive = {"scale": scale, "number of degrees of freedom": freedom}
        case ("beta" | "gamma", (a, b)):
            positive = {"first argument": a, "second argument": b}
        case (_, (scale, *_)):
            positive = {"argument": scale}
        case _:
            return None
    bad = next((f"{what}, not {value:g}" for what, value in positive.items() if value <= 0), None)
    return f"{prior} needs a positive {bad}" if bad else None


_LARGEST = 1e30
"""Size that an argument of a prior may have."""
_LARGEST_LOG = 300.0
"""Size that the logarithm of a log-normal's median may have."""


def centre(prior: str, *x: float) -> float:
    """Return the median of a prior, or its mean where the median has no closed form.

    >>> centre("lognormal", 0.0, 1.0)
    1.0
    """
    match prior, x:
        case ("normal" | "fixed", (mean, *_)):
            return mean
        case ("student_t", (_, mean, _)):
            return mean
        case ("atanh_normal", (mean, _)):
            return math.tanh(mean)
        case ("lognormal", (mean, _)):
            return math.exp(mean)
        case ("halfnormal", (scale,)):
            return 0.6744897501960817 * scale
        case ("uniform", (low, high)):
            return (low + high) / 2
        case ("beta", (a, b)):
            return a / (a + b)
        case ("gamma", (shape, rate)):
            return shape / rate
        case ("exponential", (rate,)):
            return math.log(2) / rate
        case ("truncnormal", (mean, _, low, high)):
            return min(max(mean, low), high)
        case _:
            raise AssertionError(prior)
