"""`hplaw device`: which batch and power limit take minimum energy on one GPU, and what joules cost in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from hplaw.cli.charts import save_chart
from hplaw.cli.details import law_name
from hplaw.cli.exit_status import OK
from hplaw.cli.options import Json, LawFolders, one, several
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue
from hplaw.cli.tables import read_table
from hplaw.errors import QueryError
from hplaw.formatting import number
from hplaw.messages.device import DeviceEnergyRequest, Probe
from hplaw.messages.record import encode
from hplaw.vocabulary.reading import parse_pairs, read_number


if TYPE_CHECKING:
    from hplaw.messages.device import DeviceEnergy, DevicePoint


COLUMNS = Probe.__struct_fields__
"""What a probe measured."""
ROWS = 13
"""Points of the front that the page shows; JSON has all."""


def device(
    *,
    probe: Annotated[
        list[str] | None,
        several(
            "A probe, three times: batch_samples=256,power_limit_w=300,energy_per_sample_j=0.706,time_per_sample_s=0.003."
        ),
    ] = None,
    probes: Annotated[Path | None, Parameter(help="A table of the probes instead, with these four columns.")] = None,
    batch: Annotated[
        str | None, one("The batch to compare with, under the maximum limit; the large probe's by default.")
    ] = None,
    batches: Annotated[
        list[str] | None, several("Batches to choose among; doublings between the probes' by default.")
    ] = None,
    limits: Annotated[
        list[str] | None, several("Power limits in watts to choose among; those between the probes' by default.")
    ] = None,
    plot: Annotated[Path | None, Parameter(help="Write the plot here: .svg, .png, .html or .json.")] = None,
    laws: LawFolders = None,
    json: Json = False,
) -> int:
    """Find the batch size and power limit of minimum energy per sample, of minimum time, and the trade-off between them."""
    from hplaw.client.calls import to_json
    from hplaw.energy.device import chart, device_energy
    from hplaw.messages.decode import decode

    fields: dict[str, Any] = {
        "probes": _probes(probe, probes),
        "batches": [read_number("--batches", text) for text in batches or ()],
        "limits": [read_number("--limits", text) for text in limits or ()],
    }
    if batch is not None:
        fields["batch_samples"] = read_number("--batch", batch)
    found = device_energy(decode(to_json(fields), DeviceEnergyRequest), open_catalogue(laws))
    if plot is not None:
        save_chart(chart(found), plot)
    if json:
        write_json(encode(found))
    else:
        write(_page(found, plot))
    return OK


def _probes(words: Sequence[str] | None, path: Path | None) -> list[dict[str, float]]:
    """Return the probes of the options, or those of a table.

    **Raises:** `QueryError` for none, for both, and for a probe that lacks something; `DataError` for the file.
    """
    if (path is None) == (not words):
        message = f"give --probe three times, each with {','.join(f'{name}=..' for name in COLUMNS)}, or --probes with a table of them"
        raise QueryError(message, field="probes")
    if path is None:
        rows = [parse_pairs(word.split(","), "--probe") for word in words or ()]
    else:
        table = read_table(path)
        columns = [name for name in COLUMNS if name in table.columns]
        rows = [
            {name: str(table.columns[name][i]) for name in columns if table.columns[name][i] is not None}
            for i in range(table.rows)
        ]
    found: list[dict[str, float]] = []
    for place, row in enumerate(rows, start=1):
        lacks = [name for name in COLUMNS if name not in row]
        if lacks:
            message = f"probe {place} lacks {' and '.join(lacks)}; each has {', '.join(COLUMNS)}"
            raise QueryError(message, field="probes")
        found.append({name: read_number(f"probe {place} {name}", row[name]) for name in row})
    return found


def _page(found: DeviceEnergy, plot: Path | None) -> str:
    page = Page()
    page.heading("Minimum energy, minimum time")
    named = (("default", found.default), ("minimum energy", found.least_energy), ("fastest", found.fastest))
    page.table(
        [(word, *_row(item)) for word, item in named],
        head=("", "batch", "limit", "J/sample", "s/sample", "saves, 90% interval", "takes longer"),
    )
    page.heading("What joules cost in seconds")
    page.table(
        [_row(item) for item in _thinned(found.front)],
        head=("batch", "limit", "J/sample", "s/sample", "saves, 90% interval", "takes longer"),
    )
    page.line()
    page.text(
        f"{found.considered} settings by {law_name(found.law)}; energy is a sample's, so ask of the loss what a batch makes of samples"
    )
    for warning in found.warnings:
        page.text(f"{warning.code}: {warning.text}")
    if plot is not None:
        page.text(f"plot: {plot}")
    return str(page)


def _thinned(front: Sequence[DevicePoint]) -> list[DevicePoint]:
    """Return at most `ROWS` points evenly, the fastest and the most sparing among them."""
    if len(front) <= ROWS:
        return list(front)
    return [front[round(i * (len(front) - 1) / (ROWS - 1))] for i in range(ROWS)]


def _row(item: DevicePoint) -> tuple[str, ...]:
    saves, longer = "-", "-"
    if item.saving_low is not None and item.saving_high is not None:
        saves = f"{_percent(item.saving)}, {_percent(item.saving_low)} to {_percent(item.saving_high)}"
        longer = _percent(item.longer)
    return (
        number(item.batch_samples),
        f"{number(item.power_limit_w)} W",
        number(item.energy_per_sample_j),
        number(item.time_per_sample_s),
        saves,
        longer,
    )


def _percent(share: float) -> str:
    return f"{round(100 * share)}%"
