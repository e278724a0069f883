"""The table of runs: quantities of the vocabulary, and where a run comes from.

A column is a quantity under its own name (float64, or text for a category), or one of `PROVENANCE`. A row omits
what it does not know.
"""

from __future__ import annotations

import functools as ft
from collections.abc import Mapping
from typing import Any

import polars as pl

from hplaw.errors import DataError, nearest
from hplaw.vocabulary.quantities import check_value, vocabulary


SCHEMA_VERSION = 1
"""Raised when a column changes its meaning or its type; newer files are refused by older programs."""

MARK = "hplaw.runs"
"""The key in a parquet file's metadata that says that it is ours; its value is the schema's version."""

PROVENANCE: Mapping[str, Any] = {
    "key": pl.String,  # hash of what was to be trained; a run is stored and counted once by it
    "sweep": pl.String,  # the sweep for which it was first made
    "source": pl.String,  # of an imported run: the file's name and digest
    "trial": pl.String,  # all that was asked for, as JSON
    "data": pl.String,
    "seed": pl.Int64,
    "diverged": pl.Boolean,
    "diverged_step": pl.Int64,
    "steps_done": pl.Int64,
    "stopped_early": pl.Boolean,
    "forecast_loss": pl.Float64,  # nat/token
    "train_loss": pl.Float64,  # nat/token
    "curve_steps": pl.List(pl.Int64),
    "curve_losses": pl.List(pl.Float64),  # nat/token
    "pack_width": pl.Int64,
    "shared": pl.Boolean,  # time and energy are a share of a pack's, by compute
    "energy_basis": pl.String,  # nvml_counter, nvml_power, rapl or none
    "energy_check_j": pl.Float64,  # J, by integrated power
    "idle_power_w": pl.Float64,
    "temperature_c": pl.Float64,  # highest seen
    "clock_mhz": pl.Float64,  # mean
    "code_version": pl.String,
    "jax_version": pl.String,
    "driver": pl.String,
    "platform": pl.String,
    "host": pl.String,
    "started": pl.Datetime("us", "UTC"),
}
"""Columns beside the quantities, with their types."""

TIMING = frozenset(
    (
        "duration_s",
        "energy_j",
        "energy_check_j",
        "power_w",
        "idle_power_w",
        "temperature_c",
        "clock_mhz",
        "started",
        "host",
        "pack_width",
        "shared",
        "energy_basis",
    )
)
"""Columns in which the same trial differs from one time to the next."""


@ft.cache
def columns() -> Mapping[str, Any]:
    """Return the types of all columns that a run may have, by name.

    >>> columns()["peak_lr"], columns()["optimizer"]
    (Float64, String)
    """
    quantities: dict[str, Any] = {
        name: pl.String if quantity.categorical else pl.Float64 for name, quantity in vocabulary().items()
    }
    return {**PROVENANCE, **quantities}


def make_row(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's values checked, without what is not known.

    **Raises:** `DataError` naming the column at fault.

    >>> row = make_row({"key": "k", "peak_lr": 1, "loss": None})
    >>> row
    {'key': 'k', 'peak_lr': 1.0}
    """
    row: dict[str, Any] = {}
    known, words = columns(), vocabulary()
    for name, value in values.items():
        if name not in known:
            message = f"'{name}' is no column of a run{nearest(name, known)}; give a quantity of the vocabulary"
            raise DataError(message)
        if value is None:
            continue
        if name in words:
            value = value if words[name].categorical else float(value)
            if problem := check_value(words[name], value):
                raise DataError(problem)
        row[name] = value
    if not row.get("key"):
        message = "a run has no key; give the hash of what was trained"
        raise DataError(message)
    return row


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return rows as a table with the columns that any of them knows, in the order of the schema."""
    used = {name for row in rows for name in row}
    return pl.DataFrame(rows, schema={n: t for n, t in columns().items() if n in used})
