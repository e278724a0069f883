"""The warnings of an answer, typed: what a program can act on and a person should read first."""

from __future__ import annotations

import functools as ft
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from hplaw import rows
from hplaw.catalogue.catalogue import Catalogue
from hplaw.evaluation.domain import UNKNOWN
from hplaw.evaluation.inputs import inputs
from hplaw.formatting import factor_of, number, times
from hplaw.law import Law
from hplaw.law.derived import derived
from hplaw.messages.recommendation import AnswerWarning
from hplaw.recommendation.derivation import Derivation
from hplaw.recommendation.question import Question


class Note(msgspec.Struct, frozen=True):
    """A warning in the making: `text` gives its words when they are asked for, `holds` where it is due, by row."""

    code: str
    text: Callable[[], str]
    law: str | None = None
    quantity: str | None = None
    efolds: Any = None
    holds: rows.Truth = True


def warnings_of(found: Derivation, used: Sequence[Law]) -> list[AnswerWarning]:
    """Return what to know before using the answer to one question, for the laws that were used."""
    return [
        *found.question.warnings,
        *(
            AnswerWarning(
                code=note.code,
                text=note.text(),
                law=note.law,
                quantity=note.quantity,
                efolds=None if note.efolds is None else round(note.efolds, 4),
            )
            for note in _notes(found, used)
            if note.holds
        ),
    ]


def codes_of(found: Derivation, used: Sequence[Law], size: int) -> list[list[str]]:
    """Return the codes of the warnings of each of so many rows, each code once."""
    notes = list(_notes(found, used))
    first = [warning.code for warning in found.question.warnings]
    holds = np.stack([np.broadcast_to(note.holds, size) for note in notes], axis=1) if notes else np.ones((size, 0))
    made: dict[bytes, list[str]] = {}
    found_codes: list[list[str]] = []
    for row in holds:
        key = row.tobytes()
        if key not in made:
            told = [note.code for note, due in zip(notes, row, strict=True) if due]
            made[key] = list(dict.fromkeys([*first, *told]))
        found_codes.append(made[key])
    return found_codes


def _notes(found: Derivation, used: Sequence[Law]) -> Iterator[Note]:
    """Yield what to know before using an answer."""
    for law in used:
        yield from _domain(law, found)
        answer = found.answers[law]
        if answer.status != "ok" and answer.say:
            yield Note(answer.status.replace("_", "-"), ft.partial(str, answer.say), law.address)
        yield from _standing(law, found.catalogue)
    yield from _stand_in(found.question, used)
    yield from _unused(found.question, found.known, found.source)
    for law, name, why in found.passed:
        if name not in found.known and found.reasons.get(name) == why:
            continue  # what has no value says why itself
        yield Note(
            "passed-over", ft.partial("{} was passed over for {}: {}".format, law.id, name, why), law.address, name
        )


def _standing(law: Law, catalogue: Catalogue) -> Iterator[Note]:
    """Yield what holds of a law wherever it is used."""
    if law.spec.checked == "recalled":
        text = ft.partial("the constants of {} are not verified against the paper".format, law.id)
        yield Note("recalled", text, law.address)
    evidence = law.spec.evidence
    if evidence and evidence.accepted_with:
        failed = "; ".join(evidence.accepted_with)
        text = ft.partial("the fit of {} was accepted although it failed: {}".format, law.id, failed)
        yield Note("accepted-fit", text, law.address)
    shadowed = catalogue.shadows(law)
    if shadowed:
        text = ft.partial("{} hides {}, which has the same id".format, law.address, shadowed)
        yield Note("shadows", text, law.address)


def _domain(law: Law, found: Derivation) -> Iterator[Note]:
    away = found.away[law]
    for name, efolds in away.efolds:
        value = found.known.get(name, found.answers[law].at.get(name))
        text = ft.partial(outside_range, law, name, value, efolds)
        yield Note("outside-domain", text, law.address, name, efolds, efolds > 0)
    for name, value in away.differs:
        seen = ", ".join(map(str, law.spec.domain[name]))
        words = (
            "{2} was fitted on the {0} {3}; yours may differ"
            if value == UNKNOWN
            else "{} is {}, and {} was fitted on {}"
        )
        text = ft.partial(words.format, name, value, law.id, seen)
        yield Note("recipe-differs", text, law.address, name)


def outside_range(law: Law, name: str, value: Any, efolds: float) -> str:
    """Return how far outside the range of a law a quantity is: as a factor where both are positive."""
    low, high = (float(edge) for edge in law.spec.domain[name])
    said = name if value is None else f"{name}={number(value)}"
    far = "outside" if value is None else "above" if value > high else "below"
    if value is not None and value > 0 and (high if value > high else low) > 0:
        factor = factor_of(efolds)
        far = f"{times(factor)} {far}" if factor >= JUST else f"just {far}"
    return f"{said} is {far} the {_range(law, name)} that {law.id} was fitted on"


JUST = 1.05
"""Factor below which a quantity is just outside a range."""


@derived
def _range(law: Law, name: str) -> str:
    """Return the range of a quantity that a law was fitted on, for people."""
    low, high = (number(float(edge)) for edge in law.spec.domain[name])
    return low if low == high else f"{low} to {high}"


TELLING = 0.02
"""Share by which two counts of parameters may differ before it is worth a warning."""


def _stand_in(question: Question, used: Sequence[Law]) -> Iterator[Note]:
    """Warn where a law took one count of parameters for the other, with the size of the error."""
    if question.stand_in is None:
        return
    name, share = question.stand_in
    takers = [law for law in used if name in law.inputs]
    if takers:
        text = ft.partial(_taken, [law.id for law in takers], name, share)
        yield Note("params-convention", text, takers[0].address, name, holds=share > TELLING)


def _taken(takers: Sequence[str], name: str, share: float) -> str:
    return f"{' and '.join(takers)} took another count of parameters for {name}, which embeddings may change by up to {share:.0%}; give it, or the model's shape"


def _unused(question: Question, known: Mapping[str, Any], source: Mapping[str, Law]) -> Iterator[Note]:
    """Warn where the rate is not that of the batch, or the batch not that of the rate, which the user fixed."""
    for fixed, other in (("batch_tokens", "peak_lr"), ("peak_lr", "batch_tokens")):
        law = source.get(other)
        settled: rows.Truth = fixed in question.given
        if fixed in question.bounds and fixed in known:
            low, high = question.bounds[fixed]
            settled = (known[fixed] == low) | (known[fixed] == high)
        if law is not None and all(item.known != fixed for item in inputs(law)):
            words = "{0} by {1} does not depend on {2}: it is the best at the law's own {2}, not at the one given"
            text = ft.partial(words.format, other, law.id, fixed)
            yield Note("ignores-given", text, law.address, fixed, holds=settled)
