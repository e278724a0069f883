"""A question as parameters of a query string: pairs `name=value` as patterns that hold what the service takes.

Patterns describe plain decimals, and powers and suffixes where the bounds of the quantity allow any of them; the service
reads more ways to write a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from hplaw.messages.query_text import COUNTRY, DAYS, SECONDS_A_DAY
from hplaw.vocabulary.quantities import SUFFIXES, Quantity
from hplaw_api.query_string import LISTS, PARAMETERS


Schema = dict[str, Any]

_SUFFIXED = "; digits may have a suffix k, M, B or T"
_PAIRS = {
    "given": "another quantity, `name=value`, for example `weight_decay=0.1`; several times for several",
    "bound": "limits of a quantity, `name=LOW..HIGH`, either side may be empty, for example `batch_tokens=1M..4M`",
}
_MOST_DIGITS = 15
"""Digits before the point where a quantity has no upper bound."""


def query_parameters(query: Schema, words: Mapping[str, Quantity]) -> tuple[Schema, ...]:
    """Return the parameters of a question.

    **Arguments:**

    - `query`: the schema of a question as a body has it.
    - `words`: the quantities that there are.
    """
    extra = {
        DAYS: _days(words["duration_s"]),
        COUNTRY: {"type": "string", "description": words[COUNTRY].meaning},
        "given": _pairs("given", {name: word for name, word in words.items() if name != "loss"}, _value),
        "bound": _pairs("bound", {name: word for name, word in words.items() if not word.categorical}, _limits),
    }
    return tuple(_parameter(name, extra.get(name) or _plain(query["properties"][name])) for name in PARAMETERS)


def number_pattern(quantity: Quantity) -> str:
    """Return a regular expression of numbers that a quantity may have.

    >>> from hplaw.vocabulary.quantities import vocabulary
    >>> number_pattern(vocabulary()["n_embeddings"])
    '1'
    """
    high = math.inf if quantity.high is None else quantity.high
    digits = _MOST_DIGITS if high == math.inf else max(0, math.floor(math.log10(high)))
    ways: list[str] = []
    if digits:
        ways.append(rf"[1-9][0-9]{{0,{digits - 1}}}(\.[0-9]{{1,9}})?")
        ways += [
            rf"[1-9][0-9]{{0,2}}(\.[0-9]{{1,9}})?{letter}" for letter in "kMBT" if SUFFIXES[letter] * 1e3 <= 10**digits
        ]
    if digits > 9:
        two = f"|1[0-{min(digits, 20) - 11}]" if digits > 10 else ""
        ways.append(rf"[1-9](\.[0-9]{{1,15}})?[eE]\+?(0?[0-9]{two})")
    if (quantity.low is None or quantity.low <= 0) and high >= 1:
        ways += [r"0\.[0-9]{0,15}[1-9]", r"[1-9](\.[0-9]{1,15})?[eE]-[0-9]{1,2}"]
    # where no power of ten lies between the bounds, the lower one stands for all
    return "|".join(ways) or re.escape(f"{quantity.low:g}")


def _plain(schema: Schema) -> Schema:
    """Return the schema of a field without null, which a query string cannot write."""
    plain = next((kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"), schema)
    found = {key: item for key, item in plain.items() if key != "default"}
    if found.get("type") == "number":
        found["description"] = found.get("description", "") + _SUFFIXED
    return found


def _days(duration: Quantity) -> Schema:
    longest = None if duration.high is None else duration.high / SECONDS_A_DAY
    limits = {} if longest is None else {"maximum": math.floor(longest)}
    return {"type": "number", "exclusiveMinimum": 0, **limits, "description": "time that the run may take, in days"}


def _parameter(name: str, schema: Schema) -> Schema:
    return {
        "name": name,
        "in": "query",
        "description": schema.get("description", ""),
        "schema": schema,
        **({"style": "form", "explode": True} if name in LISTS else {}),
    }


def _pairs(name: str, words: Mapping[str, Quantity], values: Callable[[Quantity], str]) -> Schema:
    groups: dict[str, list[str]] = {}
    for word, quantity in words.items():
        groups.setdefault(values(quantity), []).append(word)
    kinds = "|".join(f"({'|'.join(names)})={pattern}" for pattern, names in groups.items())
    item = {"type": "string", "pattern": f"^({kinds})$"}
    return {"type": "array", "items": item, "default": [], "description": _PAIRS[name]}


def _value(quantity: Quantity) -> str:
    if not quantity.categorical:
        return f"({number_pattern(quantity)})"
    names = "|".join(re.escape(name) for name in quantity.categories)
    return f"({names})" if names else "[A-Za-z0-9-]{1,80}"


def _limits(quantity: Quantity) -> str:
    number = f"({number_pattern(quantity)})"
    return rf"({number}\.\.{number}?|\.\.{number})"
