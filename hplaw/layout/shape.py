"""A model as layouts need it: the shape of a config.json, or that of a usual transformer of a size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import ConflictingQuery
from hplaw.evaluation.point import point
from hplaw.formatting import number
from hplaw.messages.layout import shape_fields


ASPECT = 110.0
"""d_model over n_layers of a usual transformer: Llama 3 has 128, 102 and 130 at 8B, 70B and 405B."""

FFN = 3.5
"""d_ff over d_model of a usual transformer, as Llama 3 has it."""

LAYER = 13.0
"""Parameters of a usual layer over d_model squared: three matrices of `FFN` and four of attention, keys and values grouped."""

HEAD = 128
"""Width of an attention head of a usual transformer."""

KV_HEADS = 8
"""Heads for keys and values of a usual transformer that has more heads for queries."""

VOCABULARY = 128256
"""Tokens in the vocabulary of a usual transformer, that of Llama 3."""

WIDE = 1536.0
"""Width from which on heads come in multiples of `KV_HEADS`, so that tensor parallelism divides them."""

NEEDED = ("n_layers", "d_model", "d_ff", "n_heads")
"""What a shape must say."""

Shape = dict[str, float]


def usual_shape(n_params: float) -> Shape:
    """Return the shape of a usual transformer of about so many parameters without embedding.

    >>> shape = usual_shape(70e9)
    >>> shape["n_layers"], shape["d_model"], shape["n_heads"], shape["d_ff"]
    (80.0, 8192.0, 64.0, 28672.0)
    """
    ideal = (ASPECT * n_params / LAYER) ** (1 / 3)
    grain = KV_HEADS if ideal >= WIDE else 1
    heads = max(round(ideal / HEAD / grain), 1) * grain
    kv_heads = KV_HEADS if ideal >= WIDE else heads
    width = heads * HEAD
    layer = 2 * width * HEAD * (heads + kv_heads) + 3 * FFN * width**2
    even = 4 if ideal >= WIDE else 1
    layers = max(round(n_params / layer / even), 1) * even
    return {
        "n_params": n_params,
        "n_layers": float(layers),
        "d_model": float(width),
        "d_ff": FFN * width,
        "n_heads": float(heads),
        "n_kv_heads": float(kv_heads),
        "d_head": float(HEAD),
        "n_ffn_matrices": 3.0,
        "vocab_size": float(VOCABULARY),
        "n_embeddings": 2.0,
        "n_params_with_embedding": n_params + 2.0 * VOCABULARY * width,
    }


def shape_of(model: Mapping[str, Any] | None, n_params: float | None, catalogue: Catalogue) -> tuple[Shape, list[str]]:
    """Return the shape of a model with its counts of parameters, and what of it was assumed, in words.

    **Arguments:**

    - `model`: a config.json or a shape in the vocabulary's words; without one a usual shape of `n_params` is taken.

    **Raises:** `QueryError` where neither is given, for a model that is no dense transformer, and for a shape that lacks
    something.
    """
    if not model:
        if n_params is None:
            message = "neither n_params nor a model is given; give the size, for example 70B, or the model's shape"
            raise ConflictingQuery(message, field="n_params")
        shape = usual_shape(n_params)
        said = ", ".join(f"{name} {number(shape[name])}" for name in (*NEEDED, "n_kv_heads", "vocab_size"))
        return shape, [f"the shape of a usual transformer of this size: {said}; give the model's config for its own"]
    return _read(model, n_params, catalogue)


def _read(model: Mapping[str, Any], n_params: float | None, catalogue: Catalogue) -> tuple[Shape, list[str]]:
    shape = shape_fields(model)
    if shape.pop("n_experts", 1.0) > 1:
        message = "model: it is a mixture of experts; layouts cover dense transformers"
        raise ConflictingQuery(message, field="model")
    missing = [name for name in NEEDED if name not in shape]
    if missing:
        message = f"model: {missing[0]} is not given; a layout needs {', '.join(NEEDED)}"
        raise ConflictingQuery(message, field="model")
    assumed: list[str] = []
    if "vocab_size" not in shape:
        shape["vocab_size"] = float(VOCABULARY)
        assumed.append(f"a vocabulary of {VOCABULARY:,} tokens")
    shape.setdefault("n_embeddings", 2.0)
    body = n_params if n_params is not None else point(catalogue.get("transformer-params"), shape).plain("n_params")
    shape["n_params"] = body
    shape["n_params_with_embedding"] = point(catalogue.get("transformer-params-with-embedding"), shape).plain(
        "n_params_with_embedding"
    )
    shape.setdefault("n_kv_heads", shape["n_heads"])
    return shape, assumed
