"""The warnings of an answer, typed: what a program can act on and a person should read first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hplaw.catalogue.catalogue import Catalogue
from hplaw.formatting import number
from hplaw.law import Law
from hplaw.law.derived import derived
from hplaw.messages.recommendation import AnswerWarning
from hplaw.recommendation.derivation import Derivation
from hplaw.recommendation.question import Question


def warnings_of(question: Question, found: Derivation, used: Sequence[Law]) -> list[AnswerWarning]:
    """Return what to know before using an answer, for the laws that were used."""
    warnings: list[AnswerWarning] = []
    for law in used:
        warnings += _domain(law, found)
        answer = found.answers[law]
        if answer.status != "ok" and answer.say:
            warnings.append(AnswerWarning(code=answer.status.replace("_", "-"), law=law.address, text=answer.say))
        warnings += _standing(law, found.catalogue)
    warnings += _stand_in(question, used)
    warnings += _unused(question, found.source)
    for law, name, why in found.passed:
        text = f"{law.id} was passed over for {name}: {why}"
        warnings.append(AnswerWarning(code="passed-over", law=law.address, quantity=name, text=text))
    return warnings


class Seen(msgspec.Struct, frozen=True):
    """How a row of a batch saw one law: outside its domain, with another recipe, in a case counted from one (0: none)."""

    law: Law
    outside: bool
    differs: bool
    case: int


def codes_of(question: Question, seen: Sequence[Seen], source: Mapping[str, Law], catalogue: Catalogue) -> list[str]:
    """Return the codes that `warnings_of` would have, for a row of a batch; `source` is the law of each quantity."""
    codes = [warning.code for warning in question.warnings]
    for row in seen:
        codes += ["outside-domain"] * row.outside + ["recipe-differs"] * row.differs
        if row.case:
            codes.append(row.law.spec.cases[row.case - 1].status.replace("_", "-"))
        codes += [warning.code for warning in _standing(row.law, catalogue)]
    codes += [warning.code for warning in (*_stand_in(question, [row.law for row in seen]), *_unused(question, source))]
    return list(dict.fromkeys(codes))


def _standing(law: Law, catalogue: Catalogue) -> list[AnswerWarning]:
    """Return what holds of a law wherever it is used."""
    warnings: list[AnswerWarning] = []
    if law.spec.checked == "recalled":
        text = f"the constants of {law.id} are recalled, not read in the source"
        warnings.append(AnswerWarning(code="recalled", law=law.address, text=text))
    evidence = law.spec.evidence
    if evidence and evidence.accepted_with:
        text = f"the fit of {law.id} was accepted although it failed: {'; '.join(evidence.accepted_with)}"
        warnings.append(AnswerWarning(code="accepted-fit", law=law.address, text=text))
    shadowed = catalogue.shadows(law)
    if shadowed:
        text = f"{law.address} stands before {shadowed}, which has the same id"
        warnings.append(AnswerWarning(code="shadows", law=law.address, text=text))
    return warnings


def _domain(law: Law, found: Derivation) -> list[AnswerWarning]:
    warnings: list[AnswerWarning] = []
    away = found.away[law]
    for name, efolds in away.efolds:
        seen = _range(law, name)
        far = f"{efolds:.1f} e-folds" if efolds >= 0.05 else "just"
        value = found.known.get(name, found.answers[law].at.get(name))
        said = name if value is None else f"{name}={number(value)}"
        text = f"{said} is {far} outside the {seen} that {law.id} was seen in"
        warnings.append(
            AnswerWarning(code="outside-domain", law=law.address, quantity=name, efolds=round(efolds, 4), text=text)
        )
    for name, value in away.differs:
        seen = ", ".join(map(str, law.spec.domain[name]))
        text = f"{name} is {value}, and {law.id} was seen with {seen}"
        warnings.append(AnswerWarning(code="recipe-differs", law=law.address, quantity=name, text=text))
    return warnings


@derived
def _range(law: Law, name: str) -> str:
    """Return the range of a quantity that a law was seen in, for people."""
    low, high = (number(float(edge)) for edge in law.spec.domain[name])
    return low if low == high else f"{low} to {high}"


TELLING = 0.02
"""Share by which two counts of parameters may differ before it is worth a warning."""


def question_share(question: Question) -> float:
    """Return the share by which a count of parameters that stands for another may be off, 0 where none does."""
    return question.stand_in[1] if question.stand_in else 0.0


def _stand_in(question: Question, used: Sequence[Law]) -> list[AnswerWarning]:
    """Warn where a law took one count of parameters for the other, with the size of the error."""
    if question.stand_in is None or question.stand_in[1] <= TELLING:
        return []
    name, share = question.stand_in
    takers = [law for law in used if name in law.inputs]
    if not takers:
        return []
    text = f"{' and '.join(law.id for law in takers)} took another count of parameters for {name}, which embeddings may change by up to {share:.0%}; give it, or the model's shape"
    return [AnswerWarning(code="params-convention", law=takers[0].address, quantity=name, text=text)]


def _unused(question: Question, source: Mapping[str, Law]) -> list[AnswerWarning]:
    """Warn where the rate is not that of the batch, or the batch not that of the rate, which the user fixed."""
    warnings: list[AnswerWarning] = []
    for fixed, other in (("batch_tokens", "peak_lr"), ("peak_lr", "batch_tokens")):
        law = source.get(other)
        if fixed in question.given and law is not None and fixed not in law.inputs:
            text = f"{other} by {law.id} does not depend on {fixed}: it is the best at the law's own {fixed}, not at the one given"
            warnings.append(AnswerWarning(code="ignores-given", law=law.address, quantity=fixed, text=text))
    for name in question.bounds:
        law = source.get(name)
        if law is not None and name not in law.chosen:
            text = f"{law.id} does not choose {name} by its loss, so the bound is not used"
            warnings.append(AnswerWarning(code="ignores-bound", law=law.address, quantity=name, text=text))
    return warnings
