"""From one batch to another: every rule that takes hyperparameters across, what it says, and what decides between rules.

A rule is any law that takes `base_batch_tokens` and `batch_tokens`, those of a user's folder too. Rules that also take the
new rate say what else goes with it: they are computed at the rate of each rule that gives one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from hplaw.answer.evaluate_law import evaluate
from hplaw.answer.muon import check_optimizers, muon_law, muon_ratio
from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import find_quantity, known_quantities, read_category
from hplaw.errors import ConflictingQuery, QueryError
from hplaw.evaluation.inputs import inputs
from hplaw.formatting import number, numbers
from hplaw.law import Law
from hplaw.messages.transfer import Agreement, Conversion, Transfer, TransferRequest, TransferRule
from hplaw.vocabulary.names import folded
from hplaw.vocabulary.quantities import Quantity, check_value, vocabulary


RATE, BATCH, BASE_RATE, BASE_BATCH = ("peak_lr", "batch_tokens", "base_peak_lr", "base_batch_tokens")

ALIKE = 1.1
"""Rates within this factor of one another count as agreeing."""

SHAPE = ("d_model", "fan_out", "fan_in")
"""Sizes of a matrix, by which a rate of AdamW becomes one of Muon."""

HOLDS = ("ok", "saturated")
"""Statuses with which a rule counts: where it is outside its validity, its number is shown and not counted."""

_OWN = frozenset((RATE, BATCH, BASE_RATE, BASE_BATCH, "optimizer"))


def transfer(query: TransferRequest, catalogue: Catalogue) -> Transfer:
    """Return what each rule gives for a rate tuned at one batch for another, where they agree, and what decides.

    A rate of AdamW is taken to Muon first, where the question goes from one to the other.

    **Raises:** `QueryError` naming the field that is not allowed.
    """
    asked = query
    conversion = _converted(query)
    old, new = _batches(query, conversion)
    if conversion is not None:
        query = msgspec.structs.replace(query, given={n: v for n, v in query.given.items() if n not in SHAPE})
    known = _known(query, catalogue, old, new)
    if conversion is not None:
        known[BASE_RATE] = conversion.peak_lr
    ratio = new / old
    rules: list[TransferRule] = []
    followers: list[Law] = []
    for law in _rules(catalogue) if query.batch_tokens is not None else []:
        if RATE in law.inputs:
            followers.append(law)
        else:
            rules.append(_rule(law, known, catalogue, ratio))
    rules = [_followed(rule, followers, known, catalogue) for rule in rules]
    rules.sort(key=lambda rule: (_place(rule), -len(rule.values), rule.law))
    agreements = _agreements(rules)
    decides = list(_decides(rules, agreements, ratio)) if query.batch_tokens is not None else []
    return Transfer(
        query=asked, ratio=ratio, rules=rules, agreements=agreements, decides=decides, conversion=conversion
    )


def _batches(query: TransferRequest, conversion: Conversion | None) -> tuple[float, float]:
    """Return the batches to go from and to; one that stays, where only the optimizer changes.

    **Raises:** `ConflictingQuery` naming the one that is missing.
    """
    for name, other in (("batch_tokens", "to_batch_tokens"), ("to_batch_tokens", "batch_tokens")):
        alone = conversion is not None and getattr(query, other) is None
        if getattr(query, name) is None and not alone:
            message = (
                f"{name} is missing; give the batches to go from and to, or from_optimizer adamw with optimizer muon"
            )
            raise ConflictingQuery(message, field=name)
    old, new = query.batch_tokens, query.to_batch_tokens
    return 1.0 if old is None else old, 1.0 if new is None else new


def _converted(query: TransferRequest) -> Conversion | None:
    """Return a rate of AdamW as one of Muon, where the question has one.

    **Raises:** `QueryError` naming the field at fault: another optimizer, or a shape that is not known or out of bounds.
    """
    optimizer, before = folded(query.optimizer), query.from_optimizer and folded(query.from_optimizer)
    check_optimizers(optimizer, before, query.muon_scale)
    if before is None or optimizer != "muon":
        return None
    sides: list[float] = []
    for name in ("fan_out", "fan_in"):
        field, size = next(((n, query.given[n]) for n in (name, "d_model") if n in query.given), (name, None))
        if size is None:
            message = f"{name} is missing, on which Muon's rate depends; give given.d_model for a square matrix, or given.fan_out and given.fan_in"
            raise ConflictingQuery(message, field="given.d_model")
        problem = check_value(vocabulary()["d_model"], size)
        if problem:
            raise QueryError(problem.replace("d_model=", f"given.{field}=", 1), field=f"given.{field}")
        sides.append(size)
    ratio = 1.0 if query.muon_scale == "match_rms_adamw" else muon_ratio(*sides)
    return Conversion(
        law=muon_law().address,
        from_optimizer=before,
        muon_scale=query.muon_scale,
        fan_out=sides[0],
        fan_in=sides[1],
        ratio=ratio,
        peak_lr=query.peak_lr * ratio,
    )


def may_be_given(catalogue: Catalogue) -> Mapping[str, Quantity]:
    """Return what rules from one batch to another take beside the fields of a question, by name."""
    return {
        name: law.quantity(name)
        for law in _rules(catalogue)
        for name in sorted(law.inputs)
        if name not in _OWN and not law.quantity(name).categorical
    }


def shape_sizes() -> Mapping[str, Quantity]:
    """Return the sizes of a matrix that a question from AdamW to Muon may give."""
    return dict.fromkeys(SHAPE, vocabulary()["d_model"])


def _rules(catalogue: Catalogue) -> list[Law]:
    return [
        law
        for law in catalogue.laws
        if law.spec.kind == "formula"
        and {BATCH, BASE_BATCH} <= set(law.inputs)
        and not any(item.over for item in inputs(law))
    ]


def _known(query: TransferRequest, catalogue: Catalogue, old: float, new: float) -> dict[str, Any]:
    """Return the values of a question by quantity, each checked."""
    words = known_quantities(catalogue)
    known: dict[str, Any] = {}
    for field, name, value in (
        ("peak_lr", BASE_RATE, query.peak_lr),
        ("batch_tokens", BASE_BATCH, old),
        ("to_batch_tokens", BATCH, new),
        ("optimizer", "optimizer", query.optimizer),
        *((f"given.{name}", name, value) for name, value in query.given.items()),
    ):
        quantity = find_quantity(words, name, field="given", told="given: ")
        if field.startswith("given.") and name in _OWN:
            message = f"given: {name} is a field of the question; give it there"
            raise QueryError(message, field=field)
        value = read_category(catalogue, name, value, field=field) if quantity.categorical else value
        problem = check_value(quantity, value)
        if problem:
            message = problem.replace(f"{name}=", f"{field}=", 1)
            raise QueryError(message, field=field)
        known[name] = value
    taken = may_be_given(catalogue)
    for name in query.given:
        if name in SHAPE:
            message = f"given: {name} is for a rate of AdamW that Muon's is taken from; give from_optimizer adamw and optimizer muon, or omit it"
            raise ConflictingQuery(message, field=f"given.{name}")
        if name not in taken:
            message = f"given: no rule from one batch to another takes {name}; they take {', '.join(taken)}"
            raise QueryError(message, field=f"given.{name}")
    ratio = new / old
    if not 1e-12 <= ratio <= 1e12:
        message = (
            f"to_batch_tokens={new:g} is {ratio:g} times batch_tokens={old:g}; give two batches within a factor of 1e12"
        )
        raise ConflictingQuery(message, field="to_batch_tokens")
    return known


def _rule(law: Law, known: Mapping[str, Any], catalogue: Catalogue, ratio: float) -> TransferRule:
    """Return what one law gives, or why it gives nothing."""
    rule = TransferRule(
        law=law.address, title=law.spec.title, checked=law.spec.checked, status="ok", assumes=assumption(law)
    )
    seen = law.spec.domain.get("optimizer")
    if seen and known["optimizer"] not in seen:
        return msgspec.structs.replace(
            rule, status="other-optimizer", say=f"The rule is for {', '.join(map(str, seen))}."
        )
    lacks = [item.known for item in inputs(law) if item.required and item.known not in known]
    if lacks:
        return msgspec.structs.replace(rule, status="lacks-input", lacks=lacks)
    status, values, intervals, say = _values(law, known, catalogue)
    rate = values.get(RATE)
    exponent = None
    if rate is not None and ratio != 1:
        exponent = round(math.log(rate / known[BASE_RATE]) / math.log(ratio), 4)
    return msgspec.structs.replace(rule, status=status, values=values, intervals=intervals, say=say, exponent=exponent)


def _values(
    law: Law, known: Mapping[str, object], catalogue: Catalogue
) -> tuple[str, dict[str, float], dict[str, list[float]], str | None]:
    """Return a law's status, its outputs that are numbers, their 90% intervals if it has any, and the words of its case."""
    found = evaluate(law, {name: known[name] for name in law.inputs if name in known}, catalogue)
    values = {name: estimate.value for name, estimate in found.outputs.items() if isinstance(estimate.value, float)}
    reason = next((estimate.reason for estimate in found.outputs.values() if estimate.reason), None)
    intervals = {
        name: [estimate.low, estimate.high]
        for name, estimate in found.outputs.items()
        if name in values and estimate.low is not None and estimate.high is not None
    }
    return found.status, values, intervals, found.say or (None if values else reason)


def _followed(
    rule: TransferRule, followers: Sequence[Law], known: Mapping[str, object], catalogue: Catalogue
) -> TransferRule:
    """Return a rule with what else goes with its rate, unless no run could take that."""
    rate = rule.values.get(RATE)
    if rate is None or check_value(vocabulary()[RATE], rate):
        return rule
    at = {**known, RATE: rate}
    found: dict[str, float] = {}
    for law in followers:
        other = _rule(law, at, catalogue, 1.0)
        found |= {name: value for name, value in other.values.items() if name not in rule.values}
    return msgspec.structs.replace(rule, follows=found) if found else rule


def assumption(law: Law) -> str:
    """Return what a law assumes: the first sentence of its notes, where that says so.

    >>> from hplaw.law.shipped import theory_law
    >>> assumption(theory_law("decay-timescale-rule"))[:17]
    'AdamW, the same n'
    """
    first = " ".join(law.spec.notes.split()).partition(". ")[0].rstrip(".")
    return first.removeprefix("Assumes ").removeprefix("that ") if first.startswith("Assumes ") else ""


def _place(rule: TransferRule) -> int:
    order = ("ok", "saturated", "out_of_validity", "undefined", "refused", "lacks-input")
    return order.index(rule.status) if rule.status in order else len(order)


def _agreements(rules: Sequence[TransferRule]) -> list[Agreement]:
    """Return the rules of theory that hold, gathered by their rates; a measured one has an interval instead."""
    rated = sorted(
        (rule.values[RATE], rule.law)
        for rule in rules
        if rule.status in HOLDS and RATE in rule.values and RATE not in rule.intervals
    )
    groups: list[list[tuple[float, str]]] = []
    for rate, law in rated:
        if groups and rate <= ALIKE * groups[-1][0][0]:
            groups[-1].append((rate, law))
        else:
            groups.append([(rate, law)])
    return [Agreement(low=group[0][0], high=group[-1][0], laws=[law for _, law in group]) for group in groups]


def _decides(rules: Sequence[TransferRule], agreements: Sequence[Agreement], ratio: float) -> Iterator[str]:
    """Yield what distinguishes the rules, one sentence each."""
    if not agreements:
        yield "No rule that holds here gives a rate."
    elif len(agreements) == 1:
        laws = agreements[0].laws
        yield (
            f"All rules that hold here agree: {', '.join(map(_name, laws))}."
            if len(laws) > 1
            else f"Only {_name(laws[0])} gives a rate here."
        )
    else:
        factor = agreements[-1].high / agreements[0].low
        yield f"Rules that hold here differ by up to a factor of {number(factor)}, for {number(ratio)} times the batch."
    by_law = {rule.law: rule for rule in rules}
    for agreement in agreements:
        rate = numbers([agreement.low])[0]
        for law in agreement.laws:
            rule = by_law[law]
            if rule.assumes:
                yield f"{rate} by {_name(law)} rests on this: {rule.assumes}."
    lacking: dict[tuple[str, ...], list[str]] = {}
    for rule in rules:
        if rule.lacks:
            lacking.setdefault(tuple(rule.lacks), []).append(_name(rule.law))
    for names, laws in sorted(lacking.items(), key=lambda item: (len(item[0]), item[0])):
        words = [f"{name} ({vocabulary()[name].meaning})" if name in vocabulary() else name for name in names]
        yield f"Give {' and '.join(words)}, and {', '.join(laws)} will say more."


def _name(address: str) -> str:
    return address.partition("@")[0]
