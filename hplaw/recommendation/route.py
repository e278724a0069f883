"""From what is known to what is wanted: which laws can give a quantity, in which order, and which of them is asked.

Laws are edges between quantities. The routes from one set of known names to one set of wanted ones are computed
once; the choice among the laws of a route depends on the numbers, through the distance to each law's domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from hplaw import rows
from hplaw.catalogue.catalogue import SHELVES, Catalogue
from hplaw.catalogue.listing import find_quantity, known_quantities
from hplaw.errors import ConflictingQuery
from hplaw.evaluation.domain import Distance, Domain, domain
from hplaw.evaluation.inputs import inputs
from hplaw.law import Law
from hplaw.recommendation.question import TUNED_RATES


COHERENT = ("peak_lr", "batch_tokens")
"""Quantities that come from one law where one gives both: a rate is the best for a batch."""

SIZES = ("n_params", "n_params_with_embedding", "tokens")
"""Quantities that belong together: a law that would choose all, though one is settled, is asked for the rest last."""

ASKABLE = ("n_params", "tokens", "batch_tokens", "peak_lr", "target_loss", "precision", "hardware", "devices")
"""Quantities that a person knows without working them out: reasons ask for these first."""

_STATUS = {"calibrated": 0, "published": 1, "theory": 2}
_CHECKED = {"primary": 0, "derived": 1, "secondary": 2, "recalled": 3}


class Candidate(msgspec.Struct, frozen=True):
    """A law that can give a quantity, the inputs to be derived first, and its rank before any number is known.

    Before the distance to its `domain` come `preferred` and `status`, behind it comes `tail`.
    """

    law: Law
    needs: tuple[str, ...]
    preferred: int
    status: int
    tail: tuple[Any, ...]
    domain: Domain


class Slot(msgspec.Struct, frozen=True):
    """A quantity to be derived: the laws that can, ordered by `tail`; what they need is in slots before."""

    quantity: str
    candidates: tuple[Candidate, ...]


class Group(msgspec.Struct, frozen=True):
    """Quantities to take from one law.

    - `shared`: the slot of those laws that give them all.
    - `best`: the preference that such a law must have to come before others; None where all have the same.
    """

    names: tuple[str, ...]
    shared: Slot
    best: int | None


class Route(msgspec.Struct, frozen=True):
    """All that may be derived on the way to what is wanted, in an order that works; and why something cannot be."""

    slots: tuple[Slot, ...]
    reasons: Mapping[str, str]
    together: Group | None


def find_route(
    catalogue: Catalogue,
    known: frozenset[str],
    want: Sequence[str],
    prefer: Sequence[str],
    *,
    asked: bool = True,
    discounted: Sequence[str] = (),
) -> Route:
    """Return the route from known names to wanted ones.

    **Arguments:**

    - `prefer`: laws to take first for the quantities they can give.
    - `asked`: whether the wanted quantities were named; a loss that was not is by a shipped law that was preferred for
      something else only where no other gives it, as losses of different tokenizers are not comparable.
    - `discounted`: quantities that say what of size and data counts for the loss.

    **Raises:** `LawNotFound` for a law that is not there; `QueryError` for one that gives nothing here, and for a
    wanted quantity that laws derive from one another in a circle only.
    """
    apart = () if asked and "loss" in want else ("loss",)
    search = _Search(catalogue, known, [catalogue.get(address) for address in prefer], apart, discounted)
    for quantity in want:
        search.visit(quantity, ())
    if any(slot.quantity in COHERENT for slot in search.slots):
        for quantity in COHERENT:  # a rate is one for a batch: what is asked for does not change who answers
            search.visit(quantity, ())
    for law in search.preferred:
        if not any(candidate.law is law for slot in search.slots for candidate in slot.candidates):
            message = (
                f"{law.id} can give none of {_some(want)} from {_some(sorted(known)) or 'nothing'}; "
                f"it takes {_some(law.inputs)} and gives {_some(catalogue.gives(law))}"
            )
            raise ConflictingQuery(message, field="laws")
    return Route(tuple(search.slots), search.reasons, _together(search.slots))


NAMED = 8
"""Names that a message lists; it says how many more there are."""


def _some(names: Iterable[str]) -> str:
    """Return names for a message, the first of them where they are many."""
    first = [*names]
    more = len(first) - NAMED
    return ", ".join(first) if more <= 1 else f"{', '.join(first[:NAMED])} and {more} more"


def _together(slots: Sequence[Slot]) -> Group | None:
    """Return the quantities to take from one law, where more than one is looked for."""
    coherent = [slot for slot in slots if slot.quantity in COHERENT]
    if len(coherent) < 2 or any(_whatever_batch(candidate) for slot in coherent for candidate in slot.candidates):
        return None
    first, *others = coherent
    shared = tuple(c for c in first.candidates if all(any(o.law is c.law for o in slot.candidates) for slot in others))
    preferred = {c.preferred for slot in coherent for c in slot.candidates}
    return Group(
        tuple(slot.quantity for slot in coherent),
        Slot(first.quantity, shared),
        min(preferred) if len(preferred) > 1 else None,
    )


def _whatever_batch(candidate: Candidate) -> bool:
    """Return whether a law starts from a rate that the asker tuned, and goes elsewhere than to another batch."""
    return candidate.status < 0 and not set(COHERENT) & set(candidate.law.inputs)


class _Search:
    """Depth first from wanted quantities to known ones; a law that would lead back to its own output is omitted."""

    def __init__(
        self,
        catalogue: Catalogue,
        known: frozenset[str],
        preferred: list[Law],
        apart: Sequence[str],
        discounted: Sequence[str],
    ) -> None:
        self.catalogue, self.known, self.preferred, self.apart = catalogue, known, preferred, apart
        self.discounted = discounted
        self.slots: list[Slot] = []
        self.reasons: dict[str, str] = {}
        self.found: dict[str, bool] = {}
        self.blocked: dict[str, set[str]] = {}
        """Quantities that could not be had, with those under way that blocked them."""

    def visit(self, quantity: str, path: tuple[str, ...]) -> bool:
        """Return whether a quantity can be had, appending its slot after those it needs."""
        if quantity in self.known:
            return True
        if quantity in self.found:
            return self.found[quantity]
        path = (*path, quantity)
        if quantity == "loss":
            for name in self.discounted:
                self.visit(name, path)
        candidates: list[Candidate] = []
        lacking: dict[str, list[str]] = {}
        circles: list[str] = []
        blocks: set[str] = set()
        givers = [*self.catalogue.givers.get(quantity, ()), *self._shadowed(quantity)]
        for law in givers:
            needs = _needs(self.catalogue, law, self.known)
            back = next((need for need in needs if need in path), None)
            if back is not None:
                circles.append(" -> ".join([*path[path.index(back) :], back]))
                blocks.add(back)
                continue
            missing = [
                need
                for need in needs
                if (need not in self.found and need.startswith("target_")) or not self.visit(need, path)
            ]
            if missing:
                lacking[law.id] = missing
                blocks.update(*(self.blocked.get(need, ()) for need in missing))
            else:
                candidates.append(self._candidate(law, needs, quantity))
        soft = {
            name for candidate in candidates for name in candidate.law.chosen if name != quantity and name not in path
        }
        if quantity not in COHERENT:
            for name in sorted(soft & set(COHERENT)):
                self.visit(name, path)
        for name in sorted(
            {name for candidate in candidates for name in candidate.law.spec.domain} - self.known - set(path)
        ):
            if self._counted(name):
                self.visit(name, path)
        self.found[quantity] = bool(candidates)
        if candidates:
            ordered = sorted(candidates, key=lambda candidate: candidate.tail)
            self.slots.append(Slot(quantity, tuple(ordered)))
        else:
            self.reasons[quantity] = self._reason(quantity, lacking, circles)
        self._unblock(quantity, blocks - {quantity})
        return bool(candidates)

    def _unblock(self, quantity: str, blocks: set[str]) -> None:
        """Let what failed only while `quantity` was under way be tried again, now that it is had."""
        behind = [name for name, others in self.blocked.items() if quantity in others]
        if self.found[quantity]:
            for name in behind:
                del self.blocked[name], self.found[name], self.reasons[name]
            return
        for name in behind:
            self.blocked[name] = (self.blocked[name] - {quantity}) | blocks
        self.blocked[quantity] = blocks

    def _counted(self, quantity: str) -> bool:
        """Return whether a quantity is counted rather than estimated, so that it may place a question in a domain."""
        givers = self.catalogue.givers.get(quantity, ())
        return bool(givers) and all(law.spec.status == "theory" for law in givers)

    def _shadowed(self, quantity: str) -> list[Law]:
        """Return preferred laws that a law of the same id hides, asked for by their whole address."""
        return [
            law for law in self.preferred if law in self.catalogue.shadowed and quantity in self.catalogue.gives(law)
        ]

    def _candidate(self, law: Law, needs: tuple[str, ...], quantity: str) -> Candidate:
        named = law in self.preferred and not (quantity in self.apart and self.catalogue.shelf(law) in SHELVES)
        place = self.preferred.index(law) if named else len(self.preferred)
        evidence = law.spec.evidence
        used = sum(item.known in self.known for item in inputs(law))
        apart = any(n in self.known and n not in law.inputs for n in self.catalogue.gives(law) if n in SIZES)
        tail = (_CHECKED[law.spec.checked], -(evidence.runs if evidence else 0), -used, law.id)
        # what starts from a rate that the asker tuned comes before what knows only the size
        tuned = any(name in self.known and name in law.inputs for name in TUNED_RATES)
        status = _STATUS[law.spec.status] + len(_STATUS) * (apart - tuned)
        return Candidate(law, needs, place, status, tail, domain(law))

    def _reason(self, quantity: str, lacking: Mapping[str, Sequence[str]], circles: Sequence[str]) -> str:
        if circles and not lacking:
            return f"laws derive {quantity} in a circle only ({circles[0]}); give one of these quantities"
        if lacking:
            plainest = min(
                lacking, key=lambda name: (sum(n not in ASKABLE for n in lacking[name]), len(lacking[name]), name)
            )
            return f"{quantity} needs {' and '.join(lacking[plainest])} for {plainest}; give {'it' if len(lacking[plainest]) == 1 else 'them'}"
        if quantity.startswith("target_"):
            return f"{quantity} is the user's to say; give it"
        return f"no law here gives {quantity}"


def _needs(catalogue: Catalogue, law: Law, known: frozenset[str]) -> tuple[str, ...]:
    """Return the inputs of a law that must be derived: not known, without a default, and not the law's own to choose."""
    needs = (
        item.known
        for member in catalogue.members(law)
        for item in inputs(member)
        if item.required and item.known not in known and item.name not in member.chosen
    )
    return tuple(dict.fromkeys(needs))


def check_want(catalogue: Catalogue, want: Sequence[str]) -> None:
    """Refuse words that are no quantities of the vocabulary or of a law.

    **Raises:** `QueryError` with the nearest name.
    """
    words = known_quantities(catalogue)
    for name in want:
        find_quantity(words, name, field="want")


def in_order(
    slot: Slot, known: Mapping[str, object], away: dict[Law, Distance], *, lead: Law | None = None
) -> Iterator[Candidate]:
    """Yield a slot's laws, best first, at what is known: numbers or columns.

    **Arguments:**

    - `away`: collects the distances of the laws.
    - `lead`: the law to come before all others, where it is among them.

    **Raises:** `RowsDiffer` where rows have another order, as far as it is asked for.
    """
    buckets: dict[tuple[int, int, int], list[Candidate]] = {}
    for candidate in slot.candidates:
        law = candidate.law
        where = away.get(law)
        if where is None:
            where = away[law] = candidate.domain.distance(known)
        key = _FIRST if law is lead else (candidate.preferred, candidate.status, len(where.differs))
        if key in buckets:
            buckets[key].append(candidate)
        else:
            buckets[key] = [candidate]
    for key in sorted(buckets):
        bucket = buckets[key]
        if len(bucket) == 1:
            yield bucket[0]
            continue
        for place in rows.ascending([away[candidate.law].total for candidate in bucket]):
            yield bucket[rows.shared(place)]


_FIRST = (-1, 0, 0)
"""The rank of a law that comes before all others."""
