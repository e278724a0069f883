"""Measured training times of others, as their tables have them -> rows in the words of the energy laws.

MLPerf training rounds (time to a quality target), throughput that vendors and frameworks publish, and throughput over
parallel layouts. Where a table gives tokens per second, a row is that of a run of `NOMINAL` tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from hplaw.catalogue.catalogue import Catalogue
from hplaw.fit.data import layouts
from hplaw.fit.data.accelerator import accelerator
from hplaw.runs.table import read_columns
from hplaw.vocabulary.hardware_names import canonical


NOMINAL = 1e12
"""Tokens of a run of which only the throughput is known."""
SECONDS_PER_HOUR = 3600.0


class Shape(NamedTuple):
    """What is known of a model beside its name: all parameters in billions, and its width."""

    n_params_b: float
    d_model: float


MLPERF: Mapping[str, tuple[Shape, float]] = {
    "gpt3": (Shape(175, 12288), 2048),
    "llama31_405b": (Shape(405, 16384), 8192),
    "llama2_70b_lora": (Shape(70, 8192), 8192),
}
"""Language benchmarks of MLPerf training: the model, and tokens in a sequence."""

MEGATRON: Mapping[str, Shape] = {
    "LLAMA3_70B": Shape(70.6, 8192),
    "LLAMA3.1_405B": Shape(405.9, 16384),
    "DeepSeekV3": Shape(671, 7168),
    "DeepSeekV4 Flash": Shape(284, 4096),
    "GPT OSS 120B": Shape(116.8, 2880),
    "Qwen3_30B_a3B": Shape(30.5, 2048),
    "Qwen3_235B_a22B": Shape(235, 4096),
    "Nemotron_3_Nano": Shape(31.6, 2688),
    "Nemotron_3_5_Lightning": Shape(31.6, 2688),
    "Nemotron_3_Super": Shape(120, 4096),
    "Nemotron_3_Ultra": Shape(500, 8192),
}
"""Models of Megatron-Bridge's summaries, parameters and widths from their cards, in part from memory."""

MPT_WIDTHS: Mapping[str, float] = {
    "125m": 768,
    "350m": 1024,
    "760m": 1536,
    "1b": 2048,
    "3b": 2560,
    "7b": 4096,
    "13b": 5120,
    "30b": 7168,
    "70b": 8192,
}
"""Widths of the MPT models."""

LEAST_MFU = 5.0
"""Share of the peak, in percent, below which a layout is a mistake that nobody would train with."""


def read_mlperf(path: Path, catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    """Yield runs to the target of a language benchmark; precision is not recorded, those of NVIDIA are fp8."""
    numbers = ("n_accelerators", "time_s", "tokens", "global_batch_size")
    table = read_columns(path, numbers=numbers, texts=("round", "submitter", "system", "benchmark", "accelerator"))
    for row in table.iter_rows(named=True):
        shape, seq_len = MLPERF.get(row["benchmark"], (None, 0.0))
        device = accelerator(canonical(row["accelerator"]), "fp8", catalogue)
        if shape is None or device is None:
            continue
        yield {
            "run": f"{row['round']} {row['system']} {row['benchmark']}",
            "source": "mlperf",
            "round": row["round"],
            **_mlperf(row, shape, seq_len),
            **device,
            "devices": row["n_accelerators"],
            "tokens": row["tokens"],
            "accelerator_hours": row["time_s"] * row["n_accelerators"] / SECONDS_PER_HOUR,
        }


def _mlperf(row: Mapping[str, Any], shape: Shape, seq_len: float) -> dict[str, Any]:
    """Return what a row of MLPerf says of its run beside its accelerators, its data and what was measured."""
    n_params = shape.n_params_b * 1e9
    return {
        "benchmark": row["benchmark"],
        "family": "mlperf " + row["benchmark"],
        "developer": row["submitter"],
        "precision": "fp8",
        "n_params": n_params,
        "n_active_params": n_params,
        "d_model": shape.d_model,
        "seq_len": seq_len,
        "batch_tokens": row["global_batch_size"] * seq_len,
        "effort": "vendor",
        "finetune": "lora" if "lora" in row["benchmark"] else "full",
        "hours_basis": "steps",
    }


def read_mlperf_power(path: Path, catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    """Yield runs whose nodes were metered at the wall: measured throughput, and the energy of whole nodes."""
    numbers = ("time_s", "global_batch_size", "node_files", "files_inside", "node_power_w", "node_energy_kwh")
    table = read_columns(path, numbers=numbers, texts=("submitter", "system", "benchmark", "run", "status"))
    for row in table.iter_rows(named=True):
        shape, seq_len = MLPERF.get(row["benchmark"], (None, 0.0))
        nodes, at, batch = row["node_files"], row["system"].find("H100"), row["global_batch_size"]
        if shape is None or not row["time_s"] or row["files_inside"] != nodes or at < 0:
            continue
        device = accelerator(canonical("h100-sxm"), "fp8", catalogue)
        tokens = TARGET_TOKENS[row["benchmark"]].get(batch)
        if device is None or tokens is None:
            continue
        devices = 8.0 * nodes
        yield {
            "run": f"{row['system']} {row['benchmark']} {row['run']}",
            "source": "mlperf power",
            **_mlperf(row, shape, seq_len),
            **device,
            "devices": devices,
            "tokens": tokens,
            "tokens_per_device_s": tokens / row["time_s"] / devices,
            "energy_j": row["node_energy_kwh"] * 3.6e6,
            "energy_scope": "system",
            "energy_basis": "measured",
        }


TARGET_TOKENS: Mapping[str, Mapping[float, float]] = {
    "gpt3": {2048.0: 1207959552.0},
    "llama2_70b_lora": {8.0: 25165824.0, 64.0: 61341696.0},
}
"""Tokens until the target by benchmark and batch, as most submissions with that batch needed."""


def read_megatron(path: Path, catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    """Yield published throughput of a vendor's own framework, the newest of each configuration."""
    seen: set[tuple[Any, ...]] = set()
    for found in sorted(read_megatron_all(path, catalogue), key=lambda item: item["software"], reverse=True):
        key = (found["run"], found["finetune"], found["batch_tokens"])
        if key not in seen:
            seen.add(key)
            yield found


def read_megatron_all(path: Path, catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    """Yield published throughput of a vendor's own framework in all its versions."""
    numbers = ("n_gpus", "GBS", "Sequence Length", "Tokens / sec / GPU", "Model TFLOP / sec / GPU")
    table = read_columns(path, numbers=numbers, texts=("container", "task", "model", "System", "Precision"))
    for row in table.iter_rows(named=True):
        shape, precision = MEGATRON.get(row["model"]), row["Precision"].lower()
        device = accelerator(canonical(row["System"]), precision, catalogue)
        rate, seq_len = row["Tokens / sec / GPU"], row["Sequence Length"]
        if shape is None or device is None or not rate:
            continue
        lora = row["task"].startswith("LoRA")
        per_token = row["Model TFLOP / sec / GPU"] * 1e12 / rate
        active = per_token / (4 if lora else 6) / (1 + seq_len / (6 * shape.d_model))
        dense = abs(active / shape.n_params_b / 1e9 - 1) < DENSE
        yield {
            "run": f"{row['model']} {row['System']} {row['Precision']} {row['n_gpus']:g}",
            "source": "megatron-bridge",
            "software": row["container"],
            "family": row["model"],
            "developer": "NVIDIA",
            "precision": precision,
            "n_params": active if dense else shape.n_params_b * 1e9,
            "n_active_params": active,
            **_throughput(rate, row["n_gpus"]),
            "d_model": shape.d_model,
            "seq_len": seq_len,
            "batch_tokens": row["GBS"] * seq_len,
            **device,
            "effort": "vendor",
            "finetune": "lora" if lora else "full",
        }


DENSE = 0.15
"""How far the parameters that a stated share implies may be from all parameters of a dense model."""


def read_llmfoundry(path: Path, catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    """Yield published throughput of MPT models."""
    numbers = ("SeqLen (T)", "n_gpus", "GlobalBatchSize (T)", "Throughput (T/s/GPU)", "NumParams")
    table = read_columns(path, numbers=numbers, texts=("section", "Model", "GPU", "Precision"))
    boards = {"a100_40gb": "a100-sxm-40gb", "a100_80gb": "a100-sxm", "h100_80gb": "h100-sxm"}
    for row in table.iter_rows(named=True):
        precision = row["Precision"].removeprefix("amp_")
        device = accelerator(boards.get(str(row["GPU"]), ""), precision, catalogue)
        width = MPT_WIDTHS.get(row["Model"])
        if device is None or width is None or not row["Throughput (T/s/GPU)"]:
            continue
        yield {
            "run": f"{row['Model']} {row['SeqLen (T)']:g} {row['GPU']} {precision} {row['n_gpus']:g}",
            "source": "llm-foundry",
            "family": "mpt",
            "model": row["Model"],
            "developer": "mosaicml",
            "precision": precision,
            "n_params": row["NumParams"],
            "n_active_params": row["NumParams"],
            **_throughput(row["Throughput (T/s/GPU)"], row["n_gpus"]),
            "d_model": width,
            "seq_len": row["SeqLen (T)"],
            "batch_tokens": row["GlobalBatchSize (T)"],
            **device,
            "effort": "vendor",
            "finetune": "full",
        }


def read_layouts(path: Path, catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    """Yield throughput over parallel layouts: the best of each model and number of nodes, and the median one as a first try."""
    numbers = ("model_group", "gpus", "gbs_seq", "mfu_pct", "tok_s_gpu", "flop_per_token_g_from_mfu")
    table = read_columns(path, numbers=numbers, texts=()).filter(pl.col("mfu_pct") > LEAST_MFU)
    device = accelerator(layouts.HARDWARE, layouts.PRECISION, catalogue)
    for (group, gpus), rows in table.group_by("model_group", "gpus", maintain_order=True):
        shape = layouts.SHAPES.get(int(float(str(group))))
        if shape is None or device is None:
            continue
        width, flop = shape["d_model"], rows["flop_per_token_g_from_mfu"][0] * 1e9
        n = flop / 6 / (1 + layouts.SEQ_LEN / (6 * width))
        rates = rows["tok_s_gpu"].sort()
        tried = {"typical": rates[-1], "first-try": rates[(len(rates) - 1) // 2]}
        for effort, rate in tried.items():
            yield {
                "run": f"nanotron {group} {gpus} {effort}",
                "source": "layouts",
                "family": "nanotron",
                "developer": "huggingface",
                "precision": layouts.PRECISION,
                "n_params": n,
                "n_active_params": n,
                **_throughput(rate, float(str(gpus))),
                "d_model": width,
                "seq_len": layouts.SEQ_LEN,
                "batch_tokens": rows["gbs_seq"][0] * layouts.SEQ_LEN,
                **device,
                "effort": effort,
                "finetune": "full",
            }


def _throughput(rate: float, devices: float) -> dict[str, Any]:
    """Return the run of `NOMINAL` tokens at a rate of tokens per second and accelerator."""
    hours = NOMINAL / rate / SECONDS_PER_HOUR
    return {"tokens": NOMINAL, "devices": devices, "hours_basis": "steps", "accelerator_hours": hours}
