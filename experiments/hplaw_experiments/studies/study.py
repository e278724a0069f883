"""What a study is: sweeps declared in one file, an analysis of their runs, and a page of what came of it.

A study's file holds its sweeps once; a preset changes what another machine needs (`small`: two CPU cores in minutes,
`gpu`). The runs are stored as those of any sweep, so that an interrupted study goes on where it was.
"""

from __future__ import annotations

import abc
import importlib
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import msgspec

from hplaw.errors import DataError, QueryError, nearest
from hplaw.runs import Store, compact
from hplaw.toml import read_toml
from hplaw_experiments.launch import AbstractLauncher
from hplaw_experiments.sweep.plan import check_spec
from hplaw_experiments.sweep.run import Report, run_sweep
from hplaw_experiments.trial import SweepSpec


SMALL = "small"
"""The preset that a study's file is without changes: whole on two CPU cores in under 15 minutes."""

STUDIES: Mapping[str, str] = {
    "batch-rule": "hplaw_experiments.studies.batch_rule.study:BatchRule",
    "width-transfer": "hplaw_experiments.studies.width_transfer.study:WidthTransfer",
    "pruning": "hplaw_experiments.studies.pruning.study:PruningStudy",
    "precision-energy": "hplaw_experiments.studies.precision_study:PrecisionEnergy",
}
"""The studies by name: the module and the class that holds each."""


class StudySpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a study's file declares, a preset applied.

    **Arguments:**

    - `name`, `title`: the name as the command line takes it, and what it measures.
    - `sweeps`: sweeps by name.
    - `options`: numbers of the study's own.
    - `tuning_seeds`, `test_seeds`: seeds that settings are chosen on, and those that they are scored on.
    - `presets`: what each preset changes, as tables that are merged into the file.
    """

    schema: int = 1
    name: str
    title: str
    sweeps: dict[str, dict[str, Any]] = {}
    options: dict[str, Any] = {}
    tuning_seeds: tuple[int, ...] = (0,)
    test_seeds: tuple[int, ...] = ()
    presets: dict[str, dict[str, Any]] = {}

    def specs(self) -> list[SweepSpec]:
        """Return the sweeps, each run with tuning and test seeds.

        **Raises:** `DataError` for a table that is no sweep.
        """
        seeds = [*self.tuning_seeds, *self.test_seeds]
        found: list[SweepSpec] = []
        for name, table in self.sweeps.items():
            try:
                spec = msgspec.convert({"name": f"{self.name}-{name}", "seeds": seeds, **table}, SweepSpec)
                check_spec(spec)
            except (msgspec.ValidationError, QueryError) as error:
                message = f"study {self.name}, sweep {name}: {error}"
                raise DataError(message) from None
            found.append(spec)
        return found


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """How far a study's training came: trials done, of how many asked for, and how many were done before."""

    done: int
    asked: int
    before: int = 0


class AbstractStudy(abc.ABC):
    """A study: trains what its file declares, and reports on what is stored."""

    @abc.abstractmethod
    def run(
        self,
        spec: StudySpec,
        folder: Path,
        *,
        launcher: AbstractLauncher,
        report: Callable[[str], Report],
        within: Callable[[], bool] | None = None,
    ) -> Ran:
        """Train what is not stored yet.

        **Arguments:**

        - `folder`: of the runs.
        - `report`: returns what shows how far a sweep is, by the sweep's name.
        - `within`: false ends the study before the next pack: a budget that is spent.
        """

    @abc.abstractmethod
    def report(
        self, spec: StudySpec, folder: Path, page: Path, *, laws: Path | None, told: Callable[[str], None]
    ) -> list[Path]:
        """Analyze the runs of a folder, write the page, and the laws where `laws` names a folder; return what was written.

        **Raises:** `DataError` where runs are missing.
        """


def find_study(name: str) -> AbstractStudy:
    """Return a study by its name.

    **Raises:** `QueryError` for a name that is not known.
    """
    if name not in STUDIES:
        message = f"'{name}' is no study{nearest(name, STUDIES)}; give one of {', '.join(STUDIES)}"
        raise QueryError(message, field="name")
    module, _, kind = STUDIES[name].partition(":")
    found: AbstractStudy = getattr(importlib.import_module(module), kind)()
    return found


def read_study(name: str, preset: str = SMALL) -> StudySpec:
    """Return what the file of a study declares for a preset.

    **Raises:** `QueryError` for a study or preset that is not known.
    """
    if name not in STUDIES:
        find_study(name)
    body = (files("hplaw_experiments.studies") / "files" / f"{name}.toml").read_bytes()
    table = read_toml(body)
    presets = table.get("presets", {})
    if preset != SMALL and preset not in presets:
        known = [SMALL, *presets]
        message = f"study {name} has no preset '{preset}'{nearest(preset, known)}; give one of {', '.join(known)}"
        raise QueryError(message, field="preset")
    return msgspec.convert(merged(table, presets.get(preset, {})), StudySpec)


def merged(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with changes in it, table by table; a value that is no table replaces what was there.

    >>> merged({"model": {"width": 64, "n_layers": 2}}, {"model": {"width": 128}})
    {'model': {'width': 128, 'n_layers': 2}}
    """
    found = dict(table)
    for key, value in changes.items():
        inner: object = found.get(key)
        if isinstance(inner, dict) and isinstance(value, dict) and not any(str(k).endswith("_grid") for k in inner):
            found[key] = merged(cast(dict[str, Any], inner), cast(dict[str, Any], value))
        else:  # a way of choosing values, such as log_grid, is replaced whole
            found[key] = value
    return found


def run_sweeps(
    spec: StudySpec,
    folder: Path,
    *,
    launcher: AbstractLauncher,
    report: Callable[[str], Report],
    within: Callable[[], bool] | None = None,
) -> Ran:
    """Train the sweeps of a study into a folder, then put the runs into one file."""
    store = Store(folder)
    before = len(store.keys())
    done = asked = 0
    for sweep in spec.specs():
        found = run_sweep(sweep, store, launcher=launcher, report=report(sweep.name), within=within)
        done, asked = done + found.done, asked + found.asked
        if within is not None and not within():
            break
    if done > before:
        compact(store)
    return Ran(done=done, asked=asked, before=min(before, done))
