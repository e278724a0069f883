"""Priors of a law with the values of their arguments, and their centers."""

from __future__ import annotations

from collections.abc import Mapping

from hplaw.law.formulas import check_call
from hplaw.law.law import Law
from hplaw.law.priors import HYPERPRIORS, centre
from hplaw.law.scope import index_symbol
from hplaw.law.settled import settled


def prior_arguments(law: Law, prior: str, at: Mapping[str, int] | None = None) -> tuple[str, list[float]]:
    """Return a prior's name and the values of its arguments, at one entry of an index where it goes over one."""
    namespace, at = law.namespace, at or {}
    call = check_call(namespace, prior, HYPERPRIORS, "parameters", prior, over={n: index_symbol(n) for n in at})
    constants = law.spec.constants
    return call.function, [settled(namespace, constants, a, at, table="parameters", key=prior) for a in call.arguments]


def prior_centre(law: Law, prior: str, at: Mapping[str, int] | None = None) -> float:
    """Return the median of a prior of a law."""
    name, arguments = prior_arguments(law, prior, at)
    return centre(name, *arguments)
