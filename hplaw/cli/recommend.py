"""`hplaw recommend`: a question on the command line, answered as a page, as JSON, or for a table of rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from hplaw.cli.app import FAILED, OK, ROWS_FAILED
from hplaw.cli.options import (
    Json,
    LawFolders,
    open_catalogue,
    parse_pairs,
    parse_value,
    split_names,
)
from hplaw.errors import DataError, QueryError
from hplaw.messages import Bounds, Query, encode
from hplaw.quantities import parse_number


if TYPE_CHECKING:
    from hplaw.catalogue import Catalogue


def _number(name: str, help: str) -> Any:
    # a leading hyphen belongs to the value, so that -3 is refused as a number and not as an option
    return Parameter(name=name, allow_leading_hyphen=True, help=help)


def _several(name: str, help: str) -> Any:
    return Parameter(name=name, consume_multiple=True, negative=(), help=help)


def recommend(
    *,
    params: Annotated[str | None, _number("--params", "Parameters without embedding, all experts counted: 7B.")] = None,
    tokens: Annotated[str | None, _number("--tokens", "Training tokens: 1.4T.")] = None,
    active_params: Annotated[str | None, _number("--active-params", "Parameters without embedding that one token uses.")] = None,
    batch_tokens: Annotated[str | None, _number("--batch-tokens", "Tokens in one step, if that is settled: 4M.")] = None,
    target_loss: Annotated[str | None, _number("--target-loss", "Loss to reach, in nat/token.")] = None,
    optimizer: Annotated[str | None, Parameter(help="Update rule; adamw when left out.")] = None,
    precision: Annotated[str | None, Parameter(help="Number format of the matrix products: bf16.")] = None,
    hardware: Annotated[str | None, Parameter(help="Accelerator, by name.")] = None,
    devices: Annotated[str | None, _number("--devices", "Number of accelerators.")] = None,
    model: Annotated[Path | None, Parameter(help="The model's config.json, as Hugging Face writes it.")] = None,
    given: Annotated[list[str] | None, _several("--given", "Any other quantity that is settled: weight_decay=0.1.")] = None,
    bound: Annotated[list[str] | None, _several("--bound", "Limits for a quantity to choose: batch_tokens=1M..4M; either side may be empty.")] = None,
    want: Annotated[list[str] | None, _several("--want", "Quantities to answer; the usual ones when left out.")] = None,
    law: Annotated[list[str] | None, _several("--law", "Laws to prefer, by id.")] = None,
    laws: LawFolders = None,
    from_: Annotated[Path | None, Parameter(name="--from", help="A table of questions, one a row: CSV, parquet or JSON lines; - reads CSV from standard input.")] = None,
    to: Annotated[Path | None, Parameter(help="Where the answered table goes; - writes CSV to standard output.")] = None,
    json: Json = False,
) -> int:  # fmt: skip
    """Answer what to train with, and what to expect: first what to set, then why, then how sure.

    Numbers take the suffixes k, M, B and T.

    Example: hplaw recommend --params 7B --tokens 1.4T
    """
    numbers = {
        "n_params": ("--params", params),
        "tokens": ("--tokens", tokens),
        "n_active_params": ("--active-params", active_params),
        "batch_tokens": ("--batch-tokens", batch_tokens),
        "target_loss": ("--target-loss", target_loss),
        "devices": ("--devices", devices),
    }
    names = {"optimizer": optimizer, "precision": precision, "hardware": hardware}
    fields: dict[str, Any] = {
        name: _read_number(option, text)
        for name, (option, text) in numbers.items()
        if text is not None
    }
    fields |= {name: text for name, text in names.items() if text is not None}
    others: dict[str, float | str] = {}
    for name, text in parse_pairs(given, "--given").items():
        if name in fields:
            message = f"{name} is given twice; give it once"
            raise QueryError(message, field=name)
        into = fields if name in numbers or name in names else others
        into[name] = parse_value(name, text)
    if model is not None:
        fields["model"] = _read_model(model)
    query = Query(
        **fields,
        given=others,
        bounds={name: _bounds(name, text) for name, text in parse_pairs(bound, "--bound").items()},
        want=split_names(want),
        laws=split_names(law),
    )
    if from_ is not None or to is not None:
        if from_ is None or json:
            message = (
                "--to needs --from FILE, the table of questions"
                if from_ is None
                else "--json and --from exclude each other; --to FILE.jsonl writes JSON lines"
            )
            raise QueryError(message)
        return _answer_file(from_, to or Path("-"), query, open_catalogue(laws))
    return _answer(query, open_catalogue(laws), json=json)


def _answer(query: Query, catalogue: Catalogue, *, json: bool) -> int:
    from hplaw.cli.page import write, write_json
    from hplaw.recommend import recommend as ask

    answer = ask(query, catalogue)
    if json:
        write_json(encode(answer))
    else:
        from hplaw.cli.render import render

        write(render(answer))
    return OK if any(e.value is not None for e in answer.answers.values()) else FAILED


def _answer_file(source: Path, target: Path, query: Query, catalogue: Catalogue) -> int:
    from hplaw.cli.answer_table import answer_table
    from hplaw.cli.human import plural
    from hplaw.tables import STANDARD, read_table, refuse_same_file, write_table

    refuse_same_file(source, target)
    answered, failed = answer_table(read_table(source), query, catalogue)
    write_table(answered, target)
    rows = plural(answered.rows, "row")
    if failed:
        where = "" if target == STANDARD else f" of {target}"
        print(
            f"hplaw: {failed:,} of {rows} failed; the column error{where} says why", file=sys.stderr
        )
        return ROWS_FAILED
    if target != STANDARD:
        print(f"{rows} answered in {target}")
    return OK


def _read_number(option: str, text: str) -> float:
    try:
        return parse_number(text)
    except QueryError as error:
        message = f"{option} {error.text}"
        raise QueryError(message, field=option) from None


def _bounds(name: str, text: str) -> Bounds:
    low, dots, high = (part.strip() for part in text.partition(".."))
    if not dots or not (low or high):
        message = (
            f"--bound {name}={text}: give LOW..HIGH, either side may be empty, for example 1M..4M"
        )
        raise QueryError(message, field=name)
    limits = [_read_number(f"--bound {name}:", side) if side else None for side in (low, high)]
    return Bounds(low=limits[0], high=limits[1])


def _read_model(path: Path) -> dict[str, Any]:
    import msgspec

    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        message = f"--model {path}: {error.strerror}"
        raise DataError(message) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        message = f"--model {path} is no JSON object ({error}); give the model's config.json"
        raise DataError(message) from None
