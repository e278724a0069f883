"""How far a point is from what a law was fitted on: categories that differ, and e-folds outside its ranges."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hplaw import rows
from hplaw.arrays import Array
from hplaw.evaluation.inputs import Input, inputs, stand_in
from hplaw.evaluation.point import environment_with
from hplaw.expression.backends import Undefined
from hplaw.law.derived import derived
from hplaw.law.law import Law


UNKNOWN = "unknown"
"""The recipe of a question that names none: what a law holds for that was fitted to many."""


class Distance(msgspec.Struct, frozen=True):
    """How far a point is outside a law's domain: categories that differ, and e-folds by quantity, numbers or columns; `total`
    their sum."""

    differs: tuple[tuple[str, str], ...] = ()
    efolds: tuple[tuple[str, Any], ...] = ()
    total: Any = 0.0


INSIDE = Distance()
"""The distance of every point inside a domain."""


_Range = tuple[str, float, float, float | None, float | None]


class Domain(msgspec.Struct, frozen=True):
    """What a law was fitted on, ready to be measured from; inputs over an index are omitted.

    - `ranges`: names with their minimum and maximum value, and the logarithms of these where they are positive.
    - `categories`: names with the words seen.
    - `follows`: inputs among them that follow from the others when they are not known.
    """

    law: Law
    ranges: tuple[_Range, ...]
    categories: tuple[tuple[str, frozenset[float | str]], ...]
    follows: tuple[Input, ...]

    def distance(self, known: Mapping[str, Any]) -> Distance:
        """Return how far `known` lies outside; what is not known does not count. Numbers may be columns."""
        differs: list[tuple[str, str]] = []
        efolds: list[tuple[str, Any]] = []
        total: Any = 0.0
        if self.follows and any(known.get(item.name) is None for item in self.follows):
            known = self._followed(known)
        get = known.get
        for name, seen in self.categories:
            word = get(name)
            if word is not None and word not in seen:
                differs.append((name, word))
        for name, low, high, log_low, log_high in self.ranges:
            value = get(name)
            if value is None:
                continue
            measure: Callable[..., Any] = _outside_by_row if rows.is_column(value) else _outside
            apart = measure(value, low, high, log_low, log_high)
            if rows.is_column(apart) or apart:
                efolds.append((name, apart))
                total = total + apart
        return Distance(tuple(differs), tuple(efolds), total) if differs or efolds else INSIDE

    def _followed(self, known: Mapping[str, object]) -> Mapping[str, Any]:
        """Return what is known and what follows from it by the law's own defaults, as far as it does."""
        values = {item.name: known.get(item.known, item.default) for item in inputs(self.law)}
        environment, program = environment_with(
            self.law, {name: value for name, value in values.items() if value is not None}
        )
        found: dict[str, Any] = dict(known)
        for item in self.follows:
            if found.get(item.name) is None:
                try:
                    value = stand_in(self.law, item.name, program.backend)(environment)
                except (KeyError, Undefined):
                    continue
                if rows.shared(abs(value) < math.inf):
                    found[item.name] = value
        return found


def _outside(value: float, low: float, high: float, log_low: float | None, log_high: float | None) -> float:
    """Return the e-folds that a value is outside a range, or lengths of it where there are no logarithms."""
    if low <= value <= high:
        return 0.0
    edge, log_edge = (high, log_high) if value > high else (low, log_low)
    if log_edge is not None and value > 0:
        return abs(math.log(value) - log_edge)
    return abs(value - edge) / ((high - low) or abs(edge) or 1.0)


_each_outside = rows.by_row(_outside)


def _outside_by_row(value: Array, low: float, high: float, log_low: float | None, log_high: float | None) -> Any:
    """Return the same for a column, of which few are outside as a rule."""
    inside = (low <= value) & (value <= high)
    return 0.0 if inside.all() else _each_outside(value, low, high, log_low, log_high)


def _log(edge: float) -> float | None:
    return math.log(edge) if edge > 0 else None


@derived
def domain(law: Law) -> Domain:
    """Return the domain of a law."""
    ranges: list[_Range] = []
    categories: list[tuple[str, frozenset[float | str]]] = []
    for name, seen in law.spec.domain.items():
        if name in law.inputs and law.inputs[name].over:
            continue
        if law.quantity(name).categorical:
            categories.append((name, frozenset(seen)))
        else:
            low, high = float(seen[0]), float(seen[1])
            ranges.append((name, low, high, _log(low), _log(high)))
    follows = tuple(i for i in inputs(law) if i.follows and i.name in law.spec.domain)
    return Domain(law, tuple(ranges), tuple(categories), follows)


def distance(law: Law, known: Mapping[str, object]) -> Distance:
    """Return how far `known` lies outside the law's domain; what is not known does not count.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> step_law = load_catalogue().get("step-law-2025")
    >>> round(distance(step_law, {"n_params": 7e9, "tokens": 1e10}).total, 2)
    1.85
    """
    return domain(law).distance(known)
