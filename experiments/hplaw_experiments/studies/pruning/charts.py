"""The plots of the pruning study."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl


def by_epochs(cells: pl.DataFrame, value: str, title: str, threshold: float | None) -> Any:
    """Return a value over epochs, a line for each density; a dashed line at a threshold."""
    rows = cells.select("density", "epochs", value).to_dicts()
    scale = alt.Scale(type="log", nice=False, padding=10)
    epochs = sorted({row["epochs"] for row in rows})
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=True)
        .encode(
            x=alt.X("epochs:Q", scale=scale, axis=alt.Axis(values=epochs, format="d"), title="epochs before pruning"),
            y=alt.Y(f"{value}:Q", scale=alt.Scale(zero=False), title=title),
            color=alt.Color("density:O", title="density", scale=alt.Scale(scheme="viridis")),
        )
    )
    if threshold is None:
        return lines.properties(width=420, height=260)
    rule = alt.Chart(alt.Data(values=[{"y": threshold}])).mark_rule(strokeDash=[4, 4], color="#8d96a3").encode(y="y:Q")
    return (rule + lines).properties(width=420, height=260)
