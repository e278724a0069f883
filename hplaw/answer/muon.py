"""Muon's learning rate by the shape of a weight: on either of its scales, and from a rate of AdamW."""

from __future__ import annotations

import functools as ft

from hplaw.answer.answer import plain_outputs
from hplaw.errors import ConflictingQuery, QueryError
from hplaw.law import Law
from hplaw.law.shipped import theory_law
from hplaw.messages.parametrization import MuonScale


ADAMW = ("adam", "adamw")
"""Optimizers whose rate Muon's can be taken from."""


def muon_law() -> Law:
    """Return the law that has both scales."""
    return theory_law("muon-from-adamw")


@ft.lru_cache(maxsize=1024)
def muon_ratio(rows: float, columns: float) -> float:
    """Return 0.2 sqrt(max(A, B)) / sqrt(max(1, A / B)): Muon's rate of an A x B array on the original scale over AdamW's.

    It is also the rate on the original scale over that on the scale match_rms_adamw.

    >>> muon_ratio(4096, 4096), muon_ratio(16384, 4096), muon_ratio(4096, 16384)
    (12.8, 12.8, 25.6)
    """
    _, found = plain_outputs(muon_law(), {"adam_lr": 1.0, "fan_out": rows, "fan_in": columns})
    ratio = found["muon_ratio"]
    assert isinstance(ratio, float)
    return ratio


def check_optimizers(optimizer: str, from_optimizer: str | None, scale: MuonScale) -> None:
    """Refuse a rate that is not AdamW's, one to another optimizer than Muon, and a scale without Muon.

    **Raises:** `QueryError` naming the field.
    """
    if optimizer != "muon" and scale != "original":
        message = f"muon_scale={scale} is for optimizer muon, not {optimizer}; omit it, or give optimizer muon"
        raise ConflictingQuery(message, field="muon_scale")
    if from_optimizer is None:
        return
    if from_optimizer not in ADAMW:
        message = f"from_optimizer={from_optimizer[:80]} is not known; give one of {', '.join(ADAMW)}, whose rate Muon's can be taken from"
        raise QueryError(message, field="from_optimizer")
    if optimizer not in ("muon", from_optimizer):
        message = (
            f"no law takes a rate from {from_optimizer} to {optimizer}; give optimizer muon, or omit from_optimizer"
        )
        raise ConflictingQuery(message, field="from_optimizer")
