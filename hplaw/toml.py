"""TOML as typed records, by the one reader that every file of hplaw goes through.

tomli is the reader of the standard library, by its author, compiled: it takes a third of the time, of which reading all
laws is the largest part of a short answer's; and it bounds keys and nesting, where a key of many parts keeps the other
busy for minutes.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
import tomli


Kind = TypeVar("Kind")


def decode_toml(text: bytes, kind: type[Kind]) -> Kind:
    """Return what the bytes of a TOML file hold, as `kind`.

    **Raises:** `ValueError` for what is no TOML in UTF-8, `RecursionError` for what nests too deep, and
    `msgspec.ValidationError` for what is no `kind`.

    >>> decode_toml(b"alpha = 0.34", dict[str, float])
    {'alpha': 0.34}
    """
    return msgspec.convert(tomli.loads(text.decode()), kind)
