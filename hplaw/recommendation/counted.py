"""The size and data that laws of the loss see: parameters in few bits and repeated tokens count for less; and the factor
of a schedule that they do not know.

Laws say how much less: `precision_share` and `repeat_share` of the parameters, `effective_tokens` in place of the tokens,
`optimizer_share` for the tokens of another optimizer than the law's, `dense_share` for the parameters of a dense model that is as
good as a mixture of experts. Every law of the loss that knows nothing of these is asked at what then counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec


WHOLE = ("fp32", "tf32", "bf16", "fp16")
"""Formats in which all parameters count."""

PRECISION = ("precision_share",)
"""What a format of few bits changes."""

REPETITION = ("effective_tokens", "repeat_share")
"""What repeated tokens change."""

OPTIMIZER = ("optimizer_share",)
"""What an optimizer changes that a law was not fitted to."""

ADAM = ("adam", "adamw")
"""The optimizers of which others are worth more or fewer tokens."""

SCHEDULE = ("schedule_loss_factor",)
"""What a schedule changes that a law was not fitted to: a factor of the loss itself."""

REFERENCE_SCHEDULE = "cosine"
"""The schedule against which the factors of others are."""

EXPERTS = ("dense_share",)
"""What a mixture of experts changes for a law of dense models."""

DENSE = "dense"

SHARES = (*PRECISION, "repeat_share", *EXPERTS)
"""Factors of the parameters."""

SIZES = ("n_params", "n_active_params", "n_params_with_embedding")

COMPUTE = ("compute_flop", "training_flop")


def discounts(known: Mapping[str, Any], filled: Collection[str]) -> tuple[str, ...]:
    """Return the quantities that say what of size and data counts for the loss; none where all does.

    **Arguments:**

    - `filled`: names of `known` that nobody gave.

    >>> discounts({"precision": "fp8", "tokens": 1e11, "unique_tokens": 1e11}, ["unique_tokens"])
    ('precision_share',)
    """
    other = known.get("optimizer", ADAM[0]) not in ADAM
    few_bits = known.get("precision", WHOLE[0]) not in WHOLE
    repeated = "epochs" in known or ("unique_tokens" in known and "unique_tokens" not in filled)
    routed = "n_experts" in known and known.get("architecture") != DENSE
    shaped = known.get("schedule", REFERENCE_SCHEDULE) != REFERENCE_SCHEDULE
    chosen = ((PRECISION, few_bits), (REPETITION, repeated), (OPTIMIZER, other), (SCHEDULE, shaped), (EXPERTS, routed))
    return tuple(name for names, due in chosen if due for name in names)


class Fitted(msgspec.Struct, frozen=True):
    """What a law of the loss takes, and what it was fitted on.

    - `takes`: its inputs.
    - `on`: the categories in its domain, by quantity.
    """

    takes: Collection[str]
    on: Mapping[str, Collection[object]]

    def apply(self, discounted: Collection[str]) -> tuple[str, ...]:
        """Return the discounts that apply: a law may itself take what they come from, or hold for it.

        >>> Fitted(["n_params", "tokens"], {"optimizer": ["muon"]}).apply(["precision_share", "optimizer_share"])
        ('precision_share',)
        """
        on = self.on.get
        due = {
            PRECISION: "precision" not in self.takes,
            REPETITION: "unique_tokens" not in self.takes,
            OPTIMIZER: "optimizer" not in self.takes and any(name in on("optimizer", ()) for name in ADAM),
            SCHEDULE: "schedule" not in self.takes and list(on("schedule", ())) == [REFERENCE_SCHEDULE],
            EXPERTS: "n_active_params" not in self.takes and list(on("architecture", ())) == [DENSE],
        }
        apply = {name for names, applies in due.items() if applies for name in names}
        return tuple(name for name in discounted if name in apply)


def counted(known: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return what is known with sizes, data and compute as they count for the loss.

    **Arguments:**

    - `names`: discounts to apply, as far as they are known.

    >>> seen = counted({"n_params": 1e9, "tokens": 4e10, "precision_share": 0.5}, ["precision_share"])
    >>> seen["n_params"], seen["tokens"]
    (500000000.0, 40000000000.0)
    """
    share: Any = 1.0
    for name in SHARES:
        if name in names and name in known:
            share = share * known[name]
    if "dense_share" in names and "dense_share" in known:
        known = as_dense(known)
    changed: dict[str, Any] = {name: known[name] * share for name in SIZES if name in known}
    worth: Any = 1.0
    if "tokens" in known:
        if "effective_tokens" in names and "effective_tokens" in known:
            worth = known["effective_tokens"] / known["tokens"]
        if "optimizer_share" in names and "optimizer_share" in known:
            worth = worth * known["optimizer_share"]
        changed["tokens"] = known["tokens"] * worth
    changed |= {name: known[name] * (share * worth) for name in COMPUTE if name in known}
    if "tokens_per_param" in known:
        changed["tokens_per_param"] = known["tokens_per_param"] * (worth / share)
    return {**known, **changed}


def as_dense(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a mixture of experts as if each token used all parameters, compute accordingly.

    >>> as_dense({"n_params": 8e9, "n_active_params": 2e9, "compute_flop": 1e20})["compute_flop"]
    4e+20
    """
    n, active = known.get("n_params"), known.get("n_active_params")
    if n is None or active is None:
        return dict(known)
    dense = {name: known[name] * (n / active) for name in COMPUTE if name in known}
    return {**known, **dense, "n_active_params": n}


def schedule_factor(known: Mapping[str, Any], names: Collection[str]) -> Any:
    """Return what the loss of a law is to be multiplied by for the schedule, 1 where nothing is.

    **Arguments:**

    - `names`: discounts to apply.

    >>> schedule_factor({"schedule_loss_factor": 0.99}, ["schedule_loss_factor"]), schedule_factor({}, [])
    (0.99, 1.0)
    """
    (name,) = SCHEDULE
    return known[name] if name in names else 1.0


def without_schedule(known: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what decides how far a law of the loss is from a question: not the schedule, where its factor is known.

    >>> without_schedule({"schedule": "wsd", "schedule_loss_factor": 0.99})
    {'schedule_loss_factor': 0.99}
    """
    if not all(name in known for name in SCHEDULE):
        return known
    return {name: value for name, value in known.items() if name != "schedule"}
