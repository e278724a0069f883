"""What a budget buys: sizes and tokens that use it up, and the one of lowest loss.

Hours and energy of a size are in proportion to its tokens, so that one answer for each size says what the budget buys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from hplaw.catalogue.catalogue import Catalogue
from hplaw.energy.training import first_precision, known_hardware
from hplaw.errors import ConflictingQuery, QueryError
from hplaw.messages.energy import Frontier, FrontierPoint, FrontierRequest
from hplaw.messages.query import Query
from hplaw.messages.recommendation import BriefRecommendation
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.record import recommend


SIZES = (1e7, 1e13)
"""Parameters between which is looked."""
TOKENS = 1e12
"""Tokens that sizes are priced with."""
LEAST_RATIO, MOST_RATIO = 0.2, 20_000.0
"""Tokens per parameter between which a way to spend a budget is shown."""
NEAR = 0.005
"""Relative loss up to which another size is as good for all practical purposes."""
KINDS = ("energy_kwh", "accelerator_hours", "cost", "duration_s")


def frontier(request: FrontierRequest, catalogue: Catalogue) -> Frontier:
    """Return the ways to spend a budget, and the best.

    **Raises:** `QueryError` for no budget or several, and where time, energy or loss cannot be computed.
    """
    kind, amount = _budget(request)
    table = catalogue.get("accelerators").spec.tables["peak"]
    hardware = known_hardware(request.hardware, catalogue)
    precision = request.precision or first_precision(hardware, table)
    request = msgspec.structs.replace(request, hardware=hardware, precision=precision)
    _refuse(request, kind, catalogue)
    count = int(request.points)
    wide = _ladder(*SIZES, 61)
    priced = _priced(request, kind, wide, catalogue)
    usable = [n for n, price in zip(wide, priced, strict=True) if LEAST_RATIO <= amount / price / n <= MOST_RATIO]
    if not usable:
        message = (
            f"{kind}={amount:g} buys no training between {SIZES[0]:g} and {SIZES[1]:g} parameters; give another budget"
        )
        raise ConflictingQuery(message, field=kind)
    points = _points(request, kind, amount, _ladder(usable[0], usable[-1], count), catalogue)
    least = min(range(len(points)), key=lambda i: points[i].loss)
    edges = points[max(least - 1, 0)].n_params, points[min(least + 1, len(points) - 1)].n_params
    finer = _points(request, kind, amount, _ladder(*edges, 41), catalogue)
    best = min(finer, key=lambda point: point.loss)
    near = [p.n_params for p in (*points, *finer) if p.loss <= best.loss * (1 + NEAR)]
    found = recommend(_query(request, best.n_params, best.tokens), catalogue)
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
    return kind, float(getattr(request, kind))


def _refuse(request: FrontierRequest, kind: str, catalogue: Catalogue) -> None:
    """Refuse what laws cannot give for any size, in their words."""
    found = recommend(_query(request, 1e9, TOKENS), catalogue).answers
    for name in ("loss", "energy_kwh" if kind == "energy_kwh" else "accelerator_hours"):
        if found[name].value is None:
            raise QueryError(str(found[name].reason), field="hardware")


def _ladder(low: float, high: float, count: int) -> list[float]:
    return [low * (high / low) ** (i / (count - 1)) for i in range(count)]


def _query(request: FrontierRequest, n: float, tokens: float) -> Query:
    return Query(
        n_params=n,
        tokens=tokens,
        hardware=request.hardware,
        precision=request.precision,
        devices=request.devices,
        given=request.given,
        laws=[request.law],
        want=["loss", "accelerator_hours", "energy_kwh"],
    )


def _asked(
    request: FrontierRequest, sizes: Sequence[float], tokens: Sequence[float], catalogue: Catalogue
) -> list[BriefRecommendation]:
    rows = recommend_many([_query(request, n, d) for n, d in zip(sizes, tokens, strict=True)], catalogue)
    if rows[0].error:
        raise QueryError(rows[0].error)
    return rows


def _value(row: BriefRecommendation, name: str) -> float:
    found = row.answers[name]
    if not isinstance(found.value, int | float):
        raise QueryError(str(found.reason), field="hardware")
    return float(found.value)


def _price(request: FrontierRequest, kind: str, row: BriefRecommendation) -> float:
    """Return what the priced tokens take of the budget's kind."""
    if kind == "energy_kwh":
        return _value(row, "energy_kwh")
    hours = _value(row, "accelerator_hours")
    if kind == "cost":
        return hours * float(request.price_per_hour or 0.0)
    return hours * 3600 / float(request.devices or 1.0) if kind == "duration_s" else hours


def _priced(request: FrontierRequest, kind: str, sizes: Sequence[float], catalogue: Catalogue) -> list[float]:
    """Return the budget that one token takes, by size."""
    rows = _asked(request, sizes, [TOKENS] * len(sizes), catalogue)
    return [_price(request, kind, row) / TOKENS for row in rows]


def _points(
    request: FrontierRequest, kind: str, amount: float, sizes: Sequence[float], catalogue: Catalogue
) -> list[FrontierPoint]:
    tokens = [amount / price for price in _priced(request, kind, sizes, catalogue)]
    points: list[FrontierPoint] = []
    for n, d, row in zip(sizes, tokens, _asked(request, sizes, tokens, catalogue), strict=True):
        loss, energy = row.answers["loss"], row.answers["energy_kwh"].value
        points.append(
            FrontierPoint(
                n_params=n,
                tokens=d,
                loss=_value(row, "loss"),
                loss_low=loss.low,
                loss_high=loss.high,
                accelerator_hours=_value(row, "accelerator_hours"),
                energy_kwh=float(energy) if isinstance(energy, int | float) else None,
            )
        )
    return points


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
