"""Published training runs, as the table of others has them -> rows in the words of the energy laws.

Accelerators become their peak, memory, bandwidth and board power by the laws that know them. Energies that are hours
times a board's power keep only their hours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from hplaw.catalogue.catalogue import Catalogue, load_catalogue
from hplaw.catalogue.listing import categories
from hplaw.errors import DataError, QueryError
from hplaw.evaluation.inputs import inputs
from hplaw.fit.data.runs import observed_by
from hplaw.law import Law
from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend
from hplaw.runs.table import read_columns
from hplaw.vocabulary.hardware_names import canonical


DEVELOPERS = {
    "llama1": "meta",
    "llama2": "meta",
    "llama3": "meta",
    "llama3.1": "meta",
    "llama3.2": "meta",
    "llama3.3": "meta",
    "llama4": "meta",
    "opt": "meta",
    "xlm": "meta",
    "pythia": "eleutherai",
    "gpt3": "openai",
    "gopher": "deepmind",
    "t5": "google",
    "meena": "google",
    "switch": "google",
    "glam": "google",
    "olmo1": "ai2",
    "morrison_h100": "ai2",
    "olmo0424": "ai2",
}
"""Who trained a family, from memory; a family not named here is its own developer's only one."""

SEQ_LENS = {
    "llama2": 4096.0,
    "llama3": 8192.0,
    "llama3.3": 8192.0,
    "llama4": 8192.0,
    "deepseek": 4096.0,
    "t5": 512.0,
    "meena": 128.0,
    "switch": 512.0,
    "xlm": 512.0,
    "jetmoe": 4096.0,
    "olmo0424": 4096.0,
    "glam": 1024.0,
}
"""Tokens in a sequence by family, from memory; 2048 elsewhere."""

CALENDAR = ("derived", "assumed", "upper bound", "from LLMCarbon")
"""Words of `hours_kind` where hours are days times accelerators; LLMCarbon's are such products."""

DEVICE = ("peak_flop_per_s", "memory_bytes_per_s", "accelerator_generation")

TEXTS = ("model", "family", "precision", "hardware", "hours_kind", "energy_scope", "energy_basis", "flag")
NUMBERS = ("n_params_b", "n_active_b", "tokens_b", "n_accel", "accel_hours", "pue", "energy_mwh")

DEFAULT_PUE = 1.1
"""The PUE of a row that gives none, which touches only the energies that count it."""


def read_published(path: Path | str, catalogue: Catalogue | None = None) -> pl.DataFrame:
    """Return published training runs as rows of quantities.

    **Arguments:**

    - `path`: a table with the columns model, family, n_params_b, n_active_b, tokens_b (billions), precision,
      hardware, n_accel, accel_hours, hours_kind, pue, energy_mwh, energy_scope, energy_basis, flag.

    Rows whose work is not 6 N D (flagged `exclude`), or without size, tokens or a known accelerator, are omitted.

    **Raises:** `DataError` where a column is missing or no number, and for a precision that is not known.
    """
    catalogue = catalogue or load_catalogue()
    table = read_columns(Path(path), numbers=NUMBERS, texts=TEXTS)
    rows: list[dict[str, Any] | None] = []
    for place, row in enumerate(table.iter_rows(named=True), 1):
        try:
            rows.append(_row(row, catalogue))
        except QueryError as error:
            message = f"{path}: row {place}: {error}"
            raise DataError(message) from None
    return pl.DataFrame([row for row in rows if row is not None], infer_schema_length=None)


def for_fit(rows: pl.DataFrame, law: Law) -> pl.DataFrame:
    """Return the rows that tell what a law of time or energy is fitted to, as `hplaw fit` reads them.

    Names of runs are omitted: a run has one row, so that its scatter is the noise of that row.
    """
    observed = [name for name in observed_by(law) if name in rows.columns]
    told = pl.any_horizontal(pl.col(name).is_not_null() for name in observed)
    needed = [item.name for item in inputs(law) if item.required and item.name in rows.columns]
    return rows.filter(told, *(pl.col(name).is_not_null() for name in needed)).drop("run")


def _row(row: dict[str, Any], catalogue: Catalogue) -> dict[str, Any] | None:
    hardware = canonical(row["hardware"] or "")
    if not row["n_params_b"] or not row["n_active_b"] or not row["tokens_b"] or "exclude" in (row["flag"] or ""):
        return None
    precision = (row["precision"] or "bf16").partition("/")[0]
    device = accelerator(hardware, precision, catalogue)
    if device is None:
        return None
    family, kind = row["family"], row["hours_kind"] or ""
    basis = (
        "unstated"
        if row["accel_hours"] is None
        else "steps"
        if "iteration time" in kind
        else "calendar"
        if any(word in kind for word in CALENDAR)
        else "reported"
    )
    energy = row["energy_mwh"]
    return {
        "run": row["model"],
        "family": family,
        "developer": DEVELOPERS.get(family, family),
        "hardware": hardware,
        "precision": precision,
        "n_params": row["n_params_b"] * 1e9,
        "n_active_params": row["n_active_b"] * 1e9,
        "tokens": row["tokens_b"] * 1e9,
        "seq_len": SEQ_LENS.get(family, 2048.0),
        **device,
        "devices": row["n_accel"],
        "hours_basis": basis,
        "accelerator_hours": row["accel_hours"],
        "energy_j": None if energy is None else energy * 3.6e9,
        "energy_scope": row["energy_scope"],
        "energy_basis": row["energy_basis"] or "unknown",
        "pue": row["pue"] or DEFAULT_PUE,
        "carbon_g_per_kwh": 400.0,
        "carbon_spread": 0.1,
    }


def accelerator(hardware: str, precision: str, catalogue: Catalogue) -> dict[str, Any] | None:
    """Return peak, memory, bandwidth, generation and board power of an accelerator; None where it is not known.

    >>> accelerator("h100-sxm", "bf16", load_catalogue())["board_power_w"]
    700.0
    """
    if hardware not in categories(catalogue, "hardware"):
        return None
    query = Query(hardware=hardware, precision=precision, want=[*DEVICE, "board_power_w"])
    found = recommend(query, catalogue).answers
    if any(found[name].value is None for name in DEVICE):
        return None
    return {name: item.value for name, item in found.items()}
