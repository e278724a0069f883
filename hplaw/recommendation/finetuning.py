"""Questions on fine-tuning: the base model that they are about, what is answered, and which laws have a say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hplaw.errors import ConflictingQuery
from hplaw.evaluation.inputs import inputs
from hplaw.law import Law
from hplaw.law.derived import derived
from hplaw.messages.recommendation import AnswerWarning
from hplaw.vocabulary.model_shape import family_of


FINETUNE = "finetune"
"""The quantity whose being given makes a question one on fine-tuning."""

RANK = 32.0
"""Rank of the adapters where none is given: the default of the program that the rate of LoRA was measured with."""

LEARNED = frozenset(
    {
        "peak_lr",
        "batch_tokens",
        "weight_decay",
        "warmup_tokens",
        "warmup_steps",
        "beta1",
        "beta2",
        "adam_epsilon",
        "loss",
        "critical_batch_tokens",
    }
)
"""What laws of pretraining give that means nothing for fine-tuning; what is counted holds for both."""


def add_base(
    model: Mapping[str, Any] | None, known: dict[str, Any], *, spent: Sequence[frozenset[str]]
) -> Iterator[AnswerWarning]:
    """Add what is known of the base model, and yield what was assumed.

    **Arguments:**

    - `spent`: budgets and targets, each the names that make one; they choose size and data, which fine-tuning has.

    **Raises:** `ConflictingQuery` where the base model, or a rank for what has none, is not clear.
    """
    how = known.get(FINETUNE)
    if how is None:
        return
    if model is not None:
        family = family_of(model)
        if family is not None:
            known.setdefault("base_family", family)
    lacking = [name for name in ("base_family", "d_model") if name not in known]
    if lacking:
        message = f"finetune={how} needs {' and '.join(lacking)} of the base model; give its config.json as model, or these quantities"
        raise ConflictingQuery(message, field="model")
    budget = next((aim for aim in spent if aim <= known.keys()), None)
    if budget is not None:
        names = " and ".join(sorted(budget))
        message = f"{names} would choose a size for pretraining, and finetune={how} has its base model; give the training tokens"
        raise ConflictingQuery(message, field=min(budget))
    if how == "full" and "lora_rank" in known:
        message = "lora_rank is given, and finetune=full trains all weights; give finetune=lora, or no rank"
        raise ConflictingQuery(message, field="lora_rank")
    if how == "lora" and "lora_rank" not in known:
        known["lora_rank"] = RANK
        text = f"lora_rank is taken as {RANK:g}; give it, if you have another"
        yield AnswerWarning(code="assumed", text=text, quantity="lora_rank")


def finetune_want(known: Mapping[str, object]) -> tuple[str, ...]:
    """Return what is answered on fine-tuning when nothing is asked for: what to set, then room and memory.

    >>> finetune_want({"finetune": "full", "batch_tokens": 1e4, "tokens": 1e7})
    ('steps', 'peak_lr', 'training_state_bytes')
    """
    lora = known[FINETUNE] == "lora"
    steps = ("steps",) if {"tokens", "batch_tokens"} <= known.keys() else ()
    batch = ("batch_seqs",) if lora and "batch_tokens" not in known else ()
    room = ("trainable_params", *(("min_lora_rank",) if "tokens" in known else ()))
    # steps and trained parameters come first: the rate and the memory depend on them
    return (*steps, "peak_lr", *(("lora_alpha", *batch, *room) if lora else ()), "training_state_bytes")


def pretraining_only(law: Law, name: str, known: Mapping[str, object]) -> str | None:
    """Return why a law gives nothing for fine-tuning, as it was made for pretraining; None where it does."""
    if FINETUNE not in known or name not in LEARNED or _knows_base(law):
        return None
    return f"no law here gives {name} for fine-tuning; {law.id} is for pretraining"


@derived
def _knows_base(law: Law) -> bool:
    """Return whether a law is about fine-tuning, or starts from a rate that the asker tuned."""
    takes = {item.known for item in inputs(law)}
    return FINETUNE in takes or FINETUNE in law.spec.domain or "base_peak_lr" in takes
