"""`hplaw prune-advice`: in which regime a pruned model is, what to do to its training, and which of several to prune."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from hplaw.cli.exit_status import FAILED, OK, ROWS_FAILED
from hplaw.cli.options import Json, LawFolders, one
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue
from hplaw.cli.render import add_warnings
from hplaw.errors import QueryError
from hplaw.formatting import plural
from hplaw.messages.pruning import PUBLISHED_MAP, PruneAdvice, PruneCase, PruneReply, PruneRequest, PruneRow
from hplaw.messages.record import encode
from hplaw.vocabulary.reading import read_number


NUMBERS = ("density", "epochs", "to_epochs", "lmc", "cka", "retrains")
"""Columns of a table of cases that are read, beside `model`."""

ANSWERS = (
    *("regime", "p_I", "p_IIA", "p_IIB", "action"),
    *("best_epochs", "error_change", "error_change_low", "error_change_high", "chosen", "error"),
)
"""Columns that are added."""

Text = str | None


def prune_advice(
    *,
    density: Annotated[Text, one("Share of the weights that pruning keeps: 0.1.")] = None,
    epochs: Annotated[Text, one("Epochs of the training before pruning.")] = None,
    to_epochs: Annotated[Text, one("Epochs to compare with; those of lowest expected error by default.")] = None,
    lmc: Annotated[Text, one("Measured linear mode connectivity of two retrainings.")] = None,
    cka: Annotated[Text, one("Measured similarity (CKA) of two retrainings' outputs.")] = None,
    map: Annotated[str, one("The map that answers: a law of kind grid over density and epochs.")] = PUBLISHED_MAP,
    from_: Annotated[
        Text,
        one(
            "A table of cases, with columns density and epochs, or lmc and cka; model adds which one to prune.",
            "--from",
        ),
    ] = None,
    to: Annotated[Text, one("Where the answered table goes; CSV on standard output by default.")] = None,
    laws: LawFolders = None,
    json: Json = False,
) -> int:
    """Show in which regime a pruned model is, and whether to train hotter or cooler before pruning.

    Hotter means fewer epochs, a smaller batch, or a larger radius of sharpness-aware minimization (SAM rho).
    """
    options = {"density": density, "epochs": epochs, "to_epochs": to_epochs, "lmc": lmc, "cka": cka}
    given = {
        name: read_number(f"--{name.replace('_', '-')}", text) for name, text in options.items() if text is not None
    }
    if from_ is not None:
        if given:
            message = f"--{next(iter(given)).replace('_', '-')} and --from exclude each other; give it as a column"
            raise QueryError(message, field="from")
        return _table(from_, to, map, laws, json=json)
    if to is not None:
        message = "--to needs --from, the table of cases to answer"
        raise QueryError(message, field="to")
    from hplaw.pruning.advice import prune_advice as advise

    asked = msgspec.structs.replace(PruneRequest(map=map), **given)
    found = advise(asked, open_catalogue(laws), by="command")
    assert isinstance(found, PruneAdvice)
    if json:
        write_json(encode(found))
    else:
        write(str(_page(found)))
    return OK


def _page(found: PruneAdvice) -> Page:
    page = Page()
    case = [
        f"density {found.density:g}" if found.density is not None else "",
        f"epochs {found.epochs:g}" if found.epochs else "",
    ]
    page.text(
        f"For {', '.join(filter(None, case)) or 'measured connectivity'}, by {found.law.partition('+')[0]}", indent=0
    )
    page.heading("Regime")
    page.table([("regime", found.regime), *((name, f"{p:.3f}") for name, p in _probabilities(found))])
    page.heading("Do")
    page.text(found.means)
    change = found.error_change
    if change is not None:
        span = (
            ""
            if change.low is None or change.high is None
            else f", 90% interval {change.low:+.4f} to {change.high:+.4f}"
        )
        page.text(f"test error from {change.from_epochs:g} to {change.to_epochs:g} epochs: {change.value:+.4f}{span}")
    elif found.reason:
        page.text(f"expected change of error: none, {found.reason}")
    add_warnings(page, [warning.text for warning in found.warnings])
    return page


def _probabilities(found: PruneAdvice) -> Sequence[tuple[str, float]]:
    return (("p_I", found.p_I), ("p_IIA", found.p_IIA), ("p_IIB", found.p_IIB))


def _table(source: str, target: str | None, map: str, laws: Any, *, json: bool) -> int:
    from pathlib import Path

    from hplaw.cli.tables import read_table, refuse_same_file, write_table
    from hplaw.pruning.advice import prune_advice as advise

    if target is not None:
        refuse_same_file(Path(source), Path(target))
    table = read_table(source)
    read = [name for name in NUMBERS if name in table.columns]
    if not ({"density", "epochs"} <= set(read) or "lmc" in read):
        message = f"{source} has the columns {', '.join(table.columns)[:200]}; give density and epochs, or lmc and cka"
        raise QueryError(message, field="from")
    cases: list[PruneCase] = []
    errors = dict(table.problems)
    for place in range(table.rows):
        try:
            cases.append(_case({name: table.columns[name][place] for name in read}, _model(table.columns, place)))
        except QueryError as error:
            errors.setdefault(place, error.told("command"))
            cases.append(PruneCase())
    if not cases:
        message = f"{source} has no rows; give cases, one a row"
        raise QueryError(message, field="from")
    found = advise(PruneRequest(map=map, cases=cases), open_catalogue(laws), by="command")
    assert isinstance(found, PruneReply)
    rows = [PruneRow(model=row.model, error=errors[i]) if i in errors else row for i, row in enumerate(found.rows)]
    if json:
        write_json(encode(msgspec.structs.replace(found, rows=rows)))
    else:
        columns = {name: column for name, column in table.columns.items() if name not in ANSWERS}
        chosen = found.choice.model if found.choice else None
        answered = [_answers(row, chosen) for row in rows]
        for name in ANSWERS:
            if name != "chosen" or found.choice is not None:
                columns[name] = [row[name] for row in answered]
        write_table(msgspec.structs.replace(table, columns=columns), target or "-")
    failed = sum(row.error is not None for row in rows)
    out = sys.stderr if json or target in (None, "-") else sys.stdout
    if not json and target not in (None, "-"):
        print(f"wrote {target}: {plural(len(rows) - failed, 'case')} answered", file=out)
    if found.choice is not None:
        print(found.choice.say, file=out)
    if failed:
        first = next(i for i, row in enumerate(rows) if row.error is not None)
        print(
            f"hplaw: {plural(failed, 'row')} could not be answered; row {first + 1}: {rows[first].error}",
            file=sys.stderr,
        )
        return FAILED if failed == len(rows) else ROWS_FAILED
    return OK


def _model(columns: dict[str, list[Any]], place: int) -> str | None:
    cell = columns["model"][place] if "model" in columns else None
    return None if cell is None else str(cell)


def _case(cells: dict[str, Any], model: str | None) -> PruneCase:
    found = {
        name: read_number(name, cell, field=name) if isinstance(cell, str) else float(cell)
        for name, cell in cells.items()
        if cell is not None
    }
    return PruneCase(model=model, **found)


def _answers(row: PruneRow, chosen: str | None) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(ANSWERS)
    found["error"] = row.error
    if row.model is not None:
        found["chosen"] = "yes" if row.model == chosen else "no"
    if row.advice is not None:
        advice, change = row.advice, row.advice.error_change
        found |= {"regime": advice.regime, "action": advice.action} | dict(_probabilities(advice))
        if change is not None:
            found |= {"best_epochs": change.to_epochs, "error_change": change.value}
            found |= {"error_change_low": change.low, "error_change_high": change.high}
    return found
