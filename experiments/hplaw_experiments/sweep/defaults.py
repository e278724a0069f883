"""What a sweep does not say: the context of its Transformers, and every other field that takes its default."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping, Set
from typing import Any

import msgspec

from hplaw.errors import QueryError
from hplaw_experiments.sweep.space import Node, Record, count, enumerate_points, nodes
from hplaw_experiments.trial import Trial


CONTEXT = 256
"""Tokens of a sequence where a sweep of Transformers does not give them, and its batches hold as many."""

SHORTEST = 16
"""Tokens below which a context teaches a Transformer too little to be taken without a word."""

_TRANSFORMER = {"seq_len", "d_ff", "n_heads", "n_kv_heads", "tied_embedding"}
_ADAM = {"beta1", "beta2", "adam_epsilon"}
_WITHOUT_WORD = {"seed", "curve_points", "data_options", "base_width", "base_n_layers", "schedule_law"}


def default_context(fixed: Mapping[str, Any], space: Record) -> int | None:
    """Return the tokens of a sequence for a sweep that does not give `seq_len`: 256, or the largest power of two below
    that divides every batch of the sweep.

    It is one context for all trials: one that went with the batch would be confounded with it. None where the batches
    are not known.

    **Raises:** `QueryError` where the batches have no common context of `SHORTEST` tokens.

    >>> from hplaw_experiments.sweep.space import choice
    >>> default_context({}, Record({"batch_tokens": choice(4096, 16384)})), default_context({"batch_tokens": 96}, Record({}))
    (256, 32)
    """
    named = [Record({"batch_tokens": node}) for node in _named("batch_tokens", space)]
    if any(count(node) == math.inf for node in named):
        return None
    batches = {int(point["batch_tokens"]) for node in named for point in enumerate_points(node)}
    if not batches and "batch_tokens" in fixed:
        batches = {int(fixed["batch_tokens"])}
    if not batches:
        return None
    common = math.gcd(CONTEXT, *batches)
    if common < SHORTEST:
        few = ", ".join(map(str, sorted(batches)[:4]))
        message = f"batch_tokens={few} has no context of {SHORTEST} tokens or more that is a power of two; give seq_len, or batches of whole sequences"
        raise QueryError(message, field="seq_len")
    return common


def defaults_taken(trials: Iterable[Trial], given: Set[str]) -> dict[str, str]:
    """Return the fields that take their defaults and matter to a trial, with their values in text.

    **Arguments:**

    - `given`: the fields that the sweep says, by fixed values or by its space.

    >>> trial = Trial(width=32, batch_tokens=64, tokens=640, peak_lr=0.1, optimizer="sgd", schedule="constant")
    >>> given = {"width", "batch_tokens", "tokens", "peak_lr", "optimizer", "schedule"}
    >>> found = defaults_taken([trial, msgspec.structs.replace(trial, optimizer="momentum")], given)
    >>> found["n_layers"], found["momentum"], "beta1" in found
    ('2', '0.9', False)
    """
    found: dict[str, dict[str, None]] = {}
    for trial in trials:
        for name, value in _taken(trial, given).items():
            found.setdefault(name, {})[value] = None
    return {name: _together(list(values)) for name, values in found.items()}


def _taken(trial: Trial, given: Set[str]) -> dict[str, str]:
    from hplaw_experiments.models.build import shapes

    values = msgspec.structs.asdict(trial)
    if trial.family == "transformer":
        shape = shapes(trial)[0]
        values |= {name: getattr(shape, name) for name in ("d_ff", "n_heads", "n_kv_heads")}
    own = {name: _text(values[name]) for name in values if name not in given and _matters(name, trial)}
    return own | _options(trial)


def _together(values: list[str]) -> str:
    return " or ".join(values) if len(values) < 3 else f"{values[0]}, {values[1]}, .. {values[-1]}"


def _matters(name: str, trial: Trial) -> bool:
    """Return whether a field that was left at its default changes what a trial does."""
    if name in _WITHOUT_WORD or (name == "parametrization" and not trial.base_width):
        return False
    if name in _TRANSFORMER or name == "activation":
        return (name != "activation") is (trial.family == "transformer")
    if name in _ADAM:
        return trial.optimizer in ("adam", "adamw", "muon")
    if name == "momentum":
        return trial.optimizer in ("momentum", "muon")
    if name in ("schedule", "decay_fraction"):
        return not trial.schedule_law and (name == "schedule" or trial.schedule == "wsd")
    return True


def _options(trial: Trial) -> dict[str, str]:
    """Return what the source of data takes by default."""
    from hplaw_experiments.data.load import SOURCES

    wanted = inspect.signature(SOURCES[trial.data]).parameters
    known = {name: wanted[name].default for name in wanted if name not in ("seed", "seq_len")}
    return {name: _text(value) for name, value in known.items() if name not in trial.data_options and value is not None}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _named(name: str, space: Record) -> list[Node]:
    """Return the nodes of a space that give a field, at the top or within a case."""
    return [node for path, node in nodes(space) if path and path[-1] == name]
