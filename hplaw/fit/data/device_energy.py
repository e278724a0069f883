"""Metered trainings of single GPUs -> rows of the law `device-energy`, each with the three probes of its workload.

The small probe is the second smallest batch (the smallest where there are few), the large one the second largest, both without
a limit; the third is the large one under the limit nearest to 0.4 of the maximum. The largest batch is never a probe.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from hplaw.runs.table import read_columns


CAPPED_SHARE = 0.4
"""Where the third probe's limit lies, as a share of the maximum limit."""
FEW = 6
"""Batches below which the smallest one is the small probe."""
CELL = ("gpu", "dataset", "network", "optimizer")
MEASURED = ("batch_size", "power_limit_w", "time_per_epoch_s", "energy_per_epoch_j")


def read_metered(path: Path | str) -> pl.DataFrame:
    """Return the configurations that are no probes, as rows of quantities, with `gpu`, `workload` and `largest` beside them.

    **Arguments:**

    - `path`: a table with the columns gpu, dataset, network, optimizer, batch_size, power_limit_w, time_per_epoch_s,
      energy_per_epoch_j and train_samples; a sample is an epoch where the last is empty, which only scales a workload.

    Rows without a measurement, and workloads of fewer than four batches without a limit, are omitted.

    **Raises:** `DataError` where a column is missing or no number.
    """
    table = read_columns(Path(path), numbers=(*MEASURED, "train_samples"), texts=CELL)
    table = table.filter(pl.all_horizontal(pl.col(*MEASURED) > 0))
    samples = pl.col("train_samples").fill_null(1.0)
    table = table.with_columns(
        (pl.col("energy_per_epoch_j") / samples).alias("j"), (pl.col("time_per_epoch_s") / samples).alias("s")
    )
    rows: list[dict[str, Any]] = []
    for _, cell in table.group_by(*CELL, maintain_order=True):
        rows += _cell(cell)
    return pl.DataFrame(rows)


def for_fit(rows: pl.DataFrame) -> pl.DataFrame:
    """Return metered rows as `hplaw fit device-energy` reads them: a workload is a run."""
    return rows.rename({"workload": "run"}).drop("gpu", "largest", "free")


def _cell(cell: pl.DataFrame) -> Iterator[dict[str, Any]]:
    most = cell["power_limit_w"].max()
    free = cell.filter(pl.col("power_limit_w") == most).sort("batch_size")
    if len(free) < 4:
        return
    small = free.row(0 if len(free) < FEW else 1, named=True)
    large = free.row(len(free) - 2, named=True)
    here = cell.filter(pl.col("batch_size") == large["batch_size"])
    nearest = (pl.col("power_limit_w") - CAPPED_SHARE * pl.lit(most)).abs()
    capped = here.sort(nearest).row(0, named=True)
    probes = [(p["batch_size"], p["power_limit_w"]) for p in (small, large, capped)]
    slowdown = capped["s"] / large["s"]
    rows = [row for row in cell.iter_rows(named=True) if (row["batch_size"], row["power_limit_w"]) not in probes]
    for place, row in enumerate(rows):
        yield {
            "gpu": row["gpu"],
            "workload": f"{row['gpu']} {row['network']} {row['optimizer']}",
            "largest": row["batch_size"] == free["batch_size"][-1],
            "free": row["power_limit_w"] == most,
            "batch_samples": float(row["batch_size"]),
            "power_limit_w": float(row["power_limit_w"]),
            "energy_per_sample_j": row["j"],
            "time_per_sample_s": row["s"],
            "probe_small_samples": float(small["batch_size"]),
            "probe_small_j": small["j"],
            "probe_small_s": small["s"],
            "probe_large_samples": float(large["batch_size"]),
            "probe_large_j": large["j"],
            "probe_large_s": large["s"],
            "probe_power_limit_w": float(large["power_limit_w"]),
            "probe_capped_w": float(capped["power_limit_w"]),
            "probe_capped_j": capped["j"],
            "probe_capped_s": capped["s"],
            # once, as a workload has one third probe whatever else was measured of it
            "limit_slowdown": slowdown if place == 0 else None,
            "limit_power_share": capped["j"] / large["j"] / slowdown if place == 0 else None,
        }
