"""`hplaw sweep plan`, `run`, `resume`, `status`, `export` and `schema`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from hplaw.cli.exit_status import OK
from hplaw.cli.extras import needing
from hplaw.cli.page import Page, write
from hplaw.cli.progress import duration
from hplaw.cli.sweep_runs import RUNS, Address, Launch, Pack, Where, Workers, find_sweeps, pack_width, run_all, words
from hplaw.errors import DataError
from hplaw.formatting import number, plural


if TYPE_CHECKING:
    from hplaw.runs import Store
    from hplaw_experiments.trial import SweepSpec


Asked = Annotated[
    str,
    Parameter(
        name="SPEC", help="The sweep as a TOML file, or a folder or address of runs for the sweeps that are kept there."
    ),
]
Folder = Annotated[
    str | None,
    Parameter(
        name=["--to", "--runs"],
        help="The folder of runs, beside a file, or an address: s3://BUCKET/PATH, gs://, az://; runs/ by default.",
    ),
]
Watching = Annotated[
    bool, Parameter(name="--watch", negative=(), help="Show a live table of the trials, where there is a terminal.")
]


def plan(
    sweep: Asked,
    /,
    *,
    to: Folder = None,
    probe: Annotated[bool, Parameter(negative="--no-probe", help="Measure the device for a second or two.")] = True,
    pack: Pack = None,
) -> int:
    """Count the trials of a sweep, their compute, and estimate their cost here, before anything runs."""
    with needing("a sweep"):
        found = find_sweeps(sweep, to)
        page = Page()
        left = sum([_plan(page, spec, found.store, probe=probe, pack=pack) for spec in found.specs])
    page.line()
    page.line(f"next: hplaw sweep {'run' if left else 'status'} {found.named('--to')}")
    write(str(page))
    return OK


def run(
    sweep: Asked,
    /,
    *,
    to: Folder = None,
    launch: Launch = "here",
    workers: Workers = 1,
    address: Address = None,
    pack: Pack = None,
    watch: Watching = False,
) -> int:
    """Train the trials of a sweep that are not stored yet; run twice, it does nothing the second time."""
    with needing("a sweep"):
        where = Where(launch=launch, workers=workers, address=address, pack=pack, watch=watch)
        return run_all(find_sweeps(sweep, to), where)


def resume(
    sweep: Asked = RUNS,
    /,
    *,
    to: Folder = None,
    launch: Launch = "here",
    workers: Workers = 1,
    address: Address = None,
    pack: Pack = None,
    watch: Watching = False,
) -> int:
    """Continue the interrupted sweeps of a folder of runs."""
    with needing("a sweep"):
        where = Where(launch=launch, workers=workers, address=address, pack=pack, watch=watch)
        return run_all(find_sweeps(sweep, to), where)


def status(sweep: Asked = RUNS, /, *, to: Folder = None) -> int:
    """Show how far the sweeps of a folder of runs are."""
    with needing("a sweep"):
        from hplaw_experiments.sweep.run import standing

        page = Page()
        sweeps = find_sweeps(sweep, to)
        found = [(spec.name, standing(spec, sweeps.store)) for spec in sweeps.specs]
    for name, one in found:
        page.line(words(name, one))
    for problem in found[0][1].problems:
        page.line(f"omitted {problem}")
    if not all(one.complete for _, one in found):
        page.line()
        page.line(f"next: hplaw sweep resume {sweeps.named('--to')}")
    write(str(page))
    return OK


def export(
    sweep: Asked,
    /,
    *,
    runs: Annotated[
        str | None, Parameter(help="The folder or address of runs, beside a file; runs/ by default.")
    ] = None,
    to: Annotated[Path, Parameter(help="The table: .csv, .jsonl or .parquet.")],
) -> int:
    """Write the runs of a sweep, or of all sweeps of a folder, as one table."""
    with needing("a sweep"):
        import polars as pl

        from hplaw.runs import export as write_table
        from hplaw_experiments.sweep.run import losses_of
        from hplaw_experiments.sweep.walkers import next_trials
        from hplaw_experiments.trial import key

        sweeps = find_sweeps(sweep, runs)
        if not sweeps.store.place.exists():
            message = f"{sweeps.store.address} is no folder of runs; give that of the runs, for example --runs {RUNS}"
            raise DataError(message)
        losses = losses_of(sweeps.store)
        keys = {key(trial) for spec in sweeps.specs for trial in next_trials(spec, losses)}
        table = sweeps.store.read().table.filter(pl.col("key").is_in(keys))
        write_table(table, to)
        missing = len(keys) - len(table)
    print(f"wrote {to}: {plural(len(table), 'run')}" + (f"; {missing} are still to be trained" if missing else ""))
    return OK


def schema(*, to: Annotated[Path | None, Parameter(help="The file for it; standard output by default.")] = None) -> int:
    """Print the JSON schema of sweep files, by which an editor completes and checks them."""
    with needing("a sweep"):
        from hplaw_experiments.sweep.schema import schema_text

        text = schema_text()
    if to is None:
        write(text)
    else:
        to.write_text(text, encoding="utf-8")
        print(f"wrote {to}; in a sweep file, first line: #:schema {to}")
    return OK


def _plan(page: Page, sweep: SweepSpec, store: Store, *, probe: bool, pack: int | None) -> int:
    """Add the plan of a sweep to a page, and return how many trials are left."""
    from hplaw_experiments.sweep.defaults import defaults_taken
    from hplaw_experiments.sweep.plan import cost_of, given_fields, make_packs, space_of
    from hplaw_experiments.sweep.run import losses_of
    from hplaw_experiments.sweep.space import count
    from hplaw_experiments.sweep.walkers import next_trials
    from hplaw_experiments.training.train import flop
    from hplaw_experiments.trial import key

    losses = losses_of(store)
    asked = next_trials(sweep, losses)
    left = [trial for trial in asked if key(trial) not in losses]
    packs = make_packs(left, width=pack_width(sweep, pack))
    rate = None
    if probe and left:
        from hplaw_experiments.training.probe import rate_here

        rate = rate_here()
    cost = cost_of(packs, flop=flop, rate=rate)
    power = _power() if rate is not None else (None, "")
    defaults = defaults_taken(asked, given_fields(sweep))
    page.line(f"{sweep.name}: {plural(len(asked), 'trial')}, {len(asked) - len(left)} of them done")
    points = count(space_of(sweep))
    rows = [
        (
            "space",
            f"{'any number of' if points == math.inf else number(points)} points, {plural(len(sweep.seeds), 'seed')}, walked by {sweep.walker.kind}",
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
    return len(left)


def _power() -> tuple[float | None, str]:
    """Return the power of the device now, in W, or why it is not known."""
    import jax

    from hplaw.metering.devices import find_meter

    meter = find_meter(str(jax.default_backend()))
    try:
        watts = meter.idle(0.5)
        meter.start()
        note = meter.stop().note
    finally:
        meter.close()
    return watts, note
