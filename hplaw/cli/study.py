"""`hplaw study`: list, run and report the studies; and what number formats do to the energy of any stored runs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from hplaw.cli.exit_status import FAILED, OK
from hplaw.cli.extras import needing
from hplaw.cli.options import one
from hplaw.cli.page import Page, write
from hplaw.cli.stopping import stopping
from hplaw.cli.sweep_runs import Address, Launch, Lines, Workers, launcher_of, stopped_line
from hplaw.errors import QueryError
from hplaw.formatting import plural
from hplaw.vocabulary.reading import read_number


Name = Annotated[str, Parameter(name="NAME", help="The study: `hplaw study list` shows them.")]
Preset = Annotated[str, one("How large: small takes minutes on two cores, gpu a GPU.")]
Runs = Annotated[str | None, one("The folder of runs; experiments/runs/NAME by default.")]


def list_studies() -> int:
    """List the studies: what each measures, and its presets."""
    with needing("a study"):
        from hplaw_experiments.studies.study import SMALL, STUDIES, read_study

        specs = [read_study(name) for name in STUDIES]
    page = Page()
    rows = [(spec.name, spec.title, ", ".join((SMALL, *spec.presets))) for spec in specs]
    page.table(rows, head=("study", "measures", "presets"))
    page.line()
    page.line("next: hplaw study run NAME, then hplaw study report NAME")
    write(str(page))
    return OK


def run_study(
    name: Name,
    /,
    *,
    preset: Preset = "small",
    to: Runs = None,
    budget: Annotated[str | None, one("Train no longer than this: 10m, 2h or 5kWh.")] = None,
    launch: Launch = "here",
    workers: Workers = 1,
    address: Address = None,
) -> int:
    """Train the runs of a study; if interrupted, the same command continues."""
    with needing("a study"):
        from hplaw_experiments.studies.study import find_study, read_study
        from hplaw_experiments.sweep.calibrate import read_budget

        spec = read_study(name, preset)
        study = find_study(name)
        limit = None if budget is None else read_budget(budget).seconds
        if budget is not None and limit is None:
            message = f"--budget {budget}: give a time, for example 10m"
            raise QueryError(message, field="budget")
        folder = _folder(name, to)
        launcher = launcher_of(launch, workers, address)
        screen = Lines(name)

        def report(sweep: str) -> Any:
            nonlocal screen
            screen.end()
            screen = Lines(sweep)
            return screen

        def stopped() -> str:
            screen.end()
            return stopped_line(screen.live, str(folder))

        began = time.monotonic()
        within = None if limit is None else lambda: time.monotonic() - began < limit
        print(f"{name}: training into {folder}", file=sys.stderr, flush=True)
        with stopping(stopped, launcher.close):
            try:
                found = study.run(spec, folder, launcher=launcher, report=report, within=within)
            finally:
                launcher.close()
            screen.end()
    print(f"{name}: {found.done} of {plural(found.asked, 'trial')} done, in {folder}")
    if found.before == found.asked:
        print("nothing was left to train; give --to FOLDER to train all of them on this machine")
    options = "" if to is None else f" --runs {folder}"
    preset_option = "" if preset == "small" else f" --preset {preset}"
    print(f"next: hplaw study report {name}{options}{preset_option}")
    return OK if found.done == found.asked else FAILED


def report_study(
    name: Name,
    /,
    *,
    preset: Preset = "small",
    runs: Runs = None,
    to: Annotated[Path, Parameter(help="The folder of the page NAME.md and its plots.")] = Path("docs/studies"),
    laws_to: Annotated[
        Path | None, Parameter(help="The folder that the fitted laws are written to; none are written by default.")
    ] = None,
) -> int:
    """Analyze the runs of a study: fit its laws, and write its page with plots and posterior tables."""
    with needing("a study", "fit"):
        from hplaw_experiments.studies.study import find_study, read_study

        spec, study, folder = read_study(name, preset), find_study(name), _folder(name, runs)

        def told(words: str) -> None:
            print(f"{name}: {words}", file=sys.stderr, flush=True)

        written = study.report(spec, folder, to / f"{name}.md", laws=laws_to, told=told)
    print(f"wrote {written[0]}" + (f" and {plural(len(written) - 1, 'file')} beside it" if written[1:] else ""))
    return OK


def _folder(name: str, given: str | None) -> Path:
    return Path("experiments") / "runs" / name if given is None else Path(given)


def precision_energy(
    runs: Annotated[
        str,
        Parameter(
            name="RUNS",
            help="A folder of runs, their address in an object store, or a table of them: CSV or parquet, with precision, energy_j and tokens.",
        ),
    ],
    /,
    *,
    to: Annotated[Path, Parameter(help="The folder of the report.")],
    baseline: Annotated[str, one("The format that others are compared with.")] = "fp32",
    bound: Annotated[str, one("Percent within which formats count as equal.")] = "5",
) -> int:
    """Analyze the effect of number formats on energy: ANOVA, tests by cell, equivalence, a pooled contrast, and the next study's size."""
    import math

    within = read_number("--bound", bound)
    if not 0 < within < 100:
        message = f"--bound {bound}: give percent between 0 and 100"
        raise QueryError(message, field="bound")
    with needing("a study", "fit"):
        from hplaw.runs import Store
        from hplaw.runs.table import read_table
        from hplaw_experiments.studies.precision_energy import study, verdict, write_report

        store = Store(runs)
        table = store.read().table if store.place.exists() else read_table(Path(runs))
        share = math.log1p(within / 100)
        found = study(table, baseline=baseline, bound=share)
        report = write_report(found, to / "report.md", beside=to, bound=share)
    for item in found:
        print(f"{item.response}, {item.runs} runs:")
        for precision in item.overall:
            print(f"  {verdict(item, precision, share)}")
    print(f"wrote {report}")
    return OK
