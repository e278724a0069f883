"""Names as people write them: categories in any case, and quantities by the words that other programs use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hplaw.errors import nearest
from hplaw.vocabulary.config_reading import CONFIG_KEYS
from hplaw.vocabulary.hardware_names import canonical


OTHER_NAMES: Mapping[str, str] = {
    **CONFIG_KEYS,
    "params": "n_params",
    "parameters": "n_params",
    "num_params": "n_params",
    "model_size": "n_params",
    "active_params": "n_active_params",
    "toks": "tokens",
    "num_tokens": "tokens",
    "train_tokens": "tokens",
    "lr": "peak_lr",
    "max_lr": "peak_lr",
    "batch": "batch_tokens",
    "batch_size": "batch_tokens",
    "global_batch_size": "batch_seqs",
    "bs": "batch_tokens",
    "wd": "weight_decay",
    "opt": "optimizer",
    "context_length": "seq_len",
    "sequence_length": "seq_len",
    "max_steps": "steps",
    "num_steps": "steps",
    "gpu": "hardware",
    "accelerator": "hardware",
    "gpus": "devices",
    "n_gpus": "devices",
    "num_gpus": "devices",
    "flop": "compute_flop",
    "flops": "compute_flop",
    "compute": "compute_flop",
    "dtype": "precision",
    "val_loss": "loss",
    "layers": "n_layers",
}
"""Quantities by the words that training programs and papers have for them."""


REGIMES: Mapping[str, str] = {"unconnected": "I", "connected_different": "II-A", "connected_alike": "II-B"}
"""The regimes of pruning as papers number them, by the vocabulary's words."""

_NUMBERED = {number: word for word, number in REGIMES.items()}

OTHER_CATEGORIES: Mapping[str, Mapping[str, str]] = {"muon_scale": {"shape": "original", "rms": "match_rms_adamw"}}
"""Categories of a quantity by other words for them."""


def spelled(quantity: str, name: str, words: Mapping[str, str]) -> str:
    """Return a category as it is spelled here; one that is not known comes back as it was.

    **Arguments:**

    - `words`: the categories known, by `folded`.

    >>> spelled("optimizer", "AdamW", by_fold(["adam", "adamw"])), spelled("hardware", "NVIDIA H100", {})
    ('adamw', 'h100-sxm')
    >>> spelled("muon_scale", "rms", by_fold(["original", "match_rms_adamw"]))
    'match_rms_adamw'
    """
    other = canonical(name) if quantity == "hardware" else OTHER_CATEGORIES.get(quantity, _NUMBERED).get(name, name)
    return words.get(name) or words.get(folded(name)) or words.get(folded(other), other)


def folded(name: str) -> str:
    """Return what two spellings of a category have in common: neither case nor the kind of hyphen counts.

    >>> folded("Mean_Field") == folded("mean-field")
    True
    """
    return name.strip().casefold().replace("-", "_")


def by_fold(words: Iterable[str]) -> dict[str, str]:
    """Return categories by `folded`, and by themselves where two differ in that alone."""
    words = tuple(words)
    return {**{folded(word): word for word in words}, **{word: word for word in words}}


def called(name: str) -> str:
    """Return the quantity that a word of another program denotes; any other word comes back `folded`.

    >>> called("lr"), called("Peak-LR")
    ('peak_lr', 'peak_lr')
    """
    word = folded(name)
    return OTHER_NAMES.get(word, word)


def meant_quantity(name: str, words: Iterable[str], *, close: float = 0.6) -> str:
    """Return the words that offer the quantity that a name may denote, or nothing; `close` as `nearest` has it.

    >>> meant_quantity("lr", ["tokens", "peak_lr"])
    "; did you mean 'peak_lr'?"
    """
    words = tuple(words)
    other = OTHER_NAMES.get(folded(name))
    return f"; did you mean '{other}'?" if other in words else nearest(name, words, close=close)
