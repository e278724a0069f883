"""The model's shape in a question: its quantities, what is counted from them, and budgets of what is counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hplaw.errors import ConflictingQuery
from hplaw.messages.recommendation import AnswerWarning
from hplaw.recommendation.covered import refuse_model
from hplaw.vocabulary.model_shape import is_config, read_shape, remarks


COMPUTE, COUNTED_COMPUTE = "compute_flop", "training_flop"
"""The compute of a run by size and data alone, and with attention counted, as a shape allows."""

FLOP_SHAPE = ("n_layers", "d_model", "seq_len")
"""What attention is counted from."""


def flop_of(known: Mapping[str, object]) -> str:
    """Return the quantity that a run's compute is: with attention counted where the shape is known.

    >>> flop_of({"n_params": 7e9}), flop_of({"n_layers": 32.0, "d_model": 4096.0, "seq_len": 4096.0})
    ('compute_flop', 'training_flop')
    """
    return COUNTED_COMPUTE if all(name in known for name in FLOP_SHAPE) else COMPUTE


COUNTED_WANT = ("n_params", "n_params_with_embedding", "flop_per_token")
"""What is also answered where the shape is known: what laws count from it."""


def counted_want(known: Mapping[str, object]) -> Iterator[str]:
    """Yield what is also answered where the shape is known, as far as it was not given.

    >>> list(counted_want({"n_layers": 32.0, "d_model": 4096.0, "seq_len": 4096.0, "n_params": 7e9}))
    ['flop_per_token']
    """
    if flop_of(known) == COUNTED_COMPUTE:
        tables = "vocab_size" in known
        yield from (n for n in COUNTED_WANT if n not in known and (tables or n != "n_params_with_embedding"))


def add_model(model: dict[str, Any], known: dict[str, Any], warnings: list[AnswerWarning]) -> None:
    """Add the quantities of a model's shape to what is known, and warn of what was assumed.

    **Raises:** `QueryError` for what is no shape, `ConflictingQuery` for a quantity that is given otherwise.
    """
    refuse_model(model)
    for code, text, quantity in remarks(model, counted="n_params" not in known):
        warnings.append(AnswerWarning(code=code, text=text, quantity=quantity))
    for name, value in read_shape(model).items():
        if name == LENGTH and is_config(model):
            _add_length(value, known, warnings)
            continue
        if name in known and known[name] != value:
            message = f"{name} is given twice, as {known[name]} and in the model as {value}; give it once"
            raise ConflictingQuery(message, field="model")
        known[name] = value
    for name in ("n_params", "n_active_params"):
        if name in known:
            text = f"{name} is used as given; the model's shape serves for the rest"
            warnings.append(AnswerWarning(code="shape-and-count", text=text, quantity=name))


LENGTH = "seq_len"
"""The one quantity of a config.json that says what a model can read, rather than what it is."""

USUAL_LENGTH = 8192.0
"""Tokens of the longest sequences that most of a pretraining is on: longer ones are taught at its end, if not after it
(Llama 3, arXiv 2407.21783, section 3.4.2; Qwen2.5, arXiv 2412.15115, section 3.3)."""


def _add_length(longest: Any, known: dict[str, Any], warnings: list[AnswerWarning]) -> None:
    """Take sequences as long as a config.json allows, yet no longer than is usual, where nothing else is given."""
    if LENGTH in known:
        return
    known[LENGTH] = min(longest, USUAL_LENGTH)
    if longest > USUAL_LENGTH:
        text = f"seq_len is taken as {USUAL_LENGTH:g}, for up to {longest:g} in the config.json; give it, if you train on longer ones"
        warnings.append(AnswerWarning(code="assumed", text=text, quantity=LENGTH))


def count_budget(known: dict[str, Any]) -> None:
    """Read a budget of FLOP as one of those that will be counted: with attention, where the shape is known.

    **Raises:** `ConflictingQuery` where both are given.
    """
    if COMPUTE not in known or flop_of(known) == COMPUTE:
        return
    if COUNTED_COMPUTE in known:
        message = f"{COMPUTE} and {COUNTED_COMPUTE} are both given, and with the model's shape either is the same budget; give one"
        raise ConflictingQuery(message, field=COMPUTE)
    known[COUNTED_COMPUTE] = known.pop(COMPUTE)
