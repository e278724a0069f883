"""Draw docs/picture.svg: the learning rates that the published rules and the fitted law recommend, over model size.

    python tools/picture.py [FILE.svg or FILE.png]

Everything in the picture comes from the laws that are shipped. A line is solid where a model of that size, with
`RATIO` tokens per parameter, lies inside all ranges of the law's domain, and faint outside.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt

from hplaw.catalogue.catalogue import Catalogue, load_catalogue
from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend


RATIO = 20.0
"""Training tokens per parameter without embedding."""

SIZES = (1e7, 1e11)
"""The range of model sizes."""

RATES = (3e-5, 1.5e-2)
"""The range of learning rates."""

STEPS = 240
"""Points of a line."""

LOWEST_LABEL = 4.5e-5
"""The learning rate below which no line is labeled, so that a label stays clear of the axis."""

APART = 0.105
"""The minimum distance of two labels at the edge, in powers of ten of the learning rate."""

FITTED = "recipe"
"""The law that was fitted here; its band is drawn."""

NAMES = {
    FITTED: "recipe: any recipe",
    "step-law-2025": "Step Law",
    "porian-2024": "Porian et al.",
    "deepseek-llm-2024": "DeepSeek LLM",
    "bjorck-2024": "Bjorck et al.",
    "gpt3-table-2020": "GPT-3 table",
    "kaplan-lr-2020": "Kaplan et al.",
}
"""What laws are called in the picture; a law that is not here goes by its id."""

COLOURS = ("#0a5ca8", "#a3195b", "#b3402a", "#12724f", "#7a4fb0", "#8a6200", "#5f6368")
"""One for each law, dark enough for text on white."""

INK, GREY = "#24292f", "#e4e7eb"


def sizes() -> Iterator[float]:
    """Yield model sizes, evenly apart in the logarithm."""
    low, high = map(math.log, SIZES)
    for i in range(STEPS + 1):
        yield math.exp(low + (high - low) * i / STEPS)


def line(catalogue: Catalogue, law: str) -> list[dict[str, Any]]:
    """Return what a law gives along the picture: rate, 90% interval, and whether that is inside its domain."""
    rows: list[dict[str, Any]] = []
    for size in sizes():
        query = Query(n_params=size, tokens=RATIO * size, want=["peak_lr"], laws=[law])
        found = recommend(query, catalogue)
        rate = found.answers["peak_lr"]
        if rate.law is None or not rate.law.startswith(f"{law}@"):
            continue  # the law is silent here, and another one spoke
        inside = not any(w.code == "outside-domain" and w.law == rate.law for w in found.warnings)
        rows.append(
            {"law": law, "n_params": size, "peak_lr": rate.value, "low": rate.low, "high": rate.high, "inside": inside}
        )
    return rows


def stretches(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows numbered by stretch, all inside or all outside; where two meet, both have the last point inside."""
    found: list[dict[str, Any]] = []
    number = 0
    for before, row in zip([None, *rows], rows, strict=False):
        if before is not None and before["inside"] != row["inside"]:
            inner = row if row["inside"] else before
            old, new = before["inside"], row["inside"]
            found.append({**inner, "inside": old, "stretch": number})
            number += 1
            found.append({**inner, "inside": new, "stretch": number})
        found.append({**row, "stretch": number})
    return found


def spread(places: Mapping[str, float]) -> dict[str, float]:
    """Return heights of labels, moved as little as it takes to keep them `APART`."""
    order = sorted(places, key=lambda law: places[law])
    heights = [math.log10(places[law]) for law in order]
    for _ in range(200):
        for i in range(len(heights) - 1):
            short = APART - (heights[i + 1] - heights[i])
            if short > 1e-9:
                heights[i] -= short / 2
                heights[i + 1] += short / 2
    return {law: 10**height for law, height in zip(order, heights, strict=True)}


def chart(catalogue: Catalogue) -> alt.LayerChart:
    """Return the picture."""
    givers = catalogue.givers["peak_lr"]
    laws = [law.id for law in givers if law.spec.status == "published" or law.id == FITTED]
    laws.sort(key=lambda law: list(NAMES).index(law) if law in NAMES else len(NAMES))
    lines = {law: line(catalogue, law) for law in laws}
    colour = alt.Color("law:N", legend=None).scale(domain=laws, range=list(COLOURS))
    x = alt.X("n_params:Q", title="parameters without embedding").scale(type="log", domain=SIZES, nice=False)
    x = x.axis(values=[10.0**k for k in range(7, 12)], labelExpr=_SIZE_LABEL)
    y = alt.Y("peak_lr:Q", title="peak learning rate (AdamW or Adam)").scale(type="log", domain=RATES, nice=False)
    y = y.axis(values=[3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2], labelExpr="format(datum.value, '.0e')")
    rows = [row for law in laws for row in stretches(lines[law]) if _visible(row["peak_lr"])]
    bands = [row for row in rows if row["law"] == FITTED and row["low"] is not None]
    ends = {law: [row for row in lines[law] if row["peak_lr"] >= LOWEST_LABEL][-1] for law in laws}
    edge = {law: end["peak_lr"] for law, end in ends.items() if end["n_params"] > 0.99 * SIZES[1]}
    heights = {law: end["peak_lr"] for law, end in ends.items()} | spread(edge)
    texts = [
        {"law": law, "n_params": ends[law]["n_params"], "peak_lr": heights[law], "text": NAMES.get(law, law)}
        for law in laws
    ]
    detail = alt.Detail("stretch:Q")
    band = (
        alt.Chart(alt.Data(values=bands))
        .mark_area(strokeWidth=0, clip=True)
        .encode(
            x,
            y=alt.Y("low:Q"),
            y2="high:Q",
            color=colour,
            detail=detail,
            opacity=alt.condition("datum.inside", alt.value(0.28), alt.value(0.10)),
        )
    )
    strokes = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(clip=True, strokeCap="round")
        .encode(
            x,
            y,
            color=colour,
            detail=detail,
            opacity=alt.condition("datum.inside", alt.value(1.0), alt.value(0.38)),
            strokeWidth=alt.condition("datum.inside", alt.value(3.2), alt.value(1.4)),
        )
    )
    labels = (
        alt.Chart(alt.Data(values=texts))
        .mark_text(align="left", dx=7, fontSize=13, fontWeight=600)
        .encode(x, y, text="text:N", color=colour)
    )
    title = alt.TitleParams(
        "Peak learning rate by published rules, and by the law fitted here",
        subtitle=f"{RATIO:.0f} training tokens per parameter. Solid: inside the range a rule was fitted on. "
        "Faint: outside. Band: 90% interval of the law recipe, for a recipe that is not known.",
        anchor="start",
        color=INK,
        subtitleColor=INK,
        fontSize=16,
        subtitleFontSize=12.5,
        subtitlePadding=6,
        offset=14,
    )
    return (
        alt.layer(band, strokes, labels)
        .properties(
            width=660,
            height=400,
            title=title,
            background="white",
            padding={"left": 14, "right": 14, "top": 14, "bottom": 12},
        )
        .configure(font="Helvetica, Arial, sans-serif", autosize=alt.AutoSizeParams(type="pad"))
        .configure_view(stroke=None)
        .configure_axis(
            gridColor=GREY,
            domainColor=INK,
            tickColor=INK,
            labelColor=INK,
            titleColor=INK,
            labelFlush=False,
            labelFontSize=12,
            titleFontSize=13,
            titleFontWeight="normal",
            titlePadding=10,
        )
    )


_SIZE_LABEL = "datum.value >= 1e9 ? format(datum.value / 1e9, '') + 'B' : format(datum.value / 1e6, '') + 'M'"


def _visible(rate: float) -> bool:
    return RATES[0] <= rate <= RATES[1]


def main(words: Sequence[str]) -> None:
    """Write the picture."""
    target = Path(words[0]) if words else Path(__file__).resolve().parent.parent / "docs" / "picture.svg"
    shipped = load_catalogue(environ={"XDG_DATA_HOME": os.devnull})
    chart(shipped).save(target, scale_factor=1.0 if target.suffix == ".svg" else 2.0)


if __name__ == "__main__":
    main(sys.argv[1:])
