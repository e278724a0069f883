"""A model's shape -> quantities: a Hugging Face config.json, or the vocabulary's own words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hplaw.errors import QueryError, nearest
from hplaw.narrowing import is_list
from hplaw.vocabulary.config_reading import (
    CONFIG_KEYS,
    CONFIG_MARKS,
    SHAPE,
    Shape,
    config_shape,
    family_facts,
    lacking,
    refuse_value,
)


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
    if not is_config(model):
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


def is_config(model: Mapping[str, Any]) -> bool:
    """Return whether a model is given as a config.json, and not in the vocabulary's words."""
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
    return found[0] if found else None


def read_shape(model: Mapping[str, object]) -> Shape:
    """Return the quantities of a shape; what follows from them, parameters and FLOP, is for laws to count.

    **Arguments:**

    - `model`: a config.json as a dictionary, or quantities by name (`n_layers`, `d_model`, `d_ff`, `n_heads`, ...).

    **Raises:** `QueryError` naming what is unknown or out of bounds.

    >>> read_shape({"n_layers": 2, "d_model": 64})["architecture"]
    'dense'
    """
    found = config_shape(_language_part(model)) if is_config(model) else _own_words(model)
    experts = found.get("n_experts", 1.0)
    found["architecture"] = "moe" if isinstance(experts, float) and experts > 1 else "dense"
    return found


def _own_words(model: Mapping[str, Any]) -> Shape:
    found: Shape = {}
    for name, value in model.items():
        if name not in SHAPE:
            message = f"model: '{name[:80]}' is not part of a shape{nearest(name[:80], SHAPE)}; give {', '.join(SHAPE[:4])} and so on, or a config.json"
            raise QueryError(message, field="model")
        if value is not None:
            refuse_value(name, value)
            found[name] = value if isinstance(value, str) else float(value)
    return found


def remarks(model: Mapping[str, object], *, counted: bool) -> Iterator[tuple[str, str, str | None]]:
    """Yield what to know of a config.json that was read: a code, a sentence, and the quantity that it is about.

    **Arguments:**

    - `counted`: whether parameters are to be counted from it.

    >>> [code for code, _, _ in remarks({"model_type": "newllama", "hidden_size": 64, "max_position_embeddings": 99}, counted=True)]
    ['incomplete-config', 'unknown-family']
    """
    if not is_config(model):
        return
    config = _language_part(model)
    missing = lacking(config) if counted else []
    if missing:
        text = f"the config.json lacks {', '.join(missing)}, so that its parameters are not counted; give a whole one"
        yield "incomplete-config", text, "n_params"
    if counted and family_facts(config) is None and (kind := _kind(config)):
        text = f"{kind} is counted as blocks like Llama's: biases and norms of its own are not known here"
        yield "unknown-family", text, "n_params"
    if counted and any(isinstance(model.get(part), Mapping) for part in ("vision_config", "audio_config")):
        text = "only the language model of the config is counted, without what reads images or sound"
        yield "language-part", text, "n_params"
