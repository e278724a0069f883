"""The instrument as a whole: spectra at several batch sizes, edge and noise, the largest stable rate, and the proof by divergence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from hplaw.errors import QueryError
from hplaw_experiments.diagnostics.spectrum.divergence import STEPS, Divergence, divergence
from hplaw_experiments.diagnostics.spectrum.edges import (
    Edge,
    EdgeFit,
    fit_edges,
    measure_edges,
    noise_by_products,
    predicted,
)
from hplaw_experiments.diagnostics.spectrum.products import MATRICES, problem_of
from hplaw_experiments.training.step import data_of
from hplaw_experiments.trial import Trial


BATCHES = (4, 8, 16, 32, 128, 512)
"""Examples in a batch, where nothing else is asked for."""


class StableRate(msgspec.Struct, frozen=True, kw_only=True):
    """The largest stable rate at one batch: by the law with the edge and noise that were fitted, and as measured."""

    batch_tokens: float
    predicted: float
    sweep: Divergence | None = None


class SpectrumReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the spectra of a model's batches say.

    - `fits`: edge and noise of each matrix; `noise_by_products` the noise from products with random vectors alone, which
      the law would take for the same where the noise of all entries were independent.
    - `rates`: by the fit to the Hessian.
    - `worst_ratio`: the largest factor between measured and predicted rate; None without a sweep, or where none was
      measured at some batch.
    """

    n_params: float
    starts: list[int]
    edges: list[Edge]
    fits: list[EdgeFit]
    noise_by_products: float
    rates: list[StableRate]
    worst_ratio: float | None


def largest_stable_rate(
    trial: Trial,
    *,
    batches: Sequence[int] = BATCHES,
    starts: Sequence[int] = (0, 1, 2, 3, 4, 5),
    n_batches: int = 24,
    sweep: bool = True,
    n_seeds: int = 1,
    steps: int = STEPS,
) -> SpectrumReport:
    """Return the largest stable rate of SGD at each batch, predicted from the curvature of batches, and measured.

    **Arguments:**

    - `trial`: model and data; its rate, optimizer and batch play no part.
    - `batches`: examples or sequences in a batch, three sizes or more.
    - `starts`: seeds of initial weights, over which everything is averaged.
    - `n_batches`: batches of each size for each start.
    - `sweep`: whether to measure where plain SGD diverges; `n_seeds` orders of the data for each start, `steps` long.

    **Raises:** `QueryError` for sizes that cannot be, `FitError` where edge and noise cannot be determined.
    """
    sizes = sorted(set(batches))
    if len(sizes) < 3 or sizes[0] < 1 or not starts or n_batches < 1 or n_seeds < 1 or steps < 25:
        message = "give three batch sizes or more, each positive, at least one start, batch and seed, and 25 steps or more; for example --batches 4 32 256"
        raise QueryError(message, field="batches")
    problems = [problem_of(trial, seed=seed) for seed in starts]
    source = data_of(trial).source
    edges = measure_edges(problems, source, sizes, seq_len=trial.seq_len, n_batches=n_batches, seed=trial.seed)
    fits = {m: fit_edges([e for e in edges if e.matrix == m]) for m in MATRICES}
    said = {
        (m, e.batch_tokens): predicted(e.batch_tokens, fit.hessian_edge, fit.hessian_noise)
        for m, fit in fits.items()
        for e in edges
    }
    rates: list[StableRate] = []
    for size in sizes:
        tokens = float(size * trial.seq_len)
        rate = said["hessian", tokens][1]
        found = None
        if sweep:
            found = divergence(
                problems, source, size, rate, seq_len=trial.seq_len, n_seeds=n_seeds, seed=trial.seed, steps=steps
            )
        rates.append(StableRate(batch_tokens=tokens, predicted=rate, sweep=found))
    return SpectrumReport(
        n_params=float(problems[0].start.size),
        starts=list(starts),
        edges=[msgspec.structs.replace(e, fitted=said[e.matrix, e.batch_tokens][0]) for e in edges],
        fits=list(fits.values()),
        noise_by_products=noise_by_products(
            problems, source, sizes[len(sizes) // 2], seq_len=trial.seq_len, n_pairs=n_batches, seed=trial.seed
        ),
        rates=rates,
        worst_ratio=_worst(rates),
    )


def _worst(rates: Sequence[StableRate]) -> float | None:
    ratios = [r.sweep.ratio for r in rates if r.sweep is not None and r.sweep.ratio is not None]
    return max(max(q, 1 / q) for q in ratios) if len(ratios) == len(rates) else None


def spectrum_chart(report: SpectrumReport) -> Any:
    """Return the report as an altair chart: largest eigenvalues over the batch, and rates over the batch."""
    import altair as alt

    rows = [
        {"batch": e.batch_tokens, "edge": e.edge, "fitted": e.fitted, "matrix": e.matrix.replace("_", "-")}
        for e in report.edges
    ]
    x = alt.X(
        "batch:Q",
        scale=alt.Scale(type="log", nice=False, padding=12),
        axis=alt.Axis(tickCount=6, labelOverlap=True, labelSeparation=4),
        title="batch, tokens or examples",
    )
    y = alt.Y("edge:Q", scale=alt.Scale(type="log", zero=False), title="largest eigenvalue")
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, color=alt.Color("matrix:N", title=None))
    left = base.mark_point(filled=True, size=60).encode(y=y) + base.mark_line().encode(y="fitted:Q")
    points = [
        {"batch": r.batch_tokens, "rate": value, "what": what}
        for r in report.rates
        for what, value in (("predicted", r.predicted), ("measured", r.sweep and r.sweep.measured))
        if value is not None or r.sweep is not None  # a batch that was not measured is a gap in the line
    ]
    right = (
        alt.Chart(alt.Data(values=points))
        .mark_line(point=True)
        .encode(
            x=x,
            y=alt.Y("rate:Q", scale=alt.Scale(type="log", zero=False), title="largest stable rate"),
            color=alt.Color("what:N", title=None),
        )
    )
    return (left.properties(width=300, height=260) | right.properties(width=300, height=260)).resolve_scale(
        color="independent"
    )
