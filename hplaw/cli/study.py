"""`hplaw study precision-energy`: what number formats do to the energy of stored runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hplaw.cli.exit_status import OK
from hplaw.cli.extras import needing
from hplaw.cli.options import one
from hplaw.errors import QueryError
from hplaw.vocabulary.reading import read_number


def precision_energy(
    runs: Annotated[
        Path,
        Parameter(
            name="RUNS",
            help="A folder of runs, or a table of them: CSV or parquet, with precision, energy_j and tokens.",
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

        table = Store(runs).read().table if runs.is_dir() else read_table(runs)
        share = math.log1p(within / 100)
        found = study(table, baseline=baseline, bound=share)
        report = write_report(found, to, bound=share)
    for item in found:
        print(f"{item.response}, {item.runs} runs:")
        for precision in item.overall:
            print(f"  {verdict(item, precision, share)}")
    print(f"wrote {report}")
    return OK
