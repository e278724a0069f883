"""The question of `hplaw recommend`, from its words to the answer; and the short cut for plain questions.

Starting the parser of the command line takes as long as the answer, so that a plain question is read without it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hplaw.cli.exit_status import FAILED, OK, ROWS_FAILED
from hplaw.cli.reading import open_catalogue, read_object
from hplaw.errors import QueryError
from hplaw.messages.query import Query
from hplaw.messages.query_text import COMPUTE, DAYS, NAMES, NUMBERS, OTHERS, TUNED_BASE, read_query_fields
from hplaw.messages.record import encode
from hplaw.vocabulary.reading import split_names


if TYPE_CHECKING:
    from hplaw.catalogue.catalogue import Catalogue


_RENAMED = {
    "n_params": "params",
    "n_active_params": "active_params",
    COMPUTE: "flops",
    "parametrization": "scheme",
    "n_experts": "experts",
    "price_per_hour": "price",
    "n_active_experts": "experts_active",
}
"""The options of quantities that are not called as the quantity is."""

OPTIONS = {name: _RENAMED.get(name, name) for name in (*NUMBERS, *NAMES, DAYS, *OTHERS, TUNED_BASE)}
"""The options with one value, by what they give."""


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `hplaw recommend` as they were written."""

    params: str | None = None
    tokens: str | None = None
    active_params: str | None = None
    experts: str | None = None
    experts_active: str | None = None
    granularity: str | None = None
    batch_tokens: str | None = None
    target_loss: str | None = None
    optimizer: str | None = None
    precision: str | None = None
    hardware: str | None = None
    devices: str | None = None
    days: str | None = None
    country: str | None = None
    recipe: str | None = None
    flops: str | None = None
    width: str | None = None
    scheme: str | None = None
    tuned_base: str | None = None
    unique_tokens: str | None = None
    epochs: str | None = None
    serve_tokens: str | None = None
    serve_precision: str | None = None
    minimize: str | None = None
    effort: str | None = None
    price: str | None = None
    pue: str | None = None
    schedule: str | None = None
    task: str | None = None
    finetune: str | None = None
    lora_rank: str | None = None
    compare: str | None = None
    model: str | None = None
    given: Sequence[str] = ()
    bound: Sequence[str] = ()
    want: Sequence[str] = ()
    law: Sequence[str] = ()
    laws: Sequence[Path] = ()
    source: str | None = None
    target: str | None = None
    json: bool = False
    explain: bool = False
    show: Sequence[str] = ()
    all: bool = False


SHORT = {_flag(option): option for option in (*OPTIONS.values(), "model")}
"""The options that the short cut reads, each with one value."""

FLAGS = {_flag(option): option for option in ("json", "explain", "all")}
"""The options that it reads without a value."""


def plain_question(words: Sequence[str]) -> Asked | None:
    """Return the options of a plain `recommend`, or None for anything that the parser must look at.

    >>> plain_question(["recommend", "--params", "7B", "--json"]).params
    '7B'
    """
    if not words or words[0] != "recommend":
        return None
    found: dict[str, Any] = {}
    rest = iter(words[1:])
    for word in rest:
        option, equals, value = word.partition("=")
        name = FLAGS.get(word) or SHORT.get(option)
        if name is None or name in found:
            return None
        if word not in FLAGS:
            value = value if equals else next(rest, "")
            if not value or value.startswith("-"):
                return None
        found[name] = value or True
    return Asked(**found)


def answer(asked: Asked) -> int:
    """Answer a question on standard output, or a table of them, and return the exit status."""
    query = query_of(asked)
    if asked.compare is not None:
        if asked.source is not None or asked.target is not None:
            message = "--compare is for one question, not for a table; leave --from and --to out"
            raise QueryError(message, field="compare")
        from hplaw.cli.compare import answer_compared

        return answer_compared(query, asked.compare, open_catalogue(asked.laws), json=asked.json, shown=sections(asked))
    if asked.source is None and asked.target is None:
        return _answer_one(query, open_catalogue(asked.laws), asked)
    if asked.source is None:
        message = "--to needs --from FILE, the table of questions"
        raise QueryError(message, field="from")
    if asked.json:
        message = "--json and --from exclude each other; --to FILE.jsonl writes JSON lines"
        raise QueryError(message, field="json")
    if asked.explain or asked.show or asked.all:
        message = "--explain, --show and --all are for one question; a table has its answers in columns"
        raise QueryError(message, field="show")
    return _answer_table(Path(asked.source), Path(asked.target or "-"), query, asked.laws)


def query_of(asked: Asked) -> Query:
    """Return the query that the options make.

    **Raises:** `QueryError` for a number that is none, a quantity given twice, bounds that are none; `DataError`
    for a model file that cannot be read.

    >>> query_of(Asked(params="7B", given=["weight_decay=0.1"]))
    Query(n_params=7000000000.0, ..., given={'weight_decay': 0.1}, ...)
    """
    texts: dict[str, str | None] = {name: getattr(asked, option) for name, option in OPTIONS.items()}
    fields = read_query_fields(
        {name: text for name, text in texts.items() if text is not None},
        given=asked.given,
        bound=asked.bound,
        label=lambda name: _flag(OPTIONS.get(name, name)),
    )
    if asked.model is not None:
        fields["model"] = read_object("--model", Path(asked.model))
    return Query(**fields, want=split_names(asked.want), laws=split_names(asked.law))


def sections(asked: Asked) -> list[str]:
    """Return the sections to show behind the first screen.

    **Raises:** `QueryError` for a section that there is not.
    """
    from hplaw.cli.render import SECTIONS

    return list(SECTIONS.choose(explain=asked.explain, show=asked.show, all=asked.all))


def _answer_one(query: Query, catalogue: Catalogue, asked: Asked) -> int:
    from hplaw.cli.page import write, write_json
    from hplaw.cli.render import render
    from hplaw.recommendation.record import recommend

    found = recommend(query, catalogue)
    if asked.json:
        write_json(encode(found))
    else:
        from hplaw.cli.example import example

        write(render(found, shown=sections(asked), example=example(query, found, catalogue)))
    return OK if any(e.value is not None for e in found.answers.values()) else FAILED


def _answer_table(source: Path, target: Path, query: Query, laws: Sequence[Path]) -> int:
    from hplaw.cli.answer_table import answer_table, strange_columns
    from hplaw.cli.tables import STANDARD, read_table, refuse_same_file, write_table
    from hplaw.formatting import plural

    refuse_same_file(source, target)
    table = read_table(source)
    catalogue = open_catalogue(laws)
    answered, failed = answer_table(table, query, catalogue)
    write_table(answered, target)
    for told in strange_columns(table, catalogue):
        print(f"hplaw: {told}", file=sys.stderr)
    rows = plural(answered.rows, "row")
    if failed:
        where = "" if target == STANDARD else f" of {target}"
        text = f"hplaw: {failed:,} of {rows} failed; the column error{where} says why"
        print(text, file=sys.stderr)
        return ROWS_FAILED
    if target != STANDARD:
        print(f"{rows} answered in {target}")
    return OK
