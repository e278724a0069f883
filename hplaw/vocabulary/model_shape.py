"""A model's shape -> quantities: a Hugging Face config.json, or the vocabulary's own words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hplaw.errors import QueryError, nearest
from hplaw.narrowing import is_list
from hplaw.vocabulary.quantities import check_value, vocabulary


CONFIG_KEYS = {
    "num_hidden_layers": "n_layers",
    "n_layer": "n_layers",
    "num_layers": "n_layers",
    "hidden_size": "d_model",
    "n_embd": "d_model",
    "intermediate_size": "d_ff",
    "n_inner": "d_ff",
    "num_attention_heads": "n_heads",
    "n_head": "n_heads",
    "num_key_value_heads": "n_kv_heads",
    "head_dim": "d_head",
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

SHAPE = tuple(dict.fromkeys((*CONFIG_KEYS.values(), "n_ffn_matrices", "n_embeddings")))
"""Quantities that make up a shape."""

_GATED = ("silu", "swiglu", "swish", "geglu")
CONFIG_MARKS = ("model_type", "architectures", "hidden_act", "activation_function", "tie_word_embeddings", *CONFIG_KEYS)
"""Keys of which one tells a config.json from a shape in the vocabulary's words."""


OTHER_MODELS: Mapping[str, tuple[str, ...]] = {
    "no transformer": ("resnet", "convnext", "convnextv2", "regnet", "efficientnet", "mobilenet", "unet", "vgg"),
    "a state-space or recurrent model": (
        "mamba",
        "mamba2",
        "falcon_mamba",
        "rwkv",
        "rwkv5",
        "xlstm",
        "recurrent_gemma",
    ),
    "a vision model": ("vit", "deit", "beit", "swin", "swinv2", "dinov2", "dinov2_with_registers", "segformer", "detr"),
    "a speech model": ("wav2vec2", "hubert", "whisper", "encodec"),
}
"""Models that are no transformers for language, by `model_type`."""

_BODY = ("d_model", "n_layers")
"""What a transformer's config has; one that lacks a part of it is incomplete, one that lacks all is of something else."""


def not_language(model: Mapping[str, Any]) -> str | None:
    """Return what a config.json is of instead of a transformer for language, or None where it may be one.

    >>> not_language({"model_type": "resnet", "hidden_sizes": [256, 512]})
    'a config of type resnet is of no transformer'
    """
    if not _is_config(model):
        return "a config of a diffusion pipeline" if "_class_name" in model else None
    model = _language_part(model)
    kind = _kind(model)
    if kind is None:
        return None
    for what, kinds in OTHER_MODELS.items():
        if kind.lower() in kinds:
            return f"a config of type {kind} is of {what}"
    has = {CONFIG_KEYS.get(key, key) for key, value in model.items() if value is not None}
    if not has & set(_BODY):
        return f"a config of type {kind} without hidden_size and num_hidden_layers is of no transformer"
    if {"state_size", "ssm_cfg", "d_state"} & has and "n_heads" not in has:
        return f"a config of type {kind} with a state and no attention heads is of no transformer"
    if {"image_size", "patch_size"} & has and "vocab_size" not in has:
        return f"a config of type {kind} with images and no vocabulary is of a vision model"
    return None


def _kind(model: Mapping[str, Any]) -> str | None:
    """Return the type of model that a config.json names, None where it names none."""
    kind: Any = model.get("model_type")
    classes: Any = model.get("architectures")
    if not kind and is_list(classes) and classes:
        kind = classes[0]
    return kind[:80] if isinstance(kind, str) and kind else None


def _is_config(model: Mapping[str, Any]) -> bool:
    return any(key in model for key in CONFIG_MARKS if key not in SHAPE)


def _language_part(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a config.json that is of the language model, where it has several."""
    part: Any = model.get("text_config")
    return {**model, **part} if isinstance(part, Mapping) and "hidden_size" not in model else model


def family_of(model: Mapping[str, Any]) -> str | None:
    """Return the family of a config.json, without the number of its generation, or None where it says none.

    >>> family_of({"model_type": "qwen3_moe"}), family_of({"model_type": "llama"}), family_of({"n_layers": 2})
    ('qwen', 'llama', None)
    """
    kind = _language_part(model).get("model_type")
    found = re.match(r"[a-z]+", kind.lower()) if isinstance(kind, str) else None
    return found[0] if found else None


def read_shape(model: Mapping[str, object]) -> dict[str, float | str]:
    """Return the quantities of a shape; what follows from them, parameters and FLOP, is for laws to count.

    **Arguments:**

    - `model`: a config.json as a dictionary, or quantities by name (`n_layers`, `d_model`, `d_ff`, `n_heads`, ...).

    **Raises:** `QueryError` naming what is unknown or out of bounds.

    >>> read_shape({"n_layers": 2, "d_model": 64})["architecture"]
    'dense'
    """
    found: dict[str, float | str] = {**_read(model)}
    experts = found.get("n_experts", 1.0)
    found["architecture"] = "moe" if isinstance(experts, float) and experts > 1 else "dense"
    return found


def _read(model: Mapping[str, Any]) -> dict[str, float]:
    config = _is_config(model)
    model = _language_part(model) if config else model
    found: dict[str, float] = {}
    for key, value in model.items():
        name = CONFIG_KEYS.get(key, key) if config else key
        if name not in SHAPE:
            if config:
                continue  # a released config has many keys that do not cover size
            message = f"model: '{key[:80]}' is not part of a shape{nearest(key[:80], SHAPE)}; give {', '.join(SHAPE[:4])} and so on, or a config.json"
            raise QueryError(message, field="model")
        if value is None:
            continue
        problem = check_value(vocabulary()[name], value)
        if problem:
            message = f"model: {problem}"
            raise QueryError(message, field="model")
        found[name] = float(value)
    if config:
        _fill_config(model, found)
    return found


def _fill_config(model: Mapping[str, object], found: dict[str, float]) -> None:
    """Add what a config.json says in other words, or leaves to its model type."""
    act = str(model.get("hidden_act") or model.get("activation_function") or "silu")
    found.setdefault("n_ffn_matrices", 3.0 if act.lower() in _GATED else 2.0)
    tied = model.get("tie_word_embeddings", model.get("model_type") in ("gpt2", "gemma", "gemma2"))
    found.setdefault("n_embeddings", 1.0 if tied else 2.0)
    if model.get("model_type") == "gpt2" and "d_ff" not in found and "d_model" in found:
        found["d_ff"] = 4 * found["d_model"]
    if found.get("n_experts", 1.0) > 1 and "d_expert" not in found and "d_ff" in found:
        found["d_expert"] = found.pop("d_ff")
