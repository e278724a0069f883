"""A Hugging Face config.json, parsed as data, -> quantities of a shape; what follows from them is for laws to count."""

from __future__ import annotations

import functools as ft
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hplaw.errors import ConflictingQuery, QueryError
from hplaw.narrowing import is_list, is_table
from hplaw.toml import read_toml
from hplaw.vocabulary.quantities import check_value, vocabulary


Shape = dict[str, float | str]

CONFIG_KEYS = {
    "num_hidden_layers": "n_layers",
    "n_layer": "n_layers",
    "num_layers": "n_layers",
    "hidden_size": "d_model",
    "n_embd": "d_model",
    "intermediate_size": "d_ff",
    "ffn_hidden_size": "d_ff",
    "n_inner": "d_ff",
    "num_attention_heads": "n_heads",
    "n_head": "n_heads",
    "num_key_value_heads": "n_kv_heads",
    "head_dim": "d_head",
    "v_head_dim": "d_value_head",
    "q_lora_rank": "d_q_latent",
    "kv_lora_rank": "d_kv_latent",
    "qk_rope_head_dim": "d_rope_head",
    "sliding_window": "attention_window",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "seq_len",
    "n_positions": "seq_len",
    "num_local_experts": "n_experts",
    "num_experts": "n_experts",
    "n_routed_experts": "n_experts",
    "num_experts_per_tok": "n_active_experts",
    "n_shared_experts": "n_shared_experts",
    "moe_intermediate_size": "d_expert",
    "first_k_dense_replace": "n_dense_layers",
}
"""Quantities by the keys that released config.json files use."""

CONFIG_MARKS = ("model_type", "architectures", "hidden_act", "activation_function", "tie_word_embeddings", *CONFIG_KEYS)
"""Keys of which one tells a config.json from a shape in the vocabulary's words."""

SHAPE = tuple(
    dict.fromkeys(
        (
            *CONFIG_KEYS.values(),
            "n_ffn_matrices",
            "n_embeddings",
            "qk_norm",
            "attention_biases",
            "attention_sinks",
            "n_window_layers",
            "ffn_biases",
            "router_biases",
            "shared_gates",
            "n_norms",
            "norm_vectors",
            "n_learned_positions",
            "output_biases",
        )
    )
)
"""Quantities that make up a shape."""

SWITCHES: Mapping[str, Mapping[str, float]] = {
    "attention_bias": {"attention_biases": 2.0},
    "mlp_bias": {"ffn_biases": 1.0},
    "use_bias": {"attention_biases": 2.0, "ffn_biases": 1.0},
    "lm_head_bias": {"output_biases": 1.0},
}
"""Quantities that are so where a key of a config is true, and zero where it is false."""

HINTS = ("window_pattern", "windows_asked", "ffn_ratio", "learned_positions")
"""Keys of a family that say how to read a config, and are no quantities."""

NEEDED = ("n_layers", "d_model", "n_heads", "vocab_size")
"""What parameters cannot be counted without, beside the width of feed-forward blocks or experts."""

OPTIONAL = ("n_experts", "n_active_experts", "attention_window", "d_expert", "d_value_head")
"""Quantities that a config sets to zero where a model has nothing of the kind."""

TRAINED_LENGTH = ("original_max_position_embeddings", "initial_context_length")
"""Keys of the length before a longer one was taught at the end of training."""

ACTIVATIONS_GATED = ("silu", "swiglu", "swish", "geglu")
"""Activations that come with a gate where the family is not known."""

ALIASES = {"gemma3": "gemma3_text", "phi-msft": "phi", "RefinedWeb": "falcon", "RefinedWebModel": "falcon"}
"""Model types by another name that their configs had or have."""


@ft.cache
def families() -> Mapping[str, Mapping[str, Any]]:
    """Return what a config.json leaves to its model type, by model type.

    >>> families()["gemma2"]["n_norms"]
    4
    """
    return read_toml(Path(__file__).with_name("model_families.toml").read_bytes())


def _kind(config: Mapping[str, Any]) -> str:
    kind = config.get("model_type")
    return ALIASES.get(kind, kind) if isinstance(kind, str) else ""


def family_facts(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what is known of a config's model type, or None where it is not known."""
    return families().get(_kind(config))


def config_shape(config: Mapping[str, Any]) -> Shape:
    """Return the quantities of a shape that a config.json has, says in other words, or leaves to its model type.

    **Raises:** `QueryError` naming what is out of bounds, `ConflictingQuery` for what cannot be counted.

    >>> config_shape({"model_type": "qwen2", "hidden_size": 64, "intermediate_size": 256})["attention_biases"]
    1.0
    """
    family = family_facts(config) or {}
    found: Shape = {}
    for key, value in config.items():
        name = CONFIG_KEYS.get(key, key)
        if name not in SHAPE or value is None:
            continue
        if name not in OPTIONAL or isinstance(value, bool) or value != 0:
            refuse_value(name, value)
            found[name] = value if isinstance(value, str) else float(value)
    for name, value in (*_lengths(config), *_latent(config), *_of_falcon(config), *_switched(config, family)):
        if name not in config:
            found[name] = value
    for name, value in family.items():
        if name not in HINTS:
            found.setdefault(name, value if isinstance(value, str) else float(value))
    _add_feed_forward(config, family, found)
    _add_windows(config, family, found)
    tied: Any = config.get("tie_word_embeddings")
    if isinstance(tied, bool):
        found["n_embeddings"] = 1.0 if tied else 2.0
    found.setdefault("n_embeddings", 2.0)
    if family.get("learned_positions") and "seq_len" in found:
        found["n_learned_positions"] = found["seq_len"]
    for name, value in found.items():
        problem = check_value(vocabulary()[name], value)
        if problem:
            message = f"model: {problem}"
            raise ConflictingQuery(message, field="model")
    return found


def refuse_value(name: str, value: object) -> None:
    """Refuse a value that a quantity of a model's shape cannot have.

    **Raises:** `QueryError`.
    """
    problem = check_value(vocabulary()[name], value)
    if problem:
        message = f"model: {problem}"
        raise QueryError(message, field="model")


def _whole(config: Mapping[str, Any], *keys: str) -> int | None:
    """Return the first of some keys that holds a positive whole number, or None."""
    for key in keys:
        value = config.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9:
            return value
    return None


def _lengths(config: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    scaling: Any = config.get("rope_scaling") or config.get("rope_parameters")
    for part in (config, scaling):
        length = _whole(part, *TRAINED_LENGTH) if is_table(part) else None
        if length is not None:
            yield "seq_len", float(length)
            return


def _latent(config: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the whole width of a head where keys have a part of their own for the position (MLA)."""
    nope, rope = _whole(config, "qk_nope_head_dim"), _whole(config, "qk_rope_head_dim")
    if _whole(config, "kv_lora_rank") and nope and rope:
        yield "d_head", float(nope + rope)


def _of_falcon(config: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the heads, norms and biases of the three blocks that Falcon's one model type has."""
    if _kind(config) != "falcon":
        return
    if config.get("bias") is True:
        yield from SWITCHES["use_bias"].items()
    if config.get("new_decoder_architecture") or _whole(config, "n_head_kv"):
        yield "n_kv_heads", float(_whole(config, "num_kv_heads", "n_head_kv") or 1)
        yield "n_norms", float(_whole(config, "num_ln_in_parallel_attn") or 2)
        return
    heads = 1 if config.get("multi_query", True) else _whole(config, "num_attention_heads", "n_head")
    if heads:
        yield "n_kv_heads", float(heads)
    yield "n_norms", 1.0 if config.get("parallel_attn", True) else 2.0


def _switched(config: Mapping[str, Any], family: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the biases that a config switches on, or off where its model type has them."""
    for key, quantities in SWITCHES.items():
        on: Any = config.get(key)
        for name, value in quantities.items():
            if on is True or (on is False and name in family):
                yield name, value if on else 0.0


def _add_feed_forward(config: Mapping[str, Any], family: Mapping[str, Any], found: Shape) -> None:
    act = config.get("hidden_act") or config.get("activation_function") or config.get("activation") or "silu"
    found.setdefault("n_ffn_matrices", 3.0 if str(act).lower() in ACTIVATIONS_GATED else 2.0)
    if "d_ff" not in found and "ffn_ratio" in family and isinstance(width := found.get("d_model"), float):
        found["d_ff"] = family["ffn_ratio"] * width
    experts = found.get("n_experts", 1.0)
    if not isinstance(experts, float) or experts <= 1:
        return
    if "d_expert" not in found and "d_ff" in found:
        found["d_expert"] = found.pop("d_ff")
    shared, width = _whole(config, "shared_expert_intermediate_size"), found.get("d_expert")
    if shared is not None and isinstance(width, float):
        if shared % width:
            message = f"model: a shared expert of width {shared} is no multiple of the routed ones of {width:g}, which is not counted here; give n_params and n_active_params"
            raise ConflictingQuery(message, field="model")
        found["n_shared_experts"] = shared / width
    layers = found.get("n_layers")
    if isinstance(layers, float) and layers < _MOST_LAYERS:
        found["n_dense_layers"] = float(layers - len(_expert_layers(config, int(layers))))


_MOST_LAYERS = 10_000
"""Layers up to which each is looked at."""


def _expert_layers(config: Mapping[str, Any], layers: int) -> list[int]:
    """Return the layers of a mixture of experts that have experts, counted from 0."""
    named: Any = config.get("mlp_only_layers")
    dense = {layer for layer in named if isinstance(layer, int)} if is_list(named) else set[int]()
    step, every = _whole(config, "decoder_sparse_step") or 1, _whole(config, "moe_layer_freq") or 1
    first = _whole(config, "first_k_dense_replace") or 0
    return [n for n in range(first, layers) if n not in dense and not (n + 1) % step and not n % every]


def _add_windows(config: Mapping[str, Any], family: Mapping[str, Any], found: Shape) -> None:
    """Add how many layers have the sliding window of a config, or take the window away where none has."""
    layers = found.get("n_layers")
    if "attention_window" not in found or not isinstance(layers, float):
        found.pop("attention_window", None)
        return
    kinds: Any = config.get("layer_types")
    pattern = _whole(config, "sliding_window_pattern", "_sliding_window_pattern") or family.get("window_pattern")
    if not config.get("use_sliding_window", "windows_asked" not in family):
        windowed = 0.0
    elif is_list(kinds):
        windowed = float(kinds.count("sliding_attention"))
    elif config.get("use_sliding_window") and _whole(config, "max_window_layers"):
        windowed = max(layers - (_whole(config, "max_window_layers") or 0), 0.0)
    elif pattern:
        windowed = layers - layers // pattern
    else:
        windowed = layers
    if windowed:
        found["n_window_layers"] = min(windowed, layers)
    else:
        del found["attention_window"]


def lacking(config: Mapping[str, Any]) -> list[str]:
    """Return the keys that a config.json lacks for its parameters to be counted.

    >>> lacking({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 99})
    ['num_attention_heads', 'intermediate_size']
    """
    found = config_shape(config)
    first = {name: key for key, name in reversed(CONFIG_KEYS.items())}
    missing = [first[name] for name in NEEDED if name not in found]
    return [*missing, *(() if {"d_ff", "d_expert"} & found.keys() else ("intermediate_size",))]
