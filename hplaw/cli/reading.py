"""Reading what the words of a command line mean: numbers, `quantity=value`, names, folders of laws."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hplaw.errors import DataError, QueryError
from hplaw.vocabulary.quantities import parse_number, vocabulary


if TYPE_CHECKING:
    from hplaw.catalogue.catalogue import Catalogue


def open_catalogue(folders: Sequence[Path] | None) -> Catalogue:
    """Return the laws in the folders given and in the usual ones; name the broken files on stderr.

    **Raises:** `LawNotFound` for a folder given that is not there.
    """
    from hplaw.catalogue.catalogue import load_catalogue

    catalogue = load_catalogue(tuple(folders or ()), hasty=True)
    for problem in catalogue.problems:
        print(f"hplaw: left out a law: {problem.text}", file=sys.stderr)
    return catalogue


def parse_pairs(pairs: Sequence[str] | None, option: str) -> dict[str, str]:
    """Return the `name=value` texts of a repeated option by name.

    >>> parse_pairs(["weight_decay=0.1"], "--given")
    {'weight_decay': '0.1'}
    """
    found: dict[str, str] = {}
    for pair in pairs or ():
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals and value):
            message = f"{option} {pair}: give name=value, for example {option} weight_decay=0.1"
            raise QueryError(message, field=name)
        if name in found:
            message = f"{option} {name} is given twice; give it once"
            raise QueryError(message, field=name)
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
        raise QueryError(message, field=name) from None


def read_number(option: str, text: str) -> float:
    """Return the number that an option was given, or raise `QueryError` naming the option."""
    try:
        return parse_number(text)
    except QueryError as error:
        message = f"{option} {error.text}"
        raise QueryError(message, field=option) from None


def read_object(option: str, path: Path) -> dict[str, Any]:
    """Return the JSON object in a file that an option names, a model's config.json.

    **Raises:** `DataError` for a file that cannot be read, or holds no JSON object.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        message = f"{option} {path}: {error.strerror}"
        raise DataError(message) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        message = f"{option} {path} is no JSON object ({error}); give the model's config.json"
        raise DataError(message) from None


def split_names(names: Sequence[str] | None) -> list[str]:
    """Return names given one by one or with commas between.

    >>> split_names(["loss,steps", "peak_lr"])
    ['loss', 'steps', 'peak_lr']
    """
    return [part for name in names or () for part in (p.strip() for p in name.split(",")) if part]
