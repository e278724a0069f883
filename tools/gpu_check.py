"""Check a GPU in under ten minutes: packed training, matrix products, the metered grid of number formats, the quick
calibration, and the studies.

python tools/gpu_check.py [--small] OUT

`experiments/gpu_check.sh` calls it, and says there what must be installed. `--small` is quick on a CPU, too.
"""

from __future__ import annotations

import argparse
import datetime as dt
import functools as ft
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

import jax

from benchmarks import packed, transformer
from benchmarks.rows import Row
from hplaw.errors import DataError, HplawError
from hplaw.formatting import number, plural
from hplaw.metering.devices import find_meter
from hplaw.runs import Store, compact, export
from hplaw_experiments.launch import Here, Place
from hplaw_experiments.launch.job import IDLE_S
from hplaw_experiments.launch.record import provenance
from hplaw_experiments.studies.check_report import Found, Measurement, Part, Report, machine_of, run_part, write_check
from hplaw_experiments.studies.precision_energy import BOUND, study, verdict
from hplaw_experiments.studies.precision_grid import measurements, run_grid
from hplaw_experiments.studies.study import STUDIES, AbstractStudy, StudySpec, find_study, read_study
from hplaw_experiments.sweep.calibrate import fit_table, preset, sweep_table
from hplaw_experiments.sweep.plan import read_spec
from hplaw_experiments.sweep.run import SWEEPS, run_sweep, standing
from hplaw_experiments.trial import SweepSpec


SPECS = Path(__file__).parents[1] / "experiments" / "specs"

LIMIT_S, SMALL_LIMIT_S = 540.0, 240.0
"""Seconds in which all should be done, and in which the small form should: what trains takes what is left of them."""

GRID_WEIGHT = 3.0
"""The grid's share of the time that is left, over that of the calibration or of a study: it needs its replicates."""

GPU, GRID = "gpu", "precision-energy"
"""The preset of a study for a GPU, and the study that the metered grid is."""

FAILED, USAGE = 1, 2
"""Exit statuses: a part failed; the check was asked for wrongly, or not for this machine."""


def main(words: Sequence[str] | None = None) -> int:
    """Check this machine, write the report, and return the exit status."""
    parser = argparse.ArgumentParser(prog="gpu_check", description="Check a GPU and write one report.")
    parser.add_argument("to", metavar="OUT", type=Path, help="the folder of the report and the run tables")
    parser.add_argument("--small", action="store_true", help="a small form, which is quick on a CPU, too")
    asked = parser.parse_args(words)
    if jax.default_backend() == "cpu" and not asked.small:
        print("gpu_check: JAX finds no GPU here; give --small for the form that a CPU can do", file=sys.stderr)
        return USAGE
    end = time.monotonic() + (SMALL_LIMIT_S if asked.small else LIMIT_S)
    began = f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
    parts = [
        run_part("Matrix products of a Transformer", ft.partial(matmul_share, small=asked.small)),
        run_part("Packed trainer against PyTorch", ft.partial(packed_against_torch, small=asked.small)),
        *trained_parts(asked.to / "runs", end, small=asked.small),
    ]
    report = Report(
        title="GPU check, small form" if asked.small else "GPU check",
        began=began,
        machine=machine_of(provenance()),
        parts=parts,
        tables=[name for name in ("runs.csv", "runs") if (asked.to / name).exists()],
    )
    try:
        path = write_check(report, asked.to)
    except DataError as error:
        print(f"gpu_check: {error.text}", file=sys.stderr)
        return USAGE
    print(path.read_text(encoding="utf-8"))
    return 0 if report.ok else FAILED


def matmul_share(*, small: bool) -> Found:
    """Return the share of the rate of matrix products that training a Transformer reaches."""
    return Found(measurements=_measured(transformer.run(("10M",) if small else ("100M",))))


def packed_against_torch(*, small: bool) -> Found:
    """Return the trials a second of the packed trainer and of a loop in PyTorch."""
    rows = packed.run((32,), rounds=1) if small else packed.run(rounds=2)
    missing = [] if packed.has_torch() else ["the loop in PyTorch: torch is not installed"]
    return Found(measurements=_measured(rows), left_out=missing)


def trained_parts(folder: Path, end: float, *, small: bool) -> list[Part]:
    """Train the grid, the calibration and the studies into one store, each in its share of the time until `end`."""
    where = provenance()
    meter = find_meter(where.platform)
    meter.idle(IDLE_S)
    meter.start()
    unmetered = meter.stop().note
    launcher = Here(Place(meter=meter, where=where))
    store = Store(folder)
    works: list[tuple[str, float, Callable[[float], Found]]] = [
        (
            "Number formats, metered",
            GRID_WEIGHT,
            ft.partial(precision_grid, store, launcher, unmetered=unmetered, small=small),
        ),
        ("Quick calibration", 1.0, ft.partial(calibration, store, launcher)),
        *(
            (f"Study {spec.name}", 1.0, ft.partial(study_runs, find_study(spec.name), spec, store, launcher))
            for spec in study_specs(small=small)
        ),
    ]
    parts: list[Part] = []
    try:
        for place, (title, weight, work) in enumerate(works):
            share = weight / sum(other for _, other, _ in works[place:])
            parts.append(run_part(title, ft.partial(work, share * max(0.0, end - time.monotonic()))))
    finally:
        launcher.close()
    if store.keys():
        compact(store)
        # the sweeps are in the checkout
        for name in store.place.names(SWEEPS):
            store.place.delete(f"{SWEEPS}/{name}")
        export(store.read().table, folder.with_suffix(".csv"))
    return parts


def precision_grid(store: Store, launcher: Here, budget_s: float, *, unmetered: str, small: bool) -> Found:
    """Train the grid of number formats, metered where this device has a meter, and return what it shows."""
    spec = grid_spec(small=small)
    run_grid(spec, store, launcher=launcher, budget_s=budget_s)
    # of all seeds, those that were not begun too
    whole = standing(spec, store)
    runs = store.read().table.filter(sweep=spec.name)
    left_out = unfinished(whole.done, whole.asked, budget_s)
    if runs["energy_j"].drop_nulls().is_empty():
        return Found(measurements=tuple(measurements(runs)), left_out=[*left_out, f"energy: {unmetered}"])
    try:
        notes = [
            f"{found.response}: {verdict(found, precision, BOUND)}"
            for found in study(runs)
            for precision in found.overall
        ]
    except (DataError, ModuleNotFoundError) as error:
        return Found(measurements=tuple(measurements(runs)), left_out=[*left_out, f"the study: {error}"])
    return Found(measurements=tuple(measurements(runs)), notes=notes, left_out=left_out)


def calibration(store: Store, launcher: Here, budget_s: float) -> Found:
    """Train the sweep of the quick calibration, and fit its law at the mode, which takes seconds."""
    spec = preset("quick")
    began = time.monotonic()
    found = run_sweep(spec, store, launcher=launcher, within=lambda: time.monotonic() - began < budget_s)
    trained = [trials_a_second(found.done, time.monotonic() - began)]
    left_out = unfinished(found.done, found.asked, budget_s)
    try:
        # a fit of few runs is small programs, which a GPU is slow at
        with tempfile.TemporaryDirectory() as folder, jax.default_device(jax.devices("cpu")[0]):
            law = fit_table(
                sweep_table(spec, store), Path(folder), title="Quick calibration", method="map", accept=True
            )
    except (HplawError, ModuleNotFoundError) as error:
        return Found(measurements=trained, left_out=[*left_out, f"the fit: {error}"])
    evidence = law.spec.evidence
    assert evidence is not None
    notes = [f"{law.address}: {evidence.runs} runs in {evidence.groups} cells", *evidence.failed]
    return Found(measurements=trained, notes=notes, left_out=left_out)


def study_specs(*, small: bool) -> Iterator[StudySpec]:
    """Yield the studies in their small preset, or those that have one for GPUs in that; the grid is one of itself."""
    for name in STUDIES:
        spec = read_study(name)
        if name != GRID and (small or GPU in spec.presets):
            yield spec if small else read_study(name, GPU)


def study_runs(study: AbstractStudy, spec: StudySpec, store: Store, launcher: Here, budget_s: float) -> Found:
    """Train the runs of a study for as long as its budget lasts; `hplaw study report` makes its page of them."""
    began = time.monotonic()
    ran = study.run(
        spec,
        Path(store.address),
        launcher=launcher,
        report=lambda sweep: lambda *shown: None,
        within=lambda: time.monotonic() - began < budget_s,
    )
    over = time.monotonic() - began >= budget_s
    left_out = unfinished(ran.done, ran.asked, budget_s)
    if over and not left_out:
        left_out = [f"sweeps after the first {plural(ran.done, 'trial')}: {number(budget_s)} s were over"]
    return Found(measurements=[trials_a_second(ran.done, time.monotonic() - began)], left_out=left_out)


def unfinished(done: int, asked: int, budget_s: float) -> list[str]:
    """Return what to say of trials that were not trained."""
    return [] if done == asked else [f"{asked - done} of {plural(asked, 'trial')}: {number(budget_s)} s were over"]


def trials_a_second(done: int, seconds: float) -> Measurement:
    """Return the rate of training, compilation included."""
    return Measurement(name=f"{plural(done, 'trial')}, with compilation", value=done / seconds, unit="trials/s")


def grid_spec(*, small: bool) -> SweepSpec:
    """Return a part of a grid in experiments/specs that takes seconds on a CPU, or some minutes on a GPU.

    Replicates are seeds at one rate: energy does not depend on the rate, and the loss curves can be compared.
    """
    name = "precision-cpu" if small else "precision-energy"
    spec = read_spec(SPECS / f"{name}.toml")
    space = spec.space | ({"peak_lr": [0.032]} if small else {"peak_lr": [4e-3], "width": [256], "tokens": [2**22]})
    training = spec.training | ({"tokens": 64 * 576} if small else {})
    seeds = (0, 1) if small else (0, 1, 2)
    changes = {"name": f"{name}-check", "space": space, "training": training, "seeds": seeds, "metered": True}
    return msgspec.structs.replace(spec, **changes)


def _measured(rows: Sequence[Row]) -> list[Measurement]:
    return [msgspec.convert(row, Measurement) for row in rows]


if __name__ == "__main__":
    sys.exit(main())
