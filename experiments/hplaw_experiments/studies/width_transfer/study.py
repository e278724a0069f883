"""The width study as `hplaw study` runs it: its sweeps, then its analysis, page and law."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hplaw_experiments.launch import AbstractLauncher
from hplaw_experiments.studies.study import AbstractStudy, Ran, StudySpec, run_sweeps
from hplaw_experiments.sweep.run import Report


class WidthTransfer(AbstractStudy):
    """The best learning rate over widths and depths, by parametrization and optimizer."""

    def run(
        self,
        spec: StudySpec,
        folder: Path,
        *,
        launcher: AbstractLauncher,
        report: Callable[[str], Report],
        within: Callable[[], bool] | None = None,
    ) -> Ran:
        """Train the sweeps of the study."""
        return run_sweeps(spec, folder, launcher=launcher, report=report, within=within)

    def report(
        self, spec: StudySpec, folder: Path, page: Path, *, laws: Path | None, told: Callable[[str], None]
    ) -> list[Path]:
        raise NotImplementedError
