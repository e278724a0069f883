"""The plots of a fitted law's card, as SVG: Vega-Lite drawn without a browser."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import altair as alt
import numpy as np
import vl_convert
from numpy.typing import NDArray

from hplaw.fit.check.judge import Judgement, Left
from hplaw.fit.infer.fitting import Fitted
from hplaw.fit.model.double_precision import double_precision
from hplaw.law import Law


Array = NDArray[np.float64]
Chart = alt.LayerChart | alt.FacetChart | alt.HConcatChart | alt.VConcatChart
Row = dict[str, float | str]
"""One mark of a plot: its numbers and words by name."""

_INK, _PALE, _ACCENT = "#22577a", "#b8c4cc", "#d1495b"
_SHOWN = 0.05
"""Excess of the loss at which the colors of a bowl end."""
_SURE = 1.6448536269514722


def draw_plots(law: Law, folder: Path, fitted: Fitted, judgement: Judgement) -> list[tuple[str, str]]:
    """Write the plots that this law and its runs allow; return each file's name and what it shows."""
    with double_precision():
        charts = [
            ("data", "Observed against fitted; the line is equality.", _data(fitted)),
            (
                "bowls",
                "The runs of each group by excess loss in percent; cross: where the law puts the optimum without having seen the group, with 90% intervals; ring: where the group's own runs put it, where they are enough to.",
                _bowls(law, fitted, judgement),
            ),
            ("residuals", "Residuals in percent against the fitted value.", _residuals(fitted)),
            (
                "optimum",
                "Optimum of each group as its runs measure it, against what the law gives without them, with 90% intervals; the line is equality.",
                _optimum(law, judgement),
            ),
            ("priors", "Prior (gray) and posterior (blue): 90% intervals and medians.", _priors(fitted)),
            ("domain", "Where the runs lie; the frame is the law's domain.", _domain(law, fitted)),
        ]
    written: list[tuple[str, str]] = []
    for name, caption, chart in charts:
        if chart is None:
            continue
        (folder / "plots").mkdir(exist_ok=True)
        svg: str = vl_convert.vegalite_to_svg(_styled(chart).to_dict())
        (folder / "plots" / f"{name}.svg").write_text(svg, encoding="utf-8")
        written.append((name, caption))
    return written


MARGIN = {"left": 5, "right": 40, "top": 5, "bottom": 5}
"""Pixels around a plot. Words are as wide as the reader's font makes them, which may be wider than the one that the plot was
laid out with: a legend at the right needs room to grow."""


def _styled(chart: Chart) -> Chart:
    padded = chart.configure(padding=MARGIN)  # pyright: ignore[reportUnknownMemberType]
    framed = padded.configure_view(stroke="#dddddd")  # pyright: ignore[reportUnknownMemberType]
    return framed.configure_axis(  # pyright: ignore[reportUnknownMemberType]
        gridColor="#eeeeee", labelFontSize=10, titleFontSize=11
    )


def _axis(largest: float) -> alt.Axis:
    """Return an axis whose numbers are as people write them: 30B and 1e21, not 30G and 1Z."""
    form = "~g" if largest < 1e4 else "~s" if largest < 1e15 else "~e"
    plain = "replace(replace(datum.label, 'G', 'B'), 'e+', 'e')"
    return alt.Axis(format=form, labelExpr=plain, tickCount=5, labelOverlap=True, labelSeparation=4)


def _rows(**columns: Iterable[float | str]) -> alt.Data:
    names = list(columns)
    values = [list(column) for column in columns.values()]
    return alt.Data(values=[dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)])


def _predicted(fitted: Fitted) -> list[tuple[str, bool, Array, Array]]:
    places = np.linspace(0, len(fitted.flat) - 1, min(200, len(fitted.flat))).astype(int)
    found = fitted.density.predict(fitted.flat[places])
    return [
        (item.quantity, item.log, item.observed, np.median(mean, axis=0))
        for item, (mean, _) in zip(fitted.density.model.likelihoods, found, strict=True)
    ]


def _data(fitted: Fitted) -> Chart:
    charts: list[alt.LayerChart | alt.FacetChart] = []
    for name, log, observed, mean in _predicted(fitted):
        back = np.exp if log else np.asarray
        data = _rows(fitted=back(mean).tolist(), observed=back(observed).tolist())
        scale = alt.Scale(type="log" if log else "linear", zero=False, nice=False, padding=8)
        ends = [float(back(min(mean.min(), observed.min()))), float(back(max(mean.max(), observed.max())))]
        axis = _axis(ends[1])
        points = (
            alt.Chart(data)
            .mark_circle(size=14, color=_INK, opacity=0.45)
            .encode(
                x=alt.X("fitted:Q", scale=scale, axis=axis, title=f"fitted {name}"),
                y=alt.Y("observed:Q", scale=scale, axis=axis, title=f"observed {name}"),
            )
        )
        line = (
            alt.Chart(_rows(x=ends, y=ends))
            .mark_line(color=_PALE)
            .encode(x=alt.X("x:Q", scale=scale), y=alt.Y("y:Q", scale=scale))
        )
        charts.append((line + points).properties(width=320, height=320))
    return alt.hconcat(*charts)


def _residuals(fitted: Fitted) -> Chart:
    charts: list[alt.HConcatChart] = []
    for name, log, observed, mean in _predicted(fitted):
        residual = 100 * (observed - mean) if log else observed - mean
        limit = float(np.quantile(np.abs(residual), 0.995)) * 1.2 + 1e-12
        data = _rows(
            fitted=(np.exp(mean) if log else mean).tolist(), residual=np.clip(residual, -limit, limit).tolist()
        )
        scale = alt.Scale(type="log" if log else "linear", zero=False, nice=False, padding=8)
        axis = _axis(float(np.exp(mean.max()) if log else mean.max()))
        points = (
            alt.Chart(data)
            .mark_circle(size=14, color=_INK, opacity=0.45)
            .encode(
                x=alt.X("fitted:Q", scale=scale, axis=axis, title=f"fitted {name}"),
                y=alt.Y("residual:Q", title="residual in percent" if log else "residual"),
            )
            .properties(width=320, height=220)
        )
        bins = int(np.clip(3 * np.sqrt(len(residual)), 10, 60))
        counts, edges = np.histogram(np.clip(residual, -limit, limit), bins)
        bars = (
            alt.Chart(_rows(low=edges[:-1].tolist(), high=edges[1:].tolist(), runs=counts.tolist()))
            .mark_rect(color=_INK, opacity=0.7)
            .encode(
                y=alt.Y("low:Q", axis=alt.Axis(labels=False), title=None),
                y2="high:Q",
                x=alt.X(
                    "runs:Q",
                    axis=alt.Axis(
                        tickMinStep=1,
                        tickCount=min(4, int(counts.max())),
                        format="d",
                        labelOverlap=True,
                        labelSeparation=4,
                    ),
                    title="runs",
                ),
                x2=alt.datum(0),
            )
            .properties(width=120, height=220)
        )
        charts.append(alt.hconcat(points, bars, resolve=alt.Resolve(scale=alt.ScaleResolveMap(y="shared"))))
    return alt.vconcat(*charts)


def _bowls(law: Law, fitted: Fitted, judgement: Judgement) -> Chart | None:
    decision = law.spec.decision
    if decision is None or len(law.chosen) != 2 or not any(item.predicted is not None for item in judgement.left):
        return None
    model = fitted.density.model
    grouping = max((e for e in model.effects.values() if e.active), key=lambda e: e.size)
    a, b = law.chosen
    points: list[Row] = []
    marks: list[Row] = []
    bars: list[Row] = []
    frame = fitted.runs.drop_nulls([a, b, decision.minimise])
    members = grouping.members.rows()
    columns = [frame[name].to_list() for name in grouping.columns]
    groups = [members.index(key) if key in members else -1 for key in zip(*columns, strict=True)]
    titles = [_short(item.name) for item in judgement.left]
    lowest = {
        place: float(np.exp(judgement.surfaces[place].least))
        if place in judgement.surfaces
        else min(loss for loss, of in zip(frame[decision.minimise], groups, strict=True) if of == place)
        for place in set(groups)
    }
    for row, place in enumerate(groups):
        if place < 0:
            continue
        excess = frame[decision.minimise][row] / lowest[place] - 1
        points.append(
            {
                "group": titles[place],
                a: frame[a][row],
                b: frame[b][row],
                "excess": 100 * float(np.clip(excess, 0, _SHOWN)),
            }
        )
    for place, item in enumerate(judgement.left):
        if place not in lowest:
            continue
        if item.predicted is not None:
            ends = _interval(item, judgement)
            middle, low, high = (np.exp(values) for values in (item.predicted, *ends))
            marks.append({"group": titles[place], a: middle[0], b: middle[1], "what": "law, held out"})
            bars.append({"group": titles[place], a: low[0], b: middle[1], "to_a": high[0], "to_b": middle[1]})
            bars.append({"group": titles[place], a: middle[0], b: low[1], "to_a": middle[0], "to_b": high[1]})
        best = item.measured if item.measured is not None else item.edge
        if best is not None:
            marks.append({"group": titles[place], a: np.exp(best[0]), b: np.exp(best[1]), "what": "measured"})
    x = alt.X(
        f"{a}:Q",
        scale=alt.Scale(type="log", nice=False, padding=8),
        axis=_axis(max(float(point[a]) for point in points)),
        title=a,
    )
    y = alt.Y(
        f"{b}:Q",
        scale=alt.Scale(type="log", nice=False, padding=8),
        axis=_axis(max(float(point[b]) for point in points)),
        title=b,
    )
    base = (
        alt.Chart()
        .mark_square(size=46)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "excess:Q", scale=alt.Scale(scheme="viridis", reverse=True, domain=[0, 100 * _SHOWN]), title="excess, %"
            ),
        )
    )
    shape = alt.Shape(
        "what:N", scale=alt.Scale(domain=["law, held out", "measured"], range=["cross", "circle"]), title=None
    )
    over = alt.Chart().mark_point(size=90, color=_ACCENT, strokeWidth=2.2).encode(x=x, y=y, shape=shape)
    whisker = alt.Chart().mark_rule(color=_ACCENT, strokeWidth=1.4).encode(x=x, y=y, x2="to_a:Q", y2="to_b:Q")
    rows = [{**row, "layer": layer} for layer, part in enumerate((points, bars, marks)) for row in part]
    parts = (part.transform_filter(f"datum.layer == {layer}") for layer, part in enumerate((base, whisker, over)))
    layers = alt.layer(*parts).properties(width=240, height=190)
    return alt.FacetChart(
        data=alt.Data(values=rows),
        spec=layers,
        facet=alt.Facet("group:N", title=None, sort=titles),
        columns=3,
        resolve=alt.Resolve(axis=alt.AxisResolveMap(x="independent", y="independent")),
    )


def _short(name: str) -> str:
    """Return a group's name with numbers as people write them, active parameters only where not all are.

    >>> _short("n_params 2.15e+08, n_active_params 2.15e+08, tokens 4e+09")
    'n_params 215M, tokens 4B'
    >>> _short("d_model 1024, tokens 5.18e+04")
    'd_model 1024, tokens 51.8k'
    """
    split = [part.rpartition(" ") for part in name.split(", ")]
    values = {word: value for word, _, value in split}
    parts: list[str] = []
    for word, space, value in split:
        if word == "n_active_params" and value == values.get("n_params"):
            continue
        parts.append(f"{word}{space}{_number(value)}")
    return ", ".join(dict.fromkeys(parts))


def _number(text: str) -> str:
    """Return a number of a million and more, or with an exponent, as people write it, and anything else as it is."""
    try:
        number = float(text)
    except ValueError:
        return text
    for letter, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size and (size > 1e3 or "e" in text):
            return f"{number / size:.3g}{letter}"
    return text


def _interval(item: Left, judgement: Judgement) -> tuple[Array, Array]:
    """Return the ends of the 90% interval of a held-out group's optimum, in logarithms."""
    assert item.predicted is not None
    assert item.covariance is not None
    discrepancy = np.asarray(judgement.verdict.discrepancy) if judgement.verdict.discrepancy is not None else 0.0
    width = _SURE * np.sqrt(np.diag(item.covariance + discrepancy))
    return item.predicted - width, item.predicted + width


def _optimum(law: Law, judgement: Judgement) -> Chart | None:
    charts: list[alt.LayerChart | alt.FacetChart] = []
    for i, name in enumerate(law.chosen):
        rows: list[Row] = []
        for item in judgement.left:
            best = item.measured if item.measured is not None else item.edge
            if item.predicted is None or best is None:
                continue
            low, high = (np.exp(end[i]) for end in _interval(item, judgement))
            rows.append(
                {
                    "law": np.exp(item.predicted[i]),
                    "low": low,
                    "high": high,
                    "measured": float(np.exp(best[i])),
                    "group": _short(item.name),
                    "where": "inside its grid" if item.measured is not None else "at its edge",
                }
            )
        if not rows:
            return None
        values = alt.Data(values=rows)
        scale = alt.Scale(type="log", nice=False, padding=10)
        axis = _axis(max(float(row["high"]) for row in rows))
        x = alt.X("law:Q", scale=scale, axis=axis, title=f"{name}, law")
        points = (
            alt.Chart(values)
            .mark_point(size=60, color=_INK)
            .encode(
                x=x,
                y=alt.Y("measured:Q", scale=scale, axis=axis, title=f"{name}, measured"),
                fill=alt.Fill(
                    "where:N",
                    scale=alt.Scale(domain=["inside its grid", "at its edge"], range=[_INK, "white"]),
                    title="measured",
                ),
                tooltip="group:N",
            )
        )
        bars = (
            alt.Chart(values)
            .mark_rule(color=_PALE, strokeWidth=3)
            .encode(x=alt.X("low:Q", scale=scale), x2="high:Q", y=alt.Y("measured:Q", scale=scale))
        )
        ends = [min(r["low"] for r in rows), max(r["high"] for r in rows)]
        line = (
            alt.Chart(_rows(x=ends, y=ends))
            .mark_line(color=_ACCENT, strokeDash=[4, 3])
            .encode(x=alt.X("x:Q", scale=scale), y=alt.Y("y:Q", scale=scale))
        )
        charts.append((bars + line + points).properties(width=280, height=280))
    return alt.hconcat(*charts) if charts else None


def _priors(fitted: Fitted) -> Chart | None:
    prior = fitted.density.constrain(fitted.density.prior_draws)
    rows: list[Row] = []
    for name, array in fitted.parameters().items():
        if name not in prior:
            continue
        before, after = prior[name].reshape(len(prior[name]), -1), array.reshape(len(array), -1)
        for i in range(after.shape[1]):
            label = name if array.ndim == 1 else f"{name}[{i}]"
            for kind, draws in (("prior", before[:, i]), ("posterior", after[:, i])):
                low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95])
                rows.append(
                    {"name": label, "kind": kind, "low": float(low), "middle": float(middle), "high": float(high)}
                )
    if not rows:
        return None
    base = alt.Chart().encode(
        y=alt.Y("kind:N", sort=["prior", "posterior"], title=None, axis=None),
        color=alt.Color("kind:N", scale=alt.Scale(domain=["prior", "posterior"], range=[_PALE, _INK]), title=None),
    )
    bars = base.mark_rule(strokeWidth=4).encode(
        x=alt.X(
            "low:Q",
            title=None,
            axis=alt.Axis(tickCount=3, labelOverlap=True, labelSeparation=4),
            scale=alt.Scale(zero=False),
        ),
        x2="high:Q",
    )
    ticks = base.mark_tick(thickness=2, size=14).encode(x=alt.X("middle:Q", scale=alt.Scale(zero=False)))
    return alt.FacetChart(
        data=alt.Data(values=rows),
        spec=alt.layer(bars, ticks).properties(width=130, height=34),
        facet=alt.Facet("name:N", title=None, sort=list(dict.fromkeys(str(row["name"]) for row in rows))),
        columns=5,
        resolve=alt.Resolve(scale=alt.ScaleResolveMap(x="independent")),
    )


def _domain(law: Law, fitted: Fitted) -> Chart | None:
    names = [
        n
        for n in law.spec.domain
        if n in fitted.kept.columns and not law.quantity(n).categorical and fitted.kept[n].n_unique() > 1
    ]
    if len(names) < 2:
        return None
    a, b = (next((n for n in names if n == "n_params"), names[0]), next((n for n in names if n == "tokens"), names[1]))
    counts = fitted.kept.group_by([a, b], maintain_order=True).len()
    scale = alt.Scale(type="log", nice=False, padding=20)
    (low_a, high_a), (low_b, high_b) = law.spec.domain[a], law.spec.domain[b]
    numbers: list[int] = counts["len"].to_list()
    fewest, most = min(numbers), max(numbers)
    size = (
        alt.Size("runs:Q", title="runs", legend=alt.Legend(values=[fewest, most], format="d"))
        if fewest < most
        else alt.value(60)
    )
    points = (
        alt.Chart(_rows(a=counts[a], b=counts[b], runs=counts["len"]))
        .mark_circle(color=_INK, opacity=0.8)
        .encode(
            x=alt.X("a:Q", scale=scale, axis=_axis(float(high_a)), title=a),
            y=alt.Y("b:Q", scale=scale, axis=_axis(float(high_b)), title=b),
            size=size,
        )
    )
    frame = (
        alt.Chart(_rows(x=[low_a], x2=[high_a], y=[low_b], y2=[high_b]))
        .mark_rect(fillOpacity=0.06, fill=_INK, stroke=_PALE)
        .encode(x=alt.X("x:Q", scale=scale), x2="x2:Q", y=alt.Y("y:Q", scale=scale), y2="y2:Q")
    )
    return (frame + points).properties(width=320, height=260)
