"""`hplaw study width-table`: how the best rate goes with the width in any table of runs, or of best rates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from hplaw.cli.exit_status import OK
from hplaw.cli.extras import needing
from hplaw.cli.options import Json, one, several
from hplaw.cli.page import Page, write
from hplaw.errors import QueryError
from hplaw.formatting import number
from hplaw.vocabulary.reading import parse_pairs


if TYPE_CHECKING:
    from hplaw_experiments.studies.width_transfer.tables import SchemeFound


MOST = 1e9
"""Largest width that is predicted for."""


def width_table(
    file: Annotated[Path, Parameter(name="FILE", help="CSV with # comments, or parquet.")],
    /,
    *,
    map_: Annotated[
        list[str] | None,
        several(
            "width, peak_lr, loss, parametrization, optimizer or family as a formula over the file's columns, as in peak_lr=2**log2_lr; without a loss rows are best rates.",
            "--map",
        ),
    ] = None,
    optimum: Annotated[
        list[str] | None, several("Columns of best rates by parametrization, as in mup=mup_opt_lr.", "--optimum")
    ] = None,
    where: Annotated[str, one("Only rows for which this holds, in SQL.")] = "",
    predict: Annotated[
        list[float] | None, several("Widths to predict the rate for; twice the largest by default.")
    ] = None,
    json: Json = False,
) -> int:
    """Analyze how the best learning rate goes with the width in a table, and predict it for wider models."""
    for width in predict or ():
        if not 1 <= width <= MOST:
            message = f"--predict {width:g}: give a width from 1 to {MOST:g}"
            raise QueryError(message, field="predict")
    with needing("a table of widths", "fit"):
        from hplaw_experiments.studies.width_transfer.tables import analyze_table

        found = analyze_table(
            file,
            maps=parse_pairs(map_, "--map"),
            optima=parse_pairs(optimum, "--optimum"),
            where=where,
            widths=predict or (),
        )
    if json:
        write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
        return OK
    page = Page()
    for scheme in found:
        _show(page, scheme)
    write(str(page))
    return OK


def _show(page: Page, found: SchemeFound) -> None:
    page.heading(
        f"{found.name}: best rate goes as width^{found.slope.median:+.2f} ({found.slope.low:+.2f} to {found.slope.high:+.2f})"
    )
    theory = "" if found.theory is None else f"; theory {' to '.join(dict.fromkeys(f'{c:.2g}' for c in found.theory))}"
    page.line(f"  the rate stays (|c| below 0.15) with probability {found.flat:.2f}{theory}")
    rows = [
        (f"{one.width:g}", number(one.best.median), f"{number(one.best.low)} to {number(one.best.high)}")
        for one in found.widths
    ]
    page.table(rows, head=("width", "best rate", "90% interval"))
    rows = [
        (f"{one.width:g}", number(one.peak_lr), f"{number(one.best.low)} to {number(one.best.high)}")
        for one in found.predicted
    ]
    page.line()
    page.table(rows, head=("predicted", "rate to use", "90% interval of the best"))
    if found.held_out:
        rows = [
            (
                f"{one.width:g}",
                number(one.peak_lr),
                number(one.best_tried),
                "-" if one.cost is None else f"{one.cost:.2f}",
                "yes" if one.inside else "no",
            )
            for one in found.held_out
        ]
        page.line()
        page.table(rows, head=("held out", "rate to use", "best tried", "loss over lowest", "in interval"))
    for width in found.at_edge:
        page.line(f"  at width {width:g} the lowest loss is at the edge of the rates tried: the best may lie beyond")
