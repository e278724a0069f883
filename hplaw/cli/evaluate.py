"""`hplaw evaluate`: what one law says at one point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from hplaw.cli.exit_status import FAILED, OK
from hplaw.cli.laws import find_law
from hplaw.cli.options import Json, LawFolders
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue
from hplaw.cli.render import law_name
from hplaw.errors import QueryError
from hplaw.formatting import number, numbers, with_unit
from hplaw.messages.recommendation import Estimate, Evaluation
from hplaw.messages.record import encode
from hplaw.vocabulary.reading import parse_pairs, parse_value


Given = dict[str, float | str | dict[str, float | str]]


def evaluate(
    law: Annotated[str, Parameter(name="ID", help="A law by its id, address, or file.")],
    /,
    *,
    set_: Annotated[
        list[str] | None,
        Parameter(
            name="--set",
            consume_multiple=True,
            negative=(),
            help="Inputs: n_params=1e9; of a table by category: abc_a.input=1/2.",
        ),
    ] = None,
    laws: LawFolders = None,
    json: Json = False,
) -> int:
    """Compute what one law says at one point: its outputs, with intervals where the law has them."""
    given = read_given(set_)
    catalogue = open_catalogue(laws)
    from hplaw.answer.evaluate_law import evaluate as compute

    answer = compute(find_law(law, catalogue), given, catalogue)
    if json:
        write_json(encode(answer))
    else:
        write(_page(answer))
    found = [*answer.outputs.values(), *(e for table in answer.tables.values() for e in table.values())]
    return OK if any(estimate.value is not None for estimate in found) else FAILED


def read_given(pairs: Sequence[str] | None) -> Given:
    """Return the inputs of a law, those with a dot gathered by category.

    >>> read_given(["n_params=1B", "abc_a.input=1/2"])
    {'n_params': 1000000000.0, 'abc_a': {'input': '1/2'}}
    """
    given: Given = {}
    for name, text in parse_pairs(pairs, "--set").items():
        quantity, dot, category = name.partition(".")
        entry = given.setdefault(quantity, {}) if dot else None
        if not dot and quantity not in given:
            given[quantity] = parse_value(quantity, text)
        elif isinstance(entry, dict) and category:
            entry[category] = parse_value(quantity, text)
        else:
            message = f"--set {name}: give {quantity} as one value, or by category, not both"
            raise QueryError(message, field=quantity)
    return given


def _page(answer: Evaluation) -> str:
    page = Page()
    page.heading(law_name(answer.law))
    rows = [(name, *_value(output)) for name, output in answer.outputs.items()]
    for name, table in answer.tables.items():
        rows += [(f"{name}.{category}", *_value(entry)) for category, entry in table.items()]
    if rows:
        page.table(rows, head=("", "value", "90% interval"))
    if answer.status != "ok":
        page.text(f"status: {answer.status.replace('_', ' ')}")
    if answer.say:
        page.text(answer.say)
    for name, distance in answer.outside.items():
        far = distance if isinstance(distance, str) else f"{number(distance, digits=2)} e-folds"
        page.text(f"outside the domain in {name}: {far}")
    if answer.accepted_with:
        page.text(f"accepted although its fit failed: {'; '.join(answer.accepted_with)}")
    return str(page)


def _value(estimate: Estimate) -> tuple[str, str]:
    if estimate.value is None:
        return "-", "-"
    if estimate.low is None or estimate.high is None:
        return with_unit(estimate.value, estimate.unit), "-"
    low, high = numbers([estimate.low, estimate.high], unit=estimate.unit)
    return with_unit(estimate.value, estimate.unit), f"{low} to {high}"
