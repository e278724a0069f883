"""What a budget buys: sizes and tokens that use it up, and the one of lowest loss.

Each size is a question with that budget, so that its tokens and its loss are those that `recommend` answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hplaw.catalogue.catalogue import Catalogue
from hplaw.energy.training import first_precision, known_hardware
from hplaw.errors import ConflictingQuery, HplawError, QueryError
from hplaw.messages.energy import Frontier, FrontierPoint, FrontierRequest
from hplaw.messages.query import Query
from hplaw.messages.recommendation import BriefEstimate, BriefRecommendation, Estimate
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.question import PRICE
from hplaw.recommendation.record import recommend
from hplaw.recommendation.spending import RATIOS
from hplaw.recommendation.trials import ladder


SIZES = (1e7, 1e13)
"""Parameters between which is looked."""
NEAR = 0.005
"""Relative loss up to which another size is as good for all practical purposes."""
KINDS = ("energy_kwh", "accelerator_hours", "compute_flop", "cost", "duration_s")
WANT = ("n_params", "tokens", "loss", "accelerator_hours", "energy_kwh")


def frontier(request: FrontierRequest, catalogue: Catalogue) -> Frontier:
    """Return the ways to spend a budget, and the best.

    **Raises:** `QueryError` for no budget or several, and where time, energy or loss cannot be computed.
    """
    kind, amount = _budget(request)
    hardware = known_hardware(request.hardware, catalogue)
    precision = request.precision or first_precision(hardware, catalogue)
    request = msgspec.structs.replace(request, hardware=hardware, precision=precision)
    found = recommend(budget_query(request), catalogue)
    try:
        best = budget_point(None, found.answers, request)
    except ConflictingQuery as error:
        raise ConflictingQuery(why_not(request, kind, error.text, catalogue), field="hardware") from None
    usable = _usable(request, catalogue)
    if not usable:
        message = (
            f"{kind}={amount:g} buys no training between {SIZES[0]:g} and {SIZES[1]:g} parameters; give another budget"
        )
        raise ConflictingQuery(message, field=kind)
    points = _points(request, ladder(usable[0], usable[-1], int(request.points)), catalogue)
    least = min(range(len(points)), key=lambda i: points[i].loss)
    edges = points[max(least - 1, 0)].n_params, points[min(least + 1, len(points) - 1)].n_params
    finer = _points(request, ladder(*edges, 41), catalogue)
    near = [p.n_params for p in (*points, *finer, best) if p.loss <= best.loss * (1 + NEAR)]
    laws = list(dict.fromkeys(str(item.law) for item in found.answers.values() if item.law))
    return Frontier(best=best, near=[min(near), max(near)], points=points, laws=laws, warnings=found.warnings)


def _budget(request: FrontierRequest) -> tuple[str, float]:
    told = [name for name in KINDS if getattr(request, name) is not None]
    if len(told) != 1:
        message = f"{' and '.join(told) or 'no budget'} given; give one of {', '.join(KINDS)}"
        raise QueryError(message, field=told[0] if told else "energy_kwh")
    kind = told[0]
    if kind == "cost" and request.price_per_hour is None:
        message = "a cost needs price_per_hour, what one accelerator costs in an hour"
        raise QueryError(message, field="price_per_hour")
    if kind == "duration_s" and request.devices is None:
        message = "a duration needs devices, how many accelerators run for it"
        raise QueryError(message, field="devices")
    if request.given.get("tokens_per_device_s"):
        message = "tokens_per_device_s is measured at one size, and a frontier compares sizes; ask `recommend`, or leave it out"
        raise ConflictingQuery(message, field="given.tokens_per_device_s")
    amount = float(getattr(request, kind))
    return kind, amount


def budget_query(request: FrontierRequest, n: float | None = None, want: Sequence[str] = WANT) -> Query:
    """Return the question what a budget buys, for one size or the best."""
    kind, amount = _budget(request)
    given = dict(request.given)
    if request.price_per_hour is not None:
        given[PRICE] = request.price_per_hour
        want = [*want, "cost"]
    return Query(
        n_params=n,
        hardware=request.hardware,
        precision=request.precision,
        devices=request.devices,
        given={**given, kind: amount},
        laws=[] if request.law is None else [request.law],
        want=[name for name in dict.fromkeys(want) if name != kind],
    )


def _usable(request: FrontierRequest, catalogue: Catalogue) -> list[float]:
    """Return sizes that the budget pays for with a number of tokens that anybody might train on."""
    request = msgspec.structs.replace(request, law=None)
    wide = ladder(*SIZES, 61)
    found = recommend_many([budget_query(request, n, ["tokens"]) for n in wide], catalogue)
    tokens = [row.answers["tokens"].value if row.answers else None for row in found]
    return [n for n, d in zip(wide, tokens, strict=True) if isinstance(d, float) and RATIOS[0] <= d / n <= RATIOS[1]]


def _points(request: FrontierRequest, sizes: Sequence[float], catalogue: Catalogue) -> list[FrontierPoint]:
    found: list[BriefRecommendation] = recommend_many([budget_query(request, n) for n in sizes], catalogue)
    for row in found:
        if row.error:
            raise ConflictingQuery(row.error)
    return [budget_point(n, row.answers, request) for n, row in zip(sizes, found, strict=True)]


def budget_point(
    n: float | None, answers: Mapping[str, Estimate] | Mapping[str, BriefEstimate], request: FrontierRequest
) -> FrontierPoint:
    """Return one way to spend the budget; what is a budget itself is no answer."""
    spent = budget_query(request).given

    def value(name: str) -> float | None:
        known = spent[name] if name in spent else answers[name].value if name in answers else None
        return float(known) if isinstance(known, int | float) else None

    def needed(name: str) -> float:
        known = value(name)
        if known is None:
            raise ConflictingQuery(str(answers[name].reason), field="hardware")
        return known

    loss = answers["loss"]
    return FrontierPoint(
        n_params=needed("n_params") if n is None else n,
        tokens=needed("tokens"),
        loss=needed("loss"),
        loss_low=loss.low,
        loss_high=loss.high,
        accelerator_hours=needed("accelerator_hours"),
        energy_kwh=value("energy_kwh"),
        cost=value("cost"),
        duration_s=value("duration_s"),
        carbon_kg=value("carbon_kg"),
    )


SOME_N, SOME_TOKENS = 1e9, 2e10
"""A run that every accelerator might do, to ask why one cannot be counted."""


def why_not(one: FrontierRequest, axis: str, error: str, catalogue: Catalogue) -> str:
    """Return why nothing is counted on an accelerator in a precision: what its law says, else what a budget failed of."""
    counted = "accelerator_hours" if axis == "duration_s" else axis
    given = {**one.given, **({} if one.price_per_hour is None else {PRICE: one.price_per_hour})}
    asked = Query(
        n_params=SOME_N, tokens=SOME_TOKENS, hardware=one.hardware, precision=one.precision, given=given, want=[counted]
    )
    try:
        return recommend(asked, catalogue).answers[counted].reason or error
    except HplawError:
        return error


def chart(found: Frontier, title: str) -> dict[str, Any]:
    """Return the frontier as a Vega-Lite plot: loss over size, the best marked."""
    rows = [{"n_params": p.n_params, "loss": p.loss, "low": p.loss_low, "high": p.loss_high} for p in found.points]
    # numbers as people write them, 10B and not 10,000,000,000; the axis is as wide as the curve, with room for its ends
    axis = {"format": "~s", "labelExpr": "replace(datum.label, 'G', 'B')", "tickCount": 6, "labelOverlap": True}
    scale = {"type": "log", "nice": False, "padding": 12}
    x = {"field": "n_params", "type": "quantitative", "scale": scale, "axis": axis, "title": "parameters"}
    y = {"field": "loss", "type": "quantitative", "scale": {"zero": False}, "title": "loss, nat/token"}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": title,
        "padding": 10,
        "width": 480,
        "height": 280,
        "data": {"values": rows},
        "layer": [
            {
                "mark": {"type": "area", "opacity": 0.2},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {"mark": "line", "encoding": {"x": x, "y": y}},
            {
                "mark": {"type": "point", "filled": True, "color": "#d1495b", "size": 80},
                "data": {"values": [{"n_params": found.best.n_params, "loss": found.best.loss}]},
                "encoding": {"x": x, "y": y},
            },
        ],
    }
