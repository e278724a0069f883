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
        """Write the page, and the law where `laws` names a folder."""
        from hplaw_experiments.studies.width_transfer.law import write_law
        from hplaw_experiments.studies.width_transfer.report import write_page
        from hplaw_experiments.studies.width_transfer.results import results

        found = results(spec, folder, told=told)
        written = write_page(spec, found, page)
        if laws is not None:
            told("writing the law")
            written.append(write_law(laws, found))
        return written
