"""Published training runs, as the table of others has them -> rows in the words of the energy laws.

Accelerators become their peak, memory, bandwidth and board power by the laws that know them. Energies that are hours
times a board's power keep only their hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import DataError, QueryError
from hplaw.fit.data.accelerator import accelerator
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

TEXTS = ("model", "family", "precision", "hardware", "hours_kind", "energy_scope", "energy_basis", "flag")
NUMBERS = ("n_params_b", "n_active_b", "tokens_b", "n_accel", "accel_hours", "pue", "energy_mwh")

DEFAULT_PUE = 1.1
"""The PUE of a row that gives none, which touches only the energies that count it."""


def read_published(path: Path, catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    """Yield published training runs as rows of quantities.

    **Arguments:**

    - `path`: a table with the columns model, family, n_params_b, n_active_b, tokens_b (billions), precision,
      hardware, n_accel, accel_hours, hours_kind, pue, energy_mwh, energy_scope, energy_basis, flag.

    Rows whose work is not 6 N D (flagged `exclude`), or without size, tokens or a known accelerator, are omitted.

    **Raises:** `DataError` where a column is missing or no number, and for a precision that is not known.
    """
    table = read_columns(path, numbers=NUMBERS, texts=TEXTS)
    for place, row in enumerate(table.iter_rows(named=True), 1):
        try:
            found = _row(row, catalogue)
        except QueryError as error:
            message = f"{path}: row {place}: {error}"
            raise DataError(message) from None
        if found is not None:
            yield found


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
        "source": "published",
        "family": family,
        "developer": DEVELOPERS.get(family, family),
        "precision": precision,
        "n_params": row["n_params_b"] * 1e9,
        "n_active_params": row["n_active_b"] * 1e9,
        "tokens": row["tokens_b"] * 1e9,
        "seq_len": SEQ_LENS.get(family, 2048.0),
        **device,
        "devices": row["n_accel"],
        "effort": "typical",
        "finetune": "full",
        "hours_basis": basis,
        "accelerator_hours": row["accel_hours"],
        "energy_j": None if energy is None else energy * 3.6e9,
        "energy_scope": row["energy_scope"],
        "energy_basis": row["energy_basis"] or "unknown",
        "pue": row["pue"],
    }
