"""A Pareto front as a Vega-Lite plot."""

from __future__ import annotations

from typing import Any

from hplaw.messages.pareto import Pareto


AXES = {
    "energy_kwh": ("energy, kWh", 1.0),
    "accelerator_hours": ("accelerator hours", 1.0),
    "cost": ("cost, $", 1.0),
    "duration_s": ("time, days", 86400.0),
}
"""The title of each axis, and what one of its unit is in that of the record."""

COLORS = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#66a61e", "#a6761d", "#666666")
"""One color for each accelerator, distinct to most eyes."""


def pareto_chart(found: Pareto, title: str) -> dict[str, Any]:
    """Return loss over what is budgeted: a line for each accelerator and precision, the front a thick one below them."""
    text, scale = AXES[found.axis]
    front = [{"x": p.budget / scale, "loss": p.loss} for p in found.front]
    points = [
        {
            "x": p.budget / scale,
            "loss": p.loss,
            "accelerator": p.hardware,
            "precision": p.precision,
            "n_params": p.n_params,
        }
        for p in (*found.front, *found.dominated)
    ]
    drawn = {point["accelerator"] for point in points}
    names = [name for name in dict.fromkeys(case.hardware for case in found.cases) if name in drawn]
    x = {"field": "x", "type": "quantitative", "title": text, "axis": {"format": "~s", "tickCount": 6}}
    x["scale"] = {"type": "log", "nice": False, "padding": 12}
    y = {"field": "loss", "type": "quantitative", "scale": {"zero": False}, "title": "loss, nat/token"}
    color = {"field": "accelerator", "type": "nominal", "scale": {"domain": names, "range": list(COLORS[: len(names)])}}
    dash = {"field": "precision", "type": "nominal"}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {"text": title, "subtitle": "gray: the Pareto front"},
        "padding": 10,
        "width": 480,
        "height": 300,
        "data": {"values": points},
        "layer": [
            {
                "data": {"values": front},
                "mark": {"type": "line", "strokeWidth": 9, "color": "#dddddd", "strokeCap": "round"},
                "encoding": {"x": x, "y": y},
            },
            {"mark": "line", "encoding": {"x": x, "y": y, "color": color, "strokeDash": dash}},
            {
                "mark": {"type": "point", "filled": True, "size": 40},
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": color,
                    "tooltip": [{"field": name} for name in ("accelerator", "precision", "n_params", "loss")],
                },
            },
        ],
    }
