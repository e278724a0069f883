"""`hplaw energy`, `hplaw hardware`, `hplaw frontier`: what a run takes, on what, and what a budget buys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from hplaw.cli.charts import save_chart
from hplaw.cli.details import add_sources, law_name
from hplaw.cli.exit_status import OK
from hplaw.cli.options import All, Explain, Json, LawFolders, one, several
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue, read_object
from hplaw.cli.render import ADDERS, add_estimates, add_warnings, question, texts_by_case, warning_texts, without_value
from hplaw.cli.scope import covers
from hplaw.cli.sections import Sections
from hplaw.errors import ConflictingQuery, QueryError
from hplaw.formatting import number, numbers, with_unit
from hplaw.messages.energy import EnergyRequest, FrontierRequest
from hplaw.messages.recommendation import Estimate
from hplaw.messages.record import encode
from hplaw.vocabulary.reading import parse_pairs, parse_value, read_number


if TYPE_CHECKING:
    from hplaw.messages.energy import EnergyCase, EnergyReply, Frontier, FrontierPoint
    from hplaw.messages.law import Citation


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

SHOWN = ("accelerator_hours", "duration_s", "power_w", "energy_kwh", "site_energy_kwh", "carbon_kg", "cost")

COMPARED = ("accelerator_hours", "energy_kwh", "carbon_kg", "cost")
"""What is compared on the first screen where there are several accelerators or precisions."""

SECTIONS = Sections(
    ("alternatives", "elasticities", "intervals", "derivation", "sources"), explained=("derivation", "sources")
)
"""What is behind the first screen of `hplaw energy`."""

BEHIND = Sections(("sizes", "sources"), explained=("sources",))
"""What is behind that of `hplaw frontier`."""

COLUMNS = ("n_params", "tokens", "loss", "90% interval", "accelerator h", "energy")

FEW = 7
"""Sizes of the first screen; --show sizes has all."""


def energy(
    *,
    params: Annotated[str | None, one("Parameters: 70B.")] = None,
    tokens: Annotated[str | None, one("Training tokens: 15T.")] = None,
    active_params: Annotated[str | None, one("Parameters that one token uses.")] = None,
    hardware: Annotated[list[str] | None, several("Accelerators to compare, by name.")] = None,
    precision: Annotated[
        list[str] | None, several("Number formats to compare; the usual one of the accelerator by default.")
    ] = None,
    devices: Annotated[str | None, one("Number of accelerators.")] = None,
    country: Annotated[str | None, one("Whose electricity is used, two letters: US.")] = None,
    price: Annotated[str | None, one("What one accelerator costs in an hour: adds the cost.")] = None,
    pue: Annotated[str | None, one("Energy of the machine room over that of its computers: 1.1.")] = None,
    probe: Annotated[str | None, one("A record of `hplaw meter --json` of this model: narrows the forecast.")] = None,
    model: Annotated[str | None, one("The model's config.json, as Hugging Face writes it.")] = None,
    given: Annotated[
        list[str] | None,
        several(
            "Any other quantity: seq_len=8192 energy_scope=system_x_pue carbon_g_per_kwh=50 tokens_per_device_s=400."
        ),
    ] = None,
    laws: LawFolders = None,
    explain: Explain = False,
    show: Annotated[list[str] | None, several(SECTIONS.help)] = None,
    all: All = False,
    json: Json = False,
) -> int:
    """Estimate hours, duration, energy and carbon of a run, for several accelerators and precisions."""
    from hplaw.client.calls import to_json
    from hplaw.energy.training import energy as work_out
    from hplaw.messages.decode import decode

    shown = SECTIONS.choose(explain=explain, show=show, all=all)
    sizes = {
        "n_params": ("--params", params),
        "tokens": ("--tokens", tokens),
        "n_active_params": ("--active-params", active_params),
        "devices": ("--devices", devices),
    }
    fields: dict[str, Any] = {
        name: read_number(option, text) for name, (option, text) in sizes.items() if text is not None
    }
    fields |= {"hardware": hardware or [], "precision": precision or []}
    if country is not None:
        fields["country"] = country
    if model is not None:
        fields["model"] = read_object("--model", Path(model))
    settled = {"price_per_hour": ("--price", price), "pue": ("--pue", pue)}
    others = {name: read_number(option, text) for name, (option, text) in settled.items() if text is not None}
    fields["given"] = read_given(given, others)
    if probe is not None:
        fields["probe"] = read_object("--probe", Path(probe), "a record of `hplaw meter --json`")
    found = work_out(decode(to_json(fields), EnergyRequest), open_catalogue(laws))
    if json:
        write_json(encode(found))
    else:
        write(_page(found, fields, shown))
    return OK


def read_given(pairs: Sequence[str] | None, others: Mapping[str, float]) -> dict[str, float | str]:
    """Return what --given names, and what options of their own give.

    **Raises:** `ConflictingQuery` for a quantity given twice.
    """
    found: dict[str, float | str] = {key: parse_value(key, text) for key, text in parse_pairs(pairs, "--given").items()}
    for name in others:
        if name in found:
            message = f"{name} is given twice; give it once"
            raise ConflictingQuery(message, field=name)
    return found | dict(others)


def _page(found: EnergyReply, asked: Mapping[str, Any], shown: Sequence[str]) -> str:
    page = Page()
    page.text(f"For {question({name: value for name, value in asked.items() if name != 'probe'})}", indent=0)
    answered = [case for case in found.cases if not case.reason]
    told = {_case_name(case): _told(case) for case in answered}
    if len(found.cases) == 1:
        add_estimates(page, told[_case_name(answered[0])], {"Expect": list(told[_case_name(answered[0])])})
    else:
        _compare(page, told)
    if (text := covers(told[_case_name(answered[0])])) is not None:
        page.text(text)
    add_warnings(page, _warnings(found.cases))
    for name in shown:
        if name == "sources":
            add_sources(page, found.citations)
            continue
        for case, estimates in told.items():
            if len(told) > 1:
                page.heading(case)
            ADDERS[name](page, estimates)
    SECTIONS.say_more(page, shown)
    return str(page)


def _case_name(case: EnergyCase) -> str:
    return f"{case.hardware or 'the accelerator given'}, {case.precision}"


def _told(case: EnergyCase) -> dict[str, Estimate]:
    return {name: case.answers[name] for name in SHOWN if name in case.answers and case.answers[name].value is not None}


def _compare(page: Page, cases: Mapping[str, Mapping[str, Estimate]]) -> None:
    """Add a table for each kind of answer, with a row for each accelerator and precision."""
    for name in SHOWN:
        estimates = {case: answers[name] for case, answers in cases.items() if name in answers}
        if name in COMPARED and estimates:
            add_estimates(page, estimates, {name: list(estimates)}, laws=False)


def _warnings(cases: Sequence[EnergyCase]) -> Iterator[str]:
    """Yield what to know before using the answers, with the case where it does not hold for all."""
    return texts_by_case([(_case_name(case), _texts(case)) for case in cases], between="; ")


def _texts(case: EnergyCase) -> list[str]:
    return [case.reason] if case.reason else [*warning_texts(case.warnings), *without_value(_lacking(case))]


def _lacking(case: EnergyCase) -> dict[str, Estimate]:
    return {name: case.answers[name] for name in SHOWN if name in case.answers and case.answers[name].value is None}


def hardware(
    name: Annotated[str | None, Parameter(name="NAME", help="One accelerator; all by default.")] = None,
    /,
    *,
    laws: LawFolders = None,
    json: Json = False,
) -> int:
    """List accelerators: peak by precision, memory, bandwidth, board power, and how far that was checked."""
    from hplaw.energy.training import hardware_records, known_hardware

    catalogue = open_catalogue(laws)
    found = hardware_records(catalogue)
    if name is not None:
        short = known_hardware(name, catalogue)
        found = [record for record in found if record.name == short]
    if json:
        write_json(encode(found))
        return OK
    page = Page()
    rows = [
        (
            item.name,
            item.generation,
            ", ".join(f"{key} {value / 1e12:,.4g}" for key, value in item.peak_flop_per_s.items()),
            f"{item.device_memory_bytes / 1e9:.0f}",
            f"{item.memory_bytes_per_s / 1e9:,.0f}",
            f"{item.board_power_w:.0f}" if item.board_power_w else "-",
            item.checked,
        )
        for item in found
    ]
    page.table(rows, head=("", "generation", "peak, TFLOP/s", "GB", "GB/s", "W", "checked"))
    write(str(page))
    return OK


def frontier(
    *,
    budget: Annotated[
        str,
        one(
            "What may be spent: 10MWh, 50000h of accelerators, 1e22FLOP, 30d of --devices, or 1e6$ at --price an hour."
        ),
    ],
    hardware: Annotated[str, one("Accelerator, by name.")] = "h100-sxm",
    precision: Annotated[str | None, one("Number format; the usual one of the accelerator by default.")] = None,
    devices: Annotated[str | None, one("Number of accelerators.")] = None,
    price: Annotated[str | None, one("What one accelerator costs in an hour.")] = None,
    given: Annotated[list[str] | None, several("Any other quantity: seq_len=8192.")] = None,
    points: Annotated[str, one("Sizes that the table and the plot have.")] = "25",
    law: Annotated[str | None, one("The law of the loss; the one of `hplaw recommend` by default.")] = None,
    plot: Annotated[Path | None, Parameter(help="Write the plot here: .svg, .png, .html or .json.")] = None,
    laws: LawFolders = None,
    explain: Explain = False,
    show: Annotated[list[str] | None, several(BEHIND.help)] = None,
    all: All = False,
    json: Json = False,
) -> int:
    """Find the size and the tokens of lowest loss within a budget of energy, hours, FLOP, money or time."""
    from hplaw.client.calls import to_json
    from hplaw.energy.frontier import frontier as work_out
    from hplaw.messages.decode import decode

    shown = BEHIND.choose(explain=explain, show=show, all=all)
    kind, amount = read_budget(budget)
    fields: dict[str, Any] = {
        "hardware": hardware,
        "points": read_number("--points", points),
        kind: amount,
        "given": {key: parse_value(key, text) for key, text in parse_pairs(given, "--given").items()},
    }
    if devices is not None:
        fields["devices"] = read_number("--devices", devices)
    if precision is not None:
        fields["precision"] = precision
    if law is not None:
        fields["law"] = law
    if price is not None:
        fields["price_per_hour"] = read_number("--price", price)
    if kind == "cost" and price is None:
        message = "a budget in $ needs --price, what one accelerator costs in an hour"
        raise QueryError(message, field="price_per_hour")
    if kind == "duration_s" and devices is None:
        message = "a budget in days needs --devices, how many accelerators run for it"
        raise QueryError(message, field="devices")
    catalogue = open_catalogue(laws)
    found = work_out(decode(to_json(fields), FrontierRequest), catalogue)
    title = f"{budget} of {hardware}{(precision and f', {precision}') or ''}"
    if plot is not None:
        from hplaw.energy.frontier import chart

        save_chart(chart(found, title), plot)
    if json:
        write_json(encode(found))
    else:
        citations = [catalogue.get(law).citation() for law in found.laws]
        write(_frontier_page(found, title, shown, citations, plot))
    return OK


def read_budget(text: str) -> tuple[str, float]:
    """Return the field and amount that a budget is written as.

    **Raises:** `QueryError` for anything else.

    >>> read_budget("10MWh"), read_budget("50kh")
    (('energy_kwh', 10000.0), ('accelerator_hours', 50000.0))
    """
    for unit, (name, scale) in BUDGETS.items():
        if text.endswith(unit):
            return name, read_number("--budget", text.removesuffix(unit).strip()) * scale
    message = f"--budget {text[:40]}: give a number and its unit, {', '.join(BUDGETS)}, for example 10MWh"
    raise QueryError(message, field="budget")


def _frontier_page(
    found: Frontier, title: str, shown: Sequence[str], citations: Sequence[Citation], plot: Path | None
) -> str:
    page = Page()
    best = found.best
    page.text(f"For a budget of {title}", indent=0)
    page.heading("Lowest loss")
    page.table([_point(best)], head=COLUMNS)
    page.text(f"{' to '.join(numbers(found.near))} parameters come within 0.5% of that loss.")
    if "sizes" not in shown:
        page.heading("Other sizes")
        page.table([_point(point) for point in _thinned(found.points)], head=COLUMNS)
    page.text(f"By {', '.join(law_name(law) for law in found.laws)}.")
    if plot is not None:
        page.text(f"Plot: {plot}")
    add_warnings(page, warning_texts(found.warnings))
    if "sizes" in shown:
        page.heading("All sizes")
        page.table([_point(point) for point in found.points], head=COLUMNS)
    if "sources" in shown:
        add_sources(page, citations)
    BEHIND.say_more(page, shown)
    return str(page)


def _thinned(points: Sequence[FrontierPoint]) -> list[FrontierPoint]:
    """Return a few of the points, evenly, with the first and the last."""
    few = min(FEW, len(points))
    return [points[round(place * (len(points) - 1) / (few - 1))] for place in range(few)]


def _point(point: FrontierPoint) -> tuple[str, ...]:
    low, high = point.loss_low, point.loss_high
    wide = "-" if low is None or high is None else " to ".join(numbers([low, high], unit="nat/token"))
    energy = "-" if point.energy_kwh is None else with_unit(point.energy_kwh, "kWh")
    return (
        number(point.n_params),
        number(point.tokens),
        number(point.loss, digits=4),
        wide,
        number(point.accelerator_hours),
        energy,
    )
