"""Others' tables of training times and throughput, read as rows of the laws of time and energy."""

from pathlib import Path

import pytest

from hplaw.errors import DataError
from hplaw.fit.data import throughput
from hplaw.fit.data.law_rows import make_rows
from hplaw.fit.data.training_rows import read_trainings
from tests.helpers import shipped


MLPERF = (
    "# derived from result files, not verified\n"
    "round,submitter,system,benchmark,accelerator,n_accelerators,time_s,tokens,global_batch_size,n_params\n"
    "v4.1,NVIDIA,eos,gpt3,NVIDIA H100-SXM5-80GB,512,3000,1.2e9,2048,175e9\n"
    "v4.1,Google,pod,gpt3,TPU-trillium,512,6000,1.2e9,2048,175e9\n"
    "v5.0,AMD,node,llama2_70b_lora,AMD Instinct MI325X 256GB HBM3e,8,1280,25165824,8,70e9\n"
    "v5.0,AMD,node,retinanet,AMD Instinct MI325X 256GB HBM3e,8,1280,25165824,8,70e9\n"
)
POWER = (
    "submitter,system,benchmark,run,time_s,status,global_batch_size,node_files,files_inside,node_power_w,node_energy_kwh\n"
    "smc,64xSMC-H100-SXM-80GB,gpt3,one,3600,success,2048,64,64,438000,438\n"
    "smc,64xSMC-H100-SXM-80GB,gpt3,two,3600,success,2048,64,63,438000,438\n"
    "smc,1xSMC-H100-SXM-80GB,resnet,three,800,success,3200,1,1,7000,1.5\n"
)
MEGATRON = (
    "container,task,model,System,n_gpus,Precision,GBS,Sequence Length,Tokens / sec / GPU,Model TFLOP / sec / GPU\n"
    "26.02,Pre-Training Performance,LLAMA3_70B,DGX-GB200,64,FP8,256,8192,4040,1815\n"
    "26.04,Pre-Training Performance,LLAMA3_70B,DGX-GB200,64,FP8,256,8192,4143,1861\n"
    "26.04,LoRA Performance,LLAMA3_70B,DGX-H100,8,FP8,32,4096,2643,735\n"
    "26.04,Pre-Training Performance,Qwen3_30B_a3B,DGX-H100,16,FP8,1024,4096,8901,205\n"
)
LAYOUTS = "model_group,gpus,gbs_seq,mfu_pct,tok_s_gpu,flop_per_token_g_from_mfu\n" + "".join(
    f"0,8,256,{mfu},{int(878 * mfu)},11.3\n" for mfu in (2, 10, 20, 30, 44)
)


def written(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_mlperf_counts_as_fp8_and_adapters_apart(tmp_path):
    h100, tpu, mi325x = throughput.read_mlperf(written(tmp_path, MLPERF), shipped())
    assert h100["accelerator_hours"] == pytest.approx(512 * 3000 / 3600)
    assert (h100["compute_format"], h100["batch_tokens"], h100["finetune"]) == ("fp8", 2048 * 2048, "full")
    assert (tpu["hardware"], tpu["compute_format"]) == ("tpu-v6e", "bf16")
    assert (mi325x["finetune"], mi325x["seq_len"], mi325x["effort"]) == ("lora", 8192, "vendor")


def test_metered_nodes_are_whole_and_of_language_models(tmp_path):
    (row,) = throughput.read_mlperf_power(written(tmp_path, POWER), shipped())
    assert row["energy_j"] == pytest.approx(438 * 3.6e6)
    assert row["energy_scope"] == "system"
    assert row["tokens_per_device_s"] == pytest.approx(1207959552 / 3600 / 512)


def test_the_newest_software_counts_and_a_dense_model_is_one_of_all_parameters(tmp_path):
    rows = list(throughput.read_megatron(written(tmp_path, MEGATRON), shipped()))
    dense = next(row for row in rows if row["hardware"] == "gb200")
    assert dense["accelerator_hours"] == pytest.approx(1e12 / 4143 / 3600)
    assert dense["n_params"] == dense["n_active_params"] == pytest.approx(64.2e9, rel=0.01)
    adapters = next(row for row in rows if row["finetune"] == "lora")
    assert adapters["n_active_params"] == pytest.approx(64.2e9, rel=0.02)  # the same model by 4 FLOP a parameter
    experts = next(row for row in rows if row["family"] == "Qwen3_30B_a3B")
    assert experts["n_active_params"] < 0.15 * experts["n_params"]
    assert len(rows) == 3


def test_the_best_layout_is_typical_and_the_median_one_a_first_try(tmp_path):
    best, median = throughput.read_layouts(written(tmp_path, LAYOUTS), shipped())
    assert (best["effort"], median["effort"]) == ("typical", "first-try")
    assert median["accelerator_hours"] / best["accelerator_hours"] == pytest.approx(44 / 20, rel=0.01)


def test_a_folder_is_read_whole(tmp_path):
    written(tmp_path, MLPERF, "mlperf_llm.csv")
    written(tmp_path, LAYOUTS, "ultrascale_h100_throughput.csv")
    rows = read_trainings(tmp_path, shipped())
    assert rows["source"].unique().sort().to_list() == ["layouts", "mlperf"]
    assert len(make_rows("training-energy", tmp_path, shipped())) == 5


def test_a_folder_without_tables_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="no table of trainings here; give a folder with"):
        read_trainings(tmp_path, shipped())
