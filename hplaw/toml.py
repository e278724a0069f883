"""TOML as typed records, by the one reader that every file of hplaw goes through.

tomli is the reader of the standard library, by its author, compiled: it takes a third of the time, of which reading all
laws is the largest part of a short answer's; and it bounds keys and nesting, where a key of many parts keeps the other
busy for minutes.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import tomli


Kind = TypeVar("Kind")


def read_toml(text: bytes) -> dict[str, Any]:
    """Return what the bytes of a TOML file hold, as they are.

    **Raises:** `ValueError` for what is no TOML in UTF-8, `RecursionError` for what nests too deep.

    >>> read_toml(b"alpha = 0.34")
    {'alpha': 0.34}
    """
    return tomli.loads(text.decode())


def decode_toml(text: bytes, kind: type[Kind]) -> Kind:
    """Return what the bytes of a TOML file hold, as `kind`.

    **Raises:** what `read_toml` raises, and `msgspec.ValidationError` for what is no `kind`.

    >>> class Constants(msgspec.Struct):
    ...     alpha: float
    >>> decode_toml(b"alpha = 1", Constants)
    Constants(alpha=1.0)
    """
    return msgspec.convert(read_toml(text), kind)
