"""A law at a point: inputs bound, cases checked, outputs worked out."""

from __future__ import annotations

import contextlib
import functools as ft
import math
import sys
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import msgspec

from hplaw.errors import ConflictingQuery, QueryError, nearest
from hplaw.expression.backends import Undefined, exact_number
from hplaw.expression.compile import Function
from hplaw.law.law import Law
from hplaw.law.priors import PRIORS
from hplaw.law.program import Environment, Program, compile_program, unroll
from hplaw.law.settled import spoken
from hplaw.narrowing import is_table, is_tuple
from hplaw.vocabulary.quantities import check_value


SILENT = ("undefined", "refused")
"""Statuses that give no number."""


class Input(msgspec.Struct, frozen=True):
    """How one input of a law is found among what is known.

    - `known`: the name to look for first (`target_loss` for a loss in the role of a target).
    - `default`: what stands in when it is not known: a value, or a function of the other inputs; None where nothing does.
    - `prior`: the text of a default that is a prior.
    """

    name: str
    known: str
    default: Any
    formula: Function | None
    prior: str | None
    over: tuple[str, ...]
    categorical: bool

    @property
    def required(self) -> bool:
        """Return whether the law cannot do without it."""
        return self.default is None and self.formula is None


@ft.lru_cache(maxsize=1024)
def inputs(law: Law) -> tuple[Input, ...]:
    """Return a law's inputs, ready to be bound.

    **Raises:** `LawError` for a stand-in that is neither value, category, prior nor formula.
    """
    found: list[Input] = []
    for name, item in law.inputs.items():
        quantity, missing = law.quantity(name), item.missing
        default: Any = None
        formula: Function | None = None
        prior = None
        if isinstance(missing, str) and not quantity.categorical:
            if any(missing.lstrip().startswith(f"{word}(") for word in PRIORS):
                from hplaw.posterior.scenarios import prior_centre

                prior, default = missing, prior_centre(law, missing)
            else:
                text = law.namespace.formula(missing, table="inputs", key=name)
                formula = unroll(law.namespace, text, law.arithmetic, ())
        elif missing is not None:
            default = missing if quantity.categorical else _number(law, missing)
        over = law.namespace.scope.indices[item.over] if item.over else ()
        known = f"target_{name}" if item.role == "target" else name
        found.append(Input(name, known, default, formula, prior, over, quantity.categorical))
    return tuple(found)


def _number(law: Law, value: Any) -> Any:
    """Return a number as the law's own arithmetic wants it; exact laws read decimals and fractions as written."""
    if not law.exact:
        return float(value)
    return exact_number(value if isinstance(value, str) else repr(value))


class Point(msgspec.Struct, frozen=True):
    """A law worked out at one point: status, words of the case that applies, and its environment."""

    law: Law
    status: str
    say: str | None
    environment: Environment

    def output(self, name: str) -> Any:
        """Return one output: a number, a category, or a tuple over its index.

        **Raises:** `Undefined` where the formula has no value.
        """
        if self.status in SILENT:
            raise Undefined(self.say or self.status)
        try:
            value: Any = _settled(self.law)[1].outputs[name](self.environment)
        except Undefined as error:
            message = self._where(str(error))
            raise Undefined(message) from None
        if name in positive_outputs(self.law) and value <= 0:
            message = self._where(f"the result, {_show(value)}, is not positive, as {name} must be")
            raise Undefined(message)
        for entry in value if is_tuple(value) else (value,):
            if isinstance(entry, float | Fraction) and not abs(entry) <= sys.float_info.max:
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
        given = ", ".join(
            f"{i.name}={_show(self.environment.get(i.name))}" for i in inputs(self.law) if i.name in self.environment
        )
        return f"{self.law.id} has no value at {given}: {problem}"


@ft.lru_cache(maxsize=1024)
def positive_outputs(law: Law) -> frozenset[str]:
    """Return the single outputs of a law that nothing but a positive number can be; one that vanishes has no value."""
    return frozenset(
        name
        for name, (_, over) in law.outputs.items()
        if over is None and law.quantity(name).low == 0 and law.quantity(name).open_low
    )


def _show(value: Any) -> str:
    return f"{float(value):g}" if isinstance(value, float | int | Fraction) else str(value)


def standing(law: Law) -> Environment:
    """Return a new environment with everything of a law but its inputs: constants, tables, best values of parameters."""
    return Environment(_standing(law), law.point.lets)


@ft.lru_cache(maxsize=1024)
def _standing(law: Law) -> Mapping[str, Any]:
    return {**law.point.constants, **_base(law)}


def _base(law: Law) -> Mapping[str, Any]:
    """Return the best single values of a law's parameters, effects at zero, in its own arithmetic."""
    if law.arrays is None and not any(p.value is None for p in law.spec.parameters.values()):
        values: dict[str, Any] = {
            n: tuple(p.value) if isinstance(p.value, list) else p.value for n, p in law.spec.parameters.items()
        }
        values |= {name: 0.0 for effect in law.spec.effects.values() for name in effect.of}
    else:
        from hplaw.posterior.scenarios import scenarios

        values = dict(scenarios(law).point)
    if not law.exact:
        return values
    return {n: tuple(_number(law, e) for e in v) if is_tuple(v) else _number(law, v) for n, v in values.items()}


def settled(law: Law) -> Mapping[str, Any]:
    """Return what has a value in a law before any input does: all that stands, and the lets made of it."""
    return _settled(law)[0]


@ft.lru_cache(maxsize=1024)
def _settled(law: Law) -> tuple[Mapping[str, Any], Program]:
    """Return the settled values of a law, and the law compiled around them."""
    values, namespace = standing(law), law.namespace
    for name, let in namespace.lets.items():
        if spoken(namespace, let.tree).isdisjoint(law.inputs):
            with contextlib.suppress(Undefined, KeyError):
                values[name]
    program = compile_program(
        namespace,
        law.arithmetic,
        outputs=law.outputs,
        optimum=law.optimum,
        cases=law.cases,
        constants=values,
        settled=values,
    )
    return values, program


def point(law: Law, known: Mapping[str, Any]) -> Point:
    """Return the law at the point `known`: numbers and categories by quantity, or tuples over an index.

    **Raises:** `QueryError` naming the input that is not known.
    """
    values, program = _settled(law)
    environment = Environment(values, program.lets)
    try:
        bind(law, known, environment)
        for case in program.cases:
            if case.holds(environment):
                return Point(law, case.status, case.say, environment)
    except Undefined as error:
        return Point(law, "undefined", f"{law.id} has no value here: {error}", environment)
    return Point(law, "ok", None, environment)


def plain_point(law: Law, known: Mapping[str, Any]) -> Point | None:
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


def closed_form(law: Law, known: Mapping[str, Any]) -> dict[str, float] | None:
    """Return a decision's closed form at the law's best single values, or None where it has none or no value here."""
    if not law.optimum:
        return None
    values, program = _settled(law)
    environment = Environment(values, program.lets)
    try:
        bind(law, {**known, **dict.fromkeys(law.chosen, 1.0)}, environment)
        for name in law.chosen:
            del environment[name]
        found = {name: float(form(environment)) for name, form in program.optimum.items()}
    except (Undefined, KeyError):
        return None
    return found if all(math.isfinite(value) and value > 0 for value in found.values()) else None


def bind(law: Law, known: Mapping[str, Any], environment: Environment) -> None:
    """Put a law's inputs into its environment, last those that follow from the others.

    **Raises:** `QueryError` naming the input that is not known; `Undefined` where a stand-in has no value.
    """
    late: list[Input] = []
    for item in inputs(law):
        value = known.get(item.known)
        if value is not None:
            environment[item.name] = _bound(law, item, value)
        elif item.default is not None:
            environment[item.name] = (item.default,) * len(item.over) if item.over else item.default
        elif item.formula is not None:
            late.append(item)
        else:
            message = f"{law.id} needs {item.known}; give it"
            raise ConflictingQuery(message, field=item.known)
    for item in late:
        assert item.formula is not None
        value = item.formula(environment)
        environment[item.name] = (value,) * len(item.over) if item.over else value


def _bound(law: Law, item: Input, value: Any) -> Any:
    """Return a known value in the law's own arithmetic.

    **Raises:** `QueryError` where one value is known and the law needs a table of them.
    """
    if is_tuple(value) != (item.over != ()):
        message = f"{law.id} needs {item.known} for each of {', '.join(item.over)}; ask it with evaluate"
        raise ConflictingQuery(message, field=item.known)
    return exact_number(repr(value)) if law.exact and isinstance(value, float) else value


def read_given(law: Law, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `given` as a law's inputs: fractions for an exact law, tuples for an input over an index.

    **Raises:** `QueryError` naming the field at fault.
    """
    names = {item.known: item for item in inputs(law)} | {item.name: item for item in inputs(law)}
    found: dict[str, Any] = {}
    for name, value in given.items():
        item = names.get(name)
        if item is None:
            message = (
                f"'{name}' is not an input of {law.id}; it takes {', '.join(law.inputs)}{nearest(name, law.inputs)}"
            )
            raise ConflictingQuery(message, field=name)
        if item.over != () and is_table(value):
            if set(value) != set(item.over):
                message = f"{name} needs one value for each of {', '.join(item.over)}"
                raise ConflictingQuery(message, field=name)
            found[item.known] = tuple(_read(law, item, value[word]) for word in item.over)
        elif item.over or isinstance(value, Mapping):
            message = f"{name} is {'a table: give one value for each of ' + ', '.join(item.over) if item.over else 'one value, not a table'}"
            raise ConflictingQuery(message, field=name)
        else:
            found[item.known] = _read(law, item, value)
    return found


def _read(law: Law, item: Input, value: Any) -> Any:
    if law.exact and not item.categorical and isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            exact = exact_number(value if isinstance(value, str) else repr(value))
            value, check = exact, float(exact)
        except (ValueError, OverflowError):
            message = f"{item.name}={value!r:.60} is not a number or a fraction such as 1/2"
            raise QueryError(message, field=item.name) from None
    else:
        check = value
    problem = check_value(law.quantity(item.name), check)
    if problem:
        raise QueryError(problem, field=item.name)
    return float(value) if isinstance(value, int) else value
