"""What is counted from the config.json of released models: parameters to the last one, FLOP per token against sums by hand."""

from typing import Any

import pytest

from hplaw.errors import ConflictingQuery
from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend
from hplaw.vocabulary.model_shape import read_shape
from tests.helpers import LLAMA_3_8B, MIXTRAL_8X7B, shipped
from tests.vocabulary.released_models import RELEASED, Released, llama


COUNTS = ["n_params", "n_active_params", "n_params_with_embedding", "n_active_params_with_embedding"]


def counts(model: dict[str, Any], want: list[str], **given: Any) -> list[Any]:
    found = recommend(Query(model=model, tokens=1e12, want=want, given=given), shipped()).answers
    return [found[name].value for name in want]


@pytest.mark.parametrize("released", RELEASED.values(), ids=list(RELEASED))
def test_a_released_config_counts_to_the_last_parameter(released: Released) -> None:
    n, active, total, active_total = counts(released.config, COUNTS)
    assert total == released.total
    assert released.without_embedding in (None, n)
    if released.active is not None:
        published, off, tables = released.active
        output = released.config["vocab_size"] * released.config["hidden_size"]
        counted = {"both": active_total, "output": active + output}[tables]
        assert counted == pytest.approx(published, abs=off)
    else:
        assert active == n


def test_active_parameters_with_embedding_need_no_shape_of_the_experts() -> None:
    given: dict[str, float | str] = {"d_model": 4096, "vocab_size": 32000, "n_experts": 64, "n_active_experts": 4}
    query = Query(n_params=1e10, tokens=1e12, given=given, want=["n_active_params", "n_active_params_with_embedding"])
    active, total = (one.value for one in recommend(query, shipped()).answers.values())
    assert isinstance(active, float)
    assert active < 2e9
    assert total == pytest.approx(active + 2 * 4096 * 32000)


def test_the_counts_cover_the_families() -> None:
    kinds = {released.config["model_type"] for released in RELEASED.values()}
    assert len(RELEASED) >= 40
    assert kinds >= {"llama", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "gemma", "gemma2"}
    assert kinds >= {"gemma3", "gpt_neox", "olmo", "olmo2", "deepseek_v2", "deepseek_v3", "gpt_oss", "phi", "phi3"}
    assert kinds >= {"falcon", "gpt2"}


def flop(name: str, **given: Any) -> float:
    return counts(RELEASED[name].config, ["flop_per_token"], **given)[0]


def test_flop_of_a_dense_model() -> None:
    """Llama 3 8B: 32 layers of queries and output 4096 x 4096, keys and values 4096 x 1024, three matrices 4096 x 14336."""
    matrices = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
    norms = 65 * 4096
    attention = 32 * (2 * 8192 * 4096 + 2 * 8192 * 4096)  # forward: queries with keys, weights with values
    assert flop("llama-3-8b") == 6 * (matrices + norms) + 3 * attention
    assert flop("llama-3-8b", seq_len=4096.0) == 6 * (matrices + norms) + 3 * attention / 2
    # 70B: 80 layers, 64 heads of 128, 8 of them for keys and values
    matrices = 80 * (2 * 8192 * 8192 + 2 * 8192 * 1024 + 3 * 8192 * 28672) + 161 * 8192
    assert flop("llama-3-70b") == 6 * matrices + 80 * 12 * 8192 * 8192


def test_flop_of_sliding_windows() -> None:
    """Gemma 2 2B: 13 of 26 layers see 4096 tokens, heads together are 2048 wide and the residual stream 2304."""
    matrices = 26 * (2 * 2304 * 2048 + 2 * 2304 * 1024 + 3 * 2304 * 9216) + 105 * 2304
    assert flop("gemma-2-2b") == 6 * matrices + 12 * 2048 * (13 * 8192 + 13 * 4096)
    # Gemma 3 1B: 4 layers of 26 see all, 22 see 512 tokens; four heads of 256
    matrices = 26 * (2 * 1152 * 1024 + 2 * 1152 * 256 + 3 * 1152 * 6912 + 512) + 105 * 1152
    assert flop("gemma-3-1b", seq_len=32768.0) == 6 * matrices + 12 * 1024 * (4 * 32768 + 22 * 512)
    # Mistral 7B: all 32 layers see 4096 tokens, whatever the sequence
    assert flop("mistral-7b", seq_len=32768.0) - flop("mistral-7b", seq_len=2048.0) == 32 * 12 * 4096 * (4096 - 2048)
    # GPT-OSS: 12 layers of 24 see 128 tokens
    far = flop("gpt-oss-20b", seq_len=4096.0) - flop("gpt-oss-20b", seq_len=1024.0)
    assert far == 12 * 12 * 4096 * (4096 - 1024)


def test_flop_of_a_mixture_of_experts() -> None:
    """Mixtral: two experts of eight and the router in each of 32 layers."""
    matrices = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 2 * 3 * 4096 * 14336 + 4096 * 8) + 65 * 4096
    assert flop("mixtral-8x7b", seq_len=32768.0) == 6 * matrices + 32 * 12 * 4096 * 32768


def test_flop_of_latent_attention() -> None:
    """DeepSeek-V3 at 4096: each head multiplies 192 numbers for a weight, 128 for a value."""
    attention = 7168 * 1536 + 1536 * 128 * 192 + 7168 * 576 + 512 * 128 * 256 + 128 * 128 * 7168 + 1536 + 512
    expert = 3 * 7168 * 2048
    layers = 61 * attention + 3 * 3 * 7168 * 18432 + 58 * (9 * expert + 7168 * 256 + 256) + 123 * 7168
    assert flop("deepseek-v3") == 6 * layers + 3 * 61 * 4096 * 2 * 128 * (192 + 128)


def test_memory_counts_the_embedding() -> None:
    """16 bytes for each parameter: weights and gradients in bf16, a master copy and two moments in fp32."""
    assert counts(LLAMA_3_8B, ["training_state_bytes"]) == [16 * 8_030_261_248]
    assert counts(RELEASED["gpt-2"].config, ["training_state_bytes"], optimizer="sgd") == [8 * 124_439_808]


def test_sequences_are_as_long_as_training_usually_is() -> None:
    """A config names the longest context; longer ones are taught at the end of training."""
    assert read_shape(RELEASED["llama-3.1-405b"].config)["seq_len"] == 8192
    assert read_shape(RELEASED["deepseek-v3"].config)["seq_len"] == 4096
    assert read_shape(RELEASED["gpt-oss-20b"].config)["seq_len"] == 4096
    assert flop("qwen2.5-7b") == flop("qwen2.5-7b", seq_len=8192.0) < flop("qwen2.5-7b", seq_len=131072.0)
    found = recommend(Query(model=RELEASED["qwen2.5-7b"].config, tokens=1e12), shipped())
    (said,) = [w.text for w in found.warnings if w.quantity == "seq_len"]
    assert said.startswith("seq_len is taken as 8192, for up to 131072 in the config.json; give it")
    quiet = recommend(Query(model=LLAMA_3_8B, tokens=1e12), shipped())
    assert not [w for w in quiet.warnings if w.quantity == "seq_len"]


@pytest.mark.parametrize(
    ("more", "window", "layers"),
    [
        ({"sliding_window": None}, None, None),
        ({"sliding_window": 0}, None, None),
        ({"sliding_window": 4096}, 4096.0, 32.0),
        ({"sliding_window": 4096, "use_sliding_window": False}, None, None),
        ({"sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 28}, 4096.0, 4.0),
        ({"sliding_window": 4096, "sliding_window_pattern": 4}, 4096.0, 24.0),
        ({"sliding_window": 4096, "model_type": "qwen2"}, None, None),
        ({"sliding_window": 4096, "model_type": "gemma2"}, 4096.0, 16.0),
        ({"sliding_window": 64, "layer_types": ["sliding_attention"] * 3 + ["full_attention"] * 29}, 64.0, 3.0),
        ({"sliding_window": 64, "layer_types": ["full_attention"] * 32}, None, None),
    ],
)
def test_windows_are_those_of_the_config(more: dict[str, Any], window: float | None, layers: float | None) -> None:
    shape = read_shape({**LLAMA_3_8B, **more})
    assert (shape.get("attention_window"), shape.get("n_window_layers")) == (window, layers)


@pytest.mark.parametrize(
    ("more", "dense"),
    [
        ({}, 0.0),
        ({"first_k_dense_replace": 3}, 3.0),
        ({"decoder_sparse_step": 2}, 16.0),
        ({"mlp_only_layers": [0, 1, 5]}, 3.0),
        ({"moe_layer_freq": 2, "first_k_dense_replace": 1}, 17.0),
    ],
)
def test_layers_without_experts_are_those_of_the_config(more: dict[str, Any], dense: float) -> None:
    assert read_shape({**MIXTRAL_8X7B, "moe_intermediate_size": 1024, **more})["n_dense_layers"] == dense


def remarks_of(model: dict[str, Any], **fields: Any) -> dict[str, str]:
    found = recommend(Query(model=model, tokens=1e12, want=["n_params"], **fields), shipped())
    return {warning.code: warning.text for warning in found.warnings}


def test_an_unknown_family_is_counted_like_llama_and_said() -> None:
    unknown = {**LLAMA_3_8B, "model_type": "newllama"}
    assert counts(unknown, COUNTS) == counts(LLAMA_3_8B, COUNTS)
    assert remarks_of(unknown)["unknown-family"].startswith("newllama is counted as blocks like Llama's")
    assert "unknown-family" not in remarks_of(LLAMA_3_8B)
    assert "unknown-family" not in remarks_of(unknown, n_params=7e9)


def test_a_config_that_lacks_sizes_says_which() -> None:
    lacks = {key: value for key, value in LLAMA_3_8B.items() if key not in ("num_attention_heads", "intermediate_size")}
    assert remarks_of(lacks)["incomplete-config"] == (
        "the config.json lacks num_attention_heads, intermediate_size, so that its parameters are not counted; "
        "give a whole one"
    )
    assert "incomplete-config" not in remarks_of(lacks, n_params=7e9)


def test_of_a_model_that_sees_the_language_part_is_counted() -> None:
    assert "without what reads images or sound" in remarks_of(RELEASED["gemma-3-27b"].config)["language-part"]


def test_shared_experts_of_another_width_are_refused() -> None:
    model = {**RELEASED["qwen1.5-moe-a2.7b"].config, "shared_expert_intermediate_size": 5000}
    with pytest.raises(ConflictingQuery, match="width 5000 is no multiple of the routed ones of 1408"):
        read_shape(model)


@pytest.mark.parametrize("junk", ["x", True, -1, 1.5, [], {}, [[1]], {"factor": []}], ids=repr)
def test_keys_that_are_no_numbers_are_passed_over(junk: Any) -> None:
    keys = ("rope_scaling", "layer_types", "sliding_window_pattern", "mlp_only_layers", "decoder_sparse_step")
    keys = (*keys, "qk_nope_head_dim", "original_max_position_embeddings", "max_window_layers", "use_sliding_window")
    model = {**MIXTRAL_8X7B, "sliding_window": 512, **dict.fromkeys(keys, junk)}
    assert counts(model, ["n_params"]) == counts(MIXTRAL_8X7B, ["n_params"])


def test_the_answer_counts_attention_where_the_shape_is_known() -> None:
    found = recommend(Query(model=LLAMA_3_8B, tokens=1e12), shipped())
    per_token = 6 * 6_979_588_096 + 32 * 12 * 4096 * 8192
    assert found.answers["training_flop"].value == 1e12 * per_token
    assert found.answers["flop_per_token"].value == per_token
    assert "compute_flop" not in found.answers
    assert {"n_params", "n_params_with_embedding"} <= found.answers.keys()
    alone = recommend(Query(n_params=7e9, tokens=1e12), shipped())
    assert "training_flop" not in alone.answers
    assert alone.answers["compute_flop"].value == 6 * 7e9 * 1e12


def test_laws_of_the_loss_keep_six_n_d() -> None:
    found = recommend(Query(model=LLAMA_3_8B, tokens=1e12, want=["loss", "compute_flop"]), shipped())
    assert found.answers["compute_flop"].value == 6 * 6_979_588_096 * 1e12
    by_loss = {step.law.split("@")[0] for step in found.answers["loss"].derivation}
    assert "compute-6nd" in by_loss
    assert "training-flop" not in by_loss


@pytest.mark.parametrize("name", ["compute_flop", "training_flop"])
def test_a_budget_of_flop_is_spent_with_attention(name: str) -> None:
    found = recommend(Query(model=LLAMA_3_8B, given={name: 1e22}), shipped())
    tokens = found.answers["tokens"].value
    assert tokens == pytest.approx(1e22 / (6 * 6_979_588_096 + 32 * 12 * 4096 * 8192), rel=1e-3)
    over = recommend(Query(model=LLAMA_3_8B, tokens=1e12, given={name: 5e22}), shipped())
    assert ["over-budget" in w.code for w in over.warnings].count(True) == 1
    fits = recommend(Query(model=LLAMA_3_8B, tokens=1e12, given={name: 5.5e22}), shipped())
    assert "over-budget" not in [w.code for w in fits.warnings]


def test_a_budget_of_flop_is_given_once() -> None:
    with pytest.raises(ConflictingQuery, match="are both given"):
        recommend(Query(model=LLAMA_3_8B, given={"compute_flop": 1e22, "training_flop": 1e22}), shipped())


def test_a_measured_utilization_counts_attention_too() -> None:
    given: dict[str, float | str] = {"duration_s": 1e6, "mfu": 0.4}
    found = recommend(Query(model=LLAMA_3_8B, devices=64, hardware="h100-sxm", given=given), shipped())
    spent = 64 * 1e6 * 989.4e12 * 0.4
    assert found.answers["training_flop"].value == pytest.approx(spent, rel=1e-3)


def test_a_short_config_of_llama_is_that_of_the_facts() -> None:
    assert counts(llama(32, 4096, 14336, 32, 8, 128256), COUNTS) == counts(LLAMA_3_8B, COUNTS)
