"""Quantities as types: what a value of each may be, for whoever makes or checks a schema of them."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from msgspec import Meta

from hplaw.vocabulary.quantities import SUFFIXES, Quantity


_MOST_DIGITS = 15
"""Digits before the point where a quantity has no upper bound."""


def value_type(quantity: Quantity) -> Any:
    """Return the type of a quantity's values: a number within its bounds, its unit in the description, or a name.

    >>> import msgspec
    >>> from hplaw.vocabulary.quantities import vocabulary
    >>> msgspec.json.schema(value_type(vocabulary()["n_embeddings"]))["maximum"]
    2.0
    """
    if quantity.categorical:
        return Annotated[
            Literal[quantity.categories] if quantity.categories else str, Meta(description=quantity.meaning)
        ]
    bounds: dict[str, Any] = {}
    if quantity.low is not None:
        bounds["gt" if quantity.open_low else "ge"] = quantity.low
    if quantity.high is not None:
        bounds["lt" if quantity.open_high else "le"] = quantity.high
    if quantity.whole:
        bounds["multiple_of"] = 1
    return Annotated[float, Meta(description=meaning_and_unit(quantity), **bounds)]


def meaning_and_unit(quantity: Quantity) -> str:
    """Return what a quantity is, with its unit.

    >>> from hplaw.vocabulary.quantities import vocabulary
    >>> meaning_and_unit(vocabulary()["seq_len"])
    'tokens in one sequence, in token'
    """
    return quantity.meaning + ("" if quantity.unit in {"", "1"} else f", in {quantity.unit}")


def number_pattern(quantity: Quantity) -> str:
    """Return a regular expression of texts that are numbers a quantity may have.

    It has plain decimals, and powers and suffixes where the bounds of the quantity allow any of them; there are more ways
    to write a number that `parse_number` reads.

    >>> from hplaw.vocabulary.quantities import vocabulary
    >>> number_pattern(vocabulary()["n_embeddings"])
    '1'
    """
    high = math.inf if quantity.high is None else quantity.high
    digits = _MOST_DIGITS if high == math.inf else max(0, math.floor(math.log10(high)))
    point = "" if quantity.whole else r"(\.[0-9]{1,9})?"
    ways: list[str] = []
    if digits:
        ways.append(f"[1-9][0-9]{{0,{digits - 1}}}{point}")
        ways += [f"[1-9][0-9]{{0,2}}{point}{letter}" for letter in "kMBT" if SUFFIXES[letter] * 1e3 <= 10**digits]
    if quantity.whole:
        return "|".join(ways) or re.escape(f"{quantity.low:g}")
    if digits > 9:
        two = f"|1[0-{min(digits, 20) - 11}]" if digits > 10 else ""
        ways.append(rf"[1-9](\.[0-9]{{1,15}})?[eE]\+?(0?[0-9]{two})")
    if (quantity.low is None or quantity.low <= 0) and high >= 1:
        ways += [r"0\.[0-9]{0,15}[1-9]", r"[1-9](\.[0-9]{1,15})?[eE]-[0-9]{1,2}"]
    # where no power of ten lies between the bounds, the lower one is used
    return "|".join(ways) or re.escape(f"{quantity.low:g}")


def value_pattern(quantity: Quantity) -> str:
    """Return a regular expression of texts that are values of a quantity."""
    if not quantity.categorical:
        return f"({number_pattern(quantity)})"
    names = "|".join(re.escape(name) for name in quantity.categories)
    return f"({names})" if names else "[A-Za-z0-9-]{1,80}"


def limits_pattern(quantity: Quantity) -> str:
    """Return a regular expression of texts that are limits of a number, LOW..HIGH."""
    number = f"({number_pattern(quantity)})"
    return rf"({number}\.\.{number}?|\.\.{number})"
