"""What a number format does to energy: metered runs -> effects by cell, pooled effects, and the next study's size.

The response is the logarithm of joules per token, so that effects are ratios; cells (width, batch, data, model) are
compared within, as pooling over them hides large effects.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from hplaw.errors import DataError
from hplaw.formatting import number, plural
from hplaw_experiments.studies.statistics import Contrast, Pooled, Term, anova, holm, pooled, replicates_needed, welch


FACTORS = ("width", "batch_tokens", "tokens", "n_params", "hardware")
"""Quantities by which cells differ, where a table has them with several values."""
BOUND = math.log1p(0.05)
"""Logarithm of a ratio within which formats count as equal: 5%."""
SIZES = (0.02, 0.05, 0.1)
"""Effects that the next study may want to find."""


class Effect(NamedTuple):
    """One format against the baseline in one cell: the contrast, and its p after Holm over all cells and formats."""

    precision: str
    cell: str
    runs: int
    contrast: Contrast
    p_holm: float


class Study(NamedTuple):
    """What was found, by response: effects, ANOVA, pooled contrasts, and the spread of replicates."""

    response: str
    baseline: str
    runs: int
    effects: list[Effect]
    terms: list[Term]
    overall: dict[str, Pooled]
    sd: float


def study(table: pl.DataFrame, *, baseline: str = "fp32", bound: float = BOUND) -> list[Study]:
    """Return the study of each response that the table tells of: energy per token, and energy to a loss that all reach.

    **Arguments:**

    - `table`: runs with precision, energy_j and tokens; loss curves where they were kept.
    - `baseline`: the format that others are compared with.

    **Raises:** `DataError` where runs, formats or replicates are too few.
    """
    for name in ("precision", "energy_j", "tokens"):
        if name not in table.columns:
            message = f"the runs have no column {name}; give metered runs of several number formats"
            raise DataError(message)
    whole = pl.col("precision").is_not_null() & (pl.col("energy_j") > 0) & (pl.col("tokens") > 0)
    if "diverged" in table.columns:
        whole &= ~pl.col("diverged").fill_null(value=False)
    runs = table.filter(whole).with_columns((pl.col("energy_j") / pl.col("tokens")).log().alias("energy per token"))
    if not len(runs):
        message = "none of the runs was metered; give runs with energy_j, precision and tokens, as a metered sweep stores them"
        raise DataError(message)
    if baseline not in runs["precision"].to_list() or runs["precision"].n_unique() < 2:
        message = f"the runs tell nothing of {baseline} beside another format; name one of {', '.join(sorted(runs['precision'].unique()))} by --baseline"
        raise DataError(message)
    factors = factors_of(runs)
    found = [_one(runs, "energy per token", factors, baseline, bound)]
    targeted = _to_target(runs, factors)
    if targeted is not None:
        found.append(_one(targeted, "energy to the same loss", factors, baseline, bound))
    return found


def _one(runs: pl.DataFrame, response: str, factors: list[str], baseline: str, bound: float) -> Study:
    compared: list[tuple[str, str, int, Contrast]] = []
    residuals: list[Any] = []
    for name, here in cells_of(runs, factors):
        groups = {key[0]: part[response].to_numpy() for key, part in here.group_by("precision", maintain_order=True)}
        residuals += [v - v.mean() for v in groups.values() if len(v) > 1]
        base = groups.pop(baseline, np.zeros(0))
        for precision, values in groups.items():
            if len(base) > 1 and len(values) > 1:
                compared.append((str(precision), name, len(values), welch(base, values, bound)))
    if not compared:
        message = f"no cell has two runs of {baseline} and two of another format; give replicates"
        raise DataError(message)
    adjusted = holm([contrast.p for *_, contrast in compared])
    effects = [Effect(*item, p) for item, p in zip(compared, adjusted, strict=True)]
    levels = {"precision": runs["precision"].to_list(), **{n: runs[n].to_list() for n in factors}}
    terms: list[Term] = []
    for order in (2, 1):
        # where the runs are too few for either, the comparisons by cell are what there is
        with contextlib.suppress(ValueError):
            terms = terms or anova(runs[response].to_numpy(), levels, order)
    overall = {
        p: pooled(e.contrast for e in effects if e.precision == p) for p in dict.fromkeys(e.precision for e in effects)
    }
    count = sum(len(r) - 1 for r in residuals)
    sd = math.sqrt(sum(float(r @ r) for r in residuals) / max(count, 1))
    return Study(response, baseline, len(runs), effects, terms, overall, sd)


def factors_of(runs: pl.DataFrame) -> list[str]:
    """Return the quantities of `FACTORS` that have several values in a table of runs."""
    return [name for name in FACTORS if name in runs.columns and runs[name].drop_nulls().n_unique() > 1]


def cells_of(runs: pl.DataFrame, factors: Sequence[str]) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the cells of a table of runs: their names, as `width 128, tokens 1M`, and their rows."""
    for cell, here in runs.group_by(factors or [pl.lit("all")], maintain_order=True):
        yield ", ".join(f"{k} {_word(v)}" for k, v in zip(factors, cell, strict=False)) or "all", here


def _word(value: object) -> str:
    return number(value) if isinstance(value, int | float) else str(value)


def _to_target(runs: pl.DataFrame, factors: list[str]) -> pl.DataFrame | None:
    """Return runs with the energy until they reach the maximum final loss of their cell; None without curves."""
    if not {"curve_steps", "curve_losses"} <= {*runs.columns}:
        return None
    told = runs.filter(pl.col("curve_losses").list.len() > 1)
    rows: list[dict[str, Any]] = []
    for _, here in cells_of(told, factors):
        target = max(losses[-1] for losses in here["curve_losses"].to_list())
        for row in here.iter_rows(named=True):
            steps, losses = row["curve_steps"], row["curve_losses"]
            first = next(step for step, loss in zip(steps, losses, strict=True) if loss <= target)
            joules = row["energy_j"] * max(first, 1) / max(steps[-1], 1)
            rows.append({**row, "energy to the same loss": math.log(joules)})
    return pl.DataFrame(rows, infer_schema_length=None) if rows else None


# The report


def verdict(found: Study, precision: str, bound: float) -> str:
    """Return in words what the runs say of one format."""
    result = found.overall[precision]
    percent, low, high = (100 * math.expm1(x) for x in (result.median, result.low, result.high))
    span = f"{percent:+.1f} percent, 90% interval {low:+.1f} to {high:+.1f}"
    if -bound < result.low and result.high < bound:
        return f"{precision} takes as much as {found.baseline} within {100 * math.expm1(bound):.1f} percent ({span})"
    if result.high < 0 or result.low > 0:
        word = "less" if result.median < 0 else "more"
        return f"{precision} takes {word} than {found.baseline}: {span}"
    return f"no difference is established for {precision} against {found.baseline} ({span})"


def write_report(studies: Sequence[Study], report: Path, *, beside: Path, bound: float = BOUND) -> Path:
    """Write the report, and effects.csv and plots into a folder; return the report's path.

    **Arguments:**

    - `report`: the Markdown file.
    - `beside`: the folder of table and plots, that of the report or one in it.

    **Raises:** `DataError` where the folder cannot be written.
    """
    plots = beside / "plots"
    lines = ["# Energy by number format", ""]
    rows: list[dict[str, Any]] = []
    try:
        plots.mkdir(parents=True, exist_ok=True)
        for place, found in enumerate(studies):
            name = f"effects-{place + 1}.svg"
            (plots / name).write_text(_picture(found), encoding="utf-8")
            shown = (plots / name).relative_to(report.parent).as_posix()
            lines += [*_section(found, bound), f"![Effects by cell]({shown})", ""]
            rows += [_flat(found, effect) for effect in found.effects]
        pl.DataFrame(rows).write_csv(beside / "effects.csv")
        report.write_text("\n".join(lines), encoding="utf-8")
    except OSError as error:
        message = f"{report.parent}: {error.strerror or error}; give a folder that can be written"
        raise DataError(message) from None
    return report


def _section(found: Study, bound: float) -> Iterator[str]:
    yield f"## {found.response.capitalize()}"
    yield ""
    yield f"{plural(found.runs, 'run')}; replicates scatter by {100 * found.sd:.1f} percent."
    yield ""
    yield from (f"* {verdict(found, precision, bound)}." for precision in found.overall)
    yield ""
    yield "Pooled over cells by a hierarchical model: N(0, 0.5) on the mean logarithm of the ratio, half-normal(0.2) on its spread between cells."
    yield ""
    if found.terms:
        yield "| factorial ANOVA, type 3, HC3 | df | F | p | partial eta2 |"
        yield "|---|---|---|---|---|"
        yield from (f"| {t.name} | {t.df} | {t.f:.3g} | {t.p:.2g} | {t.partial_eta2:.3f} |" for t in found.terms)
    else:
        yield "No ANOVA: the runs are too few for one; give replicates of every cell."
    yield ""
    yield f"| format against {found.baseline} | cell | runs | ratio | 90 % | p (Welch, Holm) | Hedges g | p of equivalence within {100 * math.expm1(bound):.0f} % |"
    yield "|---|---|---|---|---|---|---|---|"
    for e in found.effects:
        c = e.contrast
        yield f"| {e.precision} | {e.cell} | {e.runs} | {math.exp(c.difference):.3f} | {math.exp(c.low):.3f} to {math.exp(c.high):.3f} | {e.p_holm:.2g} | {c.hedges_g:.2f} | {c.p_equivalent:.2g} |"
    yield ""
    needed = ", ".join(
        f"{100 * size:.0f} percent {replicates_needed(max(found.sd, 1e-6), math.log1p(size), tests=len(found.effects))}"
        for size in SIZES
    )
    yield f"Replicates of each cell and format that a next study needs to find an effect with 80% power: {needed}."
    yield ""


def _flat(found: Study, effect: Effect) -> dict[str, Any]:
    c = effect.contrast
    return {
        "response": found.response,
        "precision": effect.precision,
        "baseline": found.baseline,
        "cell": effect.cell,
        "runs": effect.runs,
        "log_ratio": c.difference,
        "low": c.low,
        "high": c.high,
        "p_holm": effect.p_holm,
        "hedges_g": c.hedges_g,
        "p_equivalent": c.p_equivalent,
    }


def _picture(found: Study) -> str:
    """Return the effects by cell, and pooled, as SVG."""
    import altair as alt
    import vl_convert

    rows = [
        {
            "format": e.precision,
            "cell": e.cell,
            "ratio": math.exp(e.contrast.difference),
            "low": math.exp(e.contrast.low),
            "high": math.exp(e.contrast.high),
        }
        for e in found.effects
    ]
    rows += [
        {"format": p, "cell": "pooled", "ratio": math.exp(r.median), "low": math.exp(r.low), "high": math.exp(r.high)}
        for p, r in found.overall.items()
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("cell:N", sort=None, title=None), color="format:N", yOffset="format:N"
    )
    axis = alt.Scale(zero=False)
    bars = base.mark_rule().encode(
        x=alt.X("low:Q", scale=axis, title=f"{found.response} over {found.baseline}"), x2="high:Q"
    )
    dots = base.mark_point(filled=True).encode(x=alt.X("ratio:Q", scale=axis))
    one = alt.Chart(alt.Data(values=[{"x": 1}])).mark_rule(strokeDash=[4, 4]).encode(x="x:Q")
    return str(vl_convert.vegalite_to_svg((bars + dots + one).properties(width=420).to_dict()))
