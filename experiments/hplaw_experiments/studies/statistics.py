"""Tests of means: factorial ANOVA that unequal variances do not mislead, Welch, Holm, equivalence, power, pooled contrasts.

All but the pooled contrasts are those of statsmodels, which is loaded where one is asked for: it takes seconds.
"""

from __future__ import annotations

import itertools as it
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats


Array = NDArray[np.float64]


ALONE = 1e-9
"""What is left of the leverage of a run that alone determines a coefficient."""


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
    """Return a factorial ANOVA of type 3: sum-to-zero codes, F and p by Wald tests with the HC3 covariance.

    The share of variance is by sums of squares, which the covariance does not enter.

    **Arguments:**

    - `y`: the response of each run.
    - `factors`: levels of each run by factor; one with a single level is omitted.
    - `order`: interactions up to so many factors.

    **Raises:** `ValueError` where there are not more runs than coefficients, or one alone determines a coefficient:
    HC3 divides by what is left of a run then, which is nothing.

    **Source:** MacKinnon and White 1985 for HC3.
    """
    import pandas as pd
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    names = [name for name, levels in factors.items() if len({*levels}) > 1]
    # by number: a factor's name may be none in the language of formulas
    codes = {name: f"C(f{place}, Sum)" for place, name in enumerate(names)}
    terms = [term for size in range(1, order + 1) for term in it.combinations(names, size)]
    if not terms:
        return []
    table = pd.DataFrame({"y": y, **{f"f{place}": list(factors[name]) for place, name in enumerate(names)}})
    fit = ols("y ~ " + " + ".join(":".join(codes[name] for name in term) for term in terms), table).fit()
    coefficients = fit.model.exog.shape[1]
    if fit.df_resid < 1 or np.linalg.matrix_rank(fit.model.exog) < coefficients:
        message = f"{len(y)} runs do not tell {coefficients} coefficients apart; give replicates of every cell, or a lower order"
        raise ValueError(message)
    if fit.get_influence().hat_matrix_diag.max() > 1 - ALONE:
        message = f"one of {len(y)} runs alone determines one of {coefficients} coefficients; give replicates of every cell, or a lower order"
        raise ValueError(message)
    robust, plain = anova_lm(fit, typ=3, robust="hc3"), anova_lm(fit, typ=3)
    found: list[Term] = []
    for term in terms:
        row = ":".join(codes[name] for name in term)
        explained = float(plain.loc[row, "sum_sq"])
        share = explained / (explained + fit.ssr)
        df, f, p = (robust.loc[row, column] for column in ("df", "F", "PR(>F)"))
        found.append(Term(" x ".join(term), int(df), float(f), float(p), share))
    return found


def welch(a: Array, b: Array, bound: float) -> Contrast:
    """Return the difference of the means of b and a, tested without equal variances, and two one-sided tests of equivalence.

    **Arguments:**

    - `a`, `b`: two or more values each.
    - `bound`: within plus and minus this the means count as equal.
    """
    from statsmodels.stats.meta_analysis import effectsize_smd
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    difference = float(b.mean() - a.mean())
    if max(np.ptp(a), np.ptp(b)) == 0:
        # no test is defined without spread; this is their limit
        same, apart = float(difference == 0), math.copysign(math.inf, difference)
        return Contrast(
            difference, difference, difference, same, 0.0 if same else apart, float(abs(difference) >= bound), 0.0
        )
    both = CompareMeans(DescrStatsW(b), DescrStatsW(a))
    low, high = both.tconfint_diff(alpha=0.1, usevar="unequal")
    _, p, _ = both.ttest_ind(usevar="unequal")
    p_equivalent, _ = both.ttost_ind(-bound, bound, usevar="unequal")
    g, _ = effectsize_smd(b.mean(), b.std(ddof=1), len(b), a.mean(), a.std(ddof=1), len(a))
    numbers = (low, high, p, g, p_equivalent, both.std_meandiff_separatevar)
    return Contrast(difference, *(float(number) for number in numbers))


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number by Holm's steps.

    >>> [round(x, 3) for x in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    from statsmodels.stats.multitest import multipletests

    return multipletests(p, method="holm")[1].tolist()


def replicates_needed(sd: float, difference: float, *, power: float = 0.8, tests: int = 1) -> int:
    """Return the replicates of each of two groups that find a difference of means at 5%, Bonferroni over `tests`.

    >>> replicates_needed(0.05, 0.05)
    17
    """
    from statsmodels.stats.power import TTestIndPower

    asked = {"effect_size": difference / sd, "alpha": 0.05 / tests}
    # the solver looks for no root below two, the fewest that have a spread
    if TTestIndPower().power(nobs1=2, **asked) >= power:
        return 2
    return math.ceil(TTestIndPower().solve_power(power=power, **asked))


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
