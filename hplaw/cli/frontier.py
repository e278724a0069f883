"""`hplaw frontier`: what a budget buys on one accelerator, and the Pareto front of budgets over several."""

from __future__ import annotations

import functools as ft
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from hplaw.cli.charts import save_chart
from hplaw.cli.details import add_sources, law_name
from hplaw.cli.exit_status import OK
from hplaw.cli.options import All, Explain, Json, LawFolders, one, several
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.prices import PRICE_HELP, read_given, read_prices
from hplaw.cli.reading import open_catalogue
from hplaw.cli.render import add_warnings, warning_texts
from hplaw.cli.scope import SCOPES
from hplaw.cli.sections import Sections
from hplaw.errors import QueryError
from hplaw.formatting import number, numbers, with_unit
from hplaw.messages.energy import FrontierRequest
from hplaw.messages.pareto import ParetoRequest
from hplaw.messages.record import encode
from hplaw.vocabulary.reading import read_number, split_names


if TYPE_CHECKING:
    from hplaw.messages.energy import Frontier, FrontierPoint
    from hplaw.messages.law import Citation
    from hplaw.messages.pareto import Pareto, ParetoCase, ParetoPoint


BUDGETS = {
    "FLOP": ("compute_flop", 1.0),
    "MWh": ("energy_kwh", 1e3),
    "kWh": ("energy_kwh", 1.0),
    "GWh": ("energy_kwh", 1e6),
    "h": ("accelerator_hours", 1.0),
    "$": ("cost", 1.0),
    "d": ("duration_s", 86400.0),
}
"""What a budget is written in: the field and how many of its units it makes."""

BEHIND = Sections(("sizes", "sources"), explained=("sources",))
"""What is behind the first screen of one budget."""

BEHIND_FRONT = Sections(("dominated", "sources"), explained=("sources",))
"""What is behind that of a Pareto front."""

COLUMNS = ("n_params", "tokens", "loss", "90% interval", "accelerator h", "energy")

FEW = 7
"""Sizes of the first screen; --show sizes has all."""

SIZES, BUDGETS_OF_FRONT = "25", "9"
"""Points of a table and a plot where nothing is said: sizes for one budget, budgets for a front."""

SECTIONS_HELP = f"{BEHIND.help} With several budgets or accelerators: {', '.join(BEHIND_FRONT.names)}."


def frontier(
    *,
    budget: Annotated[
        str | None,
        one(
            "What may be spent: 10MWh, 50000h of accelerators, 1e22FLOP, 30d of --devices, or 1e6$ at --price an hour."
        ),
    ] = None,
    from_: Annotated[str | None, one("The smallest of several budgets: 1MWh.", "--from")] = None,
    to: Annotated[str | None, one("The largest of several budgets: 1GWh.")] = None,
    hardware: Annotated[list[str] | None, several("Accelerators, by name; h100-sxm by default.")] = None,
    precision: Annotated[
        list[str] | None, several("Number formats; the usual one of the accelerator by default.")
    ] = None,
    devices: Annotated[str | None, one("Number of accelerators.")] = None,
    price: Annotated[list[str] | None, several(PRICE_HELP)] = None,
    given: Annotated[list[str] | None, several("Any other quantity: seq_len=8192.")] = None,
    points: Annotated[
        str | None,
        one(f"Points of the table and the plot: {SIZES} sizes for one budget, {BUDGETS_OF_FRONT} budgets between two."),
    ] = None,
    law: Annotated[str | None, one("The law of the loss; the one of `hplaw recommend` by default.")] = None,
    plot: Annotated[Path | None, Parameter(help="Write the plot here: .svg, .png, .html or .json.")] = None,
    laws: LawFolders = None,
    explain: Explain = False,
    show: Annotated[list[str] | None, several(SECTIONS_HELP)] = None,
    all: All = False,
    json: Json = False,
) -> int:
    """Find the size and the tokens of lowest loss within a budget of energy, hours, FLOP, money or time.

    With --from and --to, or with several accelerators or precisions, the Pareto front: the runs that none beats by less loss
    for the same budget.
    """
    from hplaw.client.calls import to_json
    from hplaw.messages.decode import decode

    low, high = _ends(budget, from_, to)
    names, formats = split_names(hardware) or ["h100-sxm"], split_names(precision)
    is_front = budget is None or len(names) > 1 or len(formats) > 1
    sections = BEHIND_FRONT if is_front else BEHIND
    shown = sections.choose(explain=explain, show=show, all=all)
    per_hour, prices = read_prices(price)
    fields: dict[str, Any] = {
        "points": read_number("--points", points or (BUDGETS_OF_FRONT if is_front else SIZES)),
        "given": read_given(given, {}),
    }
    if devices is not None:
        fields["devices"] = read_number("--devices", devices)
    if law is not None:
        fields["law"] = law
    if not is_front:
        per_hour = prices.get(names[0], per_hour)
    if per_hour is not None:
        fields["price_per_hour"] = per_hour
    kind = low[0]
    if kind == "cost" and per_hour is None and not (is_front and prices):
        message = "a budget in $ needs --price, what one accelerator costs in an hour, or one for each: h100-sxm=2.5"
        raise QueryError(message, field="price_per_hour")
    if kind == "duration_s" and devices is None:
        message = "a budget in days needs --devices, how many accelerators run for it"
        raise QueryError(message, field="devices")
    title = f"{budget or f'{from_} to {to}'} of {', '.join(names)}{', '.join(['', *formats])}"
    catalogue = open_catalogue(laws)
    if is_front:
        from hplaw.energy.pareto import pareto
        from hplaw.energy.pareto_chart import pareto_chart

        fields |= {"hardware": names, "precision": formats, "prices": prices}
        fields |= {"axis": kind, "low": low[1], "high": high[1]}
        front = pareto(decode(to_json(fields), ParetoRequest), catalogue)
        found, draw, page_of = front, ft.partial(pareto_chart, front), ft.partial(_front_page, front)
    else:
        from hplaw.energy.frontier import chart, frontier as work_out

        fields |= {"hardware": names[0], "precision": formats[0] if formats else None, kind: low[1]}
        bought = work_out(decode(to_json(fields), FrontierRequest), catalogue)
        found, draw, page_of = bought, ft.partial(chart, bought), ft.partial(_frontier_page, bought)
    if plot is not None:
        save_chart(draw(title), plot)
    if json:
        write_json(encode(found))
    else:
        write(page_of(title, shown, [catalogue.get(address).citation() for address in found.laws], plot))
    return OK


def _ends(budget: str | None, low: str | None, high: str | None) -> tuple[tuple[str, float], tuple[str, float]]:
    """Return the smallest and the largest budget, each a field and an amount.

    **Raises:** `QueryError` where neither one budget nor two of a kind are given.
    """
    if budget is not None and low is None and high is None:
        return read_budget(budget), read_budget(budget)
    if budget is not None or low is None or high is None:
        message = "give --budget, for example 10MWh, or --from and --to, for example 1MWh and 1GWh"
        raise QueryError(message, field="budget")
    ends = read_budget(low, "--from"), read_budget(high, "--to")
    if ends[0][0] != ends[1][0] or ends[0][0] == "compute_flop":
        message = f"--from {low} --to {high}: give two budgets of one kind: energy, hours, money or days"
        raise QueryError(message, field="budget")
    return ends


def read_budget(text: str, option: str = "--budget") -> tuple[str, float]:
    """Return the field and amount that a budget is written as.

    **Raises:** `QueryError` for anything else.

    >>> read_budget("10MWh"), read_budget("50kh")
    (('energy_kwh', 10000.0), ('accelerator_hours', 50000.0))
    """
    for unit, (name, scale) in BUDGETS.items():
        if text.endswith(unit):
            return name, read_number(option, text.removesuffix(unit).strip()) * scale
    message = f"{option} {text[:40]}: give a number and its unit, {', '.join(BUDGETS)}, for example 10MWh"
    raise QueryError(message, field="budget")


def _frontier_page(
    found: Frontier, title: str, shown: Sequence[str], citations: Sequence[Citation], plot: Path | None
) -> str:
    page = Page()
    best = found.best
    page.text(f"For a budget of {title}", indent=0)
    page.heading("Lowest loss")
    priced = best.cost is not None
    head = (*COLUMNS, "cost") if priced else COLUMNS
    page.table([_point(best, priced=priced)], head=head)
    page.text(f"{' to '.join(numbers(found.near))} parameters come within 0.5% of that loss.")
    if "sizes" not in shown:
        page.heading("Other sizes")
        page.table([_point(point, priced=priced) for point in _thinned(found.points)], head=head)
    page.text(f"By {', '.join(law_name(law) for law in found.laws)}.")
    if plot is not None:
        page.text(f"Plot: {plot}")
    add_warnings(page, warning_texts(found.warnings))
    if "sizes" in shown:
        page.heading("All sizes")
        page.table([_point(point, priced=priced) for point in found.points], head=head)
    if "sources" in shown:
        add_sources(page, citations)
    BEHIND.say_more(page, shown)
    return str(page)


def _thinned(points: Sequence[FrontierPoint]) -> list[FrontierPoint]:
    """Return a few of the points, evenly, with the first and the last."""
    few = min(FEW, len(points))
    return [points[round(place * (len(points) - 1) / (few - 1))] for place in range(few)]


def _point(point: FrontierPoint, *, priced: bool) -> tuple[str, ...]:
    low, high = point.loss_low, point.loss_high
    wide = "-" if low is None or high is None else " to ".join(numbers([low, high], unit="nat/token"))
    return (
        number(point.n_params),
        number(point.tokens),
        number(point.loss, digits=4),
        wide,
        number(point.accelerator_hours),
        _measure(point.energy_kwh, "kWh"),
        *([_measure(point.cost, "$")] if priced else []),
    )


# The page of a Pareto front


def _front_page(
    found: Pareto, title: str, shown: Sequence[str], citations: Sequence[Citation], plot: Path | None
) -> str:
    page = Page()
    page.text(f"For budgets of {title}", indent=0)
    page.heading(f"Pareto front: loss against {NAMES[found.axis]}")
    columns = _columns([*found.front, *found.dominated])
    page.table([_cells(point, columns) for point in found.front], head=columns)
    total = len(found.front) + len(found.dominated)
    page.text(f"{len(found.front)} of {total} runs are on the front: {', '.join(_shares(found.cases))}.")
    if found.energy_scope is not None:
        covered = SCOPES.get(found.energy_scope, found.energy_scope)
        page.text(f"Energy covers {covered} (energy_scope={found.energy_scope}).")
    page.text(f"By {', '.join(law_name(law) for law in found.laws)}.")
    if plot is not None:
        page.text(f"Plot: {plot}")
    add_warnings(page, _front_warnings(found.cases))
    if "dominated" in shown:
        page.heading("Dominated runs")
        page.table([_cells(point, columns) for point in found.dominated], head=columns)
    if "sources" in shown:
        add_sources(page, citations)
    BEHIND_FRONT.say_more(page, shown)
    return str(page)


NAMES = {"energy_kwh": "energy", "accelerator_hours": "accelerator hours", "cost": "money", "duration_s": "time"}
"""How the axis of a front is called."""


def _shares(cases: Sequence[ParetoCase]) -> Iterator[str]:
    for case in cases:
        if case.on_front:
            yield f"{case.on_front} of {case.hardware} {case.precision}"


def _front_warnings(cases: Sequence[ParetoCase]) -> Iterator[str]:
    """Yield why a case has no run, and what to know about those that are on the front: of each kind the gravest."""
    kinds: dict[tuple[str, str | None, str | None], list[tuple[float, str, str]]] = {}
    for case in cases:
        name = f"{case.hardware} {case.precision}"
        if case.reason:
            yield f"{name}: {case.reason}"
        for warning in case.warnings if case.on_front else ():
            kind = (warning.code, warning.law, warning.quantity)
            kinds.setdefault(kind, []).append((warning.efolds or 0.0, name, warning.text))
    shown = [case for case in cases if case.on_front]
    for found in kinds.values():
        names = list(dict.fromkeys(name for _, name, _ in found))
        text = max(found, key=lambda one: one[0])[2]
        yield text if len(names) == len(shown) else f"{', '.join(names)}: {text}"


def _columns(points: Sequence[ParetoPoint]) -> list[str]:
    """Return the columns of a table: cost and carbon only where they are known, time in place of hours where it is."""
    more = {"time": "duration_s", "cost": "cost", "carbon": "carbon_kg"}
    known = [head for head, name in more.items() if any(getattr(point, name) is not None for point in points)]
    return ["loss", "n_params", "tokens", "accelerator", *([] if "time" in known else ["hours"]), "energy", *known]


def _cells(point: ParetoPoint, columns: Sequence[str]) -> list[str]:
    cells = {
        "loss": number(point.loss, digits=4),
        "n_params": number(point.n_params),
        "tokens": number(point.tokens),
        "accelerator": f"{point.hardware} {point.precision}",
        "hours": number(point.accelerator_hours),
        "energy": _measure(point.energy_kwh, "kWh"),
        "cost": _measure(point.cost, "$"),
        "time": _measure(point.duration_s, "s"),
        "carbon": _measure(point.carbon_kg, "kg"),
    }
    return [cells[column] for column in columns]


def _measure(value: float | None, unit: str) -> str:
    return "-" if value is None else with_unit(value, unit)
