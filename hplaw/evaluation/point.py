"""A law at a point, or at a column of points: inputs bound, cases checked, outputs computed."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from hplaw import rows
from hplaw.errors import QueryError
from hplaw.evaluation.inputs import follow, found_inputs, inputs, own_number
from hplaw.evaluation.rates import rates_over, schedule_law
from hplaw.expression.backends import Backend, Undefined, columns_backend
from hplaw.law.derived import derived
from hplaw.law.law import Law
from hplaw.law.program import Environment, Program, compile_program
from hplaw.law.settled import spoken
from hplaw.narrowing import is_tuple
from hplaw.posterior.scenarios import scenarios


SILENT = ("undefined", "refused")
"""Statuses that give no number."""


_NUMBERS = (float, Fraction)
"""Types of single values that have a size."""


class Point(msgspec.Struct, frozen=True):
    """A law computed at one point, or at a column of points where all that is said here holds for every row.

    - `status`, `say`: those of the case that applies.
    - `environment`: values by name, floats or columns.
    """

    law: Law
    status: str
    say: str | None
    environment: Environment
    program: Program

    def output(self, name: str) -> Any:
        """Return one output: a number or a column of them, a category, or a tuple over its index.

        **Raises:** `Undefined` where the formula has no value; `RowsDiffer` where it has none in some rows.
        """
        if self.status in SILENT:
            raise Undefined(self.say or self.status)
        positive = name in positive_outputs(self.law)
        try:
            value: Any = _computed(self, name)
        except Undefined as error:
            message = self._where(str(error))
            raise Undefined(message) from None
        if rows.is_column(value):
            rows.part(~(np.abs(value) <= sys.float_info.max) | (positive and value <= 0))
            return value
        if positive and value <= 0:
            message = self._where(f"the result, {_show(value)}, is not positive, as {name} must be")
            raise Undefined(message)
        for entry in value if is_tuple(value) else (value,):
            if entry != entry:
                message = self._where("the formula has no value")
                raise Undefined(message)
            if type(entry) in _NUMBERS and not abs(entry) <= sys.float_info.max:
                message = self._where("the result is too large to write down")
                raise Undefined(message)
        return value

    def plain(self, name: str) -> Any:
        """Return a number or category that the law gives here or that was chosen, None where it has none."""
        if name in self.law.chosen:
            return self.environment[name]
        try:
            value = self.output(name)
        except Undefined:
            return None
        return None if is_tuple(value) else value

    def _where(self, problem: str) -> str:
        told = {
            i.name: self.environment[i.name] for i in inputs(self.law) if i.of is None and i.name in self.environment
        }
        rows.one_by_one(*told.values())  # the words name the numbers of one question
        given = ", ".join(f"{name}={_show(value)}" for name, value in told.items())
        return f"{self.law.id} has no value at {given}: {problem}"


def _computed(here: Point, name: str) -> Any:
    """Return an output as its formula has it."""
    function = here.program.outputs[name]
    if not here.law.over_steps:
        return function(here.environment)
    with np.errstate(all="ignore"):  # arrays give NaN where there is no value, which is looked at behind
        return float(function(here.environment))


@derived
def positive_outputs(law: Law) -> frozenset[str]:
    """Return the single outputs of a law that nothing but a positive number can be; one that vanishes has no value."""
    return frozenset(
        name
        for name, (_, over) in law.outputs.items()
        if over is None and law.quantity(name).low == 0 and law.quantity(name).open_low
    )


def _show(value: object) -> str:
    return f"{float(value):g}" if isinstance(value, float | int | Fraction) else str(value)


def standing(law: Law) -> Environment:
    """Return a new environment with everything of a law but its inputs: constants, tables, best values of parameters."""
    return Environment(_standing(law), law.point.lets)


@derived
def _standing(law: Law) -> Mapping[str, Any]:
    """Return constants and the best single values of a law's parameters, effects at zero, in its own arithmetic."""
    values = scenarios(law).point
    if law.exact:
        values = {
            n: tuple(own_number(law, e) for e in v) if is_tuple(v) else own_number(law, v) for n, v in values.items()
        }
    return {**law.point.constants, **values}


@derived
def settled(law: Law) -> Mapping[str, Any]:
    """Return what has a value in a law before any input does: all constants, and the lets made of it."""
    values, namespace = standing(law), law.namespace
    for name, let in namespace.lets.items():
        if spoken(namespace, let.tree).isdisjoint(law.inputs):
            with contextlib.suppress(Undefined, KeyError):
                values[name]
    return values


@derived
def _program(law: Law, backend: Backend) -> Program:
    """Return a law compiled around its settled values."""
    values = settled(law)
    return compile_program(law.meaning, backend, constants=values, settled=values)


def point(law: Law, known: Mapping[str, object]) -> Point:
    """Return the law at the point `known`: numbers and categories by quantity, or tuples over an index.

    **Arguments:**

    - `known`: numbers may be columns, `[row]`.

    **Raises:** `QueryError` naming the input that is not known; `RowsDiffer` where rows fall into different cases.
    """
    values, late = found_inputs(law, known)
    environment, program = environment_with(law, values)
    try:
        with np.errstate(all="ignore"):  # what a default has no value for is seen where it is used
            follow(law, late, environment, program.backend)
        if law.over_steps:
            follow_schedule(law, known, environment)
        for case in program.cases:
            if program.backend.truth(case.holds(environment)):
                return Point(law, case.status, case.say, environment, program)
    except Undefined as error:
        rows.one_by_one(*values.values())
        return Point(law, "undefined", f"{law.id} has no value here: {error}", environment, program)
    return Point(law, "ok", None, environment, program)


def follow_schedule(law: Law, known: Mapping[str, object], environment: Environment) -> None:
    """Put what a law takes of a schedule's steps into an environment that has its other inputs.

    **Arguments:**

    - `known`: arrays by input, `[step]`, where the schedule is at hand; that which is named is computed otherwise.

    **Raises:** `Undefined` where there is no such schedule, or it has no rate in such a run.
    """
    items = [item for item in law.inputs.values() if item.of is not None]
    counts: object = 1.0
    for item in items:
        rates = known.get(item.quantity) if item.of == "rate" else None
        if item.of == "rate" and rates is None:
            schedule = schedule_law(str(item.schedule or environment["schedule"]))
            # a law's own constants and lets may settle what the asker need not know
            own = {*environment, *law.spec.let}
            settings = {name: environment[name] for name in schedule.inputs if name in own}
            rates, counts = rates_over(schedule, settings, environment["total_steps"])
        if rates is not None:
            environment[item.quantity] = rates
    for item in items:
        if item.of == "count":
            environment[item.quantity] = known.get(item.quantity, counts)


def environment_with(law: Law, values: Mapping[str, object]) -> tuple[Environment, Program]:
    """Return an environment of a law with some inputs by name, and its program: for columns where an input is one."""
    columns = np.ndarray in map(type, values.values()) and not law.over_steps
    program = _program(law, columns_backend() if columns else law.arithmetic)
    return program.environment(values), program


def environment_at(law: Law, known: Mapping[str, object], *, free: Sequence[str] = ()) -> tuple[Environment, Program]:
    """Return an environment of a law with all its inputs but those that are free, and its program.

    **Raises:** `QueryError` naming the input that is not known; `Undefined` where a default has no value.
    """
    values, late = found_inputs(law, {**known, **dict.fromkeys(free, 1.0)})
    environment, program = environment_with(law, values)
    follow(law, late, environment, program.backend)
    for name in free:
        del environment[name]
    return environment, program


def plain_point(law: Law, known: Mapping[str, object]) -> Point | None:
    """Return a law at a point, what it chooses at its closed form; None where it has no value without a search."""
    if law.spec.kind != "formula":
        return None
    free = [name for name in law.chosen if known.get(name) is None]
    try:
        if free:
            chosen = closed_form(law, known) if len(free) == len(law.chosen) else None
            if chosen is None:
                return None
            known = {**known, **chosen}
        return point(law, known)
    except QueryError:
        return None


def closed_form(law: Law, known: Mapping[str, object]) -> dict[str, Any] | None:
    """Return a decision's closed form at the law's best single values, or None where it has none or no value here."""
    if not law.optimum:
        return None
    try:
        environment, program = environment_at(law, known, free=law.chosen)
        found: dict[str, Any] = {name: form(environment) for name, form in program.optimum.items()}
    except (Undefined, KeyError):
        return None
    for value in found.values():
        if not rows.shared((value > 0) & (value < math.inf)):
            return None
    return found
