"""How well time and energy of trainings are predicted by what they were not fitted to, beside simpler predictors.

Held out of the fit in turn: each model family of the published trainings; each type of accelerator of MLPerf training, and its
last round; each benchmark and number of nodes that were metered. Rows are others' reports and lie where HPLAW_DATA says; without
them there is nothing to measure. Errors are factors, median and 90th percentile. Published energies are scored where they were
measured, as most others are hours times a board's power. MLPerf figures are derived from result files, not verified by MLCommons.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import Row, data_file, row


NAIVE_SHARE = 0.4
"""The share of the peak that calculators assume."""
PLAIN = ("n_params", "n_active_params", "tokens", "precision", "effort", "finetune", "energy_scope", "pue")
"""What everybody knows of a run before it begins, beside its accelerator."""
MORE = ("seq_len", "d_model", "batch_tokens", "hours_basis", "devices")
"""What its developers also know, and what is counted."""
DEVICE = ("peak_flop_per_s", "memory_bytes_per_s", "accelerator_generation", "board_power_w")
GRID = ("carbon_g_per_kwh", "carbon_spread")


def run() -> list[Row]:
    """Measure; see `benchmarks.__main__`."""
    path = data_file("published_training_energy.csv").parent
    # programs here run for seconds: compiling them well would take longer
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    from hplaw.catalogue.catalogue import load_catalogue
    from hplaw.fit.data.training_rows import read_trainings

    catalogue = load_catalogue()
    return scores(catalogue.get("training-energy"), read_trainings(path, catalogue), catalogue)


def scores(law: Any, rows: Any, catalogue: Any) -> list[Row]:
    """Return the lines of a law of time and energy over all that is held out of its fit in turn."""
    fits = Refits(law, rows, catalogue)
    sources = fits.column("source")
    published, mlperf, metered = (sources == name for name in ("published", "mlperf", "mlperf power"))
    found = fits.by("family", published)
    hours = [item for item in found if item["accelerator_hours"] is not None]
    lines = report("accelerator-hours", hours, "accelerator_hours", (1.17, 1.50))
    measured = [item for item in found if item["energy_j"] is not None and item["energy_basis"].startswith("measured")]
    lines += report("measured energy", measured, "energy_j", (1.25, 1.70))
    lines += _mlperf("an accelerator held out", fits.by("hardware", mlperf))
    rounds = fits.column("round")
    lines += _mlperf("the last round held out", fits.predicted(mlperf & (rounds == max(rounds[mlperf]))))
    nodes = fits.by("nodes", metered)
    lines += _factors("MLPerf, power of nodes, time given", _errors(nodes, "energy_j", "timed"), (1.08, None))
    return lines + _factors("MLPerf, energy of nodes", _errors(nodes, "energy_j"), (1.30, None))


class Refits:
    """A law fitted to all rows, and again without some."""

    def __init__(self, law: Any, rows: Any, catalogue: Any) -> None:
        import polars as pl

        from hplaw.fit.data.runs import read_runs
        from hplaw.fit.data.training_rows import for_fit
        from hplaw.fit.infer.laplace import fit_normal
        from hplaw.fit.model.density import Density
        from hplaw.fit.model.double_precision import double_precision
        from hplaw.fit.model.model import Model

        self.law = law
        nodes = pl.format("{} on {}", pl.col("benchmark"), pl.col("devices"))
        self.labels = for_fit(rows, law).with_columns(nodes=nodes)
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder) / "rows.parquet"
            self.labels.write_parquet(table)
            self.runs = read_runs(table, law=law)
        with double_precision():
            self.density = Density(Model(law, self.runs, catalogue))
            self.whole = fit_normal(self.density, np.ones(len(self.runs)))

    def column(self, name: str) -> Any:
        """Return a column of the rows as texts."""
        return self.labels[name].fill_null("").to_numpy().astype(str)

    def by(self, name: str, scored: Any) -> list[dict[str, Any]]:
        """Return the predictions for the rows `scored`, those of each value of a column held out of a fit of its own."""
        column = self.column(name)
        parts = dict.fromkeys(column[scored])
        return [item for part in parts for item in self.predicted(scored & (column == part))]

    def predicted(self, out: Any) -> list[dict[str, Any]]:
        """Return the rows `out`, with the predictions of a law fitted to the others."""
        import polars as pl

        from hplaw.fit.check.verdict import Verdict
        from hplaw.fit.infer.fitting import Diagnostics, Fitted
        from hplaw.fit.infer.laplace import fit_normal
        from hplaw.fit.model.double_precision import double_precision
        from hplaw.fit.output.law_folder import write_folder
        from hplaw.posterior.scenarios import standard_normals

        with double_precision():
            normal = fit_normal(self.density, np.where(out, 0.0, 1.0), start=self.whole.mode, rounds=1)
            flat = normal.draws(standard_normals(self.density.size, 256).T)
            fitted = Fitted(
                law=self.law,
                runs=self.runs,
                kept=self.runs.filter(pl.Series(~out)),
                density=self.density,
                normal=normal,
                flat=flat,
                draws=self.density.constrain(flat),
                diagnostics=Diagnostics(),
                sampler="",
                seconds=0.0,
            )
            with tempfile.TemporaryDirectory() as folder:
                to = Path(folder) / "law"
                written = write_folder(to, fitted, Verdict(), data="rows", sha256="", accept=True)
                return [
                    _with_predictions(written, item)
                    for item in self.labels.filter(pl.Series(out)).iter_rows(named=True)
                ]


def _with_predictions(law: Any, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with the law's values and intervals: from all that was known (`full`), from what everybody knows
    (`plain`), and from all with the time that was measured (`timed`)."""
    from hplaw.answer.answer import answer

    found: dict[str, Any] = dict(item)
    kinds = {"full": (*PLAIN, *MORE), "plain": PLAIN, "timed": (*PLAIN, *MORE, "tokens_per_device_s")}
    for word, names in kinds.items():
        if word == "timed" and item["tokens_per_device_s"] is None:
            continue
        known = {n: item[n] for n in (*names, *DEVICE, *GRID) if n in law.inputs and item.get(n) is not None}
        said = answer(law, known)
        for quantity in ("accelerator_hours", "energy_j"):
            value, spread = said.values.get(quantity), said.spreads.get(quantity)
            inside = spread is not None and item[quantity] is not None and spread.low <= item[quantity] <= spread.high
            found[f"{word} {quantity}"], found[f"{word} {quantity} inside"] = value, inside
    return found


def report(what: str, found: Sequence[Mapping[str, Any]], quantity: str, limits: tuple[float, float]) -> list[Row]:
    """Return the lines of one quantity of the published trainings: the law's, then those of the simpler predictors."""
    truth = np.log([item[quantity] for item in found])
    naive = np.array([_naive(item, quantity) for item in found])
    families = np.array([item["family"] for item in found])
    shift = np.array([np.median((truth - naive)[families != name]) for name in families])
    lines: list[Row] = []
    for word, label in (("full", "law"), ("plain", "law, size, data and accelerator alone")):
        lines += _lines(f"{what}, {label}", found, quantity, limits, word)
    lines += _factors(f"{what}, 0.4 of the peak", np.abs(truth - naive))
    return lines + _factors(f"{what}, one constant fitted", np.abs(truth - naive - shift))


def _mlperf(what: str, found: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the lines of MLPerf's rows, pre-training and adapters apart."""
    lora = [item for item in found if item["finetune"] == "lora"]
    pre = [item for item in found if item["finetune"] != "lora"]
    lines = _lines(f"MLPerf pre-training, {what}", pre, "accelerator_hours", (1.20, 1.50))
    return lines + _lines(f"MLPerf LoRA, {what}", lora, "accelerator_hours", None)


def _lines(
    label: str,
    found: Sequence[Mapping[str, Any]],
    quantity: str,
    limits: tuple[float, float] | None,
    word: str = "full",
) -> list[Row]:
    inside = float(np.mean([item[f"{word} {quantity} inside"] for item in found]))
    least = None if limits is None else 0.85
    return [
        *_factors(label, _errors(found, quantity, word), limits),
        row(f"{label}: share in 90% intervals", inside, "1", least=least),
    ]


def _errors(found: Sequence[Mapping[str, Any]], quantity: str, word: str = "full") -> Any:
    """Return absolute differences of logarithms between what was and the prediction."""
    return np.abs(np.log([item[quantity] for item in found]) - np.log([item[f"{word} {quantity}"] for item in found]))


def _factors(label: str, error: Any, limits: tuple[float, float | None] | None = None) -> list[Row]:
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
