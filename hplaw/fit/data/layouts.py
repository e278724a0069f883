"""Throughput and memory of parallel layouts, as a benchmark of others has them -> rows of the laws of layouts.

The shapes are those that the benchmark's script names; the FLOP per token that its rows state confirm them: 6 per
parameter, both embedding tables counted, and 12 n_layers d_model seq_len.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import DataError
from hplaw.evaluation.point import point
from hplaw.runs.table import read_columns


HARDWARE, PRECISION = "h100-sxm", "bf16"
"""What the benchmark ran on."""

SEQ_LEN = 4096.0

_COMMON = {"vocab_size": 131072.0, "n_ffn_matrices": 3.0}

SHAPES: Mapping[int, Mapping[str, float]] = {
    0: {"n_layers": 16.0, "d_model": 2048.0, "n_heads": 32.0, "d_ff": 8192.0, "n_embeddings": 1.0},
    1: {"n_layers": 28.0, "d_model": 3072.0, "n_heads": 32.0, "d_ff": 8192.0, "n_embeddings": 1.0},
    2: {"n_layers": 32.0, "d_model": 4096.0, "n_heads": 32.0, "d_ff": 14336.0, "n_embeddings": 2.0},
    3: {"n_layers": 80.0, "d_model": 8192.0, "n_heads": 64.0, "d_ff": 28672.0, "n_embeddings": 2.0},
}
"""Shapes by `model_group`, from scripts/scaling_benchmarks.py of nanotron: every head has its own keys and values, embeddings
are tied below 4B. None of the numbers of `_COMMON` is in the table of measurements."""

NUMBERS = ("model_group", "gpus", "mbs", "grad_acc", "gbs_seq", "dp", "pp", "tp", "zero", "tok_s_gpu", "gpu_memory_gb")

_GB = 1e9


def read_layouts(path: Path | str, catalogue: Catalogue) -> pl.DataFrame:
    """Return layouts as rows of quantities, those that did not run without `layout_utilization` and `device_bytes`.

    **Arguments:**

    - `path`: a table with the columns model_group, gpus, mbs, grad_acc, gbs_seq, dp, pp, tp, zero, tok_s_gpu and
      gpu_memory_gb.

    Rows whose micro-batches do not make up the batch that they state have no `layout_utilization`.

    **Raises:** `DataError` where a column is missing or no number, and for a group whose shape is not known.
    """
    table = read_columns(Path(path), numbers=NUMBERS, texts=())
    device = point(catalogue.get("accelerators"), {"hardware": HARDWARE, "precision": PRECISION})
    hardware = {
        name: device.plain(name)
        for name in ("peak_flop_per_s", "memory_bytes_per_s", "link_bytes_per_s", "device_memory_bytes")
    }
    models = {group: _model(shape, catalogue) for group, shape in SHAPES.items()}
    return pl.DataFrame([_row(path, row, models, hardware) for row in table.iter_rows(named=True)])


def for_fit(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the layouts that ran, as `hplaw fit layout-throughput` reads them."""
    return rows.filter(pl.col("layout_utilization").is_not_null())


def _model(shape: Mapping[str, float], catalogue: Catalogue) -> dict[str, float]:
    """Return a shape with its parameters and the FLOP of a token, as the law counts them."""
    known = {**_COMMON, **shape}
    body = point(catalogue.get("transformer-params"), known).plain("n_params")
    table = known["vocab_size"] * known["d_model"]
    flop = 6 * (body + known["n_embeddings"] * table) + 12 * known["n_layers"] * known["d_model"] * SEQ_LEN
    return {**known, "n_params": body, "n_params_with_embedding": body + known["n_embeddings"] * table, "flop": flop}


def _row(
    path: Path | str, row: Mapping[str, Any], models: Mapping[int, Mapping[str, float]], hardware: Mapping[str, Any]
) -> dict[str, Any]:
    model = models.get(int(row["model_group"]))
    if model is None:
        message = f"{path}: the shape of model_group {row['model_group']:g} is not known; known are {', '.join(map(str, models))}"
        raise DataError(message)
    whole = row["mbs"] * row["grad_acc"] * row["dp"] == row["gbs_seq"]
    speed, memory = row["tok_s_gpu"], row["gpu_memory_gb"]
    return {
        **{name: value for name, value in model.items() if name != "flop"},
        **hardware,
        "precision": PRECISION,
        "seq_len": SEQ_LEN,
        "devices": row["gpus"],
        "tensor_parallel": row["tp"],
        "pipeline_parallel": row["pp"],
        "data_parallel": row["dp"],
        "micro_batch_seqs": row["mbs"],
        "batch_seqs": row["mbs"] * row["grad_acc"] * row["dp"],
        "zero_stage": row["zero"],
        "recomputation": "none",
        "ran": speed is not None,
        "layout_utilization": speed * model["flop"] / hardware["peak_flop_per_s"] if speed and whole else None,
        "device_bytes": None if memory is None else memory * _GB,
    }
