"""The card of a map: its candidates and their scores on what was held out, the map and its reliability as plots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import vl_convert

from hplaw.fit.check.learned_map import Learned
from hplaw.law import Law
from hplaw.law.format import GridSpec
from hplaw.vocabulary.names import REGIMES


COLORS = ("#d1495b", "#edae49", "#22577a", "#66a182", "#8d96a3", "#b8c4cc")
"""Colors of classes, in their order."""


def write_map_card(law: Law, folder: Path, learned: Learned, command: str) -> str:
    """Return the card's text, its plots written into the folder."""
    assert law.spec.grid is not None
    (folder / "plots").mkdir(exist_ok=True)
    for name, chart in (("map", draw_map(law.spec.grid, learned)), ("reliability", reliability_chart(learned))):
        svg: str = vl_convert.vegalite_to_svg(chart.to_dict())
        (folder / "plots" / f"{name}.svg").write_text(svg, encoding="utf-8")
    return "\n".join(_lines(law, learned, command)) + "\n"


def _lines(law: Law, learned: Learned, command: str) -> Iterator[str]:
    evidence, grid = law.spec.evidence, law.spec.grid
    assert evidence is not None
    assert grid is not None
    yield from (
        f"# {law.spec.title}",
        "",
        f"`{law.id}@{law.version}`, learned {evidence.fitted} by {evidence.code_version}.",
    )
    if law.spec.notes.strip():
        yield from ("", law.spec.notes.strip())
    yield from ("", "## How it was learned", "", "```", command, "```", "")
    yield f"{evidence.runs} cells of {evidence.data}, sha256 `{evidence.data_sha256}`, at {evidence.groups} values of {grid.axes[0]}."
    yield f"Probabilities: {evidence.sampler}. Rejected where no class is likelier than {grid.reject_below:g}."
    yield from ("", "## How it did on cells held out", "")
    yield "| held out | cells | accuracy | Brier | log loss | calibration error | answered | accuracy where answered |"
    yield "|---|---|---|---|---|---|---|---|"
    named = (
        (f"each inner value of {grid.axes[0]}", learned.choice.mean.inner),
        (f"blocks of {grid.axes[1]}", learned.choice.mean.blocks),
        (f"each inner value of {grid.axes[0]}, candidates chosen without it", learned.nested),
    )
    for words, s in named:
        yield f"| {words} | {s.cells} | {s.accuracy:.3f} | {s.brier:.3f} | {s.log_loss:.3f} | {s.calibration:.3f} | {s.answered:.2f} | {s.accuracy_answered:.3f} |"
    if learned.advice[1]:
        share, cells = learned.advice
        yield from (
            "",
            f"Advice of the right sign in {share:.0%} of the {cells} inner cells whose error is more than 0.002 above the lowest at the same {grid.axes[0]}.",
        )
    yield from (
        "",
        "![map](plots/map.svg)",
        "",
        "The likeliest class, paler where it is less sure; points: the cells learned from.",
    )
    yield from ("", "![reliability](plots/reliability.svg)", "")
    yield "How often the likeliest class is right, against its probability, in bins of equal mass of the inner cells held out; bars: 90% of binomial noise at the bin's probability."
    yield from (
        "",
        "## Candidates",
        "",
        f"By the mean log loss over inner values of {grid.axes[0]} and blocks of {grid.axes[1]} held out.",
        "",
    )
    yield "| candidate | second axis | log loss | accuracy, inner | Brier, inner | calibration error, inner | accuracy, blocks | Brier, blocks |"
    yield "|---|---|---|---|---|---|---|---|"
    for item in (learned.choice.mean, *learned.choice.compared):
        a, b = item.inner, item.blocks
        yield f"| {item.name} | {item.scale} | {item.loss:.3f} | {a.accuracy:.3f} | {a.brier:.3f} | {a.calibration:.3f} | {b.accuracy:.3f} | {b.brier:.3f} |"


def draw_map(grid: GridSpec, learned: Learned) -> Any:
    """Return the map: the likeliest class by color, sureness by opacity, and the cells that it was learned from."""
    first, second = learned.axes
    names = [REGIMES.get(word, word) for word in grid.classes]
    edges = (_edges(first, log=True), _edges(second, log=learned.choice.mean.scale == "log"))
    tiles = [
        {
            "x": float(edges[0][i]),
            "x2": float(edges[0][i + 1]),
            "y": float(edges[1][j]),
            "y2": float(edges[1][j + 1]),
            "class": names[int(p.argmax())],
            "p": float(p.max()),
        }
        for i, row in enumerate(learned.probabilities)
        for j, p in enumerate(row)
    ]
    cells = learned.table.cells
    points: list[dict[str, float | str]] = [
        {"x": x, "y": y, "class": names[label]}
        for x, y, label in zip(cells.first.tolist(), cells.second.tolist(), cells.label.tolist(), strict=True)
    ]
    color = alt.Color(
        "class:N", title="regime", scale=alt.Scale(domain=names, range=list(COLORS[: len(names)])), sort=names
    )
    kind = "log" if learned.choice.mean.scale == "log" else "linear"
    x = alt.X(
        "x:Q",
        title=grid.axes[0],
        scale=alt.Scale(type="log", nice=False, domain=[float(edges[0][0]), float(edges[0][-1])]),
    )
    y = alt.Y(
        "y:Q",
        title=grid.axes[1],
        scale=alt.Scale(type=kind, nice=False, domain=[float(edges[1][0]), float(edges[1][-1])]),
    )
    sure = alt.Opacity("p:Q", title="probability", scale=alt.Scale(domain=[0.34, 1], range=[0.05, 0.75]))
    base = (
        alt.Chart(alt.Data(values=tiles))
        .mark_rect(stroke=None)
        .encode(x=x, x2="x2:Q", y=y, y2="y2:Q", color=color, opacity=sure)
    )
    dots = (
        alt.Chart(alt.Data(values=points))
        .mark_circle(size=38, opacity=1, stroke="white", strokeWidth=0.8)
        .encode(x=x, y=y, color=color)
    )
    return _framed((base + dots).properties(width=420, height=300))


def _framed(chart: Any) -> Any:
    return chart.configure_view(stroke="#dddddd")


def _edges(axis: Any, *, log: bool) -> Any:
    """Return the borders between places of an axis, its ends kept."""
    places = np.log(axis) if log else axis
    found = np.concatenate([places[:1], (places[1:] + places[:-1]) / 2, places[-1:]])
    return np.exp(found) if log else found


def reliability_chart(learned: Learned) -> Any:
    """Return how often the likeliest class was right against its probability."""
    rows = [
        {
            "p": b.confidence,
            "right": b.accuracy,
            "low": max(b.confidence - 1.645 * (b.confidence * (1 - b.confidence) / b.cells) ** 0.5, 0.0),
            "high": min(b.confidence + 1.645 * (b.confidence * (1 - b.confidence) / b.cells) ** 0.5, 1.0),
        }
        for b in learned.bins
    ]
    scale = alt.Scale(domain=[min(0.4, *(row["low"] for row in rows)), 1.02], nice=False)
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("p:Q", title="probability of the likeliest class", scale=scale)
    )
    line = (
        alt.Chart(alt.Data(values=[{"x": scale["domain"][0], "y": scale["domain"][0]}, {"x": 1.0, "y": 1.0}]))
        .mark_line(color="#b8c4cc", strokeDash=[4, 3])
        .encode(x=alt.X("x:Q", scale=scale), y=alt.Y("y:Q", scale=scale))
    )
    bars = base.mark_rule(color="#b8c4cc", strokeWidth=4).encode(y=alt.Y("low:Q", scale=scale), y2="high:Q")
    dots = base.mark_circle(size=70, color="#22577a").encode(
        y=alt.Y("right:Q", title="share that is right", scale=scale)
    )
    return _framed((line + bars + dots).properties(width=260, height=260))
