"""Priors of a law with the values of their arguments, and their centres."""

from __future__ import annotations

from collections.abc import Mapping

from hplaw.expression.backends import FLOATS
from hplaw.expression.compile import compile_expression
from hplaw.law.formulas import check_call
from hplaw.law.law import Law
from hplaw.law.priors import CORRELATIONS, PRIORS, centre
from hplaw.law.scope import index_symbol


def prior_arguments(law: Law, prior: str, at: Mapping[str, int] | None = None) -> tuple[str, list[float]]:
    """Return a prior's name and the values of its arguments, at one entry of an index where it goes over one."""

    scope = law.namespace.scope
    for name in at or {}:
        scope = scope.with_symbol(name, index_symbol(name))
    call = check_call(
        law.namespace, prior, PRIORS | CORRELATIONS, "parameters", prior, over={n: index_symbol(n) for n in at or {}}
    )
    environment = law.program(FLOATS).environment({})
    return call.function, [float(compile_expression(a, scope, FLOATS, at)(environment)) for a in call.arguments]


def prior_centre(law: Law, prior: str, at: Mapping[str, int] | None = None) -> float:
    """Return the median of a prior of a law."""
    name, arguments = prior_arguments(law, prior, at)
    return 0.0 if name == "lkj" else centre(name, *arguments)
