"""A law compiled for one backend: its formulas as functions, and environments in which lets are computed when asked for."""

from __future__ import annotations

import itertools as it
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hplaw.expression.backends import Backend
from hplaw.expression.compile import Function, compile_expression
from hplaw.law.scope import Formula, Namespace


class Environment(dict[str, Any]):
    """Values by name; a let is evaluated at its first use and kept."""

    __slots__ = ("lets",)

    def __init__(self, values: Mapping[str, object], lets: Mapping[str, Function]) -> None:
        super().__init__(values)
        self.lets = lets

    def __missing__(self, name: str) -> Any:
        value = self[name] = self.lets[name](self)
        return value


class Case(msgspec.Struct, frozen=True):
    """A compiled case: where it holds, its status, and what to say."""

    holds: Function
    status: str
    say: str


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A law's formulas as functions of an environment.

    An output over an index is a function that gives a tuple, one value per category.
    """

    backend: Backend
    lets: Mapping[str, Function]
    outputs: Mapping[str, Function]
    optimum: Mapping[str, Function]
    cases: tuple[Case, ...]
    constants: Mapping[str, Any]

    def environment(self, values: Mapping[str, object]) -> Environment:
        """Return an environment with the law's constants and tables, and `values` over them."""
        environment = Environment(self.constants, self.lets)
        environment.update(values)
        return environment


class Meaning(msgspec.Struct, frozen=True):
    """What the formulas of a law give, checked.

    - `namespace`: its names.
    - `outputs`: formulas by quantity, with the index they go over.
    - `optimum`: closed forms of the decision, by quantity.
    - `cases`: condition, status and words.
    """

    namespace: Namespace
    outputs: Mapping[str, tuple[Formula, str | None]]
    optimum: Mapping[str, Formula]
    cases: tuple[tuple[Formula, str, str], ...]


def compile_program(
    law: Meaning, backend: Backend, *, constants: Mapping[str, object], settled: Mapping[str, object] | None = None
) -> Program:
    """Return the formulas of a law compiled for a backend.

    **Arguments:**

    - `settled`: values that names have in every environment.
    """

    def function(formula: Formula, free: tuple[str, ...] | None = None) -> Function:
        open_in = formula.free if free is None else free
        return unroll(law.namespace, formula, backend, open_in, settled)

    return Program(
        backend=backend,
        lets={name: function(let) for name, let in law.namespace.lets.items()},
        outputs={name: function(formula, (over,) if over else ()) for name, (formula, over) in law.outputs.items()},
        optimum={name: function(formula) for name, formula in law.optimum.items()},
        cases=tuple(Case(function(formula), status, say) for formula, status, say in law.cases),
        constants=constants,
    )


def unroll(
    namespace: Namespace,
    formula: Formula,
    backend: Backend,
    free: tuple[str, ...],
    settled: Mapping[str, object] | None = None,
) -> Function:
    """Return the function of a formula: one value, or nested tuples over the indices it is free in."""
    scope = namespace.scope
    free = tuple(index for index in free if index not in scope.steps)
    sizes = [range(len(scope.indices[index])) for index in free]
    entries = {
        place: compile_expression(formula.tree, scope, backend, dict(zip(free, place, strict=True)), settled)
        for place in it.product(*sizes)
    }
    if not free:
        return entries[()]
    return _nest(entries, sizes, ())


def _nest(entries: Mapping[tuple[int, ...], Function], sizes: list[range], place: tuple[int, ...]) -> Function:
    if len(place) == len(sizes):
        return entries[place]
    parts = [_nest(entries, sizes, (*place, i)) for i in sizes[len(place)]]
    return _gather(parts)


def _gather(parts: list[Callable[[Any], Any]]) -> Function:
    return lambda e: tuple([part(e) for part in parts])
