"""`hplaw sweep plan`, `run`, `resume`, `status` and `export`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from hplaw.cli.exit_status import FAILED, OK
from hplaw.cli.extras import needing
from hplaw.cli.page import Page, write
from hplaw.cli.progress import Progress, duration
from hplaw.errors import DataError, QueryError
from hplaw.formatting import number, plural


if TYPE_CHECKING:
    from hplaw.runs import Store
    from hplaw_experiments.launch import AbstractLauncher
    from hplaw_experiments.sweep.run import Standing
    from hplaw_experiments.trial import SweepSpec, Trial


Spec = Annotated[Path, Parameter(name="SPEC", help="The sweep, as a TOML file.")]
Folder = Annotated[Path, Parameter(name="--to", help="The folder of runs; runs/ by default.")]
Launch = Annotated[
    Literal["here", "local", "ray"], Parameter(help="In this process, in workers of this machine, or on a Ray cluster.")
]
Workers = Annotated[int, Parameter(help="Workers of this machine: one a GPU, or a share of the cores each.")]
Address = Annotated[str | None, Parameter(help="Of the Ray cluster; one of this machine alone by default.")]
Pack = Annotated[int | None, Parameter(help="Most trials of one pack.")]

RUNS = Path("runs")
"""Where runs are kept when nothing else is said."""


def plan(
    spec: Spec,
    /,
    *,
    to: Folder = RUNS,
    probe: Annotated[bool, Parameter(negative="--no-probe", help="Measure the device for a second or two.")] = True,
    pack: Pack = None,
) -> int:
    """Count the trials of a sweep, their compute, and estimate their cost here, before anything runs."""
    with needing("a sweep"):
        from hplaw.runs import Store
        from hplaw_experiments.sweep.defaults import defaults_taken
        from hplaw_experiments.sweep.plan import cost_of, given_fields, make_packs, read_spec, space_of
        from hplaw_experiments.sweep.run import losses_of
        from hplaw_experiments.sweep.space import count
        from hplaw_experiments.sweep.walkers import next_trials
        from hplaw_experiments.trial import key

        sweep = read_spec(spec)
        losses = losses_of(Store(to))
        asked = next_trials(sweep, losses)
        left = [trial for trial in asked if key(trial) not in losses]
        from hplaw_experiments.training.train import flop

        packs = make_packs(left, width=_width(sweep, pack))
        rate = None
        if probe and left:
            from hplaw_experiments.training.probe import rate_here

            rate = rate_here()
        cost = cost_of(packs, flop=flop, rate=rate)
        power = _power() if rate is not None else (None, "")
        defaults = defaults_taken(asked, given_fields(sweep))
    page = Page()
    page.line(f"{sweep.name}: {plural(len(asked), 'trial')}, {len(asked) - len(left)} of them done")
    rows = [
        (
            "space",
            f"{number(count(space_of(sweep)))} points, {plural(len(sweep.seeds), 'seed')}, walked by {sweep.walker.kind}",
        ),
        ("left", f"{plural(cost.trials, 'trial')} in {plural(cost.packs, 'pack')} of {plural(cost.shapes, 'shape')}"),
        ("defaults", ", ".join(f"{name} {value}" for name, value in defaults.items()) or "none taken"),
        ("compute", f"{number(cost.training_flop)} FLOP"),
    ]
    if cost.seconds is not None:
        rows.append(
            (
                "time",
                f"about {duration(cost.seconds)} here: an estimate from a probe of the device's matrix products; one device",
            )
        )
        watts, why = power
        joules = None if watts is None else watts * cost.seconds
        rows.append(
            (
                "energy",
                f"about {number(joules)} J at {number(watts)} W"
                if joules is not None and watts is not None
                else f"not known: {why}",
            )
        )
    if sweep.walker.kind == "halving":
        rows.append(("rounds", "this is the first round that is not complete; later ones follow from its losses"))
    page.table(rows)
    page.line()
    page.line(f"next: hplaw sweep run {spec} --to {to}")
    write(str(page))
    return OK


def run(
    spec: Spec,
    /,
    *,
    to: Folder = RUNS,
    launch: Launch = "here",
    workers: Workers = 1,
    address: Address = None,
    pack: Pack = None,
) -> int:
    """Train the trials of a sweep that are not stored yet; run twice, it does nothing the second time."""
    with needing("a sweep"):
        from hplaw.runs import Store
        from hplaw_experiments.sweep.plan import read_spec

        return _run([read_spec(spec)], Store(to), launch, workers, address, pack)


def resume(
    folder: Annotated[Path, Parameter(name="DIR", help="The folder of runs.")] = RUNS,
    /,
    *,
    launch: Launch = "here",
    workers: Workers = 1,
    address: Address = None,
    pack: Pack = None,
) -> int:
    """Continue the interrupted sweeps of a folder of runs."""
    with needing("a sweep"):
        return _run(_saved(folder), _store(folder), launch, workers, address, pack)


def status(folder: Annotated[Path, Parameter(name="DIR", help="The folder of runs.")] = RUNS, /) -> int:
    """Show how far the sweeps of a folder of runs are."""
    with needing("a sweep"):
        from hplaw_experiments.sweep.run import standing

        page = Page()
        found = [(spec.name, standing(spec, _store(folder))) for spec in _saved(folder)]
    for name, standing_ in found:
        page.line(_words(name, standing_))
    for problem in found[0][1].problems:
        page.line(f"omitted {problem}")
    write(str(page))
    return OK


def export(
    spec: Spec,
    /,
    *,
    runs: Annotated[Path, Parameter(help="The folder of runs.")] = RUNS,
    to: Annotated[Path, Parameter(help="The table: .csv, .jsonl or .parquet.")],
) -> int:
    """Write the runs of a sweep as one table."""
    with needing("a sweep"):
        import polars as pl

        from hplaw.runs import export as write_table
        from hplaw_experiments.sweep.plan import read_spec
        from hplaw_experiments.sweep.run import losses_of
        from hplaw_experiments.sweep.walkers import next_trials
        from hplaw_experiments.trial import key

        store = _store(runs)
        keys = [key(trial) for trial in next_trials(read_spec(spec), losses_of(store))]
        table = store.read().table.filter(pl.col("key").is_in(keys))
        write_table(table, to)
        missing = len(keys) - len(table)
    print(f"wrote {to}: {plural(len(table), 'run')}" + (f"; {missing} are still to be trained" if missing else ""))
    return OK


def launcher_of(launch: Literal["here", "local", "ray"], workers: int, address: str | None) -> AbstractLauncher:
    """Return the launcher that the options say."""
    from hplaw_experiments.launch import Here, Local, Ray, pins
    from hplaw_experiments.launch.local import visible_gpus

    if address is not None and launch != "ray":
        message = f"--address {address} is of a Ray cluster; give --launch ray with it"
        raise QueryError(message, field="address")
    if not 1 <= workers <= 1024:
        message = f"--workers {workers}: give 1 to 1024"
        raise QueryError(message, field="workers")
    match launch:
        case "here":
            if workers > 1:
                message = f"--workers {workers} are processes; give --launch local with it"
                raise QueryError(message, field="workers")
            return Here()
        case "local":
            return Local(pins(workers, gpus=visible_gpus()))
        case "ray":
            return Ray(address)


def told_by(progress: Progress) -> Callable[[int, int, float], None]:
    """Return what shows how many trials of a sweep are done."""
    return lambda done, asked, share: progress(share, f"{done} of {asked} trials")


def _run(
    specs: list[SweepSpec],
    store: Store,
    launch: Literal["here", "local", "ray"],
    workers: int,
    address: str | None,
    pack: int | None,
) -> int:
    from hplaw_experiments.sweep.run import run_sweep

    if pack is not None and pack < 1:
        message = f"--pack {pack}: give one trial or more"
        raise QueryError(message, field="pack")
    launcher = launcher_of(launch, workers, address)
    complete = True
    try:
        for spec in specs:
            progress = Progress(spec.name)
            found = run_sweep(spec, store, launcher=launcher, width=_width(spec, pack), report=told_by(progress))
            progress.end()
            for problem in found.problems:
                print(f"hplaw: omitted {problem}", file=sys.stderr)
            print(_words(spec.name, found))
            complete &= found.complete
    finally:
        launcher.close()
    return OK if complete else FAILED


def _width(spec: SweepSpec, pack: int | None) -> int | Callable[[Trial], int]:
    from hplaw_experiments.sweep.plan import PACK_WIDTH

    return 1 if spec.metered else pack or PACK_WIDTH


def _words(name: str, found: Standing) -> str:
    diverged = f", {found.diverged} of them diverged" if found.diverged else ""
    begun = f"; {plural(found.begun, 'pack')} begun" if found.begun else ""
    return f"{name}: {found.done} of {found.asked} trials done{diverged}{begun}"


def _store(folder: Path) -> Store:
    from hplaw.runs import Store

    found = Store(folder)
    if not folder.is_dir():
        message = f"{folder} is no folder; give the folder that `hplaw sweep run` wrote to"
        raise DataError(message)
    return found


def _saved(folder: Path) -> list[SweepSpec]:
    from hplaw_experiments.sweep.run import saved_specs

    found = saved_specs(_store(folder))
    if not found:
        message = f"{folder} holds no sweep; start one with `hplaw sweep run SPEC --to {folder}`"
        raise DataError(message)
    return found


def _power() -> tuple[float | None, str]:
    """Return the power of the device now, in W, or why it is not known."""
    import jax

    from hplaw_experiments.metering.devices import find_meter

    meter = find_meter(str(jax.default_backend()))
    try:
        watts = meter.idle(0.5)
        meter.start()
        note = meter.stop().note
    finally:
        meter.close()
    return watts, note
