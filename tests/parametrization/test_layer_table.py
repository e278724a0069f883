"""Tables of parametrizations: by kind of layer, and for each named weight of released models."""

from math import prod
from typing import Any

import pytest

import hplaw
from hplaw.errors import QueryError
from hplaw.messages.parametrization import LayerRow, LayerTable
from hplaw.parametrization.factors import KINDS, PARAMETRIZATIONS
from tests.helpers import is_one_sentence


def rows(table: LayerTable) -> dict[str, LayerRow]:
    return {row.kind: row for row in table.layers}


def test_a_rate_that_was_tuned_becomes_those_of_a_wider_model() -> None:
    asked = {"width": 2048, "base_width": 256, "peak_lr": 1e-3, "init_std": 0.02}
    by = rows(hplaw.parametrize(scheme="mup", optimizer="adam", **asked))
    assert by["hidden"].peak_lr == 1.25e-4
    assert by["hidden"].init_std == pytest.approx(0.00707107, rel=1e-6)
    assert (by["input"].peak_lr, by["input"].init_std) == (1e-3, 0.02)
    assert (by["output"].peak_lr, by["output"].multiplier) == (1e-3, 0.125)
    assert by["vector"].init_std is None


@pytest.mark.parametrize("scheme", PARAMETRIZATIONS)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_a_model_of_the_bases_size_is_the_base(scheme: str, optimizer: str) -> None:
    sizes = {"width": 96, "base_width": 96, "depth": 7, "base_depth": 7}
    table = hplaw.parametrize(scheme=scheme, optimizer=optimizer, **sizes)
    ones = dict.fromkeys(("init", "multiplier", "rate", "decay", "epsilon"), 1.0)
    assert table.layers == [LayerRow(kind=kind, **ones) for kind in KINDS]
    assert (table.branch_factor, table.attention_factor) == (1.0, 1.0)


@pytest.mark.parametrize("scheme", [name for name in PARAMETRIZATIONS if name != "u_mup"])
def test_an_independent_decay_stays_over_width(scheme: str) -> None:
    table = hplaw.parametrize(scheme=scheme, width=512, base_width=64, decay="independent")
    assert {row.decay for row in table.layers} == {1.0}
    assert "alone" in table.convention


def test_largest_rates_by_alignment_take_the_place_of_the_schemes_own() -> None:
    sizes = {"scheme": "standard", "optimizer": "adam", "width": 1600, "base_width": 100}
    full = rows(hplaw.parametrize(**sizes, alignment=1))
    none = rows(hplaw.parametrize(**sizes, alignment=0.5))
    assert (full["hidden"].rate, full["output"].rate, full["vector"].rate) == (1 / 16, 1 / 16, 1)
    assert (none["hidden"].rate, none["output"].rate) == (1 / 4, 1 / 4)
    assert full["hidden"].decay == 16
    own = rows(hplaw.parametrize(**{**sizes, "scheme": "mup"}))
    aligned = rows(hplaw.parametrize(**{**sizes, "scheme": "mup"}, alignment=1))
    assert {k: r.rate for k, r in own.items()} == {k: r.rate for k, r in aligned.items()}


LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32000,
    "initializer_range": 0.02,
    "tie_word_embeddings": False,
}

# parameters of released models, each weight counted once
MODELS: dict[str, tuple[dict[str, Any], int]] = {
    "llama-2-7b": (LLAMA, 6_738_415_616),
    "gpt2": (
        {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257, "n_positions": 1024},
        124_439_808,
    ),
    "pythia-160m": (
        {
            "model_type": "gpt_neox",
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "vocab_size": 50304,
            "hidden_act": "gelu",
        },
        162_322_944,
    ),
    "qwen2.5-0.5b": (
        {
            "model_type": "qwen2",
            "hidden_size": 896,
            "intermediate_size": 4864,
            "num_hidden_layers": 24,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
            "vocab_size": 151936,
            "tie_word_embeddings": True,
        },
        494_032_768,
    ),
    "qwen3-0.6b": (
        {
            "model_type": "qwen3",
            "hidden_size": 1024,
            "intermediate_size": 3072,
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "vocab_size": 151936,
            "tie_word_embeddings": True,
        },
        596_049_920,
    ),
    "gemma-2b": (
        {
            "model_type": "gemma",
            "hidden_size": 2048,
            "intermediate_size": 16384,
            "num_hidden_layers": 18,
            "num_attention_heads": 8,
            "num_key_value_heads": 1,
            "head_dim": 256,
            "vocab_size": 256000,
        },
        2_506_172_416,
    ),
    "mixtral-8x7b": (
        {
            "model_type": "mixtral",
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "vocab_size": 32000,
            "num_local_experts": 8,
        },
        46_702_792_704,
    ),
    "qwen3-30b-a3b": (
        {
            "model_type": "qwen3_moe",
            "hidden_size": 2048,
            "intermediate_size": 6144,
            "moe_intermediate_size": 768,
            "num_hidden_layers": 48,
            "num_attention_heads": 32,
            "num_key_value_heads": 4,
            "head_dim": 128,
            "vocab_size": 151936,
            "num_experts": 128,
            "num_experts_per_tok": 8,
        },
        30_532_122_624,
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_named_weights_are_those_of_the_released_model(name: str) -> None:
    config, count = MODELS[name]
    table = hplaw.parametrize(config=config, base_width=256)
    own = [weight for weight in table.weights if weight.tied_to is None]
    assert sum(prod(weight.shape) * weight.count for weight in own) == count
    assert len({weight.name for weight in table.weights}) == len(table.weights)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_model_scaled_alike_has_the_rows_of_its_kinds(name: str, optimizer: str) -> None:
    config, _ = MODELS[name]
    table = hplaw.parametrize(scheme="completep", optimizer=optimizer, config=config, base_width=256, base_depth=4)
    by = rows(table)
    for weight in table.weights:
        if weight.tied_to is None and "q_norm" not in weight.name and "k_norm" not in weight.name:
            assert weight.row == by[weight.row.kind], weight.name


def test_a_base_of_another_shape_gives_each_weight_its_own_ratio() -> None:
    base = {**LLAMA, "hidden_size": 1024, "intermediate_size": 5504, "num_hidden_layers": 16, "num_attention_heads": 16}
    table = hplaw.parametrize(config=LLAMA, base_config=base, weight_decay=0.1, peak_lr=1e-3)
    by = {weight.name.removeprefix("model.layers.*."): weight for weight in table.weights}
    assert (table.width_multiplier, table.depth_multiplier, table.head_multiplier) == (4, 2, 2)
    assert by["mlp.up_proj.weight"].row.rate == 1 / 4
    assert by["mlp.down_proj.weight"].row.rate == 1 / 2
    assert by["mlp.down_proj.weight"].row.weight_decay == 0.2
    assert by["self_attn.q_proj.weight"].row.init_std == 0.01
    assert by["lm_head.weight"].row.multiplier == 1 / 4
    assert by["self_attn.q_proj.weight"].count == 32
    assert by["self_attn.q_proj.weight"].shape == [4096, 4096]
    assert table.attention_factor == 2**-0.5


def test_a_tied_readout_has_the_embeddings_rate_and_its_own_multiplier() -> None:
    table = hplaw.parametrize(config=MODELS["gpt2"][0], base_width=96, peak_lr=1e-3)
    by = {weight.name: weight for weight in table.weights}
    embedding, readout = by["transformer.wte.weight"].row, by["lm_head.weight"]
    assert readout.tied_to == "transformer.wte.weight"
    assert readout.row.multiplier == 1 / 8
    assert (readout.row.peak_lr, readout.row.init) == (embedding.peak_lr, embedding.init)


WIDE = {"width": 8, "base_width": 2}


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({**WIDE, "scheme": "mupp"}, "parametrization", "did you mean 'mup'"),
        ({**WIDE, "optimizer": "lion"}, "optimizer", "give one of sgd"),
        ({"width": 8}, "base_width", "base_width is missing"),
        ({}, "width", "width is missing"),
        ({**WIDE, "base_width": 0}, "base_width", "> 0"),
        ({**WIDE, "width": float("inf")}, "width", "not finite"),
        ({**WIDE, "width": float("nan")}, "width", "not finite"),
        ({"width": 1e9, "base_width": 1e-9}, "width", "a ratio from"),
        ({**WIDE, "depth": 4}, "base_depth", "base_depth is missing"),
        ({**WIDE, "decay": "both"}, "decay", "give one of coupled, independent"),
        ({**WIDE, "alignment": 1, "optimizer": "muon"}, "alignment", "no rule for muon"),
        ({**WIDE, "wdth": 8}, "wdth", "did you mean 'width'"),
        ({"config": LLAMA}, "base_width", "base_width is missing"),
        ({"config": LLAMA, **WIDE}, "width", "both say it"),
        ({"base_config": LLAMA, "width": 8}, "config", "base_config needs config"),
        ({"config": {"model_type": "lama", "hidden_size": 4}, "base_width": 1}, "config", "did you mean 'llama'"),
        ({"config": {**LLAMA, "hidden_size": -4}, "base_width": 1}, "config", "d_model"),
        ({"config": {**LLAMA, "hidden_size": None}, "base_width": 1}, "config", "d_model is not said"),
        (
            {"config": {**MODELS["qwen3-30b-a3b"][0], "mlp_only_layers": [0]}, "base_width": 1},
            "config",
            "not distinguished",
        ),
    ],
)
def test_wrong_sizes_are_one_sentence(fields: Any, field: str, says: str) -> None:
    with pytest.raises(QueryError, match=says) as caught:
        hplaw.parametrize(**fields)
    assert caught.value.field == field
    assert is_one_sentence(caught.value.text)
