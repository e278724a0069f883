"""The batch-rule study: best learning rate against batch size, by optimizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

import jax

from hplaw.errors import DataError
from hplaw.runs import Store
from hplaw.runs.table import sha256_of
from hplaw_experiments.launch import AbstractLauncher
from hplaw_experiments.studies.batch_rule.analysis import analyze
from hplaw_experiments.studies.batch_rule.law import write_laws
from hplaw_experiments.studies.batch_rule.measure import measure, read_noise, read_spectra
from hplaw_experiments.studies.batch_rule.page import write_page
from hplaw_experiments.studies.batch_rule.stability import fit_stability
from hplaw_experiments.studies.study import AbstractStudy, Ran, StudySpec, run_sweeps
from hplaw_experiments.sweep.run import Report


class BatchRule(AbstractStudy):
    """Trains an MLP and a Transformer at many batches and rates, and compares rules from batch to rate."""

    def run(
        self,
        spec: StudySpec,
        folder: Path,
        *,
        launcher: AbstractLauncher,
        report: Callable[[str], Report],
        within: Callable[[], bool] | None = None,
    ) -> Ran:
        """Train the sweeps, then measure the noise scale along their best runs and the spectrum of batches."""
        found = run_sweeps(spec, folder, launcher=launcher, report=report, within=within)
        if found.done == found.asked:
            measure(spec, folder, _runs(folder))
        return found

    def report(
        self, spec: StudySpec, folder: Path, page: Path, *, laws: Path | None, told: Callable[[str], None]
    ) -> list[Path]:
        """Fit bowls, rules and stability, and write the page, and the laws batch-rule-OPTIMIZER."""
        runs, noise, spectra = _runs(folder), read_noise(folder), read_spectra(folder)
        found = analyze(runs, noise, tuning=spec.tuning_seeds, test=spec.test_seeds, told=told)
        stable = {model: fit_stability(each, key=jax.random.PRNGKey(0)) for model, each in spectra.items()}
        written = write_page(page, spec, runs, found, noise, stable, folder)
        if laws is not None:
            table = next(iter(sorted(folder.glob("*.parquet"))))
            written += [law.path for law in write_laws(found, runs, laws, sha256=sha256_of(table)) if law.path]
        return written


def _runs(folder: Path) -> pl.DataFrame:
    table = Store(folder).read().table
    found = table.filter(pl.col("sweep").str.starts_with("batch-rule-"))
    if not len(found):
        message = f"{folder} holds no runs of the study; train them with `hplaw study run batch-rule --to {folder}`"
        raise DataError(message)
    return found
