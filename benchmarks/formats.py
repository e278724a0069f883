"""What a narrower number format gains in throughput: pairs of published runs that differ in it, beside the law.

Pairs are of the same model, system, number of accelerators and batch, and of the same software. Intervals are those of the mean
logarithm over models, by Student's t; one model has none. MLPerf records no format and has no part here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import Row, data_file, row


PAIRS = (("bf16", "fp8"), ("bf16", "mxfp8"), ("fp8", "mxfp8"), ("mxfp8", "nvfp4"), ("fp8", "nvfp4"))
"""Formats that are compared, the wider one first."""
LARGE = {"n_params": 7e10, "tokens": 1e12, "d_model": 8192.0, "seq_len": 8192.0, "effort": "vendor"}
"""A large dense model, for the gains by the law."""
ALWAYS = (("hopper", "bf16", "fp8"), ("blackwell", "bf16", "mxfp8"), ("blackwell", "mxfp8", "nvfp4"))
"""Gains by the law that are listed whether or not pairs were measured."""
KINDS = {"hopper": "h100-sxm", "blackwell": "gb200"}


def run() -> list[Row]:
    """Measure; see `benchmarks.__main__`."""
    from hplaw.catalogue.catalogue import load_catalogue

    catalogue = load_catalogue()
    folder = data_file("megatron_bridge_throughput.csv").parent
    lines: list[Row] = []
    found = measured(folder, catalogue)
    for generation, wide, narrow in dict.fromkeys((*ALWAYS, *found)):
        gains = found.get((generation, wide, narrow), {})
        label = f"{narrow} over {wide}, {generation}"
        by_model = np.array([np.mean(found) for found in gains.values()])
        if gains:
            lines.append(row(f"{label}: measured, {len(by_model)} models", math.exp(by_model.mean()), "1"))
        lines += _ends(f"{label}: measured", by_model)
        low, middle, high = law_gain(generation, wide, narrow, catalogue)
        lines.append(row(f"{label}: law, dense 70B", middle, "1"))
        lines += [row(f"{label}: law, 90% from", low, "1"), row(f"{label}: law, 90% to", high, "1")]
    return lines


def measured(folder: Path, catalogue: Any) -> dict[tuple[str, str, str], dict[str, list[float]]]:
    """Return logarithms of gains by generation and formats, and by model."""
    import polars as pl

    from hplaw.fit.data import throughput

    readers = {
        "megatron_bridge_throughput.csv": throughput.read_megatron_all,
        "llmfoundry_throughput.csv": throughput.read_llmfoundry,
    }
    found: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for file, read in readers.items():
        frame = pl.DataFrame(list(read(folder / file, catalogue)), infer_schema_length=None)
        if "software" not in frame.columns:
            frame = frame.with_columns(software=pl.lit(file))
        same = ["software", "seq_len", "hardware", "devices", "finetune", "family", "model"]
        for key, group in frame.group_by(*[name for name in same if name in frame.columns], maintain_order=True):
            rates = {item["precision"]: -math.log(item["accelerator_hours"]) for item in group.iter_rows(named=True)}
            generation = group["accelerator_generation"][0]
            for wide, narrow in PAIRS:
                if wide in rates and narrow in rates:
                    gains = found.setdefault((generation, wide, narrow), {})
                    gains.setdefault(str(key[-1]), []).append(rates[narrow] - rates[wide])
    return found


def law_gain(generation: str, wide: str, narrow: str, catalogue: Any) -> tuple[float, float, float]:
    """Return the law's gain with its 90% interval, the parameters of both formats drawn together."""
    from hplaw.answer.intervals import samples
    from hplaw.fit.data.accelerator import accelerator

    law = catalogue.get("training-time")
    hours: dict[str, Any] = {}
    for precision in (wide, narrow):
        device = accelerator(KINDS[generation], precision, catalogue) or {}
        known = {**LARGE, "precision": precision, **{n: v for n, v in device.items() if n in law.inputs}}
        hours[precision] = samples(law, known, ["accelerator_hours"])["accelerator_hours"]
    low, middle, high = np.quantile(hours[wide] / hours[narrow], [0.05, 0.5, 0.95])
    return float(low), float(middle), float(high)


def _ends(label: str, logs: Any) -> Iterator[Row]:
    """Yield the ends of the 90% interval of a mean of logarithms."""
    from scipy.stats import t

    count = len(logs)
    if count < 2:
        return
    half = float(t.ppf(0.95, count - 1)) * float(logs.std(ddof=1)) / math.sqrt(count)
    for word, side in (("from", -half), ("to", half)):
        yield row(f"{label}, 90% {word}", math.exp(float(logs.mean()) + side), "1")
