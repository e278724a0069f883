"""The page of evidence: what the law of recipes predicts of what it was not fitted to, beside what was found.

python -m benchmarks.evidence --to docs/evidence.md

It takes some minutes, and stops with one sentence where HPLAW_DATA does not say where the tables are.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.recipes import (
    QUANTITIES,
    Found,
    Score,
    Seen,
    family_scores,
    measure,
    optimizer_scores,
    score,
    team_scores,
)
from hplaw.formatting import plural


PICTURE = "evidence.svg"
"""The plot beside the page."""

HEAD = "| | enclosed | median factor | bias | inside 90% | inside 50% | half-width | bounds met |"
RULE = "|---|---|---|---|---|---|---|---|"


def page(found: Found) -> str:
    """Return the page's text."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Found) -> Iterator[str]:
    yield "# Evidence"
    yield ""
    yield (
        "What `recipe`, the law of many teams' recipes, predicts of teams, published models and sizes that it was not"
        " fitted to. Each is held out in turn: the law is fitted again without its rows and asked as somebody with a recipe"
        " of their own asks. `python -m benchmarks.evidence --to docs/evidence.md` makes this page from the tables that"
        " HPLAW_DATA names."
    )
    yield ""
    yield (
        "A factor is predicted over found or found over predicted, whichever is above one; the bias is the logarithm of"
        " predicted over found. Inside counts values found that lie in the interval. The half-width is the root of the"
        " interval's ratio. A best at the edge of its grid is a bound only: it counts under bounds met, where the 90%"
        " interval reaches beyond it, and nowhere else."
    )
    yield ""
    yield f"![Predicted against found: teams and families held out, with 90% intervals]({PICTURE})"
    yield ""
    yield "## Teams held out"
    yield ""
    yield HEAD
    yield RULE
    yield from (_row(f"{team}: {QUANTITIES[name]}", value) for (team, name), value in team_scores(found).items())
    yield ""
    yield "## Published models, families held out"
    yield ""
    yield (
        "Each family counts once, and the factor is the mean in logarithms. `practice` asks for what one more team would"
        " use, `default` for what a sweep would find best: that these differ is no error of either."
    )
    yield ""
    yield HEAD.replace("median", "mean").replace("enclosed", "families")
    yield RULE
    yield from (_row(f"{asked}: {QUANTITIES[name]}", value) for (asked, name), value in family_scores(found).items())
    for name, words in QUANTITIES.items():
        yield ""
        yield from _models(found, name, words)
    yield ""
    yield "## Optimizers, the largest size of each held out"
    yield ""
    yield "Marin's sweep, rates on grids of a factor of two; the other sizes and optimizers stay in."
    yield ""
    yield HEAD
    yield RULE
    enclosed = optimizer_scores(found)
    yield from (_row(name, value) for name, value in enclosed.items())
    rest = [item for name, seen in found.optimizers.items() if name not in enclosed for item in seen]
    if rest:
        met = sum(item.met for item in rest) / len(rest)
        names = ", ".join(name for name in found.optimizers if name not in enclosed)
        yield ""
        yield f"Bounds only: {names}; {met:.0%} of {plural(len(rest), 'bound')} met."
    yield ""
    yield "## Where it is wrong"
    yield ""
    seen = [item for items in found.teams.values() for item in items]
    for name, words in QUANTITIES.items():
        yield from _wrong(f"The {words} of a team held out", [item for item in seen if item.quantity == name])
        models = [item for item in found.practice if item.quantity == name]
        yield from _wrong(f"The {words} of a published family held out, by `practice`", models)


def picture(found: Found) -> Any:
    """Return the plot of what was predicted, with 90% intervals, against what was found: teams, and families by `practice`."""
    import altair as alt

    rows = [
        {
            "what": f"{words}, {kind}",
            "team": item.team if kind == "teams" else "published trainings",
            "found": math.exp(item.found),
            "value": math.exp(item.value),
            "low": math.exp(item.most[0]),
            "high": math.exp(item.most[1]),
        }
        for kind, seen in (
            ("teams", [item for items in found.teams.values() for item in items if item.told]),
            ("practice", found.practice),
        )
        for item in seen
        for words in (QUANTITIES[item.quantity],)
    ]
    log = alt.Scale(type="log", nice=False, zero=False)
    axis = alt.Axis(
        format="~g", tickCount=4, labelExpr="replace(format(datum.value, '.0e'), 'e+', 'e')", labelOverlap=True
    )
    x = alt.X("found:Q", title="found", scale=log, axis=axis)
    y = alt.Y("value:Q", title="predicted", scale=log, axis=axis)
    colour = alt.Color("team:N", title=None, legend=alt.Legend(orient="bottom", columns=4, labelLimit=0))
    plots: list[Any] = []
    for what in dict.fromkeys(str(row["what"]) for row in rows):
        some = [row for row in rows if row["what"] == what]
        data = alt.Data(values=some)
        ends = [min(float(row["found"]) for row in some), max(float(row["found"]) for row in some)]
        line = alt.Chart(alt.Data(values=[{"found": end, "value": end} for end in ends]))
        bars = alt.Chart(data).mark_rule(opacity=0.35).encode(x, alt.Y("low:Q"), y2="high:Q", color=colour)
        dots = alt.Chart(data).mark_circle(size=30).encode(x, y, color=colour)
        plots.append(
            alt.layer(line.mark_line(color="#999999", strokeWidth=1).encode(x, y), bars, dots).properties(
                width=280, height=240, title=what
            )
        )
    grid = alt.vconcat(*(alt.hconcat(*plots[i : i + 2]) for i in range(0, len(plots), 2)))
    return grid.properties(background="white", padding={"left": 10, "right": 30, "top": 10, "bottom": 10})


def _row(words: str, value: Score) -> str:
    return (
        f"| {words} | {value.told} of {value.all} | {value.factor:.2f} | {value.bias:+.2f} | {value.within:.2f} |"
        f" {value.within50:.2f} | x{value.width:.1f} | {value.met:.2f} |"
    )


def _models(found: Found, name: str, words: str) -> Iterator[str]:
    yield f"### The {words} they used"
    yield ""
    yield "| family | parameters | tokens | used | `practice`, 90% | | default, 90% | |"
    yield "|---|---|---|---|---|---|---|---|"
    defaults = [item for item in found.default if item.quantity == name]
    for one, other in zip((item for item in found.practice if item.quantity == name), defaults, strict=True):
        known = one.row
        cells = [one.team, _short(known["n_params"]), _short(known["tokens"]), _short(math.exp(one.found))]
        for item in (one, other):
            low, high = (_short(math.exp(edge)) for edge in item.most)
            cells += [f"{_short(math.exp(item.value))} ({low} to {high})", "" if item.within(item.most) else "outside"]
        yield f"| {' | '.join(cells)} |"


def _wrong(what: str, seen: Sequence[Seen]) -> Iterator[str]:
    """Yield a line on the groups that miss most often, if any does."""
    missed: list[tuple[float, str, Score]] = []
    for team in dict.fromkeys(item.team for item in seen):
        value = score([item for item in seen if item.team == team])
        if value is not None and value.within < 0.5:
            missed.append((value.factor, team, value))
    if missed:
        texts = [
            f"{team} (factor {value.factor:.1f}, predicted too {'high' if value.bias > 0 else 'low'})"
            for _, team, value in sorted(missed, reverse=True)
        ]
        yield f"* {what} lies outside the 90% interval more often than not: {', '.join(texts)}."


_UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def _short(value: float) -> str:
    """Return a number of three digits with a suffix.

    >>> _short(1.234e9), _short(3.21e-4)
    ('1.23B', '3.21e-4')
    """
    for unit, letter in _UNITS:
        if value >= unit:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.2e}".replace("e-0", "e-")


def main(words: Sequence[str] | None = None) -> int:
    """Write the page; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence", description="Write the page of evidence.")
    parser.add_argument("--to", metavar="FILE", type=Path, required=True, help="the page, as docs/evidence.md")
    asked = parser.parse_args(words)
    try:
        found = measure(lambda text: print(text, file=sys.stderr, flush=True))
    except FileNotFoundError as error:
        print(f"benchmarks.evidence: {error}", file=sys.stderr)
        return 2
    asked.to.write_text(page(found), encoding="utf-8")
    picture(found).save(str(asked.to.with_name(PICTURE)))
    print(f"wrote {asked.to}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
