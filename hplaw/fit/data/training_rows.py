"""The rows that the laws of training time and energy are fitted to, of one table or of all that a folder has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import DataError
from hplaw.evaluation.inputs import inputs
from hplaw.fit.data import published_energy, throughput
from hplaw.fit.data.runs import observed_by
from hplaw.law import Law


READERS: Mapping[str, Callable[[Path, Catalogue], Iterator[dict[str, Any]]]] = {
    "published_training_energy.csv": published_energy.read_published,
    "mlperf_llm.csv": throughput.read_mlperf,
    "mlperf_power.csv": throughput.read_mlperf_power,
    "megatron_bridge_throughput.csv": throughput.read_megatron,
    "llmfoundry_throughput.csv": throughput.read_llmfoundry,
    "ultrascale_h100_throughput.csv": throughput.read_layouts,
}
"""Tables by the name of their file; a file of another name is read as published trainings."""

MAYBE: Mapping[str, type[pl.DataType]] = {
    "d_model": pl.Float64,
    "batch_tokens": pl.Float64,
    "tokens_per_device_s": pl.Float64,
    "accelerator_hours": pl.Float64,
    "energy_j": pl.Float64,
    "energy_scope": pl.String,
    "energy_basis": pl.String,
    "pue": pl.Float64,
}
"""What not every table tells."""
USUAL_ASPECT = 128.0
"""The aspect of a row whose width is known, where it plays no part."""
NO_POWER = 1.0
"""The board power, in watts, of an accelerator without a published one, in rows that tell of hours alone."""
INTENSITY = {"carbon_g_per_kwh": 400.0, "carbon_spread": 0.1}
"""The grid of rows, whose carbon no fit looks at."""


def read_trainings(path: Path, catalogue: Catalogue) -> pl.DataFrame:
    """Return the rows of a table, or of all tables of a folder that `READERS` names.

    **Raises:** `DataError` for a folder without such a table, and what the readers raise.
    """
    files = [path / name for name in READERS if (path / name).exists()] if path.is_dir() else [path]
    if not files:
        message = f"{path}: no table of trainings here; give a folder with {', '.join(READERS)}"
        raise DataError(message)
    read = [READERS.get(file.name, published_energy.read_published)(file, catalogue) for file in files]
    frame = pl.DataFrame([row for rows in read for row in rows], infer_schema_length=None)
    if not len(frame):
        return frame
    lacking = [pl.lit(None, kind).alias(name) for name, kind in MAYBE.items() if name not in frame.columns]
    told = pl.col("energy_j").is_not_null()
    return frame.with_columns(lacking).with_columns(
        pl.col("energy_basis").fill_null("unknown"),
        pl.col("pue").fill_null(published_energy.DEFAULT_PUE),
        aspect=pl.when(pl.col("d_model").is_not_null()).then(USUAL_ASPECT),
        board_power_w=pl.when(told).then("board_power_w").otherwise(pl.col("board_power_w").fill_null(NO_POWER)),
        **{name: pl.lit(value) for name, value in INTENSITY.items()},
    )


def for_fit(rows: pl.DataFrame, law: Law) -> pl.DataFrame:
    """Return the rows that tell what a law of time or energy is fitted to, as `hplaw fit` reads them.

    Names of runs are omitted: a run has one row, so that its scatter is the noise of that row.
    """
    observed = [name for name in observed_by(law) if name in rows.columns]
    told = pl.any_horizontal(pl.col(name).is_not_null() for name in observed)
    needed = [item.name for item in inputs(law) if item.required and item.name in rows.columns]
    return rows.filter(told, *(pl.col(name).is_not_null() for name in needed)).drop("run")
