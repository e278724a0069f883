"""`hplaw recommend --compare`: the answers to one question for several values of a quantity, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from hplaw.cli.exit_status import FAILED, OK
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.render import (
    SECTIONS,
    add_section,
    add_warnings,
    question,
    settings_first,
    texts_by_case,
    warning_texts,
    without_value,
)
from hplaw.errors import MalformedQuery
from hplaw.formatting import MULTIPLES, number, numbers
from hplaw.messages.compare import AnswerComparison, CompareRequest, Option
from hplaw.messages.query import Query
from hplaw.messages.recommendation import Estimate
from hplaw.messages.record import Scalar, encode
from hplaw.recommendation.compare import compare
from hplaw.vocabulary.names import called
from hplaw.vocabulary.reading import parse_pairs, parse_value


if TYPE_CHECKING:
    from hplaw.catalogue.catalogue import Catalogue


LOSS_DIGITS, DIGITS = 4, 3
"""Significant digits: small differences of the loss count."""

VALUE_DIGITS = 12
"""Significant digits of the values that are compared, so that no two are written alike."""

NAMED_UNITS = ("", "1", "token", "FLOP", "h")
"""Units that the names of quantities say already."""

SAID = {
    "loss": "lowest loss",
    "accelerator_hours": "fewest accelerator hours",
    "energy_kwh": "lowest energy",
    "carbon_kg": "lowest carbon",
    "lifetime_flop": "lowest compute of training and serving",
    "serve_loss": "lowest loss when served",
}
"""What is said of the best values, in this order; the rest is in the JSON."""


def answer_compared(query: Query, text: str, catalogue: Catalogue, *, json: bool, shown: Sequence[str]) -> int:
    """Answer a question for several values of one quantity, and return the exit status.

    **Arguments:**

    - `text`: the quantity and its values, as in precision=bf16,fp8.
    - `shown`: the sections to add, for each value.

    **Raises:** `MalformedQuery` for text that is none.
    """
    found = compare(CompareRequest(query=query, compare=read_compared(text)), catalogue, by="command")
    if json:
        write_json(encode(found))
    else:
        write(_page(found, shown))
    answered = (option.answer for option in found.options)
    return OK if any(e.value is not None for answer in answered if answer for e in answer.answers.values()) else FAILED


def read_compared(text: str) -> dict[str, list[Scalar]]:
    """Return the quantity and the values of text such as precision=bf16,fp8.

    >>> read_compared("params=1B,7B")
    {'n_params': [1000000000.0, 7000000000.0]}
    """
    ((name, values),) = parse_pairs([text], "--compare").items()
    parts = [part.strip() for part in values.split(",")]
    if not all(parts):
        message = f"--compare {text}: a value is empty; give values with commas between, for example precision=bf16,fp8"
        raise MalformedQuery(message, field="compare")
    quantity = called(name)
    return {quantity: [parse_value(quantity, part) for part in parts]}


def _page(found: AnswerComparison, shown: Sequence[str]) -> str:
    page = Page()
    answers = {_text(option.value): option.answer for option in found.options if option.answer is not None}
    if not answers:
        add_warnings(page, _warnings(found.options))
        return str(page)
    first = next(iter(answers.values()))
    asked = {name: value for name, value in first.query.items() if name != found.quantity}
    given = (
        {name: value for name, value in first.query["given"].items() if name != found.quantity}
        if "given" in asked
        else {}
    )
    page.text(f"For {question({**asked, 'given': given})}", indent=0)
    page.heading(f"By {found.quantity}")
    estimates = {name: answer.answers for name, answer in answers.items()}
    page.table(list(_rows(estimates)), head=("", *answers))
    for line in _verdicts(found):
        page.text(line)
    add_warnings(page, _warnings(found.options))
    for name in shown:
        for option, answer in answers.items():
            page.heading(option)
            add_section(page, name, answer, answer.answers)
    SECTIONS.say_more(page, shown)
    return str(page)


def _rows(answers: Mapping[str, Mapping[str, Estimate]]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each quantity that has a value for any option, what is to set first."""
    names = dict.fromkeys(name for them in answers.values() for name in them)
    twice = "energy_kwh" in names
    for name in settings_first(names):
        estimates = [them.get(name) for them in answers.values()]
        cells = _cells(name, estimates)
        if any(cell != "-" for cell in cells) and not (twice and name == "energy_j"):
            units = {one.unit for one in estimates if one is not None and isinstance(one.value, int | float)}
            unit = next((unit for unit in units if unit not in MULTIPLES), "1")
            yield (name if unit in NAMED_UNITS else f"{name}, {unit}", *cells)


def _cells(name: str, estimates: Sequence[Estimate | None]) -> list[str]:
    """Return the values of one quantity, written alike, without the unit."""
    known = [one for one in estimates if one is not None and isinstance(one.value, int | float)]
    digits = LOSS_DIGITS if name.endswith("loss") else DIGITS
    unit = known[0].unit if known else ""
    written = iter(numbers([float(one.value) for one in known if one.value is not None], unit=unit, digits=digits))
    return [
        "-" if one is None or one.value is None else one.value if isinstance(one.value, str) else next(written)
        for one in estimates
    ]


def _verdicts(found: AnswerComparison) -> Iterator[str]:
    """Yield which value is best for what."""
    if found.unchanged:
        yield f"{found.quantity} changes none of these: no law here depends on it."
        return
    best = [f"{said} {_text(found.best[name])}" for name, said in SAID.items() if name in found.best]
    if best:
        text = ", ".join(best)
        yield f"{text[0].upper()}{text[1:]}."
    same = found.same_cost
    if same is not None and same.best is not None:
        reached = [
            f"{_text(one.value)} {number(one.loss, digits=LOSS_DIGITS)} ({number(one.tokens, digits=DIGITS)} tokens)"
            for one in same.options
            if one.loss is not None and one.tokens is not None
        ]
        hours = number(same.accelerator_hours, digits=DIGITS)
        yield f"For the same {hours} accelerator hours the best is {_text(same.best)}: loss {', '.join(reached)}."


def _text(value: Scalar) -> str:
    return value if isinstance(value, str) else number(value, digits=VALUE_DIGITS)


def _warnings(options: Sequence[Option]) -> Iterator[str]:
    """Yield what to know before using the answers, with the value where it does not hold for all."""
    return texts_by_case([(_text(option.value), _texts(option)) for option in options])


def _texts(option: Option) -> Iterator[str]:
    if option.answer is None:
        yield str(option.error)
    else:
        yield from without_value(option.answer.answers)
        yield from warning_texts(option.answer.warnings)
