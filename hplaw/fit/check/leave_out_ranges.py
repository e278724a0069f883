"""Laws without groups, judged by ranges of their runs held out in turn: the largest runs above all, predicted by the rest.

A range further out than what is left is met with the law's own discrepancy, which grows with the distance.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.fit.data.runs import domain_seen
from hplaw.fit.infer.fitting import Fitted
from hplaw.fit.infer.laplace import fit_normal
from hplaw.fit.infer.nuts import Progress, silent
from hplaw.posterior.discrepancy import stretch
from hplaw.posterior.scenarios import standard_normals


Array = NDArray[np.float64]

PARTS = 5
"""Ranges that the runs are cut into."""
DRAWS = 256
"""Draws of each refit without a range."""


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """One range of runs held out: its name, runs, mean absolute error of the logarithm, and share within 90%."""

    name: str
    runs: int
    error: float
    covered: float


def leave_ranges_out(fitted: Fitted, *, progress: Progress = silent) -> list[Range]:
    """Return how each fifth of the runs is predicted by the others, along what the law's domain names first.

    Nothing for a law with several likelihoods, or with too few runs to lose a fifth of them.
    """
    key = _key(fitted)
    items = fitted.density.model.likelihoods
    if key is None or len(items) != 1 or len(fitted.kept) < 4 * PARTS:
        return []
    item = items[0]
    along: Array = fitted.kept[key].to_numpy()
    edges = np.quantile(along, np.linspace(0, 1, PARTS + 1)[1:-1])
    part_of = np.searchsorted(edges, along, side="right")
    found: list[Range] = []
    for part in np.unique(part_of):
        progress(float(part) / PARTS, f"holding out range {part + 1} of {PARTS}")
        inside: NDArray[np.bool_] = part_of == part
        weights = np.where(inside, 0.0, 1.0)
        normal = fit_normal(fitted.density, weights, start=fitted.normal.mode, rounds=1)
        draws = normal.draws(standard_normals(fitted.density.size, DRAWS).T)
        ((mean, replicate),) = fitted.density.predict(draws)
        here = np.isin(item.rows, np.flatnonzero(inside))
        strayed = replicate + _strays(fitted, inside)[:, item.rows]
        low, high = np.quantile(strayed[:, here], [0.05, 0.95], axis=0)
        seen: Array = item.observed[here]
        error: Array = np.abs(seen - np.median(mean[:, here], axis=0))
        held: NDArray[np.bool_] = (seen >= low) & (seen <= high)
        found.append(
            Range(
                name=f"{key} {along[inside].min():.3g} to {along[inside].max():.3g}",
                runs=int(np.count_nonzero(inside)),
                error=float(error.mean()),
                covered=float(np.count_nonzero(held)) / len(held),
            )
        )
    return found


def scores(ranges: list[Range]) -> dict[str, float]:
    """Return the scores of ranges held out; the last is that of the largest runs."""
    if not ranges:
        return {}
    runs = np.array([item.runs for item in ranges])
    last = ranges[-1]
    return {
        "ranges": float(len(ranges)),
        "error_percent": 100 * float(np.average([item.error for item in ranges], weights=runs)),
        "error_percent_largest": 100 * last.error,
        "coverage_runs": float(np.average([item.covered for item in ranges], weights=runs)),
        "coverage_largest": last.covered,
    }


def _key(fitted: Fitted) -> str | None:
    """Return the number along which runs are ordered: the first that the domain names, else the first input."""
    law = fitted.law
    names = [*law.spec.domain, *law.inputs]
    numbers = [n for n in names if n in fitted.kept.columns and not law.quantity(n).categorical]
    return numbers[0] if numbers else None


def _strays(fitted: Fitted, inside: NDArray[np.bool_]) -> Array:
    """Return the discrepancy of every run `[draw, row]`, its distance measured from the runs that are left."""
    law, kept = fitted.law, fitted.kept
    discrepancy = law.spec.predict.discrepancy
    observed = fitted.density.model.likelihoods[0].quantity
    if discrepancy is None or observed not in discrepancy.of:
        return np.zeros((DRAWS, len(kept)))
    place = discrepancy.of.index(observed)
    away = np.zeros(len(kept))
    for name, seen in domain_seen(law, kept.filter(~inside)).items():
        if name in kept.columns and not law.quantity(name).categorical:
            low, high = math.log(float(seen[0])), math.log(float(seen[1]))
            value = np.log(kept[name].to_numpy())
            away += np.maximum(np.maximum(low - value, value - high), 0.0)
    wide = math.sqrt(discrepancy.covariance[place][place]) * stretch(law, away)
    return standard_normals(2, DRAWS)[1][:, None] * wide
