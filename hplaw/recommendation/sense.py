"""What cannot be: refused where it is given, and not shown as a number where a law predicts it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from hplaw import rows
from hplaw.errors import ConflictingQuery, QueryError
from hplaw.formatting import number
from hplaw.messages.recommendation import BriefEstimate, Estimate


SMALLEST = 1e5
"""Parameters below which no law here means anything."""

FEWEST = 1.0
"""Training tokens below which there is no run."""

SIZES = ("n_params", "n_params_with_embedding")

HIGHEST_LOSS = 10.8
"""Loss of guessing in nat/token where the vocabulary is unknown: ln(49,000), between those in wide use."""

LOSSES = ("target_loss", "reference_loss")
"""Losses that a question may give."""

AnyEstimate = TypeVar("AnyEstimate", Estimate, BriefEstimate)


def refuse_nonsense(known: Mapping[str, Any]) -> None:
    """Refuse a model too small for any law, a loss above that of guessing, and a run of less than one step.

    **Raises:** `QueryError` naming the quantity.
    """
    for name in SIZES:
        if known.get(name, SMALLEST) < SMALLEST:
            message = f"{name}={known[name]:g} is below {SMALLEST:g}, the smallest model that laws here cover"
            raise QueryError(message, field=name)
    highest = highest_loss(known)
    for name in LOSSES:
        if known.get(name, 0.0) > highest:
            message = f"{name}={known[name]:g} is above {_guessing(known)}; give a lower loss"
            raise QueryError(message, field=name)
    tokens = known.get("tokens", math.inf)
    if tokens < FEWEST:
        message = (
            f"tokens={tokens:g} is below {FEWEST:g}, and there is no run of less; give the tokens of the whole run"
        )
        raise ConflictingQuery(message, field="tokens")
    batch = known.get("batch_tokens", 0.0)
    if batch > tokens:
        message = f"batch_tokens={number(batch)} is above tokens={number(tokens)}, which leaves less than one step; give a smaller batch"
        raise QueryError(message, field="batch_tokens")
    if known.get("steps", 1.0) < 1:
        message = f"steps={known['steps']:g} is less than one step; give at least 1"
        raise QueryError(message, field="steps")


def highest_loss(known: Mapping[str, Any]) -> Any:
    """Return the loss of guessing every token alike, ln(vocabulary), in nat/token: a number or a column.

    >>> round(highest_loss({"vocab_size": 32000.0}), 2)
    10.37
    """
    words = known.get("vocab_size")
    return HIGHEST_LOSS if words is None else rows.log(words)


def _guessing(known: Mapping[str, Any]) -> str:
    words = known.get("vocab_size")
    if words is None:
        return f"{HIGHEST_LOSS:g}, the loss of guessing with a vocabulary of 49,000"
    return f"{math.log(words):.3g}, the loss of guessing with a vocabulary of {words:,.0f}"


def sensible(estimates: Sequence[AnyEstimate], known: Mapping[str, Any]) -> list[AnyEstimate]:
    """Return estimates of the loss, a row each, without the values that are above the loss of guessing.

    **Arguments:**

    - `known`: numbers or columns.
    """
    limits = rows.listed(highest_loss(known), len(estimates))
    return [_shown(estimate, limit) for estimate, limit in zip(estimates, limits, strict=True)]


def _shown(estimate: AnyEstimate, limit: float) -> AnyEstimate:
    value = estimate.value
    if not isinstance(value, float) or value <= limit:
        return estimate
    law = str(estimate.law).partition("@")[0]
    reason = f"{law} gives a loss above {limit:.3g}, that of guessing: it does not hold here"
    found = {name: old for name, old in _NOTHING.items() if name in estimate.__struct_fields__}
    return msgspec.structs.replace(estimate, **found, reason=reason)


_NOTHING = {
    name: msgspec.structs.asdict(Estimate(value=None))[name]
    for name in Estimate.__struct_fields__
    if name not in ("unit", "reason", "alternatives")
}
"""What an estimate without a value has in its fields; other laws may still give one."""
