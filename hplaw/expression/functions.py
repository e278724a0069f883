"""The functions that formulas may call, with their number of arguments; and the limits on a formula's size."""

from __future__ import annotations


MAX_LENGTH = 4_000
"""Characters that one formula may have."""

MAX_DEPTH = 64
"""Levels that one formula may nest."""

FUNCTIONS: dict[str, tuple[int, int | None]] = {
    "where": (3, 3),
    "min": (2, None),
    "max": (2, None),
    "clip": (3, 3),
    **dict.fromkeys(("log", "exp", "expm1", "log1p", "expm2", "sqrt", "abs", "floor"), (1, 1)),
    **dict.fromkeys(("sin", "cos", "tanh", "sigmoid", "erf"), (1, 1)),
    "interp": (2, 2),
}
"""Minimum and maximum number of arguments by function; None is any number."""

REDUCTIONS = ("sum", "prod")
"""Functions whose first argument is an index."""

STEPWISE = ("running", "before")
"""Functions over the steps of a schedule with a value at each of them: the sum of all up to it, and that of the one before."""

CONSTANTS = ("pi",)
"""Names that always represent a number."""

WORDS = ("and", "or", "not")
"""Operators that look like names."""

RESERVED = frozenset((*FUNCTIONS, *REDUCTIONS, *STEPWISE, *CONSTANTS, *WORDS))
"""Names that no law may define."""
