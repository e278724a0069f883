"""`hplaw energy`, `hplaw hardware`: what a run takes, and on what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from hplaw.cli.details import add_sources
from hplaw.cli.exit_status import OK
from hplaw.cli.options import All, Explain, Json, LawFolders, one, several
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.prices import PRICE_HELP, read_given, read_prices
from hplaw.cli.reading import open_catalogue, read_object
from hplaw.cli.render import ADDERS, add_estimates, add_warnings, question, texts_by_case, warning_texts, without_value
from hplaw.cli.scope import covers
from hplaw.cli.sections import Sections
from hplaw.formatting import number, with_unit
from hplaw.messages.energy import EnergyRequest
from hplaw.messages.recommendation import Estimate
from hplaw.messages.record import encode
from hplaw.vocabulary.reading import read_number


if TYPE_CHECKING:
    from hplaw.messages.energy import EnergyCase, EnergyReply, HardwareRecord


SHOWN = ("accelerator_hours", "duration_s", "power_w", "energy_kwh", "site_energy_kwh", "carbon_kg", "cost")

COMPARED = ("accelerator_hours", "energy_kwh", "carbon_kg", "cost")
"""What is compared on the first screen where there are several accelerators or precisions."""

SECTIONS = Sections(
    ("alternatives", "elasticities", "intervals", "derivation", "sources"), explained=("derivation", "sources")
)
"""What is behind the first screen of `hplaw energy`."""


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
    effort: Annotated[
        str | None, one("How well the run is tuned: vendor, as makers publish; typical, the default; first-try.")
    ] = None,
    price: Annotated[list[str] | None, several(PRICE_HELP)] = None,
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
    per_hour, fields["prices"] = read_prices(price)
    settled = {"effort": effort, "price_per_hour": per_hour, "pue": None if pue is None else read_number("--pue", pue)}
    others: dict[str, float | str] = {name: value for name, value in settled.items() if value is not None}
    fields["given"] = read_given(given, others)
    if probe is not None:
        fields["probe"] = read_object("--probe", Path(probe), "a record of `hplaw meter --json`")
    found = work_out(decode(to_json(fields), EnergyRequest), open_catalogue(laws))
    if json:
        write_json(encode(found))
    else:
        prices = [f"{name}={number(value)}" for name, value in fields["prices"].items()]
        write(_page(found, {**fields, "probe": probe, "prices": prices}, shown))
    return OK


def _page(found: EnergyReply, asked: Mapping[str, Any], shown: Sequence[str]) -> str:
    page = Page()
    page.text(f"For {question(asked)}", indent=0)
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


BRIEF = ("", "16 bit", "8 bit", "4 bit", "GB", "GB/s", "link", "W", "checked")
WIDTHS = (("bf16", "fp16"), ("fp8", "mxfp8", "int8"), ("nvfp4", "mxfp4", "int4"))
"""Formats of 16, 8 and 4 bits, floats first."""
CHECKED = {"looked up": "yes", "looked up in part": "in part", "from memory": "no"}


def _brief(item: HardwareRecord) -> tuple[str, ...]:
    """Return an accelerator in a line of 80 columns."""
    return (
        item.name,
        *(_peak(item, formats) for formats in WIDTHS),
        f"{item.device_memory_bytes / 1e9:.0f}",
        f"{item.memory_bytes_per_s / 1e9:.0f}",
        f"{item.link_bytes_per_s / 1e9:.0f}",
        f"{item.board_power_w:.0f}" if item.board_power_w else "-",
        CHECKED[item.checked],
    )


def _peak(item: HardwareRecord, formats: Sequence[str]) -> str:
    """Return the peak in the first of some formats that an accelerator has, in TFLOP/s."""
    named = next((name for name in formats if name in item.peak_flop_per_s), None)
    if named is None:
        return "-"
    return f"{item.peak_flop_per_s[named] / 1e12:.0f}{'*' if named.startswith('int') else ''}"


def _add_facts(page: Page, item: HardwareRecord) -> None:
    """Add all that is known of an accelerator."""
    page.text(item.name, indent=0)
    rows = [
        ("generation", item.generation),
        *((f"peak {name}", f"{value / 1e12:,.1f} TFLOP/s") for name, value in item.peak_flop_per_s.items()),
        ("memory", with_unit(item.device_memory_bytes, "byte")),
        ("memory bandwidth", with_unit(item.memory_bytes_per_s, "byte/s")),
        ("link, both directions", with_unit(item.link_bytes_per_s, "byte/s")),
        ("board power", f"{item.board_power_w:.0f} W" if item.board_power_w else "not published"),
        ("also called", ", ".join(item.aliases) or "-"),
        ("checked", item.checked),
    ]
    page.table(rows)


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
    if name is not None:
        _add_facts(page, found[0])
    else:
        page.table([_brief(item) for item in found], head=BRIEF)
        page.text(
            "16, 8, 4 bit: dense peak of the matrix units in TFLOP/s, * for integers alone; GB/s: memory; link: GB/s to the"
            " others of a node, both directions; W: board power. `hplaw hardware NAME` shows one in full."
        )
    write(str(page))
    return OK
