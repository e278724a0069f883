"""`hplaw energy`, `hplaw hardware`, `hplaw frontier`: what a run takes, on what, and what a budget buys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from hplaw.cli.charts import save_chart
from hplaw.cli.exit_status import OK
from hplaw.cli.options import Json, LawFolders, one, several
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue, read_object
from hplaw.cli.render import law_name, source
from hplaw.errors import QueryError
from hplaw.formatting import add_unit, number, numbers, with_unit
from hplaw.messages.energy import EnergyRequest, FrontierRequest
from hplaw.messages.recommendation import Estimate
from hplaw.messages.record import encode
from hplaw.vocabulary.reading import parse_pairs, parse_value, read_number


if TYPE_CHECKING:
    from hplaw.messages.energy import EnergyReply, Frontier


BUDGETS = {
    "MWh": ("energy_kwh", 1e3),
    "kWh": ("energy_kwh", 1.0),
    "GWh": ("energy_kwh", 1e6),
    "h": ("accelerator_hours", 1.0),
    "$": ("cost", 1.0),
    "d": ("duration_s", 86400.0),
}
"""What a budget is written in: the field and how many of its units it makes."""

SHOWN = ("accelerator_hours", "duration_s", "power_w", "energy_kwh", "site_energy_kwh", "carbon_kg")


def energy(
    *,
    params: Annotated[str | None, one("Parameters: 70B.")] = None,
    tokens: Annotated[str | None, one("Training tokens: 15T.")] = None,
    active_params: Annotated[str | None, one("Parameters that one token uses.")] = None,
    hardware: Annotated[list[str] | None, several("Accelerators to compare, by name.")] = None,
    precision: Annotated[
        list[str] | None, several("Number formats to compare; the usual one of the accelerator when left out.")
    ] = None,
    devices: Annotated[str | None, one("Number of accelerators.")] = None,
    country: Annotated[str | None, one("Whose electricity is used, two letters: US.")] = None,
    model: Annotated[str | None, one("The model's config.json, as Hugging Face writes it.")] = None,
    given: Annotated[
        list[str] | None,
        several(
            "Any other quantity: seq_len=8192 energy_scope=system_x_pue carbon_g_per_kwh=50 tokens_per_device_s=400."
        ),
    ] = None,
    laws: LawFolders = None,
    json: Json = False,
) -> int:
    """Say what a run takes in hours, time, energy and carbon; accelerators and precisions side by side."""
    from hplaw.client.calls import to_json
    from hplaw.energy.training import energy as work_out
    from hplaw.messages.decode import decode

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
    fields["given"] = {name: parse_value(name, text) for name, text in parse_pairs(given, "--given").items()}
    found = work_out(decode(to_json(fields), EnergyRequest), open_catalogue(laws))
    if json:
        write_json(encode(found))
    else:
        write(_page(found))
    return OK


def _page(found: EnergyReply) -> str:
    page = Page()
    for case in found.cases:
        page.heading(f"{case.hardware or 'the accelerator given'}, {case.precision}")
        if case.reason:
            page.text(case.reason)
            continue
        told = [(name, case.answers[name]) for name in SHOWN if name in case.answers]
        rows = [_row(name, estimate) for name, estimate in told if estimate.value is not None]
        page.table(rows, head=("", "value", "90% interval", "law"))
        for warning in case.warnings:
            page.text(f"{warning.code}: {warning.text}")
    page.heading("Sources")
    for citation in found.citations:
        page.text(source(citation))
    return str(page)


def _row(name: str, estimate: Estimate) -> tuple[str, str, str, str]:
    value, low, high = estimate.value, estimate.low, estimate.high
    if low is None or high is None or isinstance(value, str) or value is None:
        return name, with_unit(value or "-", estimate.unit), "-", law_name(estimate.law)
    text, *ends = numbers([value, low, high], unit=estimate.unit)
    return name, add_unit(text, estimate.unit), " to ".join(ends), law_name(estimate.law)


def hardware(
    name: Annotated[str | None, Parameter(name="NAME", help="One accelerator; all when left out.")] = None,
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
        str, one("What may be spent: 10MWh, 50000h of accelerators, 30d of --devices, or 1e6$ at --price an hour.")
    ],
    hardware: Annotated[str, one("Accelerator, by name.")] = "h100-sxm",
    precision: Annotated[str | None, one("Number format; the usual one of the accelerator when left out.")] = None,
    devices: Annotated[str | None, one("Number of accelerators.")] = None,
    price: Annotated[str | None, one("What one accelerator costs in an hour.")] = None,
    given: Annotated[list[str] | None, several("Any other quantity: seq_len=8192.")] = None,
    points: Annotated[str, one("Sizes that the table and the plot have.")] = "25",
    law: Annotated[str, one("The law of the loss.")] = "pretrain-loss",
    plot: Annotated[Path | None, Parameter(help="Write the plot here: .svg, .png, .html or .json.")] = None,
    laws: LawFolders = None,
    json: Json = False,
) -> int:
    """Say which size and how many tokens reach the least loss within a budget of energy, hours, money or time."""
    from hplaw.client.calls import to_json
    from hplaw.energy.frontier import frontier as work_out
    from hplaw.messages.decode import decode

    kind, amount = read_budget(budget)
    fields: dict[str, Any] = {
        "hardware": hardware,
        "points": read_number("--points", points),
        "law": law,
        kind: amount,
        "given": {key: parse_value(key, text) for key, text in parse_pairs(given, "--given").items()},
    }
    if devices is not None:
        fields["devices"] = read_number("--devices", devices)
    if precision is not None:
        fields["precision"] = precision
    if price is not None:
        fields["price_per_hour"] = read_number("--price", price)
    found = work_out(decode(to_json(fields), FrontierRequest), open_catalogue(laws))
    if plot is not None:
        from hplaw.energy.frontier import chart

        title = f"{budget} of {hardware}{(precision and f', {precision}') or ''}"
        save_chart(chart(found, title), plot)
    if json:
        write_json(encode(found))
    else:
        write(_frontier_page(found, f"{budget} of {hardware}{(precision and f', {precision}') or ''}", plot))
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


def _frontier_page(found: Frontier, title: str, plot: Path | None) -> str:
    page = Page()
    best, near = found.best, numbers(found.near)
    page.heading(title)
    page.text(
        f"least loss {number(best.loss, digits=4)} nat/token at {number(best.n_params)} parameters and {number(best.tokens)} tokens, {number(best.accelerator_hours)} accelerator-hours; {' to '.join(near)} parameters come within 0.5 percent"
    )
    page.line()
    rows = [_point(point) for point in _thinned(found.points)]
    page.table(rows, head=("n_params", "tokens", "loss", "90% interval", "hours", "energy"))
    page.line()
    page.text(f"by {', '.join(law_name(law) for law in found.laws)}")
    for warning in found.warnings:
        page.text(f"{warning.code}: {warning.text}")
    if plot is not None:
        page.text(f"plot: {plot}")
    return str(page)


def _thinned(points: Sequence[Any]) -> list[Any]:
    """Return at most 13 points, evenly."""
    step = max(1, -(-len(points) // 13))
    return list(points[::step])


def _point(point: Any) -> tuple[str, ...]:
    ends = [point.loss_low, point.loss_high]
    wide = " to ".join(numbers(ends, unit="nat/token")) if None not in ends else "-"
    energy = "-" if point.energy_kwh is None else with_unit(point.energy_kwh, "kWh")
    return (
        number(point.n_params),
        number(point.tokens),
        number(point.loss, digits=4),
        wide,
        number(point.accelerator_hours),
        energy,
    )
