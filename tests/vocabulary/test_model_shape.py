"""Shapes of models: released config.json files count as their cards say."""

from typing import Any

import pytest

from hplaw.errors import ConflictingQuery, QueryError
from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend
from hplaw.vocabulary.model_shape import read_shape
from tests.helpers import LLAMA_3_8B, MIXTRAL_8X7B, shipped


GPT_2 = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "attn_pdrop": 0.1,
    "bos_token_id": 50256,
    "embd_pdrop": 0.1,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2",
    "n_ctx": 1024,
    "n_embd": 768,
    "n_head": 12,
    "n_layer": 12,
    "n_positions": 1024,
    "resid_pdrop": 0.1,
    "vocab_size": 50257,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
}
QWEN3_30B_A3B = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "decoder_sparse_step": 1,
    "head_dim": 128,
    "hidden_act": "silu",
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "max_position_embeddings": 40960,
    "mlp_only_layers": [],
    "model_type": "qwen3_moe",
    "moe_intermediate_size": 768,
    "norm_topk_prob": True,
    "num_attention_heads": 32,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 48,
    "num_key_value_heads": 4,
    "tie_word_embeddings": False,
    "vocab_size": 151936,
}
COUNTS = ["n_params", "n_active_params", "n_params_with_embedding"]


@pytest.mark.parametrize(
    ("model", "counts", "tolerance"),
    [
        # 8,030,261,248 parameters in all
        (LLAMA_3_8B, (6_979_588_096, 6_979_588_096, 8_030_261_248), 1e-12),
        # 46.7e9 in all, 12.9e9 active
        (MIXTRAL_8X7B, (46_440_648_704, 12_617_781_248, 46_702_792_704), 1e-12),
        # 124,439,808 with 1,024 learned positions; biases are 0.1%
        (GPT_2, (85_056_000, 85_056_000, 124_439_808), 8e-3),
        # 30,532,122,624 in all, 3.3e9 active with embeddings
        (QWEN3_30B_A3B, (29_909_792_768, 2_730_000_000, 30_532_122_624), 2e-2),
    ],
    ids=["llama-3-8b", "mixtral-8x7b", "gpt-2", "qwen3-30b-a3b"],
)
def test_a_released_config_counts_as_its_card_says(
    model: dict[str, Any], counts: tuple[int, ...], tolerance: float
) -> None:
    found = recommend(Query(model=model, tokens=1e12, want=COUNTS), shipped())
    for name, count in zip(COUNTS, counts, strict=True):
        assert found.answers[name].value == pytest.approx(count, rel=tolerance), name
    assert "params-convention" not in [w.code for w in found.warnings]


def test_a_shape_says_which_architecture_it_is() -> None:
    assert read_shape(LLAMA_3_8B)["architecture"] == "dense"
    assert read_shape(MIXTRAL_8X7B)["architecture"] == "moe"
    assert read_shape({"n_layers": 2, "d_model": 8})["architecture"] == "dense"


def test_a_config_is_read_in_the_words_of_the_vocabulary() -> None:
    assert read_shape(LLAMA_3_8B) == {
        "n_layers": 32.0,
        "d_model": 4096.0,
        "d_ff": 14336.0,
        "n_heads": 32.0,
        "n_kv_heads": 8.0,
        "vocab_size": 128256.0,
        "seq_len": 8192.0,
        "n_ffn_matrices": 3.0,
        "n_embeddings": 2.0,
        "architecture": "dense",
    }
    gpt2 = read_shape(GPT_2)
    assert (gpt2["d_ff"], gpt2["n_ffn_matrices"], gpt2["n_embeddings"]) == (3072.0, 2.0, 1.0)
    mixtral = read_shape(MIXTRAL_8X7B)
    assert (mixtral["d_expert"], mixtral["n_experts"], mixtral["n_active_experts"]) == (14336.0, 8.0, 2.0)
    assert "d_ff" not in mixtral


def test_the_same_shape_in_own_words_counts_the_same() -> None:
    own = {k: v for k, v in read_shape(LLAMA_3_8B).items() if isinstance(v, float)}
    one, two = (recommend(Query(model=model, tokens=1e12, want=COUNTS), shipped()) for model in (LLAMA_3_8B, own))
    for name in COUNTS:
        assert one.answers[name].value == two.answers[name].value


def test_a_shape_answers_the_question_of_its_size() -> None:
    by_shape = recommend(Query(model=LLAMA_3_8B, tokens=1.5e13, laws=["step-law-2025"]), shipped())
    by_count = recommend(Query(n_params=6_979_588_096, tokens=1.5e13, laws=["step-law-2025"]), shipped())
    for name in ("peak_lr", "batch_tokens"):
        assert by_shape.answers[name].value == pytest.approx(by_count.answers[name].value, rel=1e-12)
    steps = [step.law.split("@")[0] for step in by_shape.answers["peak_lr"].derivation]
    assert steps == ["transformer-params", "step-law-2025"]


def test_a_count_beside_a_shape_is_used_and_said() -> None:
    found = recommend(Query(n_params=7e9, model=LLAMA_3_8B, tokens=1e12, want=["peak_lr"]), shipped())
    assert "shape-and-count" in [w.code for w in found.warnings]
    alone = recommend(Query(n_params=7e9, tokens=1e12, want=["peak_lr"]), shipped())
    assert found.answers["peak_lr"].value == alone.answers["peak_lr"].value


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"n_layers": 0, "d_model": 8}, "n_layers=0 is below 1"),
        ({"n_layers": 2, "d_model": 8, "heads": 2}, "'heads' is not part of a shape; did you mean 'n_heads'?"),
        ({"model_type": "llama", "hidden_size": "big"}, "d_model='big' is not a number"),
        ({"model_type": "llama", "hidden_size": True}, "is not a number"),
        ({"model_type": "llama", "num_hidden_layers": 1e9}, "is above 1e+06"),
    ],
)
def test_a_wrong_shape_is_refused(model: dict[str, Any], says: str) -> None:
    with pytest.raises(QueryError) as caught:
        recommend(Query(model=model, tokens=1e9), shipped())
    assert says in str(caught.value)
    assert caught.value.field == "model"


def test_a_shape_without_its_parts_says_what_is_missing() -> None:
    found = recommend(Query(model={"n_layers": 4}, tokens=1e9, want=["n_params"]), shipped())
    reason = found.answers["n_params"].reason or ""
    assert found.answers["n_params"].value is None
    assert reason.startswith("n_params needs ")


def test_more_active_experts_than_experts_is_said() -> None:
    with pytest.raises(ConflictingQuery, match=r"n_active_experts=9 is above n_experts=8"):
        recommend(Query(model={**MIXTRAL_8X7B, "num_experts_per_tok": 9}, tokens=1e9, want=["n_params"]), shipped())


def test_a_null_in_a_config_is_not_given() -> None:
    assert "n_kv_heads" not in read_shape({**LLAMA_3_8B, "num_key_value_heads": None})
