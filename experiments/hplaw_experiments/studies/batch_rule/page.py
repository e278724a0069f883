"""The page of the batch-rule study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import polars as pl
from numpy.typing import NDArray

from hplaw.formatting import number
from hplaw_experiments.studies.batch_rule.analysis import THEORY, Found
from hplaw_experiments.studies.batch_rule.measure import RunNoise
from hplaw_experiments.studies.batch_rule.rules import RULES
from hplaw_experiments.studies.batch_rule.stability import Stability
from hplaw_experiments.studies.page import StudyPage
from hplaw_experiments.studies.study import StudySpec


Array = NDArray[np.float64]

LEVELS = (0.05, 0.5, 0.95)
"""Low end, median and high end of what is shown of a posterior."""

COLORS = {"sgd": "#1b6ca8", "momentum": "#c0562f", "adam": "#2e7d4f"}


def write_page(
    path: Path,
    spec: StudySpec,
    runs: pl.DataFrame,
    found: Sequence[Found],
    noise: Sequence[RunNoise],
    stable: Mapping[str, Stability],
    folder: Path,
) -> list[Path]:
    """Write the page with its plots; return the paths."""
    page = StudyPage(spec.title, path)
    page.text(
        "An MLP of width 64 labels a stream of examples, and a small Transformer reads a stream of synthetic text; no example is",
        "seen twice. Each batch size is trained at eight rates, a factor of two apart, with a constant rate behind a short",
        f"warm-up. Rates are chosen on seeds {_listed(spec.tuning_seeds)}, predictions are scored on seeds {_listed(spec.test_seeds)}.",
        "A batch is counted in examples (MLP) or tokens (Transformer).",
    )
    _verdicts(page, found)
    page.heading("Best rate by batch")
    page.chart(
        "best-rate",
        _rates_chart(found),
        "Best rate with 90% interval at a fixed number of examples, and the mixture of rules fitted to it; the vertical line is the measured noise scale.",
    )
    page.table(("model, optimizer, measure", "batch: best rate (90% interval)"), [_optima_row(each) for each in found])
    _rules(page, found)
    _predictions(page, found)
    _noise(page, found, noise)
    _steps(page, found)
    _stability(page, stable)
    page.provenance(
        runs,
        f"hplaw study run batch-rule --to {folder}",
        f"hplaw study report batch-rule --runs {folder} --to {path.parent}",
    )
    return page.write()


def _verdicts(page: StudyPage, found: Sequence[Found]) -> None:
    page.heading("What agrees with theory, and what does not")
    rows: list[tuple[object, ...]] = []
    for each in found:
        theory = THEORY[each.series.optimizer]
        low, middle, high = _quantiles(each.rules.below)
        verdict = "few batches"
        if middle is not None and low is not None and high is not None:
            verdict = "agrees" if low <= theory <= high else "differs"
        rows.append(
            (each.series.name, number(theory), _interval(each.rules.below), _interval(each.rules.above), verdict)
        )
    page.table(
        ("series", "theory", "exponent below half the noise scale", "exponent from the noise scale on", "below"), rows
    )
    page.text(
        "Exponents are d ln(best rate) / d ln(batch) with 90% intervals, of a power law fitted to these batches alone.",
        "Theory has 1 for SGD and momentum and 1/2 for Adam far below the noise scale, and saturation above it.",
        "The width of an interval is the power of the design: an exponent outside of it would have been distinguished.",
    )
    planted = [each for each in found if each.rules.planted is not None]
    page.table(
        ("series", "planted exponent", "recovered"),
        [(each.series.name, number(THEORY[each.series.optimizer]), _interval(each.rules.planted)) for each in planted],
    )
    page.text(
        "The same analysis of simulated best rates, with the batches and errors of each series and the exponent of theory planted."
    )


def _rules(page: StudyPage, found: Sequence[Found]) -> None:
    page.heading("Which rule predicts")
    page.table(
        ("series", *RULES),
        [
            (
                each.series.name,
                *(
                    f"{score:.2f} ({weight:.2f})"
                    for score, weight in zip(each.rules.scores, each.rules.whole.weights, strict=True)
                ),
            )
            for each in found
        ],
    )
    page.text(
        "Mean log score in nat at batches held out with all within a factor of 4 (larger is better), and the rule's weight by stacking."
    )


def _predictions(page: StudyPage, found: Sequence[Found]) -> None:
    page.heading("Rates at batches held out")
    rows: list[tuple[object, ...]] = []
    everything = [prediction for each in found for prediction in each.predictions]
    for name, part in [*((each.series.name, each.predictions) for each in found), ("all", everything)]:
        if not part:
            continue
        factors = [prediction.factor for prediction in part]
        covered = sum(prediction.covered for prediction in part)
        rows.append((name, len(part), f"{np.median(factors):.2f}", f"{max(factors):.2f}", f"{covered} of {len(part)}"))
    page.table(("series", "batches", "median factor", "largest factor", "in the 90% interval"), rows)
    page.text(
        "Each batch is predicted from batches a factor of 4 away or more, tuning seeds, and compared with its best rate on test seeds."
    )


def _noise(page: StudyPage, found: Sequence[Found], noise: Sequence[RunNoise]) -> None:
    page.heading("Noise scale")
    place = RULES.index("saturating")
    rows: list[tuple[object, ...]] = []
    for each in noise:
        fixed = next((f for f in found if (f.series.family, f.series.optimizer) == (each.family, each.optimizer)), None)
        fitted = "-" if fixed is None else _interval(np.exp(fixed.rules.whole.s[place]))
        along = ", ".join(
            "-" if scale.noise_scale_tokens is None else number(scale.noise_scale_tokens) for scale in each.scales
        )
        mean = "-" if each.mean is None else number(each.mean)
        rows.append((f"{each.family}, {each.optimizer}", number(each.batch_tokens), along, mean, fitted))
    page.table(
        ("run", "batch", "measured at 10, 25, 50, 75, 95% of the run", "mean", "batch of saturation, fitted"), rows
    )
    page.text(
        "Measured is trace over square of the gradient, along the best run at the middle batch, trained again and stopped.",
        "Fitted is B_s of the rule saturating: from there on a larger batch no longer asks for a larger rate.",
    )


def _steps(page: StudyPage, found: Sequence[Found]) -> None:
    page.heading("Examples to a fixed loss")
    rows: list[tuple[object, ...]] = []
    for each in found:
        if each.critical is None or each.series.target is None:
            continue
        rows.append(
            (
                f"{each.series.family}, {each.series.optimizer}",
                f"{each.series.target:.3f}",
                ", ".join(
                    f"{number(batch)}: {number(math.exp(float(least)))}"
                    for batch, least in zip(each.tuning.batches, each.tuning.least.mean(axis=0), strict=True)
                ),
                _interval(each.critical),
            )
        )
    page.table(("run", "loss, nat/token", "batch: examples at the best rate", "critical batch"), rows)
    page.text(
        "E = E_min (1 + B / B_crit), fitted to the logarithms: at the critical batch twice the examples are used that a small batch needs."
    )


def _stability(page: StudyPage, stable: Mapping[str, Stability]) -> None:
    page.heading("Largest stable rate of SGD")
    page.table(
        ("model", "measured over predicted", "slope of ln rate over ln batch", "batch: largest stable rate"),
        [
            (
                model,
                _interval(each.kappa),
                _interval(each.slope),
                ", ".join(
                    f"{number(batch)}: {_interval(each.rates[:, place])}" for place, batch in enumerate(each.batches)
                ),
            )
            for model, each in stable.items()
        ],
    )
    page.text(
        "Predicted is 2 over the largest eigenvalue of a batch, from spectra at the initial weights by the law",
        "largest-stable-rate; measured is where runs of 300 steps start to diverge. A slope of 1 is the linear rule, 1/2 the square",
        "root, 0 none.",
    )


def _rates_chart(found: Sequence[Found]) -> Any:
    rows: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    marks: list[dict[str, Any]] = []
    rng = np.random.default_rng(0)
    for each in found:
        if each.series.measure != "fixed examples":
            continue
        facet = {"model": each.series.family, "optimizer": each.series.optimizer}
        low, middle, high = np.exp(np.quantile(each.tuning.log_rate, LEVELS, axis=0))
        for place, batch in enumerate(each.tuning.batches):
            ends = {"low": float(low[place]), "high": float(high[place])}
            rows.append({**facet, "batch": float(batch), "rate": float(middle[place]), **ends})
        x = np.linspace(np.log(each.tuning.batches[0]), np.log(each.tuning.batches[-1]), 25)
        band = np.exp(np.quantile(each.rules.whole.draws(x, rng), LEVELS, axis=0))
        for place, at in enumerate(np.exp(x)):
            ends = {"low": float(band[0, place]), "high": float(band[2, place])}
            lines.append({**facet, "batch": float(at), "rate": float(band[1, place]), **ends})
        marks.append({**facet, "batch": each.noise_scale})
    batch = alt.X("batch:Q", scale=alt.Scale(type="log", base=2, nice=False), title="batch, examples or tokens")
    rate = alt.Y("rate:Q", scale=alt.Scale(type="log", zero=False), title="best learning rate")
    color = alt.Color(
        "optimizer:N", scale=alt.Scale(domain=list(COLORS), range=list(COLORS.values())), title="optimizer"
    )
    charts: list[Any] = []
    for model in dict.fromkeys(row["model"] for row in rows):
        of = lambda table, model=model: alt.Data(values=[row for row in table if row["model"] == model])
        base = alt.Chart(of(rows)).encode(x=batch, color=color)
        charts.append(
            alt.layer(
                alt.Chart(of(lines)).mark_area(opacity=0.15).encode(x=batch, y="low:Q", y2="high:Q", color=color),
                alt.Chart(of(lines)).mark_line().encode(x=batch, y=rate, color=color),
                alt.Chart(of(marks)).mark_rule(strokeDash=[4, 4]).encode(x="batch:Q", color=color),
                base.mark_rule(strokeWidth=2).encode(y="low:Q", y2="high:Q"),
                base.mark_point(filled=True, size=45).encode(y=rate),
            ).properties(width=330, height=300, title=model)
        )
    return alt.hconcat(*charts).resolve_scale(y="independent", x="independent")


def _optima_row(found: Found) -> tuple[object, ...]:
    low, middle, high = np.exp(np.quantile(found.tuning.log_rate, LEVELS, axis=0))
    cells = ", ".join(
        f"{number(batch)}: {middle[i]:.2g} ({low[i]:.2g} to {high[i]:.2g})"
        + ("*" if found.series.cells[i].edge else "")
        for i, batch in enumerate(found.tuning.batches)
    )
    return (found.series.name, cells)


def _quantiles(draws: Array | None) -> tuple[float | None, float | None, float | None]:
    if draws is None:
        return (None, None, None)
    low, middle, high = (float(q) for q in np.quantile(draws, LEVELS))
    return (low, middle, high)


def _interval(draws: Array | None) -> str:
    low, middle, high = _quantiles(draws)
    if low is None or middle is None or high is None:
        return "-"
    return f"{number(middle)} ({number(low)} to {number(high)})"


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
