"""Priors as a law file writes them: a name and arguments, read into a tree; and their centers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec


class _Prior(msgspec.Struct, frozen=True):
    """One prior.

    - `size`: its number of arguments.
    - `positive`: what arguments that must be positive are called, by place, the first to be looked at coming first.
    - `centre`: its median, or its mean where the median has no closed form.
    """

    size: int
    positive: Mapping[int, str]
    centre: Callable[[Sequence[float]], float]


_SCALE, _ONLY, _BOTH = {1: "scale"}, {0: "argument"}, {0: "first argument", 1: "second argument"}
_ALL: Mapping[str, _Prior] = {
    "normal": _Prior(2, _SCALE, lambda x: x[0]),
    "lognormal": _Prior(2, _SCALE, lambda x: math.exp(x[0])),
    "halfnormal": _Prior(1, _ONLY, lambda x: 0.6744897501960817 * x[0]),
    "uniform": _Prior(2, {}, lambda x: (x[0] + x[1]) / 2),
    "beta": _Prior(2, _BOTH, lambda x: x[0] / (x[0] + x[1])),
    "gamma": _Prior(2, _BOTH, lambda x: x[0] / x[1]),
    "student_t": _Prior(3, {2: "scale", 0: "number of degrees of freedom"}, lambda x: x[1]),
    "exponential": _Prior(1, _ONLY, lambda x: math.log(2) / x[0]),
    "truncnormal": _Prior(4, _SCALE, lambda x: min(max(x[0], x[2]), x[3])),
    "atanh_normal": _Prior(2, _SCALE, lambda x: math.tanh(x[0])),
    "fixed": _Prior(1, {}, lambda x: x[0]),
    "lkj": _Prior(1, _ONLY, lambda x: 0.0),
}
CORRELATIONS = {name: _ALL[name].size for name in ("atanh_normal", "lkj")}
"""Priors of a correlation with their number of arguments: of two effects, or of a matrix."""
HYPERPRIORS = {name: prior.size for name, prior in _ALL.items()}
"""What the scale or correlation of an effect may be, where it is no formula of parameters."""
PRIORS = {name: size for name, size in HYPERPRIORS.items() if name != "lkj"}
"""Priors with their number of arguments: truncnormal takes mean, sd, low, high; atanh_normal is a correlation."""


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
        case _:
            positive = _ALL[prior].positive.items()
    bad = next((f"{what}, not {x[place]:g}" for place, what in positive if x[place] <= 0), None)
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
    return _ALL[prior].centre(x)
