"""Plots of the width study, as altair charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hplaw_experiments.studies.width_transfer.analysis import HIGH, LOW
from hplaw_experiments.studies.width_transfer.results import Result


SIDE = 210
"""Pixels of one panel."""

RATES = {"type": "log", "nice": False, "padding": 8}
"""The scale of rates and losses: decades are not filled up."""

WORDS = {"width": "width", "n_layers": "layers"}


def bowl_chart(sets: Sequence[Result]) -> Any:
    """Return losses over rates, a panel for each scheme and a color for each size."""
    import altair as alt

    rows = [
        {"scheme": one.runs.name, "size": float(size), "rate": float(2.0**rate), "loss": float(np.exp(loss))}
        for one in sets
        for i, size in enumerate(one.runs.sizes)
        for rate, loss in zip(*one.runs.means(i), strict=True)
        if np.isfinite(loss)
    ]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=True)
        .encode(
            x=alt.X(
                "rate:Q", scale=alt.Scale(**RATES), axis=alt.Axis(format="~e", tickCount=4), title="peak learning rate"
            ),
            y=alt.Y("loss:Q", scale=alt.Scale(**RATES), title="training loss, nat"),
            color=alt.Color("size:O", scale=alt.Scale(scheme="viridis"), title=WORDS[sets[0].size]),
        )
        .properties(width=SIDE, height=SIDE)
        .facet(facet=alt.Facet("scheme:N", title=None), columns=3)
    )
    return chart.resolve_scale(x="independent", y="independent")


def best_chart(sets: Sequence[Result]) -> Any:
    """Return the best rate over sizes with its 90% interval, a panel for each family and optimizer."""
    import altair as alt

    rows = [
        {
            "model": f"{one.runs.labels['family']}, {one.runs.labels['optimizer']}",
            "scheme": one.runs.labels["parametrization"],
            "size": float(size),
            "best": float(2.0 ** np.median(one.draws.best[:, i])),
            "low": float(2.0 ** np.quantile(one.draws.best[:, i], LOW)),
            "high": float(2.0 ** np.quantile(one.draws.best[:, i], HIGH)),
        }
        for one in sets
        for i, size in enumerate(one.runs.sizes)
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(x=_sizes(sets), color=alt.Color("scheme:N", title="parametrization"))
    line = base.mark_line(point=True).encode(
        y=alt.Y("best:Q", scale=alt.Scale(**RATES), axis=alt.Axis(format="~e"), title="best learning rate")
    )
    bar = base.mark_rule().encode(y="low:Q", y2="high:Q")
    chart = alt.layer(bar, line).properties(width=SIDE, height=SIDE)
    return chart.facet(facet=alt.Facet("model:N", title=None), columns=3).resolve_scale(
        x="independent", y="independent"
    )


def slope_chart(sets: Sequence[Result]) -> Any:
    """Return each slope's median and 90% interval beside the range of theory."""
    import altair as alt

    rows = [
        {
            "set": one.runs.name,
            "median": one.slope.median,
            "low": one.slope.low,
            "high": one.slope.high,
            "theory_low": None if one.slope.theory is None else min(one.slope.theory),
            "theory_high": None if one.slope.theory is None else max(one.slope.theory),
        }
        for one in sets
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("set:N", sort=[row["set"] for row in rows], title=None, axis=alt.Axis(labelLimit=320))
    )
    scale = alt.X("low:Q", scale=alt.Scale(zero=False), title="slope of log rate over log size, 90% interval")
    interval = base.mark_rule(strokeWidth=2).encode(x=scale, x2="high:Q")
    middle = base.mark_point(filled=True, size=60).encode(x="median:Q")
    theory = base.mark_rule(strokeWidth=9, opacity=0.35, color="orange").encode(x="theory_low:Q", x2="theory_high:Q")
    ends = base.mark_tick(thickness=3, color="orange").encode(x="theory_low:Q")
    others = base.mark_tick(thickness=3, color="orange").encode(x="theory_high:Q")
    return alt.layer(theory, ends, others, interval, middle).properties(width=420)


def carried_chart(sets: Sequence[Result]) -> Any:
    """Return what the smallest size's rate costs at each size, a line for each scheme."""
    import altair as alt

    rows = [
        {
            "model": f"{one.runs.labels['family']}, {one.runs.labels['optimizer']}",
            "scheme": one.runs.labels["parametrization"],
            "size": each.size,
            "cost": each.cost,
        }
        for one in sets
        for each in one.carried
        if np.isfinite(each.cost)
    ]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=True)
        .encode(
            x=_sizes(sets),
            y=alt.Y("cost:Q", scale=alt.Scale(**RATES), title="loss over that of the own rate"),
            color=alt.Color("scheme:N", title="parametrization"),
        )
        .properties(width=SIDE, height=SIDE)
        .facet(facet=alt.Facet("model:N", title=None), columns=3)
        .resolve_scale(x="independent", y="independent")
    )


def _sizes(sets: Sequence[Result]) -> Any:
    """Return the axis of sizes, with a tick at each of them."""
    import altair as alt

    values = sorted({float(size) for one in sets for size in one.runs.sizes})
    axis = alt.Axis(values=values, format="d")
    return alt.X("size:Q", scale=alt.Scale(**{**RATES, "base": 2}), axis=axis, title=WORDS[sets[0].size])
