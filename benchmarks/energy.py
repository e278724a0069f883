"""How well time and energy of published trainings are predicted, each family held out of the fit, beside simpler predictors.

Rows are others' reports and lie where HPLAW_DATA says; without them there is nothing to measure. Errors are factors,
median and 90th percentile. Energies are scored where they were measured, as most others are hours times a board's power.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import data_file, row


FILE = "published_training_energy.csv"
NAIVE_SHARE = 0.4
"""The share of the peak that calculators assume."""
PLAIN = ("n_params", "n_active_params", "tokens", "precision", "hardware", "energy_scope", "pue")
"""What everybody knows of a run before it begins."""
MORE = ("seq_len", "hours_basis", "devices")
"""What its developers also know, and what is counted."""


def run() -> list[dict[str, Any]]:
    """Measure; see `benchmarks.__main__`."""
    path = data_file(FILE)
    # programs here run for seconds: compiling them well would take longer
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    from hplaw.catalogue.catalogue import load_catalogue
    from hplaw.fit.data.published_energy import read_published

    catalogue = load_catalogue()
    rows = read_published(path, catalogue)
    time, energy = catalogue.get("training-time"), catalogue.get("training-energy")
    found = left_out(time, rows, catalogue, "accelerator_hours")
    hours = report("accelerator-hours", found, "accelerator_hours", (1.17, 1.50))
    found = left_out(energy, rows, catalogue, "energy_j")
    measured = [item for item in found if item["energy_basis"].startswith("measured")]
    return hours + report("measured energy", measured, "energy_j", (1.30, 1.80))


def left_out(law: Any, rows: Any, catalogue: Any, quantity: str) -> list[dict[str, Any]]:
    """Return the rows that tell of a quantity, each with what a law fitted to the other families says of it."""
    import polars as pl

    from hplaw.fit.check.verdict import Verdict
    from hplaw.fit.data.published_energy import for_fit
    from hplaw.fit.data.runs import read_runs
    from hplaw.fit.infer.fitting import Diagnostics, Fitted
    from hplaw.fit.infer.laplace import fit_normal
    from hplaw.fit.model.density import Density
    from hplaw.fit.model.double_precision import double_precision
    from hplaw.fit.model.model import Model
    from hplaw.fit.output.law_folder import write_folder
    from hplaw.posterior.scenarios import standard_normals

    labels = for_fit(rows, law)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rows.parquet"
        labels.write_parquet(table)
        runs = read_runs(table, law=law)
    families = labels["family"].to_numpy()
    told = [item for item in labels.iter_rows(named=True) if item[quantity] is not None]
    answers: list[dict[str, Any]] = []
    with double_precision():
        density = Density(Model(law, runs, catalogue))
        whole = fit_normal(density, np.ones(len(runs)))
        for family in dict.fromkeys(item["family"] for item in told):
            weights = np.where(families == family, 0.0, 1.0)
            normal = fit_normal(density, weights, start=whole.mode, rounds=1)
            flat = normal.draws(standard_normals(density.size, 256).T)
            fitted = Fitted(
                law=law,
                runs=runs,
                kept=runs.filter(pl.Series(families != family)),
                density=density,
                normal=normal,
                flat=flat,
                draws=density.constrain(flat),
                diagnostics=Diagnostics(),
                sampler="",
                seconds=0.0,
            )
            with tempfile.TemporaryDirectory() as folder:
                written = write_folder(Path(folder) / "law", fitted, Verdict(), data=FILE, sha256="", accept=True)
                here = (item for item in told if item["family"] == family)
                answers += [_foretold(written, item, quantity) for item in here]
    return answers


def _foretold(law: Any, item: Mapping[str, Any], quantity: str) -> dict[str, Any]:
    """Return a row with the law's value and interval: from all that was known (`full`) and from what everybody knows."""
    from hplaw.answer.answer import answer

    device = [name for name in law.inputs if name not in (*PLAIN, *MORE)]
    found: dict[str, Any] = dict(item)
    for word, names in (("plain", (*PLAIN, *device)), ("full", (*PLAIN, *MORE, *device))):
        known = {n: item[n] for n in names if n in law.inputs and item.get(n) is not None}
        said = answer(law, known)
        spread = said.spreads[quantity]
        found[word] = said.values[quantity]
        found[f"{word}_inside"] = spread.low <= item[quantity] <= spread.high
    return found


def report(
    what: str, found: Sequence[Mapping[str, Any]], quantity: str, limits: tuple[float, float]
) -> list[dict[str, Any]]:
    """Return the lines of one quantity: the law's, then those of the simpler predictors."""
    truth = np.log([item[quantity] for item in found])
    naive = np.array([_naive(item, quantity) for item in found])
    families = np.array([item["family"] for item in found])
    shift = np.array([np.median((truth - naive)[families != name]) for name in families])
    lines: list[dict[str, Any]] = []
    for word, label in (("full", "law"), ("plain", "law, size, data and accelerator alone")):
        error = np.abs(truth - np.log([item[word] for item in found]))
        lines += _factors(f"{what}, {label}", error, limits)
        inside = float(np.mean([item[f"{word}_inside"] for item in found]))
        lines.append(row(f"{what}, {label}: share in 90% intervals", inside, "1", least=0.85))
    lines += _factors(f"{what}, 0.4 of the peak", np.abs(truth - naive))
    return lines + _factors(f"{what}, one constant fitted", np.abs(truth - naive - shift))


def _factors(label: str, error: Any, limits: tuple[float, float] | None = None) -> list[dict[str, Any]]:
    median, late = math.exp(np.median(error)), math.exp(np.quantile(error, 0.9))
    most = limits or (None, None)
    return [
        row(f"{label}: median factor", median, "1", most=most[0]),
        row(f"{label}: 90th percentile", late, "1", most=most[1]),
    ]


def _naive(item: Mapping[str, Any], quantity: str) -> float:
    """Return the logarithm of 6 N D / (0.4 peak), times the board's power and PUE for an energy."""
    flop = 6 * item["n_active_params"] * item["tokens"]
    hours = math.log(flop / item["peak_flop_per_s"] / NAIVE_SHARE / 3600)
    if quantity == "accelerator_hours":
        return hours
    scope = item["energy_scope"] or ""
    return hours + math.log(3600 * item["board_power_w"]) + (math.log(item["pue"]) if "pue" in scope else 0.0)
