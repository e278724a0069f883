"""An accelerator's name and a number format -> what the laws of time and energy take for it."""

from __future__ import annotations

from typing import Any

from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import categories
from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend


DEVICE = ("compute_format", "peak_flop_per_s", "memory_bytes_per_s", "accelerator_generation")


def accelerator(hardware: str, precision: str, catalogue: Catalogue) -> dict[str, Any] | None:
    """Return the name, format, peak, bandwidth, generation and board power of an accelerator; None where it is not known.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> accelerator("h100-sxm", "bf16", load_catalogue())["board_power_w"]
    700.0
    """
    if hardware not in categories(catalogue, "hardware"):
        return None
    query = Query(hardware=hardware, precision=precision, want=[*DEVICE, "board_power_w"])
    found = recommend(query, catalogue).answers
    if any(found[name].value is None for name in DEVICE):
        return None
    return {"hardware": hardware, **{name: item.value for name, item in found.items()}}
