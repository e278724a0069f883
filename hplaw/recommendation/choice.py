"""What a search for size and data found, as an answer with its intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from hplaw.answer.one_law import Answer
from hplaw.answer.quantiles import Spread
from hplaw.errors import HplawError
from hplaw.law import Law
from hplaw.recommendation.question import Choice
from hplaw.recommendation.trials import Found, Outcome


UNKNOWN = "no law here gives an interval of the best size, so there is none"
"""Why what was chosen has no interval."""


def choose(
    law: Law | None,
    values: dict[str, float],
    *,
    spreads: Mapping[str, Spread | None],
    transfers: Mapping[str, Spread | None] | None = None,
    plateaus: dict[str, tuple[float, float]] | None = None,
    behind: tuple[str, ...],
    reason: str = UNKNOWN,
) -> Choice:
    """Return what a search found, as an answer of the law that it was found by."""
    assert law is not None
    answer = Answer(
        law=law,
        status="ok",
        say=None,
        values=dict(values),
        failed={},
        spreads={name: spread for name, spread in spreads.items() if spread is not None},
        transfers={name: spread for name, spread in (transfers or {}).items() if spread is not None},
        plateaus=plateaus or {},
        at={},
    )
    return Choice(answer, behind, reason)


def inverse(value: float, price: Found, *, share: float = 1.0) -> Spread | None:
    """Return how uncertain what a budget buys is: the dearer, the less, by a share of the logarithm."""
    spread, best = price.spread, price.value
    if spread is None or best is None:
        return None
    levels = msgspec.structs.astuple(spread)
    if levels[0] <= 0:
        return None
    return Spread(*[value * (best / level) ** share for level in levels[::-1]])


def around(optimum: Outcome, name: str, side: str, value: float) -> Spread | None:
    """Return how uncertain a law says that the best size is, about the one found."""
    found = None if isinstance(optimum, HplawError) else optimum[name]
    spread: Spread | None = getattr(found, side, None)
    if found is None or found.value is None or spread is None:
        return None
    return Spread(*[value * level / found.value for level in msgspec.structs.astuple(spread)])


def wider(spread: Spread | None, other: Spread | None, value: float) -> Spread | None:
    """Return two independent uncertainties as one, in quadrature of their logarithms."""
    if spread is None or other is None:
        return spread
    pairs = zip(msgspec.structs.astuple(spread), msgspec.structs.astuple(other), strict=True)
    far = [math.hypot(math.log(a / value), math.log(b / value)) for a, b in pairs]
    return Spread(*[value * math.exp(math.copysign(x, sign)) for x, sign in zip(far, _SIDES, strict=True)])


_SIDES = (-1.0, -1.0, 0.0, 1.0, 1.0)
