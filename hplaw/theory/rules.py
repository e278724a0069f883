"""What theory gives for a quantity: every rule that gives or takes it, its direction and exponent, and where rules differ.

Exponents are computed from the laws, never written down: read off a formula that is a power law, or the slope
d ln(output) / d ln(input) at the points of a law's examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import find_quantity, known_quantities
from hplaw.evaluation.inputs import inputs, read_given
from hplaw.formatting import number
from hplaw.forms.affine import monomial
from hplaw.law import Law
from hplaw.law.derived import derived
from hplaw.messages.theory import Comparison, Dependence, Rule, Theory, TheoryLine
from hplaw.recommendation.elasticity import difference
from hplaw.theory.works import kin_of, speaking_of


FLAT = 1e-4
"""Slopes up to this size count as none; they are good to six digits at best."""

DIGITS = 4
"""Digits behind the point of a slope."""

RATE, BATCH = "peak_lr", "batch_tokens"
"""The learning rate, and the quantity that distinguishes at which batch a rule of it holds."""

MOVED_BY = {"square-root rule": 0.5, "linear rule": 1.0}
"""Rules that take a rate from one batch to another: the exponent of the batch."""


def theory(catalogue: Catalogue, quantity: str) -> Theory:
    """Return every rule for a quantity, and where they agree or differ.

    **Arguments:**

    - `quantity`: a word of the vocabulary, or of a law's own.

    **Raises:** `QueryError` for a quantity that does not exist.
    """
    words = known_quantities(catalogue)
    word = find_quantity(words, quantity, field="quantity")
    kin = [name for name in kin_of(quantity) if name in words]
    rules = [_rule(law, quantity) for law in _givers(catalogue, quantity)]
    return Theory(
        quantity=quantity,
        unit=word.unit,
        meaning=word.meaning,
        rules=rules,
        kin=[_rule(law, name) for name in kin for law in _givers(catalogue, name)],
        affects=list(_affected(catalogue, quantity)),
        comparisons=list(_compare(rules)),
        works=speaking_of(quantity),
    )


def theory_lines(catalogue: Catalogue) -> list[TheoryLine]:
    """Return a line for each quantity that a rule gives, with the numbers of rules that give and take it."""
    words = known_quantities(catalogue)
    found: list[TheoryLine] = []
    for name in sorted(words):
        given = len(_givers(catalogue, name))
        if given:
            taken = sum(name in law.inputs for law in catalogue.laws)
            found.append(TheoryLine(quantity=name, meaning=words[name].meaning, given_by=given, taken_by=taken))
    return found


def _givers(catalogue: Catalogue, quantity: str) -> list[Law]:
    """Return the laws that give a quantity, procedures among them, from measured to derived."""
    rank = {"calibrated": 0, "published": 1, "theory": 2}
    found = [law for law in catalogue.laws if quantity in catalogue.gives(law)]
    return sorted(found, key=lambda law: (rank[law.spec.status], law.id))


def _affected(catalogue: Catalogue, quantity: str) -> Iterator[Rule]:
    """Yield what rules give for others when this quantity moves; outputs that do not move are omitted."""
    for law in catalogue.laws:
        if quantity not in law.inputs or quantity in law.chosen:
            continue
        for output in law.gives:
            moves = [d for d in dependences(law, output) if d.quantity == quantity]
            if moves and moves[0].direction != "flat":
                yield _rule(law, output, moves)


def _rule(law: Law, output: str, moves: Sequence[Dependence] | None = None) -> Rule:
    spec = law.spec
    return Rule(
        law=law.address,
        title=spec.title,
        status=spec.status,
        checked=spec.checked,
        gives=output,
        by=list(_with_fixed_batch(law, output) if moves is None else moves),
        domain=dict(spec.domain),
        limits=[case.say for case in spec.cases],
        batch=_batch(law, output),
    )


@derived
def dependences(law: Law, output: str) -> tuple[Dependence, ...]:
    """Return how an output depends on each input of a law that is a number.

    A power law has one exponent everywhere, and so has the closed form of what a law chooses. Of another form, the minimum and the maximum slope at the law's examples
    are given, and nothing where it has none there.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> [(d.quantity, d.low, d.direction) for d in dependences(load_catalogue().get("step-law-2025"), "peak_lr")]
    [('n_params', -0.713, 'falls'), ('tokens', 0.307, 'rises')]
    """
    if law.spec.kind != "formula" or law.exact or law.quantity(output).categorical:
        return ()
    powers = monomial(law, output) if output in law.outputs or output in law.optimum else None
    points = [] if powers is not None else list(_points(law, output))
    over = law.outputs[output][1] if output in law.outputs else None
    entries = ("",) if over is None else law.namespace.scope.indices[over]
    found: list[Dependence] = []
    for item in inputs(law):
        if item.categorical or item.over or item.name in law.chosen:
            continue
        for place, entry in enumerate(entries):
            if powers is not None:
                slopes = [powers.get(item.name, 0.0)]
            else:
                at = (_slope(law, output, item.known, known, place) for known in points)
                slopes = [slope for slope in at if slope is not None]
            if slopes:
                low, high = round(min(slopes), DIGITS), round(max(slopes), DIGITS)
                found.append(
                    Dependence(
                        quantity=item.name,
                        entry=entry,
                        low=low,
                        high=high,
                        direction=_direction(low, high),
                        everywhere=powers is not None,
                    )
                )
    return tuple(found)


def _points(law: Law, output: str) -> Iterator[dict[str, Any]]:
    """Yield the inputs of a law's plain examples, with defaults for those omitted; not those that give the output."""
    standing = {i.known: i.default for i in inputs(law) if i.default is not None and not i.over}
    for example in law.spec.examples:
        if not example.status and output not in example.given:
            yield {**standing, **read_given(law, example.given)}


def _slope(law: Law, output: str, source: str, known: Mapping[str, object], place: int) -> float | None:
    value = known.get(source)
    if not isinstance(value, float) or value <= 0:
        return None
    return difference(law, output, source, known, place=place)


def _direction(low: float, high: float) -> str:
    if low >= -FLAT and high <= FLAT:
        return "flat"
    return "rises" if low > -FLAT else "falls" if high < FLAT else "either"


def _is_rate(name: str) -> bool:
    return name in (RATE, *kin_of(RATE))


def _batch(law: Law, output: str) -> str | None:
    """Return at which batch a law of a learning rate holds, in words; None for other outputs."""
    if not _is_rate(output):
        return None
    if BATCH in law.gives:
        return "at its own best batch"
    if BATCH in law.inputs:
        return "at the batch that is given"
    seen = law.spec.domain.get(BATCH)
    if seen:
        return f"at a batch of {' to '.join(dict.fromkeys(number(float(edge)) for edge in seen))} tokens"
    return "at a batch that is not stated" if law.spec.status != "theory" else None


def _with_fixed_batch(law: Law, output: str) -> Iterator[Dependence]:
    """Yield the dependences of an output, for a rate with its exponents at a batch that stays.

    exponent of the rate - p * exponent of the law's own best batch, p being the batch's exponent of the rule that moves
    a rate from one batch to another.
    """
    own = {d.quantity: d for d in dependences(law, BATCH)} if BATCH in law.gives else {}
    for move in dependences(law, output):
        batch = own.get(move.quantity)
        if not _is_rate(output) or not batch or not batch.low == batch.high != 0 or move.low != move.high:
            yield move
            continue
        fixed = {word: round(move.low - p * batch.low, DIGITS) for word, p in MOVED_BY.items()}
        yield msgspec.structs.replace(move, at_fixed_batch=fixed)


def _compare(rules: Sequence[Rule]) -> Iterator[Comparison]:
    """Yield, for each quantity that two rules or more depend on, who says what."""
    for name in dict.fromkeys(d.quantity for rule in rules for d in rule.by):
        sides: dict[str, list[str]] = {"rises": [], "falls": [], "flat": [], "either": []}
        for rule in rules:
            for move in rule.by:
                if move.quantity == name:
                    sides[move.direction].append(rule.law)
        if sum(map(len, sides.values())) < 2:
            continue
        conflict = bool(sides["rises"] and sides["falls"])
        yield Comparison(
            by=name, agree=not conflict, **sides, say="; ".join(_differences(rules, name)) if conflict else ""
        )


def _differences(rules: Sequence[Rule], name: str) -> Iterator[str]:
    """Yield what each rule holds at: the batch of a rate, and its exponent at a batch that stays; else what stays."""
    for rule in rules:
        move = next((d for d in rule.by if d.quantity == name), None)
        if move is None:
            continue
        others = " and ".join(d.quantity for d in rule.by if d.quantity != name)
        at = rule.batch or (f"with {others} held" if others else "with nothing else held")
        text = f"{rule.law.partition('@')[0]} {_exponent(move)} {at}"
        if move.at_fixed_batch:
            moved = ", ".join(f"{v:+.2f} by the {word}" for word, v in move.at_fixed_batch.items())
            text = f"{text} (at a batch that stays: {moved})"
        yield text


def _exponent(move: Dependence) -> str:
    return f"{move.low:+.2f}" if move.low == move.high else f"{move.low:+.2f} to {move.high:+.2f}"
