"""Numbers as people read them: 7B, 0.00163, 1.4e-4, 5.88e22 FLOP, 14 GB."""

from __future__ import annotations

import math
from collections.abc import Sequence


SCALES = (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3))
"""The suffixes that the command line writes, the same that it reads."""

MULTIPLES = {
    "byte": (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)),
    "kWh": (("MWh", 1e3), ("kWh", 1.0)),
    "kg": (("t", 1e3), ("kg", 1.0)),
    "J": (("TJ", 1e12), ("GJ", 1e9), ("MJ", 1e6), ("kJ", 1e3), ("J", 1.0)),
    "s": (("d", 86400.0), ("h", 3600.0), ("s", 1.0)),
}
"""Units that people write in multiples, each with its own name, largest first."""

SMALLEST_PLAIN = 1e-3
"""Numbers below are written with an exponent."""

LARGEST_PLAIN = 1e4
"""Numbers from here on take a suffix."""

LARGEST_SUFFIXED = 1e15
"""Numbers from here on are written with an exponent."""

LARGEST_FACTOR = 1_000_000
"""Factors above are not distinguished."""

DIGITS = {"nat/token": 4}
"""Significant digits by unit; a loss differs from the next one in the fourth."""

UNITS = {"1": "", "token": "tokens"} | dict.fromkeys(MULTIPLES, "")
"""How a unit is written behind a number, where not as it is."""


def number(value: float, *, digits: int = 3, exponent: bool = False) -> str:
    """Return a number with a suffix, plain, or with an exponent, whichever is short.

    >>> number(1107714.9), number(0.0016325), number(1.4e-4), number(5.88e22), number(7e9)
    ('1.11M', '0.00163', '1.4e-4', '5.88e22', '7B')
    """
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    size = abs(rounded)
    if LARGEST_PLAIN <= size < LARGEST_SUFFIXED:
        letter, scale = next(pair for pair in SCALES if size >= pair[1])
        return _general(rounded / scale, digits) + letter
    if not exponent and SMALLEST_PLAIN <= size < LARGEST_PLAIN:
        return f"{value:.0f}" if size >= 10.0**digits else _general(rounded, digits)
    mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(power)}" if int(power) else mantissa


def numbers(values: Sequence[float], *, unit: str = "1", digits: int | None = None) -> list[str]:
    """Return numbers of one quantity written alike, without the unit; a loss to four digits unless `digits` says less.

    >>> numbers([0.0016, 0.0009, 0.0028]), numbers([950.0, 4.48e6], unit="kWh")
    (['1.6e-3', '9e-4', '2.8e-3'], ['950 kWh', '4,480 MWh'])
    """
    if unit in MULTIPLES:
        return [_multiple(value, unit) for value in values]
    sizes = [abs(value) for value in values if value]
    small = any(size < SMALLEST_PLAIN for size in sizes) and all(size < 1 for size in sizes)
    digits = DIGITS.get(unit, 3) if digits is None else digits
    return [number(value, digits=digits, exponent=small) for value in values]


def with_unit(value: float | str, unit: str, *, short: bool = False) -> str:
    """Return a value with its unit, or the name of a category; `short` omits what the name says.

    >>> with_unit(1.4e12, "token"), with_unit(5.9e22, "FLOP"), with_unit("adamw", "")
    ('1.4T tokens', '5.9e22 FLOP', 'adamw')
    """
    if isinstance(value, str):
        return value
    text = numbers([value], unit=unit)[0]
    return text if short else add_unit(text, unit)


def add_unit(text: str, unit: str) -> str:
    """Return a number that has been written, with its unit.

    >>> add_unit("1.4T", "token"), add_unit("7B", "1")
    ('1.4T tokens', '7B')
    """
    return f"{text} {UNITS.get(unit, unit)}".rstrip()


MOST_EFOLDS = 60.0
"""Distance beyond which no factor is computed: it would overflow."""


def factor_of(efolds: float) -> float:
    """Return the factor that a distance in e-folds is.

    >>> round(factor_of(1.0), 3)
    2.718
    """
    return math.exp(min(efolds, MOST_EFOLDS))


def times(factor: float) -> str:
    """Return a factor to two significant digits.

    >>> times(12.97), times(3199.0), times(1e9)
    ('13x', '3,200x', 'over 1,000,000x')
    """
    if factor > LARGEST_FACTOR:
        return f"over {LARGEST_FACTOR:,}x"
    rounded = float(f"{factor:.2g}")
    return f"{rounded:,.0f}x" if rounded >= 10 else f"{rounded:g}x"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> plural(1, "row"), plural(10000, "row"), plural(2, "category")
    ('1 row', '10,000 rows', '2 categories')
    """
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun[:-1]}ies" if noun.endswith("y") else f"{count:,} {noun}s"


def _general(value: float, digits: int) -> str:
    return f"{value:.{digits}g}"


def _multiple(value: float, unit: str) -> str:
    name, scale = MULTIPLES[unit][-1]
    for letters, size in MULTIPLES[unit]:
        if abs(value) >= size:
            name, scale = letters, size
            break
    rounded = float(f"{value / scale:.3g}")
    return f"{rounded:,.0f} {name}" if 1000 <= abs(rounded) < 1e7 else f"{rounded:.3g} {name}"
