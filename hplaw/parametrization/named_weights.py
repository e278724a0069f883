"""A model's config.json -> its weights by name, with the kind and sizes of each; no weights are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from hplaw.errors import ConflictingQuery, QueryError, nearest
from hplaw.parametrization.factors import LayerKind
from hplaw.vocabulary.model_shape import read_shape


class NamedWeight(msgspec.Struct, frozen=True, kw_only=True):
    """The weights of one name, a star for the number of a block or expert.

    - `ins`, `outs`: what the layer reads and outputs, by name of the size; empty for a table of tokens and for vectors.
    - `across`: how many such sizes are laid side by side in the output, as in a fused projection.
    - `turned`: whether the array is stored as inputs by outputs.
    """

    name: str
    kind: LayerKind
    outs: str
    ins: str = ""
    count: int = 1
    across: int = 1
    turned: bool = False
    tied_to: str | None = None

    def shape(self, sizes: Mapping[str, float]) -> list[int]:
        """Return the array's shape."""
        rows = int(sizes[self.outs]) * self.across
        if not self.ins:
            return [rows]
        columns = int(sizes[self.ins])
        return [columns, rows] if self.turned or self.kind == "embedding" else [rows, columns]


FINITE = ("vocab", "positions", "experts")
"""Sizes that stay while a model is made wider."""


def sizes_of(config: Mapping[str, object]) -> dict[str, float]:
    """Return the sizes that the weights of a config.json are made of, by name.

    **Raises:** `QueryError` naming what is missing or out of bounds, and for a model type whose names are not known.

    >>> sizes_of({"model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_layer": 12, "vocab_size": 50257})["ff"]
    3072.0
    """
    _family(config)
    shape = _shape(config)

    def need(name: str, *or_else: float) -> float:
        value = shape.get(name, *or_else)
        if not isinstance(value, int | float):
            message = f"config: {name} is not said; give a config.json with the model's sizes"
            raise ConflictingQuery(message, field="config")
        return float(value)

    width, heads = need("d_model"), need("n_heads", 1.0)
    d_head = need("d_head", width / heads)
    found = {
        "width": width,
        "d_head": d_head,
        "q": heads * d_head,
        "kv": need("n_kv_heads", heads) * d_head,
        "vocab": need("vocab_size"),
        "layers": need("n_layers"),
        "experts": need("n_experts", 1.0),
        "positions": need("seq_len", 1.0),
    }
    found["expert"] = need("d_expert", need("d_ff", 4 * width))
    found["ff"] = need("d_ff", found["expert"])
    return found


def _shape(config: Mapping[str, object]) -> Mapping[str, float | str]:
    try:
        return read_shape(config)
    except QueryError as error:
        message = error.text.replace("model: ", "config: ", 1)
        raise ConflictingQuery(message, field="config") from None


def named_weights(config: Mapping[str, object]) -> list[NamedWeight]:
    """Return the weights of a config.json by their names in released checkpoints.

    **Raises:** `QueryError` as `sizes_of` does.

    >>> [w.name for w in named_weights({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 99})][:2]
    ['model.embed_tokens.weight', 'model.layers.*.input_layernorm.weight']
    """
    return list(_family(config)(config, int(sizes_of(config)["layers"])))


def _family(config: Mapping[str, object]) -> Callable[[Mapping[str, Any], int], Iterator[NamedWeight]]:
    kind = str(config.get("model_type", ""))
    family = _FAMILIES.get(kind)
    if family is None:
        message = f"config: model_type '{kind[:80]}' has no names here{nearest(kind[:80], _FAMILIES)}; give one of {', '.join(_FAMILIES)}"
        raise ConflictingQuery(message, field="config")
    return family


def _norm(name: str, *, count: int = 1, bias: bool = False, size: str = "width") -> Iterator[NamedWeight]:
    kind = "block_vector" if "*" in name else "vector"
    for what in ("weight", "bias") if bias else ("weight",):
        yield NamedWeight(name=f"{name}.{what}", kind=kind, outs=size, count=count)


def _linear(
    name: str, ins: str, outs: str, *, count: int, bias: bool = False, across: int = 1, turned: bool = False
) -> Iterator[NamedWeight]:
    kind = "output" if outs in FINITE else "hidden"
    yield NamedWeight(name=f"{name}.weight", kind=kind, ins=ins, outs=outs, count=count, across=across, turned=turned)
    if bias:
        yield NamedWeight(name=f"{name}.bias", kind="block_vector", outs=outs, count=count, across=across)


def _readout(config: Mapping[str, object], name: str, embedding: str) -> NamedWeight:
    tied = _shape(config).get("n_embeddings") == 1.0
    return NamedWeight(name=name, kind="output", ins="width", outs="vocab", tied_to=embedding if tied else None)


def _llama(config: Mapping[str, object], layers: int) -> Iterator[NamedWeight]:
    """Yield the names that Llama brought and most others took over."""
    kind, block = str(config["model_type"]), "model.layers.*"
    bias = kind == "qwen2" or bool(config.get("attention_bias"))
    yield NamedWeight(name="model.embed_tokens.weight", kind="embedding", ins="vocab", outs="width")
    yield from _norm(f"{block}.input_layernorm", count=layers)
    for name, outs in (("q", "q"), ("k", "kv"), ("v", "kv")):
        yield from _linear(f"{block}.self_attn.{name}_proj", "width", outs, count=layers, bias=bias)
    out_bias = bias and kind != "qwen2"
    yield from _linear(f"{block}.self_attn.o_proj", "q", "width", count=layers, bias=out_bias)
    if kind in ("qwen3", "qwen3_moe"):
        yield from _norm(f"{block}.self_attn.q_norm", count=layers, size="d_head")
        yield from _norm(f"{block}.self_attn.k_norm", count=layers, size="d_head")
    yield from _norm(f"{block}.post_attention_layernorm", count=layers)
    yield from _feed_forward(config, block, layers)
    yield from _norm("model.norm")
    yield _readout(config, "lm_head.weight", "model.embed_tokens.weight")


def _feed_forward(config: Mapping[str, object], block: str, layers: int) -> Iterator[NamedWeight]:
    kind = config["model_type"]
    if kind not in ("mixtral", "qwen3_moe"):
        bias = bool(config.get("mlp_bias"))
        for name, ins, outs in (("gate", "width", "ff"), ("up", "width", "ff"), ("down", "ff", "width")):
            yield from _linear(f"{block}.mlp.{name}_proj", ins, outs, count=layers, bias=bias)
        return
    if config.get("mlp_only_layers") or config.get("decoder_sparse_step", 1) != 1:
        message = "config: some layers have experts and others have none, which is not distinguished here; give a model with experts in all layers"
        raise ConflictingQuery(message, field="config")
    inside, names = (
        ("block_sparse_moe", ("w1", "w3", "w2"))
        if kind == "mixtral"
        else ("mlp", ("gate_proj", "up_proj", "down_proj"))
    )
    experts = layers * int(sizes_of(config)["experts"])
    yield from _linear(f"{block}.{inside}.gate", "width", "experts", count=layers)
    for name, ins, outs in zip(names, ("width", "width", "expert"), ("expert", "expert", "width"), strict=True):
        yield from _linear(f"{block}.{inside}.experts.*.{name}", ins, outs, count=experts)


def _gpt2(config: Mapping[str, object], layers: int) -> Iterator[NamedWeight]:
    block = "transformer.h.*"
    for name, rows in (("wte", "vocab"), ("wpe", "positions")):
        yield NamedWeight(name=f"transformer.{name}.weight", kind="embedding", ins=rows, outs="width")
    yield from _norm(f"{block}.ln_1", count=layers, bias=True)
    for name, ins, outs, across in (("attn.c_attn", "width", "q", 3), ("attn.c_proj", "q", "width", 1)):
        yield from _linear(f"{block}.{name}", ins, outs, count=layers, bias=True, across=across, turned=True)
    yield from _norm(f"{block}.ln_2", count=layers, bias=True)
    for name, ins, outs in (("mlp.c_fc", "width", "ff"), ("mlp.c_proj", "ff", "width")):
        yield from _linear(f"{block}.{name}", ins, outs, count=layers, bias=True, turned=True)
    yield from _norm("transformer.ln_f", bias=True)
    yield _readout(config, "lm_head.weight", "transformer.wte.weight")


def _gpt_neox(config: Mapping[str, object], layers: int) -> Iterator[NamedWeight]:
    block = "gpt_neox.layers.*"
    yield NamedWeight(name="gpt_neox.embed_in.weight", kind="embedding", ins="vocab", outs="width")
    for name in ("input_layernorm", "post_attention_layernorm"):
        yield from _norm(f"{block}.{name}", count=layers, bias=True)
    for name, ins, outs, across in (
        ("attention.query_key_value", "width", "q", 3),
        ("attention.dense", "q", "width", 1),
        ("mlp.dense_h_to_4h", "width", "ff", 1),
        ("mlp.dense_4h_to_h", "ff", "width", 1),
    ):
        yield from _linear(f"{block}.{name}", ins, outs, count=layers, bias=True, across=across)
    yield from _norm("gpt_neox.final_layer_norm", bias=True)
    yield _readout(config, "embed_out.weight", "gpt_neox.embed_in.weight")


_FAMILIES: Mapping[str, Callable[[Mapping[str, Any], int], Iterator[NamedWeight]]] = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "mixtral", "qwen3_moe"), _llama),
    "gpt2": _gpt2,
    "gpt_neox": _gpt_neox,
}
"""Whose names are known, by model_type."""
