"""Decisions of laws whose objective is a sum of ridges, for one question or a column of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hplaw import rows
from hplaw.arrays import Array
from hplaw.decide.decision import PLATEAU, Decision, Task
from hplaw.decide.ridges import Flat, Limits, Ridges
from hplaw.errors import QueryError
from hplaw.forms.linex import Linex, linex
from hplaw.forms.log_linear import best_logs
from hplaw.law.law import Law
from hplaw.posterior.scenarios import scenarios
from hplaw.rows import Number, Truth


_LARGEST = 690.0
"""Logarithm that a value may have, so that it can be written down."""


def by_ridges(task: Task) -> Decision:
    """Return what a law recommends, effects integrated in closed form.

    Bounds are looked at last: a decision that lies inside them stays as it is.

    **Raises:** `Flat` where ridges are not convex or leave a direction flat; `RowsDiffer` where they do in some rows, or
    where bounds bind in some; `QueryError` for what is settled as zero.
    """
    problem = _Problem(task)
    found = problem.decision(None)
    if not task.bounded or rows.shared(_inside(task, found)):
        return found
    return problem.decision([(_log(low, -math.inf), _log(high, math.inf)) for low, high in task.limits])


def _log(limit: Number | None, otherwise: float) -> Number:
    """Return the logarithm of a bound, which may be zero."""
    if limit is None:
        return otherwise
    return rows.log(rows.larger(limit, 5e-324))


class _Problem:
    """One decision, its ridges and its closed form."""

    def __init__(self, task: Task) -> None:
        self.task, law = task, task.law
        self.inputs = {name: value for name, value in task.inputs().items() if name not in law.chosen}
        self.fixed = {i: self._log_of(name) for i, name in enumerate(law.chosen) if name not in task.free}
        self.ridges = self._ridges(transfer=False)
        self.places = [law.chosen.index(name) for name in task.free]
        self.closed = best_logs(law, self.inputs, transfer=False) if law.optimum else None

    def _log_of(self, name: str) -> Number:
        """Return the logarithm of what is settled of the chosen quantities.

        **Raises:** `QueryError` for zero or below, which no ridge is at.
        """
        value = self.task.known[name]
        if rows.shared(value <= 0):
            message = f"{name} is 0, and {self.task.law.id} takes its logarithm; give a number above 0"
            raise QueryError(message, field=name)
        return rows.log(value)

    def _ridges(self, *, transfer: bool) -> Ridges:
        return Ridges(_form(self.task.law, transfer=transfer), self.inputs, self.fixed, stretch=self.task.stretch)

    def decision(self, limits: Limits | None) -> Decision:
        """Return the decision between limits, logarithms."""
        task, ridges = self.task, self.ridges
        best = ridges.lowest(self._start(), limits)
        weights = ridges.weights(best)
        edges = ridges.plateau(best, weights, PLATEAU, limits)
        small: Truth = True
        for part in (*best, *(side for edge in edges for side in edge)):
            small = small & (abs(part) <= _LARGEST)
        if not rows.shared(small):
            raise Flat
        samples, least = self._own(ridges, self.closed, best, limits)
        transfer: dict[str, Array] = {}
        if scenarios(task.law).transfer:
            closed = best_logs(task.law, self.inputs, transfer=True) if task.closed else None
            there = ridges if closed is not None and limits is None else self._ridges(transfer=True)
            transfer, _ = self._own(there, closed, best, limits)
        lost = ridges.astray(best, weights) - least
        let = ridges.form.let
        return Decision(
            values=task.values(best),
            samples=samples,
            transfer=transfer,
            plateau={name: (rows.exp(a), rows.exp(b)) for name, (a, b) in zip(task.free, edges, strict=True)},
            regret=rows.larger(_expm1(lost), 0.0) if rows.shared(abs(lost) < 1) else None,
            lets={let: ridges.excess(best)} if let else {},
        )

    def _start(self) -> list[Number]:
        """Return where to begin: the mean of the scenarios' closed forms, or the middle of the domain."""
        if self.closed is not None:
            middle = rows.unpack(self.closed.mean(axis=-1))
            return [middle[place] for place in self.places]
        base = self.ridges.c[..., 0] * 0.0
        return [rows.plain(base + _middle(self.task.law, name)) for name in self.task.free]

    def _own(
        self, ridges: Ridges, closed: Array | None, best: list[Number], limits: Limits | None
    ) -> tuple[dict[str, Array], Number]:
        """Return where each scenario has its own best values, by quantity, and the mean of its lowest excess there."""
        task = self.task
        start = list(map(rows.across, best))
        if closed is not None and task.closed:  # each scenario's own best, limits apart
            shift, stretch = scenarios(task.law).discrepancy, rows.across(task.stretch)
            start = [closed[..., i, :] + stretch * shift.get(name, 0.0) for i, name in enumerate(task.law.chosen)]
            if limits is None:
                return {name: np.exp(log) for name, log in zip(task.law.chosen, start, strict=True)}, 0.0
        x, excess = ridges.own(start, limits)
        return {name: np.exp(part) for name, part in zip(task.free, x, strict=True)}, rows.plain(excess.mean(axis=-1))


_expm1 = rows.by_row(math.expm1)


def _form(law: Law, *, transfer: bool) -> Linex:
    form = linex(law, transfer=transfer)
    assert form is not None
    return form


def _middle(law: Law, name: str) -> float:
    """Return the logarithm of the middle of a quantity's domain."""
    seen: Sequence[Any] | None = law.spec.domain.get(name)
    return (math.log(float(seen[0])) + math.log(float(seen[1]))) / 2 if seen else 0.0


def _inside(task: Task, found: Decision) -> Truth:
    """Return whether nothing of a decision lies outside the bounds, so that they bind nothing.

    The other quantities at an edge of a plateau lie on their own plateaus.
    """
    inside: Truth = True
    for name, (low, high) in zip(task.free, task.limits, strict=True):
        parts = [found.values[name], *found.plateau[name]]
        for samples in (found.samples, found.transfer):
            if name in samples:
                parts += [rows.plain(samples[name].min(axis=-1)), rows.plain(samples[name].max(axis=-1))]
        for part in parts:
            inside = inside & (True if low is None else part >= low) & (True if high is None else part <= high)
    return inside
