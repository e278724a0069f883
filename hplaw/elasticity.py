"""How answers move with what is given: d ln(answer) / d ln(given), along the laws that were chosen.

The slopes of each law are multiplied along the derivation. Those of a power law are its exponents, found once;
others are taken by differences at the point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hplaw.derive import Derivation
from hplaw.law import Law
from hplaw.point import inputs
from hplaw.power import power_law
from hplaw.question import Question


_STEP = 1e-4
"""Distance in e-folds between the points of a difference."""

_DIGITS = 6
"""Digits behind the point to which a slope by differences is good."""


def elasticities(question: Question, found: Derivation) -> dict[str, dict[str, float]]:
    """Return d ln(answer) / d ln(given) by answer and given quantity; zeros are left out.

    A law that must search for its optimum is left out too: a slope of a search is another search.
    """
    numbers = [name for name in question.given if isinstance(question.known[name], float)]
    slopes: dict[str, dict[str, float]] = {name: {name: 1.0} for name in numbers}
    slopes |= {follower: {leader: 1.0} for follower, leader in question.filled if leader in slopes}
    for name, law, own in found.chain:
        total: dict[str, float] = {}
        for source, partial in _partials(found, name, law, own, slopes).items():
            for given, slope in slopes[source].items():
                total[given] = total.get(given, 0.0) + partial * slope
        slopes[name] = total
    return {
        name: {
            given: rounded
            for given, slope in slopes[name].items()
            if (rounded := round(slope, _DIGITS))
        }
        for name, _, _ in found.chain
    }


def _partials(
    found: Derivation, name: str, law: Law, own: Mapping[str, None], slopes: Mapping[str, Any]
) -> Mapping[str, float]:
    """Return d ln(output) / d ln(input) of one law, by those of its inputs that move."""
    power = None if own else power_law(law, name)
    if power is not None:
        return {source: exponent for source, exponent in power.exponents if source in slopes}
    known = {**found.known, **own}
    partials: dict[str, float] = {}
    for item in inputs(law):
        source = item.known
        value = known.get(source)
        if source not in slopes or not isinstance(value, float) or value <= 0:
            continue
        high, low = (
            found.value(law, name, {**known, source: value * math.exp(side * _STEP)}, {})
            for side in (1, -1)
        )
        if isinstance(high, float) and isinstance(low, float) and high > 0 and low > 0:
            partials[source] = (math.log(high) - math.log(low)) / (2 * _STEP)
    return partials
