"""Tests of means: factorial ANOVA that unequal variances do not mislead, Welch, Holm, equivalence, power, pooled contrasts."""

from __future__ import annotations

import itertools as it
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats


Array = NDArray[np.float64]


class Term(NamedTuple):
    """A line of an ANOVA: degrees of freedom, F, p, and the share of variance left that the term explains."""

    name: str
    df: int
    f: float
    p: float
    partial_eta2: float


class Contrast(NamedTuple):
    """A difference of two means of logarithms: estimate, 90% interval, p, effect size, and p of equivalence."""

    difference: float
    low: float
    high: float
    p: float
    hedges_g: float
    p_equivalent: float
    error: float


class Pooled(NamedTuple):
    """A contrast over cells: posterior median and 90% interval, spread between cells, probability of a fall."""

    median: float
    low: float
    high: float
    between: float
    p_below: float


def anova(y: Array, factors: Mapping[str, Sequence[object]], order: int = 2) -> list[Term]:
    """Return a factorial ANOVA of type 3 with Wald tests by the HC3 covariance.

    F = (R b)' (R V R')^-1 R b / q with sum-to-zero codes, V = (X'X)^-1 X' diag(e^2 / (1 - h)^2) X (X'X)^-1.

    **Arguments:**

    - `y`: the response of each run.
    - `factors`: levels of each run by factor; one with a single level is omitted.
    - `order`: interactions up to so many factors.

    **Raises:** `ValueError` where there are not more runs than coefficients.

    **Source:** MacKinnon and White 1985 for HC3.
    """
    codes = {name: _coded(levels) for name, levels in factors.items() if len({*levels}) > 1}
    columns, terms = [np.ones((len(y), 1))], list[tuple[str, slice]]()
    start = 1
    for size in range(1, order + 1):
        for names in it.combinations(codes, size):
            block = np.ones((len(y), 1))
            for name in names:
                block = np.einsum("ni,nj->nij", block, codes[name]).reshape(len(y), -1)
            columns.append(block)
            terms.append((" x ".join(names), slice(start, start + block.shape[1])))
            start += block.shape[1]
    x = np.concatenate(columns, axis=1)
    free = len(y) - x.shape[1]
    if free < 1 or np.linalg.matrix_rank(x) < x.shape[1]:
        message = f"{len(y)} runs do not tell {x.shape[1]} coefficients apart; give replicates of every cell, or a lower order"
        raise ValueError(message)
    inverse = np.linalg.inv(x.T @ x)
    b = inverse @ x.T @ y
    residual = y - x @ b
    leverage = np.einsum("ni,ij,nj->n", x, inverse, x)
    weight = (residual / np.maximum(1 - leverage, 1e-9)) ** 2
    covariance = inverse @ (x.T * weight) @ x @ inverse
    found: list[Term] = []
    for name, place in terms:
        own, spread = b[place], covariance[place, place]
        f = float(own @ np.linalg.solve(spread, own)) / len(own)
        explained = float(own @ np.linalg.solve(inverse[place, place], own))
        share = explained / (explained + float(residual @ residual))
        found.append(Term(name, len(own), f, float(stats.f.sf(f, len(own), free)), share))
    return found


def _coded(levels: Sequence[object]) -> Array:
    """Return sum-to-zero codes `[run, level - 1]`."""
    names = list(dict.fromkeys(levels))
    table = np.vstack([np.eye(len(names) - 1), -np.ones(len(names) - 1)])
    return table[[names.index(level) for level in levels]]


def welch(a: Array, b: Array, bound: float) -> Contrast:
    """Return the difference of the means of b and a, tested without equal variances, and two one-sided tests of equivalence.

    **Arguments:**

    - `a`, `b`: two or more values each.
    - `bound`: within plus and minus this the means count as equal.
    """
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    error = math.sqrt(max(float(va + vb), 1e-24))
    df = (va + vb) ** 2 / max(va**2 / (len(a) - 1) + vb**2 / (len(b) - 1), 1e-300)
    df = float(min(max(df, 1.0), 1e6))
    difference = float(b.mean() - a.mean())
    wide = float(stats.t.ppf(0.95, df)) * error
    p = 2 * float(stats.t.sf(abs(difference) / error, df))
    above = float(stats.t.sf((difference + bound) / error, df))
    below = float(stats.t.cdf((difference - bound) / error, df))
    pooled = math.sqrt((a.var(ddof=1) * (len(a) - 1) + b.var(ddof=1) * (len(b) - 1)) / (len(a) + len(b) - 2))
    small = 1 - 3 / (4 * (len(a) + len(b)) - 9)
    g = small * difference / max(pooled, 1e-12)
    return Contrast(difference, difference - wide, difference + wide, p, g, max(above, below), error)


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number by Holm's steps.

    >>> [round(x, 3) for x in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted, most = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        most = max(most, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = most
    return adjusted


def replicates_needed(sd: float, difference: float, *, power: float = 0.8, tests: int = 1) -> int:
    """Return the replicates of each of two groups that find a difference of means at 5%, Bonferroni over `tests`.

    >>> replicates_needed(0.05, 0.05)
    17
    """
    for n in range(2, 100_000):
        df, shift = 2 * n - 2, difference / (sd * math.sqrt(2 / n))
        least = float(stats.t.ppf(1 - 0.025 / tests, df))
        if float(stats.nct.sf(least, df, shift)) >= power:
            return n
    return 100_000


def pooled(contrasts: Iterable[Contrast], *, scale: float = 0.5, between: float = 0.2) -> Pooled:
    """Return the posterior of the mean of cells' contrasts: m ~ N(0, scale), cell ~ N(m, tau), tau ~ half-N(between).

    tau is integrated on a grid, the rest in closed form; cells' errors are those of their Welch tests.
    """
    found = [(c.difference, c.error) for c in contrasts]
    d, s = np.array([x for x, _ in found]), np.array([max(e, 1e-6) for _, e in found])
    tau = np.linspace(0.0, 4 * between, 101)[:, None]
    precision = 1 / (s**2 + tau**2)
    total = precision.sum(axis=1) + scale**-2
    mean = (precision * d).sum(axis=1) / total
    log_weight = 0.5 * (
        np.log(precision).sum(axis=1) - np.log(total) - (precision * d**2).sum(axis=1) + total * mean**2
    )
    log_weight -= (tau[:, 0] / between) ** 2 / 2
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    sd = total**-0.5
    grid = np.linspace((mean - 6 * sd).min(), (mean + 6 * sd).max(), 801)
    below = (weight[:, None] * stats.norm.cdf((grid - mean[:, None]) / sd[:, None])).sum(axis=0)
    low, median, high = (float(np.interp(level, below, grid)) for level in (0.05, 0.5, 0.95))
    spread = float((weight * tau[:, 0]).sum())
    return Pooled(median, low, high, spread, float(np.interp(0.0, grid, below)))
