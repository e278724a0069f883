"""Prices of accelerators, and quantities that have options of their own, as the command line writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hplaw.errors import ConflictingQuery
from hplaw.vocabulary.reading import parse_pairs, parse_value, read_number, split_names


PRICE_HELP = "What one accelerator costs in an hour, adds the cost: 2.5, or by accelerator h100-sxm=2.5 b200-sxm=5."


def read_prices(texts: Sequence[str] | None) -> tuple[float | None, dict[str, float]]:
    """Return the price for all accelerators, and those by accelerator.

    **Raises:** `QueryError` for what is no number; `ConflictingQuery` for several prices of one accelerator, or of all.

    >>> read_prices(["2.5"]), read_prices(["h100-sxm=2.5", "b200-sxm=5"])
    ((2.5, {}), (None, {'h100-sxm': 2.5, 'b200-sxm': 5.0}))
    """
    names = split_names(texts)
    plain = [text for text in names if "=" not in text]
    if len(plain) > 1 or (plain and len(names) > 1):
        message = f"--price {' '.join(names)}: give one price for all, or one for each accelerator as h100-sxm=2.5"
        raise ConflictingQuery(message, field="price_per_hour")
    by_name = parse_pairs([text for text in names if "=" in text], "--price")
    price = read_number("--price", plain[0]) if plain else None
    return price, {name: read_number(f"--price {name}:", text) for name, text in by_name.items()}


def read_given(pairs: Sequence[str] | None, others: Mapping[str, float | str]) -> dict[str, float | str]:
    """Return what --given names, and what options of their own give.

    **Raises:** `ConflictingQuery` for a quantity given twice.
    """
    found: dict[str, float | str] = {key: parse_value(key, text) for key, text in parse_pairs(pairs, "--given").items()}
    for name in others:
        if name in found:
            message = f"{name} is given twice; give it once"
            raise ConflictingQuery(message, field=name)
    return found | dict(others)
