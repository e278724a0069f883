"""Configurations of released models with the counts that others published, for tests of what is counted from a config.json.

Configurations hold the keys that count, as the makers' config.json files have them; what those files leave to the model
type is left out here, too. Totals are published to the last parameter, active parameters rounded or cut. `source` says where
they were read; a "Hugging Face total" is the sum of the sizes of all tensors in a model's safetensors files.
"""

from __future__ import annotations

from typing import Any, NamedTuple


Config = dict[str, Any]

KERAS = "keras-team/keras-hub, keras_hub/src/models/{}/{}_presets.py: params"
HUGGING_FACE = "Hugging Face total of {}, as quoted in public repositories"
PYTHIA = "EleutherAI/pythia, table of models: total and non-embedding parameters"


class Released(NamedTuple):
    """A model: its config.json, all parameters, those without embedding where published, and where they were read.

    - `active`: published active parameters, how far they may be off as they were rounded or cut, and which tables they
      count: `both`, or only the `output`.
    """

    config: Config
    total: float
    source: str
    without_embedding: float | None = None
    active: tuple[float, float, str] | None = None


def llama(
    layers: int, width: int, inner: int, heads: int, kv_heads: int, vocabulary: int, length: int = 8192, **more: Any
) -> Config:
    """Return a config.json in the keys that Llama brought."""
    return {
        "model_type": "llama",
        "hidden_act": "silu",
        "num_hidden_layers": layers,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": length,
        "tie_word_embeddings": False,
        **more,
    }


def gpt_neox(layers: int, width: int, heads: int, vocabulary: int = 50304) -> Config:
    """Return a config.json of GPT-NeoX."""
    return {
        "model_type": "gpt_neox",
        "hidden_act": "gelu",
        "num_hidden_layers": layers,
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_attention_heads": heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
        "use_parallel_residual": True,
    }


def gpt2(layers: int, width: int, heads: int) -> Config:
    """Return a config.json of GPT-2."""
    return {
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "n_layer": layers,
        "n_embd": width,
        "n_head": heads,
        "n_ctx": 1024,
        "n_positions": 1024,
        "vocab_size": 50257,
    }


def gemma(kind: str, layers: int, width: int, inner: int, heads: int, kv_heads: int, **more: Any) -> Config:
    """Return a config.json of a Gemma; the embedding is tied by its model type."""
    found = llama(layers, width, inner, heads, kv_heads, 256000, **{"head_dim": 256, "model_type": kind, **more})
    del found["tie_word_embeddings"], found["hidden_act"]
    return {**found, "hidden_act": "gelu", "hidden_activation": "gelu_pytorch_tanh"}


def deepseek(kind: str, layers: int, width: int, inner: int, heads: int, vocabulary: int, **more: Any) -> Config:
    """Return a config.json of DeepSeek's latent attention."""
    latent = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}
    longer = {"original_max_position_embeddings": 4096, "type": "yarn", "factor": 40}
    more = {"model_type": kind, "attention_bias": False, "moe_layer_freq": 1, "rope_scaling": longer, **latent, **more}
    return llama(layers, width, inner, heads, heads, vocabulary, 163840, **more)


def gpt_oss(layers: int, experts: int) -> Config:
    """Return a config.json of GPT-OSS: every other layer has a window of 128 tokens."""
    return {
        "model_type": "gpt_oss",
        "hidden_act": "silu",
        "attention_bias": True,
        "num_hidden_layers": layers,
        "hidden_size": 2880,
        "intermediate_size": 2880,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "num_local_experts": experts,
        "num_experts_per_tok": 4,
        "sliding_window": 128,
        "layer_types": ["sliding_attention", "full_attention"] * (layers // 2),
        "initial_context_length": 4096,
        "max_position_embeddings": 131072,
        "tie_word_embeddings": False,
        "vocab_size": 201088,
    }


def falcon(layers: int, width: int, heads: int, vocabulary: int = 65024, **more: Any) -> Config:
    """Return a config.json of Falcon."""
    return {
        "model_type": "falcon",
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": heads,
        "vocab_size": vocabulary,
        "alibi": False,
        "bias": False,
        "multi_query": True,
        "parallel_attn": True,
        "new_decoder_architecture": False,
        **more,
    }


RELEASED: dict[str, Released] = {
    "llama-2-7b": Released(llama(32, 4096, 11008, 32, 32, 32000, 4096), 6_738_415_616, KERAS.format("llama", "llama")),
    "llama-3-8b": Released(llama(32, 4096, 14336, 32, 8, 128256), 8_030_261_248, KERAS.format("llama3", "llama3")),
    "llama-3-70b": Released(
        llama(80, 8192, 28672, 64, 8, 128256), 70_553_706_496, HUGGING_FACE.format("meta-llama/Llama-3.1-70B")
    ),
    "llama-3.1-405b": Released(
        llama(126, 16384, 53248, 128, 8, 128256, 131072, rope_scaling={"original_max_position_embeddings": 8192}),
        405_853_388_800,
        HUGGING_FACE.format("meta-llama/Llama-3.1-405B"),
    ),
    "mistral-7b": Released(
        llama(32, 4096, 14336, 32, 8, 32000, 32768, model_type="mistral", sliding_window=4096),
        7_241_732_096,
        KERAS.format("mistral", "mistral"),
    ),
    "mixtral-8x7b": Released(
        llama(
            32,
            4096,
            14336,
            32,
            8,
            32000,
            32768,
            model_type="mixtral",
            num_local_experts=8,
            num_experts_per_tok=2,
            sliding_window=None,
        ),
        46_702_792_704,
        KERAS.format("mixtral", "mixtral") + "; 13B active of arXiv 2401.04088, table 2",
        active=(12.9e9, 0.05e9, "both"),
    ),
    "smollm3-3b": Released(
        llama(36, 2048, 11008, 16, 4, 128256, 65536, model_type="smollm3", tie_word_embeddings=True),
        3_075_098_624,
        HUGGING_FACE.format("HuggingFaceTB/SmolLM3-3B-Base"),
    ),
    "qwen2.5-0.5b": Released(
        llama(
            24,
            896,
            4864,
            14,
            2,
            151936,
            32768,
            model_type="qwen2",
            sliding_window=32768,
            tie_word_embeddings=True,
            use_sliding_window=False,
            max_window_layers=24,
        ),
        494_032_768,
        KERAS.format("qwen", "qwen"),
    ),
    "qwen2.5-7b": Released(
        llama(28, 3584, 18944, 28, 4, 152064, 131072, model_type="qwen2", use_sliding_window=False),
        7_615_616_512,
        KERAS.format("qwen", "qwen") + " (qwen2.5_math_7b_en, of the same shape)",
    ),
    "qwen2.5-72b": Released(
        llama(80, 8192, 29568, 64, 8, 152064, 131072, model_type="qwen2", use_sliding_window=False),
        72_706_203_648,
        KERAS.format("qwen", "qwen"),
    ),
    "qwen1.5-moe-a2.7b": Released(
        llama(
            24,
            2048,
            5632,
            16,
            16,
            151936,
            model_type="qwen2_moe",
            num_experts=60,
            num_experts_per_tok=4,
            moe_intermediate_size=1408,
            shared_expert_intermediate_size=5632,
            decoder_sparse_step=1,
            use_sliding_window=False,
        ),
        14_315_784_192,
        KERAS.format("qwen_moe", "qwen_moe") + "; 2.7B active of the model's card",
        active=(2.7e9, 0.05e9, "both"),
    ),
    "qwen3-0.6b": Released(
        llama(
            28,
            1024,
            3072,
            16,
            8,
            151936,
            40960,
            model_type="qwen3",
            head_dim=128,
            attention_bias=False,
            tie_word_embeddings=True,
        ),
        596_049_920,
        KERAS.format("qwen3", "qwen3"),
    ),
    "qwen3-8b": Released(
        llama(36, 4096, 12288, 32, 8, 151936, 40960, model_type="qwen3", head_dim=128),
        8_190_735_360,
        KERAS.format("qwen3", "qwen3"),
    ),
    "qwen3-30b-a3b": Released(
        llama(
            48,
            2048,
            6144,
            32,
            4,
            151936,
            40960,
            model_type="qwen3_moe",
            head_dim=128,
            num_experts=128,
            num_experts_per_tok=8,
            moe_intermediate_size=768,
            decoder_sparse_step=1,
            mlp_only_layers=[],
        ),
        30_532_122_624,
        KERAS.format("qwen3_moe", "qwen3_moe") + "; 3.3B active of the model's card, cut",
        active=(3.3e9, 0.06e9, "both"),
    ),
    "qwen3-235b-a22b": Released(
        llama(
            94,
            4096,
            12288,
            64,
            4,
            151936,
            40960,
            model_type="qwen3_moe",
            head_dim=128,
            num_experts=128,
            num_experts_per_tok=8,
            moe_intermediate_size=1536,
        ),
        235_093_634_560,
        KERAS.format("qwen3_moe", "qwen3_moe") + "; 22B active of the model's card",
        active=(22e9, 0.5e9, "both"),
    ),
    "gemma-2b": Released(gemma("gemma", 18, 2048, 16384, 8, 1), 2_506_172_416, KERAS.format("gemma", "gemma")),
    "gemma-7b": Released(gemma("gemma", 28, 3072, 24576, 16, 16), 8_537_680_896, KERAS.format("gemma", "gemma")),
    "gemma-2-2b": Released(
        gemma("gemma2", 26, 2304, 9216, 8, 4, sliding_window=4096), 2_614_341_888, KERAS.format("gemma", "gemma")
    ),
    "gemma-2-9b": Released(
        gemma("gemma2", 42, 3584, 14336, 16, 8, sliding_window=4096), 9_241_705_984, KERAS.format("gemma", "gemma")
    ),
    "gemma-2-27b": Released(
        gemma("gemma2", 46, 4608, 36864, 32, 16, sliding_window=4096, head_dim=128),
        27_227_128_320,
        KERAS.format("gemma", "gemma"),
    ),
    "gemma-3-1b": Released(
        gemma("gemma3_text", 26, 1152, 6912, 4, 1, sliding_window=512, sliding_window_pattern=6, vocab_size=262144),
        999_885_952,
        KERAS.format("gemma3", "gemma3"),
    ),
    "gemma-3-4b": Released(
        {
            "model_type": "gemma3",
            "text_config": {
                "model_type": "gemma3_text",
                "hidden_size": 2560,
                "intermediate_size": 10240,
                "num_hidden_layers": 34,
                "sliding_window": 1024,
            },
            "vision_config": {"hidden_size": 1152, "model_type": "siglip_vision_model"},
        },
        3_880_099_328 + 64 * 2560,
        KERAS.format("gemma3", "gemma3") + " (gemma3_4b_text, with 262,144 rows of the 262,208 that are the default)",
    ),
    "gemma-3-27b": Released(
        {
            "model_type": "gemma3",
            "architectures": ["Gemma3ForConditionalGeneration"],
            "text_config": {
                "model_type": "gemma3_text",
                "head_dim": 128,
                "hidden_size": 5376,
                "intermediate_size": 21504,
                "num_attention_heads": 32,
                "num_hidden_layers": 62,
                "num_key_value_heads": 16,
                "sliding_window": 1024,
            },
            "vision_config": {"hidden_size": 1152, "model_type": "siglip_vision_model"},
        },
        27_009_002_240 + 64 * 5376,
        KERAS.format("gemma3", "gemma3") + " (gemma3_27b_text, with 262,144 rows of the 262,208 in the config.json)",
    ),
    "pythia-70m": Released(gpt_neox(6, 512, 8), 70_426_624, PYTHIA, 18_915_328),
    "pythia-1b": Released(gpt_neox(16, 2048, 8), 1_011_781_632, PYTHIA, 805_736_448),
    "pythia-6.9b": Released(gpt_neox(32, 4096, 32, 50432), 6_857_302_016, PYTHIA, 6_444_163_072),
    "olmo-7b": Released(
        llama(32, 4096, 11008, 32, 32, 50304, 2048, model_type="olmo", clip_qkv=None, attention_bias=False),
        6_888_095_744,
        HUGGING_FACE.format("allenai/OLMo-7B"),
    ),
    "olmo-2-7b": Released(
        llama(32, 4096, 11008, 32, 32, 100352, 4096, model_type="olmo2", attention_bias=False),
        7_298_617_344,
        HUGGING_FACE.format("allenai/OLMo-2-1124-7B"),
    ),
    "olmo-2-13b": Released(
        llama(40, 5120, 13824, 40, 40, 100352, 4096, model_type="olmo2"),
        13_716_198_400,
        HUGGING_FACE.format("allenai/OLMo-2-1124-13B"),
    ),
    "olmoe-1b-7b": Released(
        llama(16, 2048, 1024, 16, 16, 50304, 4096, model_type="olmoe", num_experts=64, num_experts_per_tok=8),
        6_919_161_856,
        HUGGING_FACE.format("allenai/OLMoE-1B-7B-0924") + "; 1.3B active of arXiv 2409.02060",
        active=(1.3e9, 0.05e9, "both"),
    ),
    "deepseek-v2-lite": Released(
        deepseek(
            "deepseek_v2",
            27,
            2048,
            10944,
            16,
            102400,
            q_lora_rank=None,
            n_routed_experts=64,
            n_shared_experts=2,
            num_experts_per_tok=6,
            moe_intermediate_size=1408,
            first_k_dense_replace=1,
        ),
        15_706_484_224,
        "foldl/chatllm.cpp, docs: with 15706484224 parameters; 2.4B active of the model's card, cut",
        active=(2.4e9, 0.06e9, "output"),
    ),
    "deepseek-v2": Released(
        deepseek(
            "deepseek_v2",
            60,
            5120,
            12288,
            128,
            102400,
            q_lora_rank=1536,
            n_routed_experts=160,
            n_shared_experts=2,
            num_experts_per_tok=6,
            moe_intermediate_size=1536,
            first_k_dense_replace=1,
        ),
        235_741_434_880,
        HUGGING_FACE.format("deepseek-ai/DeepSeek-V2") + "; 21B active of arXiv 2405.04434",
        active=(21e9, 0.5e9, "output"),
    ),
    "deepseek-v3": Released(
        deepseek(
            "deepseek_v3",
            61,
            7168,
            18432,
            128,
            129280,
            q_lora_rank=1536,
            n_routed_experts=256,
            n_shared_experts=1,
            num_experts_per_tok=8,
            moe_intermediate_size=2048,
            first_k_dense_replace=3,
            num_nextn_predict_layers=1,
            topk_method="noaux_tc",
        ),
        671_026_419_200,
        "Hugging Face total of deepseek-ai/DeepSeek-V3 without scales and the layer of the token after the next, as quoted in "
        "public repositories; deepseek-ai/DeepSeek-V3, README_WEIGHTS.md: 671B, 36.7B active",
        active=(36.7e9, 0.1e9, "output"),
    ),
    "gpt-oss-20b": Released(
        gpt_oss(24, 32),
        20_914_757_184,
        KERAS.format("gpt_oss", "gpt_oss") + "; 3.61B active of arXiv 2508.10925, table 1, unembedding counted",
        active=(3.61e9, 0.005e9, "output"),
    ),
    "gpt-oss-120b": Released(
        gpt_oss(36, 128),
        116_829_156_672,
        KERAS.format("gpt_oss", "gpt_oss") + "; 5.13B active of arXiv 2508.10925, table 1, unembedding counted",
        active=(5.13e9, 0.005e9, "output"),
    ),
    "phi-1.5": Released(
        {
            "model_type": "phi",
            "hidden_act": "gelu_new",
            "num_hidden_layers": 24,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_attention_heads": 32,
            "num_key_value_heads": None,
            "qk_layernorm": False,
            "vocab_size": 51200,
            "max_position_embeddings": 2048,
            "tie_word_embeddings": False,
        },
        1_418_270_720,
        HUGGING_FACE.format("microsoft/phi-1_5"),
    ),
    "phi-2": Released(
        {
            "model_type": "phi",
            "hidden_act": "gelu_new",
            "num_hidden_layers": 32,
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "vocab_size": 51200,
            "max_position_embeddings": 2048,
            "tie_word_embeddings": False,
        },
        2_779_683_840,
        HUGGING_FACE.format("microsoft/phi-2"),
    ),
    "phi-3-mini": Released(
        llama(32, 3072, 8192, 32, 32, 32064, 4096, model_type="phi3", sliding_window=2047, attention_bias=False),
        3_821_079_552,
        KERAS.format("phi3", "phi3"),
    ),
    "falcon-rw-1b": Released(
        falcon(24, 2048, 32, 50304, alibi=True, bias=True, multi_query=False, parallel_attn=False),
        1_311_625_216,
        KERAS.format("falcon", "falcon"),
    ),
    "falcon-7b": Released(
        falcon(32, 4544, 71),
        7_217_189_760 - 65024 * 4544,
        HUGGING_FACE.format("tiiuae/falcon-7b") + ", without the second copy of the tied embedding that the files hold",
    ),
    "falcon-180b": Released(
        falcon(80, 14848, 232, num_kv_heads=8, new_decoder_architecture=True),
        179_522_565_120 - 65024 * 14848,
        HUGGING_FACE.format("tiiuae/falcon-180B")
        + ", without the second copy of the tied embedding that the files hold",
    ),
    "gpt-2": Released(gpt2(12, 768, 12), 124_439_808, KERAS.format("gpt2", "gpt2")),
    "gpt-2-xl": Released(gpt2(48, 1600, 25), 1_557_611_200, KERAS.format("gpt2", "gpt2")),
    "gpt-j-6b": Released(
        {
            "model_type": "gptj",
            "activation_function": "gelu_new",
            "n_layer": 28,
            "n_embd": 4096,
            "n_head": 16,
            "n_inner": None,
            "n_positions": 2048,
            "vocab_size": 50400,
            "tie_word_embeddings": False,
        },
        6_050_882_784,
        HUGGING_FACE.format("EleutherAI/gpt-j-6b"),
    ),
}
"""Released models by name."""
