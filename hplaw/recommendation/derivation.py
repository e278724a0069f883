"""One query carried through the planner's route: every quantity on the way derived once, by the best law that can."""

from __future__ import annotations

import functools as ft
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np

from hplaw import rows
from hplaw.answer.answer import answer
from hplaw.answer.one_law import Answer, uncertain
from hplaw.answer.quantiles import Spread
from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import known_quantities
from hplaw.errors import HplawError, QueryError
from hplaw.evaluation.domain import Distance
from hplaw.evaluation.inputs import inputs
from hplaw.evaluation.point import Point, plain_point
from hplaw.expression.backends import Undefined
from hplaw.forms.power_law import power_law
from hplaw.law import Law
from hplaw.law.derived import derived
from hplaw.recommendation.counted import Fitted, counted, schedule_factor, without_schedule
from hplaw.recommendation.finetuning import pretraining_only
from hplaw.recommendation.question import Question, signature, stacked
from hplaw.recommendation.route import Candidate, Group, Route, Slot, check_want, find_route, in_order
from hplaw.rows import RowsDiffer


T = TypeVar("T")


class Replayed(Generic[T]):
    """What an iterator yields, no sooner than it is asked for, and again when it is asked again."""

    def __init__(self, source: Iterator[T]) -> None:
        self._source, self._had = source, list[T]()

    def __iter__(self) -> Iterator[T]:
        yield from self._had
        for item in self._source:
            self._had.append(item)
            yield item


OF_OPTIMIZER = ("peak_lr", "adam_lr", "weight_decay", "beta1", "beta2", "adam_epsilon", "momentum")
"""Quantities that mean nothing without the optimizer that they are for."""


OUTCOMES = ("accelerator_hours", "serve_hours", "lifetime_hours")
"""Quantities that nobody chooses, whose uncertainty is that of what is counted from them, as money is."""


class Derivation:
    """What came of a query.

    - `known`: all values, given and derived; `source` the law of each derived quantity; `answers` what each law gave.
    - `away`: distance of every law evaluated from its domain; `reasons` why a quantity could not be had.
    - `passed`: laws that would have come first but do not apply here, with the words.

    Of many questions at once the numbers are columns, and all else is what they share: `RowsDiffer` parts them where they
    do not.
    """

    def __init__(self, question: Question, route: Route, catalogue: Catalogue) -> None:
        self.question, self.route, self.catalogue = question, route, catalogue
        self.known: dict[str, Any] = dict(question.known)
        self.source: dict[str, Law] = {}
        self.answers: dict[Law, Answer] = {}
        self.away: dict[Law, Distance] = {}
        self.reasons: dict[str, str] = dict(route.reasons)
        self.passed: list[tuple[Law, str, str]] = []
        self._again: set[Law] = set()
        self._needed = [slot.quantity for slot in route.slots]
        self._points: dict[Law, Point | None] = {}
        self._leaders: dict[str, Law] = {}
        self._paths: dict[str, dict[Law, list[str]]] = {}
        self._order: dict[str, Replayed[Candidate]] = {}

    def run(self) -> None:
        """Derive every quantity of the route.

        **Raises:** `RowsDiffer`.
        """
        together = self.route.together
        for slot in self.route.slots:
            if slot.quantity in self.known:
                continue
            if together is not None and slot.quantity in together.names:
                self._leaders, together = self._pick_leaders(together), None
            self._fill(slot)

    def _pick_leaders(self, group: Group) -> dict[str, Law]:
        """Return the law that gives each quantity of a group, where one can that no other is preferred to."""
        for candidate in in_order(group.shared, self.known, self.away):
            if self._ready(candidate):
                if group.best is None or candidate.preferred == group.best:
                    return dict.fromkeys(group.names, candidate.law)
                break
        return {}

    def _ranked(self, slot: Slot) -> Iterator[Candidate]:
        """Yield a slot's laws, the one that leads first, then from best to last."""
        order = self._order.get(slot.quantity)
        if order is None:
            lead = self._leaders.get(slot.quantity)
            known = without_schedule(self.known) if slot.quantity == "loss" else self.known
            order = self._order[slot.quantity] = Replayed(in_order(slot, known, self.away, lead=lead))
        return iter(order)

    def _ready(self, candidate: Candidate) -> bool:
        return not candidate.needs or all(name in self.known for name in candidate.needs)

    def _fill(self, slot: Slot) -> None:
        name = slot.quantity
        doubtful: tuple[Law, Any] | None = None
        for candidate in self._ranked(slot):
            law = candidate.law
            if not self._ready(candidate):
                self.reasons.setdefault(name, self._lacking(candidate))
                continue
            another = pretraining_only(law, name, self.question.known)
            if another is None and name in OF_OPTIMIZER:
                another = self._another_optimizer(candidate)
            if another:
                self.reasons.setdefault(name, another)
                continue
            found = self._ask(law)
            if isinstance(found, str):
                self.reasons[name] = found
                self.passed.append((law, name, found))
                continue
            value = found.values.get(name)
            if value is None or isinstance(value, tuple):
                why = found.failed.get(name) or f"{law.id} gives a table of {name}; ask it with evaluate"
                self.reasons[name] = why
                self.passed.append((law, name, why))
                continue
            if not isinstance(value, str) and (limit := self._nothing(name, value)):
                self.reasons[name] = why = f"{law.id} gives {limit}, which no run can take"
                self.passed.append((law, name, why))
                continue
            if found.status != "ok" and candidate.preferred == len(self.question.prefer):
                doubtful = doubtful or (law, value)  # it says itself that it does not hold here: another may
                continue
            doubtful = (law, value)
            break
        if doubtful:
            self.source[name], self.known[name] = doubtful

    def _nothing(self, name: str, value: Any) -> str:
        """Return what a law gives where that vanished, as a rate does that a rule took too far; else nothing."""
        quantity = known_quantities(self.catalogue)[name]
        vanished = quantity.open_low and quantity.low == 0 and rows.shared(value <= 0)
        return f"{name}=0" if vanished else ""

    def _another_optimizer(self, candidate: Candidate) -> str | None:
        """Return why a law that nobody named gives nothing for this optimizer: its numbers are those of others."""
        if candidate.preferred < len(self.question.prefer):
            return None
        seen = candidate.law.spec.domain.get("optimizer", ())
        return next(
            (
                f"no law here has evidence on {optimizer}; {candidate.law.id} was fitted on {', '.join(map(str, seen))}"
                for quantity, optimizer in self.away[candidate.law].differs
                if quantity == "optimizer"
            ),
            None,
        )

    def _lacking(self, candidate: Candidate) -> str:
        """Return what a law would need, and why the first of it could not be had."""
        lacking = [name for name in candidate.needs if name not in self.known]
        why = self.reasons.get(lacking[0])
        text = f"{candidate.law.id} needs {', '.join(lacking)}"
        return f"{text}: {why}" if why else text

    def _ask(self, law: Law) -> Answer | str:
        """Return what a law gives here, or why it cannot.

        A law that chose together with others what another law gave in the end is asked again at what was taken.
        """
        first = self.answers.get(law)
        if first is not None and not self._overruled(law, first):
            return first
        bounds = {name: limit for name, limit in self.question.bounds.items() if name in law.chosen}
        try:
            found = self._answer(law, bounds)
        except QueryError as error:
            return str(error)
        if first is not None:
            self._again.add(law)
            found = _after(first, found)
        found = self._within(found)
        self.answers[law] = found
        return found

    def _answer(self, law: Law, bounds: Mapping[str, tuple[Any, Any]]) -> Answer:
        """Return what a law gives: the loss at the size and data that count for it, all else at what there is."""
        seen = (*self.question.want, *(name for name in OUTCOMES if name in self._needed))
        names = self.discounts_of(law)
        alone = bool(names) and not law.chosen and {"loss"} == set(self.catalogue.gives(law)) & set(self._needed)
        known = counted(self.known, names) if alone else self._seen_by(law)
        found = answer(law, known, want=self._needed, bounds=bounds, catalogue=self.catalogue, seen=seen)
        found = self._in_proportion(found)
        factor = schedule_factor(self.known, names)
        if not names or alone:
            return _times_loss(found, factor)
        chosen = {name: found.values[name] for name in law.chosen if found.values.get(name) is not None}
        known = {**counted(self.known, names), **chosen}
        loss = answer(law, known, want=("loss",), catalogue=self.catalogue, seen=self.question.want)
        found = msgspec.structs.replace(
            found,
            values={**found.values, "loss": loss.values.get("loss")},
            spreads=_with_loss(found.spreads, loss.spreads),
            transfers=_with_loss(found.transfers, loss.transfers),
        )
        return _times_loss(found, factor)

    def _in_proportion(self, found: Answer) -> Answer:
        """Return what a law without uncertainty gives with the interval of the outcome that it is in proportion to."""
        law = found.law
        for name in OUTCOMES:
            source = self.source.get(name)
            if source is None or name not in law.inputs or uncertain(law):
                continue
            spread, value = self.answers[source].spreads.get(name), self.known[name]
            outputs = [output for output in found.values if _proportional(law, output, name)]
            if spread is not None and outputs:
                more = {output: spread.times(found.values[output] / value) for output in outputs}
                found = msgspec.structs.replace(found, spreads={**found.spreads, **more})
        return found

    def ask_again(self, law: Law, name: str) -> Answer:
        """Return a law's answer of another quantity than those wanted, from what it was asked with."""
        return answer(law, self._seen_by(law), want=(name,), catalogue=self.catalogue, seen=(name,))

    def _seen_by(self, law: Law) -> Mapping[str, Any]:
        """Return what a law may take: all that is known, but of what only a question gives nothing that was derived."""
        derived = law.only_given - self.question.known.keys()
        return {name: value for name, value in self.known.items() if name not in derived} if derived else self.known

    def discounts_of(self, law: Law) -> tuple[str, ...]:
        """Return what of size and data counts for a law's loss, where it gives one."""
        discounted = self.question.discounted
        if not discounted or "loss" not in self.catalogue.gives(law):
            return ()
        return tuple(name for name in _fitted(self.catalogue, law).apply(discounted) if name in self.known)

    def _within(self, found: Answer) -> Answer:
        """Return an answer inside the bounds of what its law does not choose, the rest as the law gives it there."""
        law = found.law
        for name, (low, high) in self.question.bounds.items():
            value = found.values.get(name)
            if name in law.chosen or value is None or isinstance(value, (str, tuple)):
                continue
            inside = rows.within(value, low, high)
            if rows.shared(inside == value):
                continue
            if any(item.known == name for item in inputs(law)):
                known = {**self.known, name: inside}
                found = answer(law, known, want=self._needed, catalogue=self.catalogue, seen=self.question.want)
            spreads = dict(found.spreads)
            spread = spreads.pop(name, None)
            limited = None if spread is None else spread.within(low, high)
            if limited is not None and rows.shared(limited.low < limited.high):  # bounds may leave one value
                spreads[name] = limited
            found = msgspec.structs.replace(found, values={**found.values, name: inside}, spreads=spreads)
        return found

    def _overruled(self, law: Law, first: Answer) -> bool:
        """Return whether another law has given since what a law was free to choose."""
        return any(name in self.source and self.source[name] is not law and name not in first.at for name in law.chosen)

    def offered(self, name: str) -> bool:
        """Return whether any law gives a quantity at all."""
        return name in self.catalogue.givers

    def unit(self, name: str) -> str:
        """Return the unit of a quantity."""
        return known_quantities(self.catalogue)[name].unit

    @property
    def asked(self) -> list[Law]:
        """Return every law that was looked at."""
        return list(self.away)

    def path(self, name: str) -> Iterator[tuple[Law, list[str]]]:
        """Yield the laws that lead to a quantity, first steps first, each with what it gave on the way."""
        steps = self._paths.get(name)
        if steps is None:
            steps = self._paths[name] = {}
            self._collect(name, steps, frozenset())
        yield from steps.items()

    # a method, as a function inside that calls itself would be a cycle that keeps this answer's memory
    def _collect(self, quantity: str, steps: dict[Law, list[str]], below: frozenset[str]) -> None:
        law = self.source.get(quantity)
        if law is None or quantity in steps.get(law, ()) or quantity in below:
            return
        if quantity == "loss":
            for name in self.discounts_of(law):
                self._collect(name, steps, below | {quantity})
        fixed = law in self._again and quantity not in law.chosen
        for item in inputs(law):
            if item.known in law.only_given:
                continue
            if fixed or self.source.get(item.known) is not law:
                self._collect(item.known, steps, below | {quantity})
        steps.setdefault(law, []).append(quantity)

    def answer_of(self, name: str) -> Answer | None:
        """Return the answer that gave a quantity: that of a law on the way, or what a budget or target chose."""
        choice, law = self.question.choice, self.source.get(name)
        if choice is not None and name in choice.answer.values:
            return choice.answer
        return None if law is None else self.answers[law]

    @property
    def used(self) -> list[Law]:
        """Return the laws behind what is wanted, and behind what was chosen for it."""
        return self.laws_behind([name for name in self.question.needed if name in self.source])

    def laws_behind(self, names: Sequence[str]) -> list[Law]:
        """Return the laws used for some quantities, each once, in the order of use."""
        return list(dict.fromkeys(law for name in names for law, _ in self.path(name)))

    def others(self, name: str) -> Iterator[tuple[Law, Any]]:
        """Yield what other laws would have said for a quantity, best first."""
        source, known = self.source[name], self.question.known
        for candidate in self._order[name]:
            law = candidate.law
            if law is source or not self._ready(candidate) or pretraining_only(law, name, known):
                continue
            needs = candidate.needs
            needed = {**known, **{n: self.known[n] for n in needs}} if needs else known
            factor: Any = 1.0
            if name == "loss" and (names := self.discounts_of(law)):
                needed = counted({**needed, **{n: self.known[n] for n in names}}, names)
                factor = schedule_factor(self.known, names)
            power = power_law(law, name)
            try:
                value = power.value(needed) if power else self._plain(law, name, needed)
            except Undefined:
                continue
            if value is not None:
                yield law, value if isinstance(value, str) else value * factor

    def _plain(self, law: Law, name: str, known: Mapping[str, object]) -> Any:
        """Return a law's value without a search; the law at the point is kept for other quantities that it gives."""
        if law not in self._points:
            self._points[law] = plain_point(law, known)
        here = self._points[law]
        return here.plain(name) if here else None

    @ft.cached_property
    def chain(self) -> list[tuple[str, Law, dict[str, None]]]:
        """Return the quantities that lead to what is wanted, in order, with their laws and what those choose themselves."""
        needed = {
            quantity for name in self.question.want for _, quantities in self.path(name) for quantity in quantities
        }
        order = [slot.quantity for slot in self.route.slots if slot.quantity in needed]
        return [(name, self.source[name], self._own(self.source[name], name)) for name in order]

    def _own(self, law: Law, name: str) -> dict[str, None]:
        """Return what a law chose itself when it gave a quantity."""
        if law in self._again:
            return dict.fromkeys(law.chosen) if name in law.chosen else {}
        return {chosen: None for chosen in law.chosen if self.source.get(chosen) is law}


@derived
def _proportional(law: Law, output: str, name: str) -> bool:
    """Return whether an output is in proportion to an input."""
    power = power_law(law, output)
    return power is not None and (name, 1.0) in power.exponents


@derived
def _fitted(catalogue: Catalogue, law: Law) -> Fitted:
    """Return what a law takes and was fitted on, the members of a mixture together."""
    members = catalogue.members(law)
    names = dict.fromkeys(name for member in members for name in member.spec.domain)
    on = {name: [word for member in members for word in member.spec.domain.get(name, ())] for name in names}
    return Fitted({name for member in members for name in member.inputs}, on)


def _times_loss(found: Answer, factor: Any) -> Answer:
    """Return an answer with its loss and the intervals of it times a factor."""
    loss = found.values.get("loss")
    if loss is None or (isinstance(factor, float) and factor == 1.0):
        return found
    return msgspec.structs.replace(
        found,
        values={**found.values, "loss": loss * factor},
        spreads=_with_loss(found.spreads, _times(found.spreads, factor)),
        transfers=_with_loss(found.transfers, _times(found.transfers, factor)),
    )


def _times(spreads: Mapping[str, Spread], factor: Any) -> dict[str, Spread]:
    return {name: spread.times(factor) for name, spread in spreads.items() if name == "loss"}


def _with_loss(spreads: Mapping[str, T], others: Mapping[str, T]) -> dict[str, T]:
    """Return spreads with that of the loss from elsewhere, as far as it has one there."""
    kept = {name: spread for name, spread in spreads.items() if name != "loss"}
    return {**kept, "loss": others["loss"]} if "loss" in others else kept


def _after(first: Answer, again: Answer) -> Answer:
    """Return what a law gave at its own choice, overruled by what it says at the choice that was taken."""
    return msgspec.structs.replace(
        again,
        values={**first.values, **again.values},
        spreads={**first.spreads, **again.spreads},
        transfers={**first.transfers, **again.transfers},
        plateaus=first.plateaus,
    )


def route_of(question: Question, catalogue: Catalogue) -> Route:
    """Return the route of a question, computed once for the same names known, wanted and preferred."""
    discounted = question.discounted
    key = (frozenset(question.known), question.needed, question.prefer, question.asked, discounted)
    route = catalogue.routes.get(key)
    if route is None:
        if len(catalogue.routes) >= ROUTES:
            catalogue.routes.clear()
        route = catalogue.routes[key] = find_route(
            catalogue, key[0], question.needed, question.prefer, asked=question.asked, discounted=discounted
        )
    return route


ROUTES = 64
"""Routes that a catalogue keeps: some 12 kB each in many small pieces, and to find one takes half a millisecond."""


def derive(question: Question, catalogue: Catalogue) -> Derivation:
    """Return the derivation of everything a question wants.

    **Raises:** `QueryError` for unknown quantities or a law that gives nothing here; `LawNotFound`; `RowsDiffer` where the
    rows of many questions must be derived apart.
    """
    if question.asked:
        check_want(catalogue, question.want)
    derivation = Derivation(question, route_of(question, catalogue), catalogue)
    # what overflows or vanishes is said where it is looked at
    with np.errstate(all="ignore"):
        derivation.run()
    return derivation


FEW = 8
"""Questions below which it takes less to derive one by one than as columns."""


def derive_many(
    questions: Sequence[Question], catalogue: Catalogue
) -> Iterator[tuple[Sequence[int], Derivation | HplawError]]:
    """Yield derivations with the places of the questions that each is of; an error where they cannot be asked.

    Questions that share all but their numbers are derived together. Where they differ on the way, they continue in parts.
    """
    alike: dict[Any, list[int]] = {}
    for place, question in enumerate(questions):
        alike.setdefault(signature(question), []).append(place)
    groups = [part for places in alike.values() for part in _large(places)]
    while groups:
        places = groups.pop()
        try:
            yield places, derive(stacked([questions[place] for place in places]), catalogue)
        except RowsDiffer as differ:
            for key in set(differ.key.tolist()):
                groups += _large([place for place, own in zip(places, differ.key, strict=True) if own == key])
        except HplawError as error:
            yield places, error


def _large(places: Sequence[int]) -> list[Sequence[int]]:
    """Return some questions as one group, or each on its own where they are few."""
    return [places] if len(places) >= FEW else [[place] for place in places]
