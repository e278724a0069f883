"""The works that hplaw started from: a card for each, and which quantities are related to which."""

from __future__ import annotations

import functools as ft
from pathlib import Path

import msgspec

from hplaw.errors import QueryError, nearest
from hplaw.messages.theory import Work
from hplaw.toml import decode_toml


class _Shelf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of works as it is."""

    kin: dict[str, list[str]]
    work: list[Work]


@ft.cache
def _shelf() -> _Shelf:
    file = Path(__file__).with_name("works.toml")
    return decode_toml(file.read_bytes(), _Shelf)


def works() -> tuple[Work, ...]:
    """Return the card of every work, in the order of the list they come from.

    >>> len(works())
    49
    """
    return tuple(_shelf().work)


def work(name: str) -> Work:
    """Return the card of one work by its id.

    **Raises:** `QueryError` with the nearest id.

    >>> work("step-law").laws
    ['step-law-2025']
    """
    cards = {card.id: card for card in works()}
    if name not in cards:
        message = f"no work is called '{name[:80]}'{nearest(name[:80], cards)}; `hplaw theory --works` lists all"
        raise QueryError(message, field="work")
    return cards[name]


def speaking_of(quantity: str) -> list[Work]:
    """Return the works that cover a quantity or related ones."""
    names = {quantity, *kin_of(quantity)}
    return [card for card in works() if names.intersection(card.about)]


def kin_of(quantity: str) -> tuple[str, ...]:
    """Return the quantities that are of the same kind as another: rates of layers and the peak rate, say.

    >>> "learning_rate" in kin_of("peak_lr")
    True
    """
    return tuple(
        other
        for head, names in _shelf().kin.items()
        if quantity in (head, *names)
        for other in (head, *names)
        if other != quantity
    )
