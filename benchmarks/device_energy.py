"""How well energy per sample is predicted from three probes: the largest batch, and GPU types that the law never saw."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import data_file, row


FILE = "zeus_power.csv"
LAST = "energy_per_sample_j"


def run() -> list[dict[str, Any]]:
    """Measure; see `benchmarks.__main__`."""
    path = data_file(FILE)
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    import polars as pl

    from hplaw.catalogue.catalogue import load_catalogue
    from hplaw.fit.data.device_energy import read_metered

    law = load_catalogue().get("device-energy")
    rows = read_metered(path)
    found: list[Any] = []
    for gpu in rows["gpu"].unique(maintain_order=True):
        with tempfile.TemporaryDirectory() as folder:
            fitted = _fitted(law, rows.filter(pl.col("gpu") != gpu), Path(folder))
            found += _errors(fitted, rows.filter(pl.col("gpu") == gpu))
    error = np.array([item for item, _ in found])
    largest = np.array([item for item, is_largest in found if is_largest])
    return [
        row("GPU never fitted, three probes: median", float(np.median(error)), most=10),
        row("GPU never fitted, three probes: 90th percentile", float(np.quantile(error, 0.9)), most=25),
        row("largest batch without a limit, from smaller ones: median", float(np.median(largest)), most=4.5),
    ]


def _fitted(law: Any, rows: Any, folder: Path) -> Any:
    """Return the law fitted to some rows around its mode."""
    from hplaw.fit.check.verdict import Verdict
    from hplaw.fit.data.device_energy import for_fit
    from hplaw.fit.data.runs import read_runs
    from hplaw.fit.infer.fitting import fit_law
    from hplaw.fit.output.law_folder import write_folder

    table = folder / "rows.parquet"
    for_fit(rows).write_parquet(table)
    fitted = fit_law(law, read_runs(table, law=law), method="map", draws=64)
    return write_folder(folder / "law", fitted, Verdict(), data=FILE, sha256="", accept=True)


def _errors(law: Any, rows: Any) -> list[tuple[float, bool]]:
    """Return the error of every configuration in percent, and whether it is a workload's largest batch without a limit."""
    from hplaw.answer.answer import answer

    found: list[tuple[float, bool]] = []
    for item in rows.iter_rows(named=True):
        known = {name: item[name] for name in law.inputs}
        said = answer(law, known, plain=True).values[LAST]
        found.append((100 * abs(said / item[LAST] - 1), item["largest"] and item["free"]))
    return found
