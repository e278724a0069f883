"""A grid of number formats that is trained seed by seed for as long as time is left, and what it shows by cell.

Every seed trains the whole grid, so that each cell has as many replicates as any other, however early the time is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec
import polars as pl

from hplaw.formatting import plural
from hplaw.runs.store import Store
from hplaw_experiments.launch.abstract import AbstractLauncher
from hplaw_experiments.launch.job import TRAINER
from hplaw_experiments.studies.check_report import Measurement
from hplaw_experiments.studies.precision_energy import cells_of, factors_of
from hplaw_experiments.sweep.run import Standing, run_sweep
from hplaw_experiments.trial import SweepSpec


QUANTITIES = {"loss": "nat/token", "throughput": "tokens/s", "energy": "J/M tokens"}
"""What is reported of each format in each cell, with its unit."""


def run_grid(
    spec: SweepSpec,
    store: Store,
    *,
    launcher: AbstractLauncher,
    budget_s: float,
    trainer: str = TRAINER,
    clock: Callable[[], float] = time.monotonic,
) -> Standing:
    """Train a grid one seed after another and return how far it came.

    A seed is begun where the time of the one before fits into what is left; none is begun, and none goes on, after
    `budget_s` seconds.
    """
    end = clock() + budget_s
    for count in range(1, len(spec.seeds) + 1):
        began = clock()
        so_far = msgspec.structs.replace(spec, seeds=spec.seeds[:count])
        found = run_sweep(so_far, store, launcher=launcher, trainer=trainer, within=lambda: clock() < end)
        if not found.complete or 2 * clock() - began > end:
            break
    return found


def measurements(runs: pl.DataFrame) -> Iterator[Measurement]:
    """Yield what each format shows in each cell, as means over the runs that did not diverge; nothing unmeasured."""
    whole = runs.filter(~pl.col("diverged")).with_columns(
        throughput=pl.col("tokens") / pl.col("duration_s"), energy=1e6 * pl.col("energy_j") / pl.col("tokens")
    )
    factors = factors_of(whole)
    for cell, here in cells_of(whole.sort(*factors, "precision"), factors):
        for (precision,), rows in here.group_by("precision", maintain_order=True):
            where = f"{precision}" if cell == "all" else f"{precision}, {cell}"
            for what, unit in QUANTITIES.items():
                values = rows[what].drop_nulls().to_numpy()
                if len(values):
                    name = f"{what}, {where}, {plural(len(values), 'run')}"
                    yield Measurement(name=name, value=float(values.mean()), unit=unit)
