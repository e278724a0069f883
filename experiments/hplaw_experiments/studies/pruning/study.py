"""The pruning study: cells trained condition by condition, then regimes, a map, a law of the error, and the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import final

from hplaw_experiments.launch import AbstractLauncher
from hplaw_experiments.studies.pruning.cells import read_cells, store, stored, train_condition
from hplaw_experiments.studies.pruning.settings import conditions, families, key_of
from hplaw_experiments.studies.study import AbstractStudy, Ran, StudySpec
from hplaw_experiments.sweep.run import Report


@final
class PruningStudy(AbstractStudy):
    """Dense training at several temperatures, magnitude pruning, retraining twice, connectivity and similarity."""

    def run(
        self,
        spec: StudySpec,
        folder: Path,
        *,
        launcher: AbstractLauncher,
        report: Callable[[str], Report],
        within: Callable[[], bool] | None = None,
    ) -> Ran:
        """Train the cells that are not stored yet, in this process whatever the launcher: a condition is one program."""
        del launcher, report  # a condition is no trial of a sweep, which is what progress is shown of
        seeds = [*spec.tuning_seeds, *spec.test_seeds]
        whole = families(spec)
        plans = {name: list(conditions(name, family)) for name, family in whole.items()}
        asked = sum(len(plan) for plan in plans.values()) * len(seeds)
        have = stored(folder)
        keys = [key_of(c, whole[name], s) for name, plan in plans.items() for c in plan for s in seeds]
        before = sum(key in have for key in keys)
        done = before
        for name, plan in plans.items():
            for condition in plan:
                left = [s for s in seeds if key_of(condition, whole[name], s) not in have]
                if left:
                    if within is not None and not within():
                        return Ran(done=done, asked=asked, before=before)
                    rows = train_condition(condition, whole[name], left)
                    store(folder, rows)
                    done += len(left)
        return Ran(done=done, asked=asked, before=before)

    def report(
        self, spec: StudySpec, folder: Path, page: Path, *, laws: Path | None, told: Callable[[str], None]
    ) -> list[Path]:
        """Analyze the cells of a folder, write the page, and the maps where `laws` names a folder."""
        from hplaw_experiments.studies.pruning.report import write_report

        return write_report(spec, read_cells(folder), folder, page, laws=laws, told=told)
