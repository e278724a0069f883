"""Loss against energy, hours, money or time over sizes, accelerators and precisions: which runs no other one beats.

Each point is what `frontier` finds for one budget, so that its size, its tokens and its loss are those that `recommend`
answers; a precision's penalty in loss is in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hplaw.catalogue.catalogue import Catalogue
from hplaw.energy.frontier import WANT, budget_point, budget_query, why_not
from hplaw.energy.training import known_hardware, known_prices, precisions_asked, scope_of
from hplaw.errors import ConflictingQuery, HplawError
from hplaw.messages.energy import FrontierRequest
from hplaw.messages.pareto import Pareto, ParetoCase, ParetoPoint, ParetoRequest
from hplaw.messages.recommendation import Recommendation
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.record import recommend
from hplaw.recommendation.trials import ladder


MOST_RUNS = 256
"""Accelerators times precisions times budgets that one question may have: each is a search of its own."""


def pareto(request: ParetoRequest, catalogue: Catalogue) -> Pareto:
    """Return the runs of lowest loss for budgets from low to high, on each accelerator in each precision.

    **Raises:** `QueryError` for an accelerator or a precision that is not known; `ConflictingQuery` for a range that is none,
    for more runs than one question may have, and where no run can be computed, with the reason of the first.
    """
    budgets = _budgets(request)
    cases = _cases(request, catalogue)
    _refuse_incomplete(request, cases)
    if len(cases) * len(budgets) > MOST_RUNS:
        message = f"{len(cases)} cases of accelerator and precision at {len(budgets)} budgets are more than {MOST_RUNS} runs; give fewer points, accelerators or precisions"
        raise ConflictingQuery(message, field="points")
    asked = [msgspec.structs.replace(case, **{request.axis: amount}) for case in cases for amount in budgets]
    rows = recommend_many([budget_query(one, want=_want(one)) for one in asked], catalogue)
    points: list[ParetoPoint] = []
    reasons: dict[tuple[str, str], str] = {}
    for one, row in zip(asked, rows, strict=True):
        try:
            if row.error:
                raise ConflictingQuery(row.error)
            point = budget_point(None, row.answers, one)
        except ConflictingQuery as error:
            reasons.setdefault(_place(one), error.text)
            continue
        told = msgspec.structs.asdict(point)
        hardware, precision = _place(one)
        budget = float(getattr(one, request.axis))
        points.append(ParetoPoint(**told, hardware=hardware, precision=precision, budget=budget))
    counted = {(point.hardware, point.precision) for point in points}
    for case in cases:
        if (place := _place(case)) not in counted:
            reasons[place] = why_not(case, request.axis, reasons[place], catalogue)
    if not points:
        raise ConflictingQuery(next(iter(reasons.values())), field="hardware")
    front, dominated = parted(points)
    highest = {_place(one): one for one in asked}
    alone = {place: _asked_alone(one, catalogue) for place, one in highest.items() if place not in reasons}
    full = {place: found for place, found in alone.items() if found is not None}
    laws = dict.fromkeys(str(item.law) for row in rows for item in row.answers.values() if item.law)
    return Pareto(
        axis=request.axis,
        front=front,
        dominated=dominated,
        cases=[_case(place, front, points, full.get(place), reasons.get(place)) for place in highest],
        laws=list(laws),
        energy_scope=next((scope for one in full.values() if (scope := scope_of(one.answers))), None),
    )


def parted(points: Sequence[ParetoPoint]) -> tuple[list[ParetoPoint], list[ParetoPoint]]:
    """Return the points that none beats by less loss for the same budget or a smaller one, and the others, by budget."""
    front: list[ParetoPoint] = []
    dominated: list[ParetoPoint] = []
    for point in sorted(points, key=lambda one: (one.budget, one.loss)):
        beaten = bool(front) and front[-1].loss <= point.loss
        (dominated if beaten else front).append(point)
    return front, dominated


def _refuse_incomplete(request: ParetoRequest, cases: Sequence[FrontierRequest]) -> None:
    """Refuse money without the prices, and time without the devices that it is spent by."""
    without = [case.hardware for case in cases if case.price_per_hour is None]
    if request.axis == "cost" and without:
        message = f"a front of money needs what an accelerator costs in an hour; give prices of {', '.join(dict.fromkeys(without))}, or price_per_hour"
        raise ConflictingQuery(message, field="prices")
    if request.axis == "duration_s" and request.devices is None:
        message = "a front of time needs devices, how many accelerators run for it"
        raise ConflictingQuery(message, field="devices")


def _budgets(request: ParetoRequest) -> list[float]:
    low, high, count = request.low, request.high, int(request.points)
    if low > high:
        message = f"{request.axis} from {low:g} to {high:g} is no range; give the lower first"
        raise ConflictingQuery(message, field="low")
    return [low] if low == high or count == 1 else ladder(low, high, count)


def _cases(request: ParetoRequest, catalogue: Catalogue) -> list[FrontierRequest]:
    """Return each accelerator in each precision as a question without its budget, each once."""
    prices = known_prices(request.prices, catalogue)
    cases: dict[tuple[str, str], FrontierRequest] = {}
    for name in request.hardware:
        hardware = known_hardware(name, catalogue)
        for precision in precisions_asked(request.precision, hardware, catalogue):
            cases[hardware, precision] = FrontierRequest(
                hardware=hardware,
                precision=precision,
                price_per_hour=prices.get(hardware, request.price_per_hour),
                devices=request.devices,
                given=request.given,
                law=request.law,
            )
    return list(cases.values())


def _want(one: FrontierRequest) -> list[str]:
    more = {"cost": one.price_per_hour, "duration_s": one.devices, "carbon_kg": one.given.get("country")}
    return [*WANT, *(name for name, settled in more.items() if settled is not None)]


def _place(one: FrontierRequest) -> tuple[str, str]:
    return one.hardware, str(one.precision)


def _asked_alone(one: FrontierRequest, catalogue: Catalogue) -> Recommendation | None:
    """Return the whole answer at one budget, whose warnings hold for the runs of its case."""
    try:
        return recommend(budget_query(one, want=_want(one)), catalogue)
    except HplawError:
        return None  # its row says why


def _case(
    place: tuple[str, str],
    front: Sequence[ParetoPoint],
    points: Sequence[ParetoPoint],
    full: Recommendation | None,
    reason: str | None,
) -> ParetoCase:
    hardware, precision = place
    own = [point for point in points if (point.hardware, point.precision) == place]
    return ParetoCase(
        hardware=hardware,
        precision=precision,
        on_front=sum(point in front for point in own),
        warnings=full.warnings if full else [],
        reason=None if own else reason,
    )
