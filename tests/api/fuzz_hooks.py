"""What a description cannot say of a question: which of its values go together.

Run by schemathesis before it sends a case that it holds valid. A question that says too little, or of a run that cannot be,
is refused with 422; `test_wrong_input` has those.
"""

from typing import Any

import schemathesis
from schemathesis import GenerationMode


PATH = "/v1/recommendations"
COMPARE = "/v1/compare"
PRUNING = "/v1/prune-advice"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Give a question size and data, and take from it what contradicts them."""
    if not (case.meta and case.meta.generation.mode == GenerationMode.POSITIVE):
        return
    if case.operation.path == PRUNING and isinstance(case.body, dict):
        complete_case(case.body)
    if case.operation.path == COMPARE and isinstance(case.body, dict) and isinstance(case.body.get("query"), dict):
        complete(case.body["query"], given=case.body["query"].get("given"))
    if case.operation.path != PATH:
        return
    if isinstance(case.body, dict):
        complete(case.body, given=case.body.get("given"))
    elif case.operation.method.upper() == "GET":
        complete(case.query, given=None)
        case.query["given"] = [pair for pair in case.query.get("given") or [] if pair.partition("=")[0] not in TOGETHER]


def complete_case(body: Any) -> None:
    """Give a case its place on a map; one case or many, not both."""
    if body.get("cases"):
        for name in ("density", "epochs", "to_epochs", "lmc", "cka", "retrains"):
            body.pop(name, None)
    else:
        body["density"], body["epochs"] = body.get("density") or 0.1, body.get("epochs") or 80


APART = ("task", "finetune", "lora_rank")
"""Quantities that ask for something else than pretraining, or for what laws do not cover."""

TOGETHER = (
    *APART,
    "steps",
    "vocab_size",
    "n_params_with_embedding",
    "n_params",
    "tokens",
    "batch_tokens",
    "target_loss",
)
"""Quantities that a question may not have at all values at which it may have others."""


def complete(fields: Any, given: Any) -> None:
    """Give a question size and data where it has none, and remove what may contradict them."""
    fields["n_params"] = max(fields.get("n_params") or 7e9, 1e5)
    fields["tokens"] = fields.get("tokens") or 1.4e12
    for name in ("batch_tokens", "target_loss"):
        most = fields["tokens"] if name == "batch_tokens" else 0.1
        if fields.get(name) is not None and fields[name] > most:
            fields[name] = most
    for name in APART:
        fields.pop(name, None)
    for name in TOGETHER:
        if isinstance(given, dict):
            given.pop(name, None)
