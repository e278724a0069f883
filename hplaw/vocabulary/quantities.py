"""The vocabulary: every quantity that laws, queries and run tables may name, declared once.

A number has a unit and bounds; a category has names. Laws are edges between quantities, so that a law
from any source uses the same `n_params` as a query does. A law file may add quantities of its own.
"""

from __future__ import annotations

import functools as ft
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from hplaw.errors import QueryError
from hplaw.toml import read_toml


class Quantity(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity: its letter, unit, bounds and meaning.

    **Arguments:**

    - `name`: the word used in laws, queries and tables, its unit in the name where it has one.
    - `symbol`: the field's letter, as LaTeX.
    - `unit`: `"1"` for a pure number, `""` for a category.
    - `meaning`: one line of plain words.
    - `low`, `high`: the minimum and the maximum value allowed; `open_low` and `open_high` say that they themselves are not.
    - `categories`: the names a category may take; empty where laws' tables say them.
    - `closed`: true where a category may take no other names than those that laws' tables say.
    - `whole`: true for a count.
    """

    name: str
    symbol: str
    unit: str
    meaning: str
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    categories: tuple[str, ...] = ()
    categorical: bool = False
    closed: bool = False
    whole: bool = False


def read_quantity(name: str, entry: Mapping[str, Any]) -> Quantity:
    """Return a quantity from an entry of the vocabulary, or of a law's own `[quantities]`; without a unit it is a category.

    >>> read_quantity("carbon_tax", {"meaning": "price of carbon", "unit": "1/kg"}).symbol
    '\\\\mathrm{carbon tax}'
    """
    unit = entry.get("unit", "")
    symbol = entry.get("symbol") or rf"\mathrm{{{name.replace('_', ' ')}}}"
    categorical = bool(entry.get("categories")) or not unit
    return msgspec.convert(
        {**entry, "name": name, "symbol": symbol, "unit": unit, "categorical": categorical}, Quantity
    )


@ft.cache
def vocabulary() -> Mapping[str, Quantity]:
    """Return all quantities of the vocabulary by name.

    >>> vocabulary()["n_params"].symbol
    'N'
    """
    entries = read_toml(Path(__file__).with_suffix(".toml").read_bytes())
    return {name: read_quantity(name, entry) for name, entry in entries.items()}


SUFFIXES = {"k": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
"""What the letters behind a number represent; B is a billion, as in 7B."""

_SCALES = {**SUFFIXES, **{letter.swapcase(): scale for letter, scale in SUFFIXES.items() if letter != "E"}}
"""The same in either case, as in 7b; 1e is a number cut off and none of a suffix."""

_GROUPED = r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]*)?"
"""A number with a comma before each three digits; 0,001 is none, as its comma is a decimal one."""


def parse_number(text: str) -> float:
    """Return the number that `text` writes, with an optional suffix k, M, B or T, in either case.

    **Raises:** `QueryError` for anything else, infinities and NaN included.

    >>> parse_number("1.4T"), parse_number("7b"), parse_number("1,000,000")
    (1400000000000.0, 7000000000.0, 1000000.0)
    """
    body = text.strip()
    scale = _SCALES.get(body[-1:])
    digits = body[:-1] if scale else body
    if "," in digits and re.fullmatch(_GROUPED, digits):
        digits = digits.replace(",", "")
    try:
        value = float(digits) * (scale or 1.0)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in body or not body.isascii():
        message = f"{text[:40]!r} is not a number; give digits with an optional suffix k, M, B or T, for example 1.4T"
        raise QueryError(message)
    return value


def check_value(quantity: Quantity, value: object) -> str | None:
    """Return what is wrong with `value` for `quantity`, in one sentence, or None.

    >>> check_value(vocabulary()["tokens"], -3.0)
    'tokens=-3 is not positive; give training tokens, repetitions counted'
    """
    name = quantity.name
    if quantity.categorical:
        if not isinstance(value, str):
            return f"{name}={value!r} is not a name; give {_choices(quantity)}"
        if quantity.categories and value not in quantity.categories:
            return f"{name}={value!r} is not known; give {_choices(quantity)}"
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{name}={value!r} is not a number; give {quantity.meaning}"
    try:
        number = float(value)
    except OverflowError:  # an integer of more than 308 digits
        number = float("inf")
    if number != number or number in (float("inf"), float("-inf")):
        return f"{name}={number} is not finite; give {quantity.meaning}"
    low, high = quantity.low, quantity.high
    if low is not None and quantity.open_low and number <= low:
        return f"{name}={number:g} is not {'positive' if low == 0 else f'above {low:g}'}; give {quantity.meaning}"
    if low is not None and number < low:
        return f"{name}={number:g} is below {low:g}, the minimum allowed; give {quantity.meaning}"
    if high is not None and quantity.open_high and number >= high:
        return f"{name}={number:g} is not below {high:g}; give {quantity.meaning}"
    if high is not None and number > high:
        return f"{name}={number:g} is above {high:g}, the maximum allowed; give {quantity.meaning}"
    if quantity.whole and not number.is_integer():
        return f"{name}={number:g} is not a whole number; give {quantity.meaning}"
    return None


def _choices(quantity: Quantity) -> str:
    return ", ".join(quantity.categories) if quantity.categories else quantity.meaning
