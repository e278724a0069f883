"""How answers move with what is given: d ln(answer) / d ln(given), along the laws that were chosen.

The slopes of each law are multiplied along the derivation. Those of a power law are its exponents, found once; others
are derivatives of its formulas at the point, or differences where a function has none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hplaw.evaluation.inputs import inputs
from hplaw.evaluation.point import Point, plain_point
from hplaw.expression import Undefined
from hplaw.forms.derivative import slope
from hplaw.forms.power_law import best_exponents, power_law
from hplaw.law import Law
from hplaw.recommendation.counted import COMPUTE, SCHEDULE, SHARES, SIZES, counted
from hplaw.recommendation.derivation import Derivation
from hplaw.recommendation.question import AIMED, Question


_STEP = 1e-4
"""Distance in e-folds between the points of a difference."""

_DIGITS = 6
"""Digits behind the point to which a slope by differences is good."""


def elasticities(question: Question, found: Derivation) -> dict[str, dict[str, float]]:
    """Return d ln(answer) / d ln(given) by answer and given quantity; zeros are omitted.

    A law that must search for its optimum is omitted too: a slope of a search is another search. So are budgets and
    targets; the slopes are by the size and data that were chosen for them.
    """
    numbers = [name for name in question.given if isinstance(question.known.get(name), float)]
    if question.choice is not None:
        numbers = [*question.choice.answer.values, *(name for name in numbers if name not in AIMED)]
    points: dict[Law, Point | None] = {}
    slopes: dict[str, dict[str, float]] = {name: {name: 1.0} for name in numbers}
    slopes |= {follower: {leader: 1.0} for follower, leader in question.filled if leader in slopes}
    for name, law, own in found.chain:
        names = found.discounts_of(law) if name == "loss" else ()
        known, seen = (counted(found.known, names), _counted(slopes, names)) if names else (found.known, slopes)
        total: dict[str, float] = {}
        for source, partial in _partials(known, name, law, own, seen, points).items():
            _add(total, seen[source], partial)
        for factor in SCHEDULE:
            if factor in names:
                _add(total, slopes[factor], 1.0)
        slopes[name] = total
    return {
        name: {given: rounded for given, slope in slopes[name].items() if (rounded := round(slope, _DIGITS))}
        for name, _, _ in found.chain
    }


def _counted(slopes: Mapping[str, dict[str, float]], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return slopes of sizes, data and compute as they count for the loss."""
    tokens = dict(slopes["effective_tokens"] if "effective_tokens" in names else slopes.get("tokens", {}))
    if "optimizer_share" in names:
        _add(tokens, slopes["optimizer_share"], 1.0)
    seen = {**slopes, "tokens": tokens}
    dense, active = "dense_share" in names, slopes.get("n_active_params", {})
    if dense:
        slopes = {**slopes, "n_active_params": slopes.get("n_params", {})}
    for name in (*SIZES, *COMPUTE):
        total = dict(slopes.get(name, {}))
        for share in SHARES:
            if share in names:
                _add(total, slopes[share], 1.0)
        if name in COMPUTE:
            _add(total, tokens, 1.0)
            _add(total, slopes.get("tokens", {}), -1.0)
            if dense:
                _add(total, slopes.get("n_params", {}), 1.0)
                _add(total, active, -1.0)
        seen[name] = total
    return seen


def _add(total: dict[str, float], slopes: Mapping[str, float], by: float) -> None:
    for given, value in slopes.items():
        total[given] = total.get(given, 0.0) + by * value


def _partials(
    known: Mapping[str, Any],
    name: str,
    law: Law,
    own: Mapping[str, None],
    slopes: Mapping[str, object],
    points: dict[Law, Point | None],
) -> Mapping[str, float]:
    """Return d ln(output) / d ln(input) of one law, by those of its inputs that move; `points` keeps the law there."""
    power = None if own else power_law(law, name)
    if power is not None:
        return {source: exponent for source, exponent in power.exponents if source in slopes}
    best = best_exponents(law, name) if name in own and len(own) == len(law.chosen) else None
    if best is not None:
        return {source: exponent for source, exponent in best.items() if source in slopes}
    known = {**known, **own}
    if law not in points:
        points[law] = plain_point(law, known)
    here = points[law]
    value = here.plain(name) if here else None
    if here is None or not isinstance(value, float) or value <= 0:
        return {}
    partials: dict[str, float] = {}
    for item in inputs(law):
        source = item.known
        given = known.get(source)
        if source in slopes and isinstance(given, float) and given > 0:
            partial = _closed(here, name, item.name, own, known)
            partial = difference(law, name, source, known) if partial is None else partial
            if partial is not None:
                partials[source] = partial
    return partials


def _closed(here: Point, name: str, by: str, own: Mapping[str, None], known: Mapping[str, object]) -> float | None:
    """Return the slope by the derivative of the law's formulas, or None where it has none at the point."""
    form = slope(here.law, name, by, chosen=bool(own))
    if form is None or any(known.get(word) is None for word in form.stood_in):
        return None
    try:
        return form.at(here)
    except Undefined:
        return None


def difference(law: Law, name: str, source: str, known: Mapping[str, Any], *, place: int = 0) -> float | None:
    """Return d ln(output) / d ln(input) of one law between two points aside, or None where it does not apply at both.

    **Arguments:**

    - `name`: an output, or a quantity that the law chooses in closed form.
    - `source`: the input that moves, as it is known; positive in `known`.
    - `place`: which entry of an output over an index.
    """
    logs: list[float] = []
    for side in (1, -1):
        aside = plain_point(law, {**known, source: known[source] * math.exp(side * _STEP)})
        value = _entry(aside, name, place) if aside else None
        if not isinstance(value, float) or value <= 0:
            return None
        logs.append(math.log(value))
    return (logs[0] - logs[1]) / (2 * _STEP)


def _entry(here: Point, name: str, place: int) -> Any:
    if name not in here.law.outputs or here.law.outputs[name][1] is None:
        return here.plain(name)
    try:
        return here.output(name)[place]
    except Undefined:
        return None
