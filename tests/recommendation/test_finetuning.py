"""Questions on fine-tuning: rates, room, memory; what laws of pretraining have no say in; what is not covered."""

from typing import Any

import pytest

from hplaw.errors import QueryError
from hplaw.messages.query import Query
from hplaw.messages.recommendation import Recommendation
from hplaw.recommendation.finetuning import LEARNED
from hplaw.recommendation.record import recommend
from tests.helpers import LLAMA_3_8B, is_one_sentence, shipped


QWEN = {**LLAMA_3_8B, "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]}
GEMMA = {**LLAMA_3_8B, "model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"]}


def ask(how: str = "lora", *, model: dict[str, Any] | None = LLAMA_3_8B, **fields: Any) -> Recommendation:
    given = {"finetune": how, **fields.pop("given", {})}
    return recommend(Query(model=model, given=given, **fields), shipped())


def value(found: Recommendation, name: str) -> Any:
    return found.answers[name].value


def texts(found: Recommendation) -> str:
    return " | ".join(warning.text for warning in found.warnings)


@pytest.mark.parametrize(
    ("how", "model", "rate"),
    [
        ("lora", LLAMA_3_8B, 2.856e-4),
        ("full", LLAMA_3_8B, 2.856e-5),
        ("lora", QWEN, 4.730e-4),
        ("full", QWEN, 4.730e-5),
    ],
)
def test_the_rate_is_that_of_the_family_and_width(how: str, model: dict[str, Any], rate: float) -> None:
    found = ask(how, model=model)
    assert value(found, "peak_lr") == pytest.approx(rate, rel=3e-4)
    assert str(found.answers["peak_lr"].law).startswith("lora-rate-2025@1")


def test_lora_says_alpha_batch_and_size_of_the_adapters() -> None:
    found = ask()
    assert value(found, "lora_alpha") == 32
    assert value(found, "batch_seqs") == 32
    assert value(found, "trainable_params") == 83_886_080
    assert "lora_rank is taken as 32" in texts(found)
    assert value(ask(given={"lora_rank": 8}), "trainable_params") == 83_886_080 / 4
    assert "lora_rank is taken" not in texts(ask(given={"lora_rank": 8}))


@pytest.mark.parametrize(("how", "low", "high"), [("lora", 16e9, 19e9), ("full", 125e9, 130e9)])
def test_memory_counts_gradients_and_state_of_what_is_trained(how: str, low: float, high: float) -> None:
    assert low < value(ask(how), "training_state_bytes") < high


def test_memory_follows_precision_and_optimizer() -> None:
    plain = value(ask(), "training_state_bytes")
    assert value(ask(precision="int4"), "training_state_bytes") < plain / 2
    state = {
        optimizer: value(ask("full", optimizer=optimizer), "training_state_bytes") for optimizer in ("adamw", "sgd")
    }
    assert state["sgd"] < state["adamw"]


def test_adapters_smaller_than_the_data_are_warned_of_with_the_rank_that_is_not() -> None:
    found = ask(tokens=5e8)
    assert value(found, "min_lora_rank") == pytest.approx(32 * 5e8 / 83_886_080)
    assert "fewer parameters than there are training tokens" in texts(found)
    enough = ask(tokens=5e8, given={"lora_rank": 256})
    assert "fewer parameters" not in texts(enough)
    assert value(ask(tokens=1e4), "min_lora_rank") == 1


def test_short_runs_of_lora_are_warned_of() -> None:
    assert "15 times" in texts(ask(tokens=1e6, batch_tokens=64e3))
    assert "15 times" not in texts(ask(tokens=1e8, batch_tokens=64e3))
    assert "15 times" not in texts(ask("full", tokens=1e6, batch_tokens=64e3))


def test_a_family_without_evidence_gets_no_rate_and_the_reason() -> None:
    found = ask(model=GEMMA)
    assert value(found, "peak_lr") is None
    assert "Llama and Qwen models only" in str(found.answers["peak_lr"].reason)
    assert value(found, "trainable_params") is not None


def test_full_fine_tuning_by_the_batch_is_slower_for_gemma_and_mistral() -> None:
    found = ask("full", model=GEMMA, batch_tokens=1e4)
    assert value(found, "peak_lr") == pytest.approx(3e-4 * (1e4 / 4e6) ** 0.5 / 6)
    both = ask("full", batch_tokens=1e4).answers["peak_lr"]
    assert [alternative.law.partition("@")[0] for alternative in both.alternatives] == ["sft-batch-rate-2023"]


@pytest.mark.parametrize("name", sorted(LEARNED - {"peak_lr"}))
def test_laws_of_pretraining_have_no_say(name: str) -> None:
    estimate = ask(tokens=1e8, want=[name]).answers[name]
    assert estimate.value is None
    assert "pretraining" in str(estimate.reason) or "no law here gives" in str(estimate.reason)
    assert estimate.alternatives == []


def test_a_law_that_is_named_answers_all_the_same() -> None:
    found = ask(tokens=1e8, laws=["step-law-2025"], want=["peak_lr"])
    assert value(found, "peak_lr") is None or str(found.answers["peak_lr"].law).startswith("lora-rate")


def test_laws_of_fine_tuning_have_no_say_in_pretraining() -> None:
    found = recommend(Query(n_params=7e9, tokens=1.4e11), shipped())
    used = {estimate.law for estimate in found.answers.values()} | {
        alternative.law for estimate in found.answers.values() for alternative in estimate.alternatives
    }
    assert not [law for law in used if law and law.startswith(("lora-", "sft-"))]


def test_a_rate_that_was_tuned_may_be_moved_to_another_batch() -> None:
    given = {"base_peak_lr": 2e-4, "base_batch_tokens": 32e3}
    found = ask(batch_tokens=128e3, given=given, want=["peak_lr"])
    assert value(found, "peak_lr") is not None


def test_the_base_model_may_be_given_in_words() -> None:
    found = recommend(Query(given={"finetune": "lora", "base_family": "llama", "d_model": 4096.0}), shipped())
    assert value(found, "peak_lr") == pytest.approx(2.856e-4, rel=3e-4)
    assert value(found, "trainable_params") is None
    assert found.answers["trainable_params"].reason


def test_nothing_of_pretraining_is_shown_beside() -> None:
    assert ask(tokens=1e9).nearest == []


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"model": None}, "needs base_family and d_model"),
        ({"model": {"n_layers": 2, "d_model": 64}}, "needs base_family"),
        ({"how": "full", "given": {"lora_rank": 8}}, "trains all weights"),
        ({"given": {"lora_rank": 0.5}}, "below 1"),
        ({"how": "qlora"}, "give lora, full"),
        ({"given": {"compute_flop": 1e20}}, "give the training tokens"),
        ({"target_loss": 2.0}, "give the training tokens"),
    ],
)
def test_wrong_questions_are_refused_in_a_sentence(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(QueryError, match=says) as caught:
        ask(**{"how": "lora", **fields})
    assert is_one_sentence(str(caught.value))


# What is not covered


@pytest.mark.parametrize("task", ["vision", "rl", "diffusion", "Vision"])
def test_other_tasks_are_refused(task: str) -> None:
    with pytest.raises(QueryError, match="is not covered: laws here cover") as caught:
        recommend(Query(n_params=1e9, tokens=2e10, given={"task": task}), shipped())
    assert is_one_sentence(str(caught.value))
    assert caught.value.field == "task"


def test_the_task_that_is_covered_changes_nothing() -> None:
    plain = recommend(Query(n_params=1e9, tokens=2e10), shipped())
    named = recommend(Query(n_params=1e9, tokens=2e10, given={"task": "language"}), shipped())
    assert named.answers == plain.answers
    assert named.ignored == {}


def test_a_task_that_is_none_is_refused() -> None:
    with pytest.raises(QueryError, match="give language, vision, rl, diffusion"):
        recommend(Query(n_params=1e9, tokens=2e10, given={"task": "audio"}), shipped())


@pytest.mark.parametrize(
    "model",
    [
        {"model_type": "resnet", "hidden_sizes": [256, 512], "depths": [3, 4], "hidden_act": "relu"},
        {"model_type": "mamba", "hidden_size": 768, "num_hidden_layers": 24, "state_size": 16, "vocab_size": 50280},
        {"architectures": ["BambaForCausalLM"], "hidden_size": 768, "num_hidden_layers": 24, "d_state": 16},
        {
            "model_type": "new_vit",
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "image_size": 224,
        },
        {"_class_name": "UNet2DConditionModel", "block_out_channels": [320, 640]},
        {"model_type": "llama"},
    ],
    ids=["resnet", "mamba", "state", "vit", "diffusion", "empty"],
)
@pytest.mark.parametrize("given", [{}, {"finetune": "lora"}])
def test_a_model_that_is_no_transformer_for_language_is_refused(model: dict[str, Any], given: dict[str, Any]) -> None:
    with pytest.raises(QueryError, match="is not covered: laws here cover") as caught:
        recommend(Query(model=model, tokens=1e9, given=given), shipped())
    assert is_one_sentence(str(caught.value))
    assert caught.value.field == "model"


def test_the_language_part_of_a_config_of_several_is_taken() -> None:
    both = {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"], "text_config": LLAMA_3_8B}
    assert value(ask(model=both), "peak_lr") == value(ask(), "peak_lr")


def test_hours_of_adapters_are_told_with_an_accelerator() -> None:
    lora, full = (value(ask(how, tokens=1e8, hardware="h100-sxm"), "accelerator_hours") for how in ("lora", "full"))
    assert 0.6 < lora / full < 0.8
