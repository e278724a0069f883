"""How far the truth deviates from a law, and how that grows outside its domain."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from hplaw import rows
from hplaw.expression.backends import FLOATS, Undefined
from hplaw.expression.compile import compile_expression
from hplaw.expression.scope import Kind, Symbol
from hplaw.law.derived import derived
from hplaw.law.law import Law
from hplaw.law.rules import growth as growth_formula


@derived
def _growth(law: Law) -> Callable[[float], float] | None:
    """Return the factor by which a law's discrepancy is wider so many e-folds outside its domain, None where it has none.

    Where the law's formula has no value the factor is infinite, so that there is no interval.
    """
    discrepancy = law.spec.predict.discrepancy
    if discrepancy is None:
        return None
    formula = growth_formula(law.namespace, discrepancy.grows)
    scope = law.namespace.scope.with_symbol("outside", Symbol(Kind.INPUT))
    grows = compile_expression(formula.tree, scope, FLOATS)
    constants: Mapping[str, Any] = law.spec.constants

    def factor(outside: float) -> float:
        try:
            return math.sqrt(max(float(grows({**constants, "outside": outside})), 1.0))
        except Undefined:
            return math.inf

    return factor


def stretch(law: Law, outside: rows.Number) -> rows.Number:
    """Return the factor by which a law's discrepancy is wider so many e-folds from its domain, never below one.

    **Arguments:**

    - `outside`: a number, or a column of them.
    """
    grows = _growth(law)
    return rows.by_row(grows)(outside) if grows else 1.0


@derived
def stray_variance(law: Law, output: str) -> float:
    """Return the variance of ln(output) by the law's discrepancy inside its domain."""
    discrepancy = law.spec.predict.discrepancy
    if discrepancy is None or output not in discrepancy.of:
        return 0.0
    i = discrepancy.of.index(output)
    return discrepancy.covariance[i][i]
