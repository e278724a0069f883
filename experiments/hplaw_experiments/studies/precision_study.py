"""The precision-energy study: a metered grid of number formats, and its report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import final

from hplaw.runs import Store
from hplaw_experiments.launch import AbstractLauncher
from hplaw_experiments.studies.precision_energy import study, write_report
from hplaw_experiments.studies.study import AbstractStudy, Ran, StudySpec, run_sweeps
from hplaw_experiments.sweep.run import Report


@final
class PrecisionEnergy(AbstractStudy):
    """Trains a grid of number formats on a device whose energy can be read, and compares their energy per token."""

    def run(
        self,
        spec: StudySpec,
        folder: Path,
        *,
        launcher: AbstractLauncher,
        report: Callable[[str], Report],
        within: Callable[[], bool] | None = None,
    ) -> Ran:
        """Train the grid, a trial at a time.

        **Raises:** `DeviceError` where nothing reads the energy of the device.
        """
        return run_sweeps(spec, folder, launcher=launcher, report=report, within=within)

    def report(
        self, spec: StudySpec, folder: Path, page: Path, *, laws: Path | None, told: Callable[[str], None]
    ) -> list[Path]:
        """Compare the formats, and write the page; this study fits no law.

        **Raises:** `DataError` where the runs were not metered, or lack formats or replicates.
        """
        del spec, laws, told
        return [write_report(study(Store(folder).read().table), page, beside=page.with_suffix(""))]
