"""`hplaw schedule --compare`: schedules of one length and peak by predicted loss, and the best share of decay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hplaw.cli.details import law_name, source
from hplaw.cli.exit_status import OK
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue
from hplaw.cli.render import add_warnings
from hplaw.client.calls import to_json
from hplaw.formatting import number
from hplaw.messages.decode import decode
from hplaw.messages.record import encode
from hplaw.messages.schedule import DecayShare, ScheduleCompareRequest, ScheduleComparison
from hplaw.theory.schedule_losses import DECAYED, compare_schedules


STEPS = 24_000.0
"""Steps of a run where none are given: those of most of the curves that the law was fitted to."""

ALIKE = 1e-6
"""Share of the loss below which a difference is one of rounding."""

SHOWN = 9
"""Shares of decay that a page shows."""


def show_comparison(
    fields: Mapping[str, float | str], given: Mapping[str, float], folders: Sequence[Path] | None, *, json: bool
) -> int:
    """Write schedules side by side by predicted loss, and return the exit status."""
    asked = decode(to_json({"total_steps": STEPS, **fields, "given": given}), ScheduleCompareRequest)
    found = compare_schedules(asked, open_catalogue(folders))
    if json:
        write_json(encode(found))
    else:
        write(_page(found))
    return OK


def _page(found: ScheduleComparison) -> str:
    page = Page()
    given = ", ".join(f"{key} {number(value)}" for key, value in found.given.items() if key != "peak_lr")
    page.text(
        f"For n_params {number(found.n_params)}, {number(found.total_steps)} steps, peak {number(found.peak_lr)}, {given}",
        indent=0,
    )
    page.heading("Predicted loss at the end of the run")
    best = next(each.loss for each in found.schedules if each.loss is not None)
    rows = [
        (each.schedule, "-", "-", each.reason or "")
        if each.loss is None or each.mean_share is None
        else (
            each.schedule,
            number(each.loss, digits=4),
            f"+{number(100 * (each.loss / best - 1), digits=2)}%" if each.loss > best * (1 + ALIKE) else "lowest",
            number(each.mean_share, digits=2),
        )
        for each in found.schedules
    ]
    page.table(rows, head=("", "loss", "above lowest", "mean/peak"))
    page.text(f"By {law_name(found.law)}.")
    if found.decay is not None:
        _add_decay(page, found.decay)
    add_warnings(page, found.warnings)
    page.heading("Source")
    page.text(source(found.citation))
    return str(page)


def _add_decay(page: Page, decay: DecayShare) -> None:
    """Add the best share of decay, what is as good, and the loss over the shares."""
    page.heading(f"Share of the run in which {DECAYED} decays")
    page.text(
        f"best {decay.share:.0%}, loss {number(decay.loss, digits=4)}; {decay.low:.0%} to {decay.high:.0%} cost at most 0.1% more."
    )
    places = [round(k * (len(decay.shares) - 1) / (SHOWN - 1)) for k in range(SHOWN)]
    page.table(
        [
            ("share", *(f"{decay.shares[place]:.0%}" for place in places)),
            ("loss", *(number(decay.losses[place], digits=4) for place in places)),
        ]
    )
