"""Check a GPU in under ten minutes: packed training, matrix products, and the metered grid of number formats.

python tools/gpu_check.py [--small] OUT

`experiments/gpu_check.sh` calls it, and says there what must be installed. `--small` is quick on a CPU, too.
"""

from __future__ import annotations

import argparse
import datetime as dt
import functools as ft
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

import jax

from benchmarks import packed, transformer
from benchmarks.rows import Row
from hplaw.errors import DataError
from hplaw.runs import Store, compact, export
from hplaw_experiments.launch import Here, Place
from hplaw_experiments.launch.job import IDLE_S
from hplaw_experiments.launch.record import provenance
from hplaw_experiments.metering.devices import find_meter
from hplaw_experiments.studies.check_report import Found, Measurement, Report, machine_of, run_part, write_check
from hplaw_experiments.studies.precision_energy import BOUND, study, verdict
from hplaw_experiments.studies.precision_grid import measurements, run_grid
from hplaw_experiments.sweep.plan import read_spec
from hplaw_experiments.trial import SweepSpec


SPECS = Path(__file__).parents[1] / "experiments" / "specs"

LIMIT_S = 540.0
"""Seconds in which all should be done; the grid comes last and takes what the other parts leave."""

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
    end = time.monotonic() + LIMIT_S
    began = f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
    parts = [
        run_part("Matrix products of a Transformer", ft.partial(matmul_share, small=asked.small)),
        run_part("Packed trainer against PyTorch", ft.partial(packed_against_torch, small=asked.small)),
        run_part("Number formats, metered", ft.partial(precision_grid, asked.to, end, small=asked.small)),
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


def precision_grid(to: Path, end: float, *, small: bool) -> Found:
    """Train the grid of number formats, metered where this device has a meter, and return what it shows."""
    store, where = Store(to / "runs"), provenance()
    meter = find_meter(where.platform)
    meter.idle(IDLE_S)
    launcher = Here(Place(meter=meter, where=where))
    meter.start()
    unmetered = meter.stop().note
    try:
        standing = run_grid(grid_spec(small=small), store, launcher=launcher, budget_s=end - time.monotonic())
    finally:
        launcher.close()
    compact(store)
    runs = store.read().table
    export(runs, to / "runs.csv")
    left_out = (
        [] if standing.complete else [f"{standing.asked - standing.done} of {standing.asked} runs: time was over"]
    )
    if runs["energy_j"].drop_nulls().is_empty():
        return Found(measurements=tuple(measurements(runs)), left_out=[*left_out, f"energy: {unmetered}"])
    try:
        notes = [
            f"{found.response}: {verdict(found, precision, BOUND)}"
            for found in study(runs)
            for precision in found.overall
        ]
    except DataError as error:
        return Found(measurements=tuple(measurements(runs)), left_out=[*left_out, f"the study: {error.text}"])
    return Found(measurements=tuple(measurements(runs)), notes=notes, left_out=left_out)


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
