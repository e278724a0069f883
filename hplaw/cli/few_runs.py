"""`hplaw calibrate --runs` and `--next`: a law from a few runs of the user's own, and the runs to make next."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from hplaw.cli.exit_status import OK
from hplaw.cli.extras import needing
from hplaw.cli.page import Page, write, write_json
from hplaw.errors import QueryError
from hplaw.formatting import number
from hplaw.vocabulary.quantities import check_value, parse_number, vocabulary


if TYPE_CHECKING:
    from hplaw.law import Law
    from hplaw_experiments.recipes.propose import Proposal


TARGET = ("n_params", "tokens")
"""What a target says."""

ASKED = (1e9, 2e10)
"""n_params and tokens of the question that is proposed."""

COLUMNS = ("block", "n_params", "tokens", "peak_lr", "batch_tokens", "compute_flop")
"""Columns of the table of proposed runs."""


def few(runs: Path, maps: Mapping[str, str], to: Path, method: Literal["nuts", "map"] | None) -> int:
    """Write the law that a few tuned optima, or runs with their loss, of the user's own lead to."""
    with needing("a calibration"):
        from hplaw_experiments.recipes.from_table import write_own

        law, words = write_own(runs, to, maps=maps, method=method or "map")
    page = Page()
    page.line(f"wrote {to}: {law.address}, from {words}")
    narrowed(page, law)
    page.line()
    page.line(next_question(law, to))
    write(str(page))
    return OK


def narrowed(page: Page, law: Law) -> None:
    """Add to a page what your own law knows better than was known before: in the middle of its runs, and at the next question."""
    from hplaw_experiments.recipes.from_table import middle, narrowing

    found = narrowing(law, [middle(law), ASKED])
    page.heading("What it narrowed: the 90% interval, as a factor of the value up and down")
    rows = [
        (
            f"n_params={number(one.point[0])}, tokens={number(one.point[1])}",
            *(f"{before:.3g} to {after:.3g}" for before, after in zip(one.before, one.after, strict=True)),
        )
        for one in found
    ]
    page.table(rows, head=("at", "peak_lr", "batch_tokens"))


def next_question(law: Law, to: Path) -> str:
    """Return the line that says what to ask your own law."""
    n_params, tokens = map(number, ASKED)
    return f"next: hplaw recommend --laws {to} --law {law.id} --params {n_params} --tokens {tokens}"


def read_target(pairs: Mapping[str, str]) -> tuple[float, float]:
    """Return n_params and tokens of the run that all is for.

    **Raises:** `QueryError` where one is missing, not positive, or another quantity.

    >>> read_target({"n_params": "7e9", "tokens": "1.4T"})
    (7000000000.0, 1400000000000.0)
    """
    for name in pairs:
        if name not in TARGET:
            message = f"--target {name}: a target is {' and '.join(TARGET)}; leave {name} out"
            raise QueryError(message, field=name)
    values: list[float] = []
    for name in TARGET:
        if name not in pairs:
            message = f"--target {name} is missing; give the run that you calibrate for, for example --target n_params=7e9 --target tokens=1.4e12"
            raise QueryError(message, field=name)
        value = parse_number(pairs[name])
        problem = check_value(vocabulary()[name], value)
        if problem:
            message = f"--target {problem}"
            raise QueryError(message, field=name)
        values.append(value)
    return values[0], values[1]


def next_runs(
    count: int, target: Mapping[str, str], runs: Path | None, maps: Mapping[str, str], to: Path | None, *, json: bool
) -> int:
    """Propose the runs to make next: a table for people, JSON, or a CSV file for programs."""
    goal = read_target(target)
    with needing("proposing runs"):
        from hplaw_experiments.recipes.from_table import propose_own

        found, before = propose_own(goal, count, runs=runs, maps=maps)
    if to is not None:
        if to.is_dir() or not to.parent.is_dir():
            message = f"--to {to} is {'a folder' if to.is_dir() else 'in no folder'}; with --next give a CSV file, for example --to next.csv"
            raise QueryError(message, field="to")
        to.write_text(_csv(found), encoding="utf-8")
    if json:
        write_json(msgspec.json.encode(found))
        return OK
    page = Page()
    rows = [
        (
            str(p.block),
            number(p.n_params),
            number(p.tokens),
            number(p.peak_lr),
            number(p.batch_tokens),
            f"{p.compute_flop:.3g}",
        )
        for p in found
    ]
    page.table(rows, head=COLUMNS)
    page.heading(f"The optimum at n_params={number(goal[0])} and tokens={number(goal[1])}, 90% interval as a factor")
    last = {p.block: p for p in found}
    steps = [("now", *before)] + [(f"after block {b}", p.rate_factor, p.batch_factor) for b, p in last.items()]
    page.table(
        [(name, f"{rate:.2f}", f"{batch:.2f}") for name, rate, batch in steps], head=("", "peak_lr", "batch_tokens")
    )
    page.line()
    page.line("next: make these runs, add their loss, and hplaw calibrate --runs RUNS.csv --to DIR")
    write(str(page))
    return OK


def _csv(found: Sequence[Proposal]) -> str:
    """Return proposed runs as CSV, to be filled with their losses."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow((*COLUMNS, "loss"))
    out.writerows((*(getattr(p, name) for name in COLUMNS), "") for p in found)
    return text.getvalue()
