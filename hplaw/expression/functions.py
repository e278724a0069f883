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
    "log": (1, 1),
    "exp": (1, 1),
    "expm1": (1, 1),
    "log1p": (1, 1),
    "expm2": (1, 1),
    "sqrt": (1, 1),
    "abs": (1, 1),
    "floor": (1, 1),
    "sin": (1, 1),
    "cos": (1, 1),
    "tanh": (1, 1),
    "sigmoid": (1, 1),
    "erf": (1, 1),
    "interp": (2, 2),
}
"""Least and greatest number of arguments by function; None is any number."""

REDUCTIONS = ("sum", "prod")
"""Functions whose first argument is an index."""

CONSTANTS = ("pi",)
"""Names that always stand for a number."""

WORDS = ("and", "or", "not")
"""Operators that look like names."""

RESERVED = frozenset((*FUNCTIONS, *REDUCTIONS, *CONSTANTS, *WORDS))
"""Names that no law may define."""
