"""`hplaw meter`: a command with its time and energy measured.

The command's streams are its own: what hplaw says goes to standard error, after the command has ended.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from hplaw.cli.exit_status import FAILED
from hplaw.cli.options import LawFolders, one, several
from hplaw.cli.page import Page
from hplaw.cli.reading import open_catalogue
from hplaw.errors import QueryError
from hplaw.formatting import add_unit, number, numbers, with_unit
from hplaw.messages.metering import MeteredRun
from hplaw.messages.record import encode
from hplaw.vocabulary.reading import read_number, split_names


PERIOD_S = 0.02
"""Time between two readings of the counters, s: a fifth of a tick, and little work beside a training."""

SHOWN_COMMAND = 60
"""Letters of the command that the report shows."""

MEASURES = {
    "nvml_counter": "counters of GPU boards (NVML)",
    "nvml_power": "power of GPU boards (NVML), integrated",
    "rapl": "counters of processor packages (RAPL)",
}


def meter(
    *command: Annotated[
        str, Parameter(name="COMMAND", allow_leading_hyphen=True, help="The command, behind --, with its own words.")
    ],
    params: Annotated[str | None, one("Parameters of the model that it trains: 125M.")] = None,
    tokens: Annotated[str | None, one("Tokens that it trains on: 100M.")] = None,
    hardware: Annotated[str | None, one("Accelerator, by name.")] = None,
    precision: Annotated[str | None, one("Number format of the matrix products: bf16.")] = None,
    devices: Annotated[
        str | None, one("Accelerators that it uses, on all machines; those that are metered by default.")
    ] = None,
    country: Annotated[str | None, one("Whose electricity is used, two letters: US.")] = None,
    price: Annotated[str | None, one("What one accelerator costs in an hour.")] = None,
    pue: Annotated[str | None, one("Energy of the machine room over that of its computers, for carbon.")] = None,
    gpus: Annotated[
        list[str] | None, several("GPUs to meter, by index or UUID; all that are visible by default.")
    ] = None,
    json: Annotated[
        list[str] | None,
        several("Write the record as JSON to this file; without a file, to standard error in place of the report."),
    ] = None,
    laws: LawFolders = None,
) -> int:
    """Run a command and measure its time, energy, carbon and cost.

    The command's output, exit status and signals are its own; the report goes to standard error when it has ended. Energy
    is that of GPU boards, else of processors; where neither can be read it is said to be unavailable. With --params,
    --tokens and --hardware, what the laws predict is shown beside it. `hplaw energy --probe FILE` reads the JSON.
    """
    from hplaw.energy.measured import grid_of, predict_run, valued
    from hplaw.metering.command import NOT_FOUND, NOT_RUN, run_metered
    from hplaw.metering.devices import find_any_meter
    from hplaw.metering.metered_run import metered_run

    if not command:
        message = "there is no command behind --; give one: hplaw meter -- python train.py"
        raise QueryError(message, field="command")
    target = _target(json)
    n_params, count, machines, per_hour, room = (
        None if text is None else read_number(option, text)
        for option, text in (
            ("--params", params),
            ("--tokens", tokens),
            ("--devices", devices),
            ("--price", price),
            ("--pue", pue),
        )
    )
    # all that may be refused is refused before the command runs
    catalogue = open_catalogue(laws)
    grid = None if country is None else grid_of(country, catalogue)
    predicted = {}
    if n_params is not None and count is not None and hardware is not None:
        predicted = predict_run(
            catalogue, n_params=n_params, tokens=count, hardware=hardware, precision=precision, devices=machines
        )
    reader = find_any_meter(split_names(gpus), period_s=PERIOD_S)
    try:
        status, found = run_metered(command, reader)
    except FileNotFoundError:
        return _not_run(f"{command[0]}: command not found", NOT_FOUND)
    except OSError as error:
        return _not_run(f"{command[0]} cannot be run: {error.strerror or error}", NOT_RUN)
    finally:
        reader.close()
    run = metered_run(found, n_params=n_params, tokens=count, hardware=hardware, precision=precision, devices=machines)
    run = valued(run, grid=grid, price_per_hour=per_hour, pue=room)
    run = msgspec.structs.replace(run, predicted=predicted, command=list(command), exit_status=float(status))
    return _report(run, target) or status


def _target(json: list[str] | None) -> Path | None:
    """Return where the record goes: a file, standard error, which is the empty path, or nowhere.

    **Raises:** `QueryError` for several files, and for one in a folder that is not there.
    """
    if json is None or not json:
        return None if json is None else Path()
    if len(json) > 1:
        message = f"--json {' '.join(json)}: give one file, and the command behind --"
        raise QueryError(message, field="json")
    path = Path(json[0])
    if path.is_dir() or not path.parent.is_dir():
        message = f"--json {path}: give a file in a folder that is there"
        raise QueryError(message, field="json")
    return path


def _not_run(text: str, status: int) -> int:
    print(f"hplaw: {text}", file=sys.stderr)
    return status


def _report(run: MeteredRun, target: Path | None) -> int:
    """Say what was measured; return the exit status of a record that cannot be written, else 0."""
    body = encode(run).decode()
    if target == Path():
        print(body, file=sys.stderr)
        return 0
    sys.stderr.write(_page(run, target))
    if target is None:
        return 0
    try:
        target.write_text(f"{body}\n")
    except OSError as error:
        return int(run.exit_status or 0) or _not_run(f"--json {target}: {error.strerror}", FAILED)
    return 0


def _page(run: MeteredRun, target: Path | None) -> str:
    page = Page(bold=False)
    text = shlex.join(run.command or ())
    short = text if len(text) <= SHOWN_COMMAND else f"{text[:SHOWN_COMMAND]}..."
    page.heading(f"Metered: {short}")
    rows = list(_measured(run))
    wide = any(interval for _, _, interval in rows)
    head = ("", "measured", "90% interval")
    page.table(rows if wide else [row[:2] for row in rows], head=head if wide else head[:2])
    if run.meter == "none":
        page.text(f"Energy is unavailable: {run.note}.")
    else:
        page.text(f"Energy is by {MEASURES[run.basis]}, {number(run.metered_devices)} of them{_notes(run)}.")
    if run.predicted:
        page.heading("Predicted for such a run")
        page.table(list(_predicted(run)), head=("", "predicted", "90% interval", "measured"))
    if target is not None:
        page.text(f"Record: {target}")
    return str(page)


def _notes(run: MeteredRun) -> str:
    return f"; {run.note}" if run.note else ""


def _measured(run: MeteredRun) -> Iterator[tuple[str, str, str]]:
    yield "exit_status", f"{run.exit_status or 0:.0f}", ""
    yield "seconds", f"{run.seconds:.4g} s", ""
    if run.joules is None or run.kwh is None or run.mean_power_w is None:
        yield "joules", "unavailable", ""
    else:
        yield "joules", f"{number(run.joules)} J", ""
        yield "kwh", f"{number(run.kwh)} kWh", ""
        yield "mean_power_w", f"{number(run.mean_power_w)} W", ""
    if run.country is not None:
        if run.carbon_kg is None or run.carbon_low_kg is None or run.carbon_high_kg is None:
            yield "carbon_kg", "unavailable", ""
        else:
            value, low, high = (f"{number(mass)}" for mass in (run.carbon_kg, run.carbon_low_kg, run.carbon_high_kg))
            yield "carbon_kg", f"{value} kg", f"{low} to {high}"
    if run.cost is not None:
        yield "cost", f"{number(run.cost)} $", ""
    if run.tokens_per_device_s is not None:
        yield "tokens_per_device_s", number(run.tokens_per_device_s), ""


def _predicted(run: MeteredRun) -> Iterator[tuple[str, str, str, str]]:
    """Yield what the laws give beside what was measured of the same."""
    units = {"duration_s": "s", "accelerator_hours": "h", "power_w": "W", "board_energy_kwh": "kWh"}
    per_board = None if run.mean_power_w is None else run.mean_power_w / max(run.metered_devices, 1)
    boards = run.meter == "nvml"
    measured = {
        "duration_s": run.seconds,
        "accelerator_hours": run.seconds / 3600 * (run.devices or 1.0),
        "power_w": per_board if boards else None,
        "board_energy_kwh": run.kwh if boards else None,
    }
    for name, found in run.predicted.items():
        unit, value = units[name], found.value
        if not isinstance(value, float):
            yield name, "-", found.reason or "", ""
            continue
        ends = [] if found.low is None or found.high is None else [found.low, found.high]
        text, *sides = numbers([value, *ends], unit=unit)
        seen = measured[name]
        yield name, add_unit(text, unit), " to ".join(sides), "unavailable" if seen is None else with_unit(seen, unit)
