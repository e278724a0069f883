"""`hplaw evaluate`: what one law gives at one point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from hplaw.cli.details import add_intervals, add_sources, law_name
from hplaw.cli.exit_status import FAILED, OK
from hplaw.cli.formula import readable
from hplaw.cli.laws import find_law
from hplaw.cli.options import All, Explain, Json, LawFolders, several
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue
from hplaw.cli.render import add_estimates, add_warnings, question, without_value
from hplaw.cli.sections import Sections
from hplaw.errors import QueryError
from hplaw.law import Law
from hplaw.messages.recommendation import Estimate, Evaluation
from hplaw.messages.record import encode
from hplaw.recommendation.warnings import outside_range
from hplaw.vocabulary.reading import parse_pairs, parse_value


SECTIONS = Sections(("intervals", "derivation", "sources"), explained=("derivation", "sources"))
"""What is behind the first screen."""

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
    explain: Explain = False,
    show: Annotated[list[str] | None, several(SECTIONS.help)] = None,
    all: All = False,
    json: Json = False,
) -> int:
    """Evaluate one law at one point: its outputs, with intervals where the law has them."""
    shown = SECTIONS.choose(explain=explain, show=show, all=all)
    given = read_given(set_)
    catalogue = open_catalogue(laws)
    from hplaw.answer.evaluate_law import evaluate as compute

    asked = find_law(law, catalogue)
    answer = compute(asked, given, catalogue)
    if json:
        write_json(encode(answer))
    else:
        write(_page(answer, asked, given, shown))
    return OK if any(estimate.value is not None for estimate in estimates_of(answer).values()) else FAILED


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


def _page(answer: Evaluation, law: Law, given: Given, shown: Sequence[str]) -> str:
    page = Page()
    plain = {name: value for name, value in given.items() if not isinstance(value, dict)}
    words = question(
        plain | {f"{key}.{word}": v for key, t in given.items() if isinstance(t, dict) for word, v in t.items()}
    )
    page.text(f"{law_name(answer.law)} at {words}" if words else law_name(answer.law), indent=0)
    told = {name: estimate for name, estimate in estimates_of(answer).items() if estimate.value is not None}
    add_estimates(page, told, {"Gives": list(told)}, laws=False)
    add_warnings(page, _warnings(answer, law, plain))
    for name in shown:
        _add_section(page, name, told, law)
    SECTIONS.say_more(page, shown)
    return str(page)


def estimates_of(answer: Evaluation) -> dict[str, Estimate]:
    """Return the outputs by name, those of tables by name and category."""
    tables = {f"{name}.{word}": entry for name, table in answer.tables.items() for word, entry in table.items()}
    return {**answer.outputs, **tables}


def _warnings(answer: Evaluation, law: Law, given: Mapping[str, Any]) -> Iterator[str]:
    if answer.status != "ok" or answer.say:
        yield ": ".join(part for part in (answer.status.replace("_", " "), answer.say) if part)
    yield from without_value(estimates_of(answer) if answer.status == "ok" else {})
    for name, distance in answer.outside.items():
        if isinstance(distance, str):
            yield f"{name} is {distance}, and {law.id} covers {', '.join(map(str, law.spec.domain[name]))}"
        else:
            value = answer.outputs[name].value if name in answer.outputs else given.get(name)
            yield outside_range(law, name, value, distance)
    if answer.accepted_with:
        yield f"the fit of {law.id} was accepted although it failed: {'; '.join(answer.accepted_with)}"


def _add_section(page: Page, name: str, told: Mapping[str, Estimate], law: Law) -> None:
    match name:
        case "intervals":
            add_intervals(page, told)
        case "derivation":
            page.heading("Derivation")
            names = list(law.formulas())
            for part in (*names, *law.lets_behind(names)):
                page.text(readable(f"{part} = {law.text_of(part)}"), hang=4)
        case _:
            add_sources(page, [law.citation()])
