"""`hplaw calibrate`: from nothing, or from runs of your own, to a law folder that can be served."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from hplaw.cli.exit_status import FAILED, OK
from hplaw.cli.extras import needing
from hplaw.cli.few_runs import few, narrowed, next_question, next_runs
from hplaw.cli.options import Json
from hplaw.cli.page import Page, write
from hplaw.cli.progress import Progress, duration
from hplaw.cli.stopping import stopping
from hplaw.cli.sweep_runs import Address, Launch, Lines, Workers, launcher_of, stopped_line
from hplaw.errors import QueryError
from hplaw.formatting import number, plural
from hplaw.vocabulary.reading import parse_pairs


if TYPE_CHECKING:
    from hplaw.law import Law
    from hplaw.runs import Store
    from hplaw_experiments.sweep.calibrate import Budget


STORE = "runs"
"""The folder of runs inside the folder of a calibration."""


def calibrate(
    *,
    to: Annotated[
        Path | None,
        Parameter(
            help="The folder for the law, its table of runs, and the runs; with --next a CSV file of the proposed runs."
        ),
    ] = None,
    preset: Annotated[
        Literal["quick", "standard", "full"],
        Parameter(help="Which sweep: quick takes minutes on two cores, full a GPU."),
    ] = "quick",
    spec: Annotated[
        Path | None, Parameter(help="A sweep of your own over peak_lr and batch_tokens, in place of a preset.")
    ] = None,
    budget: Annotated[
        str | None, Parameter(help="Train no longer than this: 10m, 2h or 5kWh; the law is fitted to what is there.")
    ] = None,
    method: Annotated[
        Literal["nuts", "map"] | None,
        Parameter(help="nuts samples the posterior, map draws around its mode; nuts by default, map with --runs."),
    ] = None,
    accept: Annotated[
        bool, Parameter(negative=(), help="Serve the law although a check failed; recorded in it.")
    ] = False,
    runs: Annotated[
        Path | None,
        Parameter(
            help="A table of a few tuned optima of your own (n_params, tokens, peak_lr, batch_tokens), or of runs with their loss: nothing is trained then."
        ),
    ] = None,
    map_: Annotated[
        list[str] | None,
        Parameter(
            name="--map",
            negative=(),
            help="A quantity as a formula over the table's columns: peak_lr=lr; may be repeated.",
        ),
    ] = None,
    next_: Annotated[
        int | None,
        Parameter(
            name="--next",
            help="Propose so many runs to make next, and train nothing: a cross first, then what narrows the answer at the target most per FLOP.",
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        Parameter(negative=(), help="The run that --next is for: n_params=7e9, tokens=1.4e12; once each."),
    ] = None,
    json: Json = False,
    store: Annotated[
        str | None,
        Parameter(
            help="Where the runs are kept, a folder or an address (s3://BUCKET/PATH, gs://, az://); runs/ in the folder of --to by default."
        ),
    ] = None,
    launch: Launch = "here",
    workers: Workers = 1,
    address: Address = None,
) -> int:
    """Train a sweep on this machine, fit a law to it, and say what changed; if interrupted, it continues where it was."""
    maps = parse_pairs(map_, "--map")
    if next_ is not None:
        return next_runs(next_, parse_pairs(target, "--target"), runs, maps, to, json=json)
    if target or json:
        message = f"{'--target' if target else '--json'} belongs to --next; ask for runs to make, for example --next 6"
        raise QueryError(message, field="target" if target else "json")
    if to is None:
        message = "--to is missing; give the folder for the law, for example --to my-laws"
        raise QueryError(message, field="to")
    if runs is not None:
        return few(runs, maps, to, method)
    with needing("a calibration"):
        from hplaw.runs import Store
        from hplaw.runs.store import ADDRESS
        from hplaw_experiments.sweep.calibrate import fit_table, preset as preset_of, read_budget, sweep_table
        from hplaw_experiments.sweep.plan import read_spec
        from hplaw_experiments.sweep.run import run_sweep

        if ADDRESS.fullmatch(str(to)):
            message = f"--to {to} is an address, and a law is kept in a folder; give one, and the address of its runs with --store"
            raise QueryError(message, field="to")
        limit = None if budget is None else read_budget(budget)
        sweep = read_spec(spec) if spec is not None else preset_of(preset)
        kept = Store(store or to / STORE)
        began = time.monotonic()
        launcher = launcher_of(launch, workers, address)
        screen = Lines(sweep.name)

        def stopped() -> str:
            screen.end()
            return stopped_line(screen.live, kept.address)

        print(f"{sweep.name}: training into {kept.address}", file=sys.stderr, flush=True)
        with stopping(stopped, launcher.close):
            try:
                within = lambda: _within(limit, kept, time.monotonic() - began)
                found = run_sweep(sweep, kept, launcher=launcher, report=screen, within=within)
            finally:
                launcher.close()
            screen.end()
            trained = time.monotonic() - began
            print(f"{sweep.name}: {found.done} of {found.asked} trials in {duration(trained)}", flush=True)
            table = sweep_table(sweep, kept)
            progress = Progress("fit")
            law = fit_table(
                table,
                to,
                title=f"Best learning rate and batch size, and the loss: sweep {sweep.name}",
                method=method or "nuts",
                accept=accept,
                progress=lambda share, words: progress(share, words.partition(",")[0]),
            )
            progress.end()
    return _say(law, to, time.monotonic() - began)


def _say(law: Law, to: Path, seconds: float) -> int:
    from hplaw.fit.check.scores import read_scores

    evidence = law.spec.evidence
    assert evidence is not None
    page = Page()
    page.line(f"wrote {to}: {law.address}, {evidence.runs} runs in {evidence.groups} cells, {duration(seconds)}")
    if evidence.r_hat is not None:
        page.text(
            f"R-hat {evidence.r_hat:.3f}, effective sample size {evidence.ess:.0f}, {plural(evidence.divergences or 0, 'divergence')}"
        )
    for score in read_scores(evidence.held_out, [fit.observed] if (fit := law.spec.fit) else []):
        page.text(score.line)
    for problem in evidence.failed:
        print(f"hplaw: failed a check: {problem}", file=sys.stderr)
    served = not evidence.failed or bool(evidence.accepted_with)
    if served:
        _changed(page, law)
        narrowed(page, law)
        page.line()
        page.line(next_question(law, to))
    write(str(page))
    if not served:
        print(
            "hplaw: the law is written but will not be served; look at its card, and calibrate with --accept to serve it anyway",
            file=sys.stderr,
        )
        return FAILED
    return OK


def _changed(page: Page, law: Law) -> None:
    """Add to a page what the available laws give where the new one was fitted, and by which factor the new one differs."""
    from hplaw_experiments.recipes.from_table import middle
    from hplaw_experiments.sweep.calibrate import changes

    found = changes(law)
    names = list(dict.fromkeys(change.quantity for change in found))
    ours = {change.quantity: number(change.ours) for change in found}
    laws = dict.fromkeys(change.law for change in found)
    by = {(change.law, change.quantity): change for change in found}
    rows = [(law.id, *(cell for name in names for cell in (ours[name], "")))]
    for other in laws:
        cells = [by.get((other, name)) for name in names]
        both = [("", "") if c is None else (number(c.theirs), f"{number(c.factor)}x") for c in cells]
        rows.append((other.partition("+")[0], *(cell for pair in both for cell in pair)))
    if not found:
        return
    n, d = middle(law)
    page.heading(f"What changed, at n_params={number(n)} and tokens={number(d)}")
    page.table(rows, head=("law", *(word for name in names for word in (name, "here is"))))


def _within(limit: Budget | None, store: Store, seconds: float) -> bool:
    """Return whether a budget is not spent: the time of this call, or the energy of all runs stored."""
    if limit is None:
        return True
    if limit.seconds is not None:
        return seconds < limit.seconds
    spent = store.scan().select("energy_j").sum().collect().item()
    return float(spent or 0.0) < (limit.joules or 0.0)
