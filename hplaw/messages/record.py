"""What all wire types are: frozen records with named fields, and their JSON.

One Struct per record, shared by the library, the service, the client and the command line, so that the same question has
the same answer everywhere, byte for byte but for spacing. Numbers are finite or null, and a null comes with a `reason`.
"""

from __future__ import annotations

from typing import Any

import msgspec


Scalar = float | str
"""A quantity's value: a number, or the name of a category."""


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The base of all wire types: frozen, named fields only, nothing unknown.

    Records are trees, so that the garbage collector, which looks for circles, need not go through them.
    """


_encoder = msgspec.json.Encoder()


def encode(record: object) -> bytes:
    """Return the JSON of a record.

    >>> from hplaw.messages.query import Bounds
    >>> encode(Bounds(low=1.0))
    b'{"low":1.0}'
    """
    return _encoder.encode(record)


def to_builtins(record: object) -> Any:
    """Return a record as dictionaries and lists."""
    return msgspec.to_builtins(record)
