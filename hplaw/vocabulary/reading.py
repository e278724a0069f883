"""Reading text as values: numbers, `quantity=value`, limits, lists of names; on the command line and in query strings."""

from __future__ import annotations

from collections.abc import Sequence

from hplaw.errors import ConflictingQuery, MalformedQuery, QueryError
from hplaw.vocabulary.quantities import parse_number, vocabulary


SEPARATORS = (",", ";", "\t")
"""What may be between cells."""


def parse_pairs(pairs: Sequence[str] | None, option: str) -> dict[str, str]:
    """Return the `name=value` texts of a repeated option by name.

    **Raises:** `MalformedQuery` for text without name or value, `ConflictingQuery` for a name given twice.

    >>> parse_pairs(["weight_decay=0.1"], "--given")
    {'weight_decay': '0.1'}
    """
    found: dict[str, str] = {}
    for pair in pairs or ():
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals and value):
            message = f"{option} {pair}: give name=value, for example {option} weight_decay=0.1"
            raise MalformedQuery(message, field=name)
        if name in found:
            message = f"{option} {name} is given twice; give it once"
            raise ConflictingQuery(message, field=name)
        found[name] = value
    return found


def parse_value(name: str, text: str) -> float | str:
    """Return a quantity's value: a number, or the name of a category.

    A name outside the vocabulary may be a quantity that a law adds: it is a number if it reads as one.

    >>> parse_value("tokens", "1.4T"), parse_value("optimizer", "muon")
    (1400000000000.0, 'muon')
    """
    quantity = vocabulary().get(name)
    if quantity is not None and quantity.categorical:
        return text
    try:
        return parse_number(text)
    except QueryError as error:
        if quantity is None:
            return text
        message = f"{name}={error.text}"
        raise MalformedQuery(message, field=name) from None


def read_number(option: str, text: str, *, field: str | None = None) -> float:
    """Return the number that an option was given.

    **Raises:** `MalformedQuery` naming the option, and `field`, which is the option where it is omitted.

    >>> read_number("--params", "7b")
    7000000000.0
    """
    try:
        return parse_number(text)
    except QueryError as error:
        message = f"{option} {error.text}"
        raise MalformedQuery(message, field=field or option) from None


def read_limits(option: str, name: str, text: str) -> tuple[float | None, float | None]:
    """Return the limits that an option was given for a quantity, written LOW..HIGH.

    **Raises:** `MalformedQuery` naming the option and the quantity.

    >>> read_limits("--bound", "batch_tokens", "1M..4M"), read_limits("--bound", "peak_lr", "..1e-3")
    ((1000000.0, 4000000.0), (None, 0.001))
    """
    low, dots, high = (part.strip() for part in text.partition(".."))
    if not dots or not (low or high):
        message = f"{option} {name}={text}: give LOW..HIGH, either side may be empty, for example 1M..4M"
        raise MalformedQuery(message, field=name)
    low_value, high_value = (
        read_number(f"{option} {name}:", side, field=name) if side else None for side in (low, high)
    )
    return low_value, high_value


def split_names(names: Sequence[str] | None) -> list[str]:
    """Return names given one by one or with commas between.

    >>> split_names(["loss,steps", "peak_lr"])
    ['loss', 'steps', 'peak_lr']
    """
    return [part for name in names or () for part in (p.strip() for p in name.split(",")) if part]


def separator_of(header: str) -> str:
    """Return what is between the names of a header: a comma, or what parts it into more.

    >>> separator_of("n_params;tokens"), separator_of("n_params")
    (';', ',')
    """
    import csv  # for tables alone

    return max(SEPARATORS, key=lambda separator: sum(map(len, csv.reader([header], delimiter=separator))))
