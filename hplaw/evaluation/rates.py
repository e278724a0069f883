"""The learning rate over the steps of a schedule, for laws that sum over them: of each step, or of a few thousand spans.

A schedule is a law of the step. Where a run has many steps they are taken together in spans, by their mean rate; spans
are short at both ends, where a rate of nearly zero makes every step count.
"""

from __future__ import annotations

import functools as ft
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hplaw.arrays import Array, Float
from hplaw.evaluation.inputs import stand_in
from hplaw.expression.backends import Backend, Undefined, numpy_backend
from hplaw.law.law import Law
from hplaw.law.shipped import theory_law


SCHEDULES = ("constant", "cosine", "linear", "wsd", "inverse_sqrt", "uba", "cosine_power")
"""Schedules by name; the law of each is `schedule-NAME`, with hyphens."""

EACH = 4096
"""Steps up to which each is taken alone."""

_EVEN, _ENDS = 2048, 768
"""Spans of equal length, and those whose length grows with the distance from either end."""


def schedule_law(name: str) -> Law:
    """Return the shipped law of a schedule by its name.

    **Raises:** `Undefined` for a name that no shipped law has.

    >>> schedule_law("inverse_sqrt").id
    'schedule-inverse-sqrt'
    """
    if name not in SCHEDULES:
        message = f"no schedule here is called {name[:80]}; there are {', '.join(SCHEDULES)}"
        raise Undefined(message)
    return theory_law(f"schedule-{name.replace('_', '-')}")


def rate_function(law: Law, backend: Backend, known: Mapping[str, object]) -> Callable[[Mapping[str, Any]], Any]:
    """Return a function from arrays by input to learning rates; its law's cases are not looked at.

    **Arguments:**

    - `known`: names that the function will be given, and perhaps values of them; the defaults of others are computed.
    """
    program = law.program(backend)
    values: dict[str, Any] = {name: p.value for name, p in law.spec.parameters.items()}
    formulas: dict[str, Any] = {}
    for name, item in law.inputs.items():
        if name in known:
            continue
        if isinstance(item.missing, str) and not law.quantity(name).categorical:
            formulas[name] = stand_in(law, name, backend)
        else:
            values[name] = item.missing

    def rates(given: Mapping[str, object]) -> Any:
        environment = program.environment({**values, **given})
        for name, formula in formulas.items():
            environment[name] = formula(environment)
        return program.outputs["learning_rate"](environment)

    return rates


@ft.lru_cache(maxsize=16)
def spans(total: float) -> tuple[Float[Array, " step"], Float[Array, " step"]]:
    """Return the middle of each span of a run, counted from the first step, and how many steps it has.

    Nothing is rounded, so that a loss moves smoothly with the length of the run: the last step may be part of one.

    >>> spans(2.5)
    (array([0., 1., 2.]), array([1. , 1. , 0.5]))
    """
    if total <= EACH:
        steps = np.arange(math.ceil(total), dtype=np.float64)
        return steps, np.minimum(total - steps, 1.0)
    near = _growing(total / 2)
    edges = np.unique(np.concatenate([np.linspace(0.0, total, _EVEN + 1), near, total - near]))
    counts = np.diff(edges)
    return np.clip(edges[:-1] + (counts - 1) / 2, 0.0, total - 1), counts


def _growing(far: float) -> Float[Array, " point"]:
    """Return places from 0 to `far`, the first a step apart, each farther from the last by the same factor."""
    low, high = 1e-9, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        grown = math.expm1(_ENDS * middle) / math.expm1(middle)
        low, high = (middle, high) if grown < far else (low, middle)
    return np.expm1(low * np.arange(_ENDS + 1)) / math.expm1(low)


def rates_over(
    law: Law, settings: Mapping[str, Any], total: float
) -> tuple[Float[Array, " step"], Float[Array, " step"]]:
    """Return the mean learning rate of each span of a run, and how many steps it has.

    **Arguments:**

    - `law`: a law that gives the learning rate from a step.
    - `settings`: what is known of the run; the law takes those of its inputs that are among it.

    **Raises:** `Undefined` where the law has no rate for such a run, in its words.
    """
    middles, counts = spans(max(total, 1.0))
    known = {n: v for n, v in settings.items() if n in law.inputs and n != "step"}
    known |= {"total_steps": float(total)} if "total_steps" in law.inputs else {}
    rates = rate_function(law, numpy_backend(), {"step": None, **known})
    with np.errstate(all="ignore"):  # the branch of `where` that is not taken
        _refuse_silent(law, known, total)
        found = np.broadcast_to(np.asarray(rates({"step": middles, **known}), np.float64), middles.shape)
    if not np.all(np.isfinite(found)):
        message = f"{law.id} gives no learning rate somewhere in this run"
        raise Undefined(message)
    return found, counts


def _refuse_silent(law: Law, known: Mapping[str, Any], total: float) -> None:
    """Refuse a run for which a schedule's law says that it has no rate, at its first step or its last."""
    program = law.program(numpy_backend())
    for step in (0.0, float(total)):
        environment = program.environment({"step": step, **known})
        for name, item in law.inputs.items():
            if name not in environment:
                formula = isinstance(item.missing, str)
                environment[name] = stand_in(law, name, numpy_backend())(environment) if formula else item.missing
        for case in program.cases:
            if bool(case.holds(environment)):
                if case.status in ("undefined", "refused"):
                    raise Undefined(case.say)
                break
