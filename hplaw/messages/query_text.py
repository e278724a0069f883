"""A question whose values are text, as the command line and query strings have it -> the fields of a `Query`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hplaw.errors import ConflictingQuery, MalformedQuery, nearest
from hplaw.messages.query import Bounds
from hplaw.vocabulary.quantities import vocabulary
from hplaw.vocabulary.reading import parse_pairs, parse_value, read_limits, read_number


NUMBERS = ("n_params", "tokens", "n_active_params", "batch_tokens", "target_loss", "devices")
"""Fields of a question that are numbers."""

NAMES = ("optimizer", "precision", "hardware")
"""Fields of a question that are names."""

DAYS = "days"
"""The key for `duration_s`, in days."""

COMPUTE = "compute_flop"
"""The key for compute, a number: `--flops`."""

OTHERS = (
    "country",
    "recipe",
    COMPUTE,
    "width",
    "parametrization",
    "unique_tokens",
    "epochs",
    "serve_tokens",
    "serve_precision",
    "minimize",
    "effort",
    "price_per_hour",
    "pue",
    "n_experts",
    "n_active_experts",
    "granularity",
    "schedule",
    "task",
    "finetune",
    "lora_rank",
)
"""Keys for the quantities of these names, which are no fields of their own."""

TUNED_BASE = "tuned_base"
"""The key for a setting that was tuned, as `tuned_pairs` reads it."""

TUNED = {
    "lr": "base_peak_lr",
    "batch": "base_batch_tokens",
    "width": "base_width",
    "beta1": "base_beta1",
    "beta2": "base_beta2",
    "epsilon": "base_adam_epsilon",
    "weight_decay": "base_weight_decay",
}
"""The words of a setting that was tuned, by what they give: `batch=256,lr=1e-3`."""

SECONDS_A_DAY = 86400.0


def read_query_fields(
    texts: Mapping[str, str], *, given: Sequence[str], bound: Sequence[str], label: Callable[[str], str] = str
) -> dict[str, Any]:
    """Return the fields of a `Query`: numbers and names, `given` and `bounds`.

    **Arguments:**

    - `texts`: values by name, of `NUMBERS`, `NAMES`, `DAYS`, `OTHERS` and `TUNED_BASE`.
    - `given`: further quantities, each `name=value`.
    - `bound`: limits of quantities, each `name=LOW..HIGH`.
    - `label`: what the caller calls a name, for messages.

    **Raises:** `MalformedQuery` for a number that is none, a pair or limits that are none; `ConflictingQuery` for a
    quantity given twice.

    >>> read_query_fields({"n_params": "7B", "days": "2"}, given=["weight_decay=0.1"], bound=["batch_tokens=..4M"])
    {'n_params': 7000000000.0, 'given': {'duration_s': 172800.0, 'weight_decay': 0.1}, 'bounds': {'batch_tokens': ...}}
    """
    fields: dict[str, Any] = {}
    others: dict[str, float | str] = {}
    tuned: list[str] = []
    for name, text in texts.items():
        if name == TUNED_BASE:
            tuned = tuned_pairs(text, label(name))
        elif name in NAMES:
            fields[name] = text
        elif name in NUMBERS:
            fields[name] = read_number(label(name), text)
        elif name == DAYS:
            others["duration_s"] = read_number(label(name), text) * SECONDS_A_DAY
        else:
            others[name] = text if vocabulary()[name].categorical else read_number(label(name), text)
    for name, text in parse_pairs([*given, *tuned], label("given")).items():
        if name in fields or name in others:
            message = f"{name} is given twice; give it once"
            raise ConflictingQuery(message, field=name)
        into = fields if name in NUMBERS or name in NAMES else others
        into[name] = parse_value(name, text)
    bounds: dict[str, Bounds] = {}
    for name, text in parse_pairs(bound, label("bound")).items():
        low, high = read_limits(label("bound"), name, text)
        bounds[name] = Bounds(low=low, high=high)
    return {**fields, "given": others, "bounds": bounds}


def tuned_pairs(text: str, label: str) -> list[str]:
    """Return a tuned setting as pairs `quantity=value`.

    **Arguments:**

    - `text`: words of `TUNED` with values, separated by commas.
    - `label`: what the caller calls it, for messages.

    **Raises:** `MalformedQuery` for a word that is none of a setting, or a pair that is none; `ConflictingQuery` for a
    word given twice, or a setting without a rate.

    >>> tuned_pairs("batch=256,lr=1e-3", "--tuned-base")
    ['base_batch_tokens=256', 'base_peak_lr=1e-3']
    """
    pairs = parse_pairs([part for part in text.split(",") if part.strip()], label)
    for word in pairs:
        if word not in TUNED:
            message = f"{label}: '{word}' is no part of a tuned setting{nearest(word, TUNED)}; give {', '.join(TUNED)}"
            raise MalformedQuery(message, field="tuned_base")
    if "lr" not in pairs or len(pairs) < 2:
        message = f"{label} {text}: give the rate and where it was tuned, for example {label} batch=256,lr=1e-3"
        raise ConflictingQuery(message, field="tuned_base")
    return [f"{TUNED[word]}={value}" for word, value in pairs.items()]
