"""Tree -> function of an environment, for one backend and one entry of each open index.

Indices are unrolled when a formula is compiled: a function never loops over a symbolic index, so that all backends
run the same straight line of operations; the steps of a schedule alone are an array, summed as such. An environment maps names to values; an indexed name maps to a tuple
(nested where it has several indices), a table to its entries. Operations on what is settled beforehand are carried out
when a formula is compiled, and operations on names or constants take them without a call: half of all are such.
"""

from __future__ import annotations

import contextlib
import functools as ft
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from hplaw.errors import nearest
from hplaw.expression.backends import Backend, Undefined
from hplaw.expression.scope import Kind, Scope
from hplaw.expression.tree import Binary, Call, Item, Name, Node, Number, Reduce, Unary


Environment = Mapping[str, Any]
Function = Callable[[Environment], Any]

__all__ = ["Environment", "Function", "Undefined", "compile_expression"]

_LONGEST_NAME = 80
"""Letters of a name that is lacking by which the nearest is sought, and which are remembered."""

_MOST_LISTED = 12
"""Names of a table that are said where another was asked for."""


def compile_expression(
    node: Node,
    scope: Scope,
    backend: Backend,
    at: Mapping[str, int] | None = None,
    settled: Mapping[str, object] | None = None,
) -> Function:
    """Return the function that evaluates a checked tree.

    **Arguments:**

    - `node`: a tree that `infer` accepted in `scope`.
    - `at`: position by index, for the indices the tree is free in.
    - `settled`: values that names have in every environment, for floats and rationals.

    **Returns:** a function of an environment; on floats it raises `Undefined` where the formula has no value.

    >>> from hplaw.expression import Scope, Symbol, Kind, parse
    >>> from hplaw.expression.backends import FLOATS
    >>> scope = Scope({"x": Symbol(Kind.INPUT)}, {}, frozenset())
    >>> compile_expression(parse("2 * x ** 2"), scope, FLOATS)({"x": 3.0})
    18.0
    """
    return _Compiler(scope, backend, settled or {}).part(node, at or {}).function


class _Constant(msgspec.Struct, frozen=True):
    """A value known before any environment."""

    value: Any

    @property
    def function(self) -> Function:
        value = self.value
        return lambda e: value


class _Entry(msgspec.Struct, frozen=True):
    """A value taken from the environment as it is."""

    name: str

    @property
    def function(self) -> Function:
        name = self.name
        return lambda e: e[name]


class _Computed(msgspec.Struct, frozen=True):
    """A value computed from the environment."""

    function: Function


_Part = _Constant | _Entry | _Computed


class _Compiler(msgspec.Struct, frozen=True):
    """The parts of formulas of one scope, for one backend."""

    scope: Scope
    backend: Backend
    settled: Mapping[str, Any]

    def part(self, node: Node, at: Mapping[str, int]) -> _Part:
        """Return a tree compiled."""
        operators = self.backend.operators
        match node:
            case Number(text=text):
                return _Constant(self.backend.number(text))
            case Name():
                return self._name(node, at)
            case Item():
                return self._item(node, at)
            case Unary(operator=operator, x=x):
                return self._apply(operators["neg" if operator == "-" else operator], [self.part(x, at)])
            case Binary(operator="and" | "or" as operator, left=left, right=right) if self.backend.lazy:
                f, g = self.part(left, at).function, self.part(right, at).function
                truth = self.backend.truth
                if operator == "and":
                    return _Computed(lambda e: truth(f(e)) and g(e))
                return _Computed(lambda e: truth(f(e)) or g(e))
            case Binary(operator=operator, left=left, right=right):
                return self._apply(operators[operator], [self.part(left, at), self.part(right, at)])
            case Reduce(function=function, index=index, body=body) if index in self.scope.steps:
                return self._apply(self.backend.functions[f"{function} over steps"], [self.part(body, at)])
            case Reduce(function=function, index=index, body=body):
                terms = [self.part(body, {**at, index: i}) for i in range(len(self.scope.indices[index]))]
                return self._reduce(operators["+" if function == "sum" else "*"], terms)
            case Call():
                return self._call(node, at)
            case _:
                raise AssertionError(node)

    def _name(self, node: Name, at: Mapping[str, int]) -> _Part:
        name = node.name
        if name == "pi":
            return _Constant(math.pi)
        symbol = self.scope.symbols.get(name)
        if symbol is None:
            return _Constant(name)  # a category denotes itself
        if symbol.kind is Kind.INDEX:
            return _Constant(self.scope.indices[name][at[name]])
        listed = [index for index in symbol.indices if index not in self.scope.steps]
        if not listed:
            return _Constant(self.settled[name]) if name in self.settled else _Entry(name)
        pick = _picker(name, tuple(at[index] for index in listed))
        return _Constant(pick(self.settled)) if name in self.settled else _Computed(pick)

    def _item(self, node: Item, at: Mapping[str, int]) -> _Part:
        name, symbol = node.name, self.scope.symbols[node.name]
        parts = [self._name(key, at) for key in node.keys]
        keys = [part.function for part in parts]
        entry: Callable[[str, Any, Sequence[str]], Any] = _looked_up
        if symbol.indices:
            places = [{category: i for i, category in enumerate(self.scope.indices[index])} for index in symbol.indices]
            entry = ft.partial(_indexed, symbol.indices, places)
        else:
            assert symbol.kind is Kind.TABLE
        choose = self.backend.choose

        def found(e: Environment) -> Any:
            value, words = e[name], [key(e) for key in keys]
            if choose is None:
                return entry(name, value, words)
            return _by_row(ft.partial(entry, name, value), words, choose)

        return self._whole(found, parts) if name in self.settled else _Computed(found)

    def _call(self, node: Call, at: Mapping[str, int]) -> _Part:
        function, arguments = node.function, node.arguments
        if function == "interp":
            assert isinstance(arguments[1], Name)
            x, curve = self.part(arguments[0], at).function, arguments[1].name
            interp = self.backend.functions["interp"]
            return _Computed(lambda e: interp(x(e), e[curve]))
        parts = [self.part(argument, at) for argument in arguments]
        if function == "where" and self.backend.lazy:
            if isinstance(parts[0], _Constant):
                return parts[1] if parts[0].value else parts[2]
            condition, yes, no = (part.function for part in parts)
            truth = self.backend.truth
            return _Computed(lambda e: yes(e) if truth(condition(e)) else no(e))
        return self._apply(self.backend.functions[function], parts)

    def _apply(self, operator: Callable[..., Any], parts: Sequence[_Part]) -> _Part:
        """Return an operation on parts."""
        match parts:
            case [_Entry(name=a)]:
                return _Computed(lambda e: operator(e[a]))
            case [_Computed(function=f)]:
                return _Computed(lambda e: operator(f(e)))
            case [_Constant(value=a), _Entry(name=b)]:
                return _Computed(lambda e: operator(a, e[b]))
            case [_Constant(value=a), _Computed(function=g)]:
                return _Computed(lambda e: operator(a, g(e)))
            case [_Entry(name=a), _Constant(value=b)]:
                return _Computed(lambda e: operator(e[a], b))
            case [_Entry(name=a), _Entry(name=b)]:
                return _Computed(lambda e: operator(e[a], e[b]))
            case [_Entry(name=a), _Computed(function=g)]:
                return _Computed(lambda e: operator(e[a], g(e)))
            case [_Computed(function=f), _Constant(value=b)]:
                return _Computed(lambda e: operator(f(e), b))
            case [_Computed(function=f), _Entry(name=b)]:
                return _Computed(lambda e: operator(f(e), e[b]))
            case [_Computed(function=f), _Computed(function=g)]:
                return _Computed(lambda e: operator(f(e), g(e)))
            case _:
                functions = [part.function for part in parts]
                return self._whole(lambda e: operator(*[f(e) for f in functions]), parts)

    def _reduce(self, operator: Callable[[Any, Any], Any], terms: Sequence[_Part]) -> _Part:
        first, *rest = (term.function for term in terms)

        def reduce(e: Environment) -> Any:
            total = first(e)
            for term in rest:
                total = operator(total, term(e))
            return total

        return self._whole(reduce, terms)

    def _whole(self, function: Function, parts: Sequence[_Part]) -> _Part:
        """Return a value that is the same everywhere as such; where it has none, that is said only when it is asked for.

        Arrays are left alone: what is made of them while JAX traces must not be kept.
        """
        if self.backend.lazy and all(isinstance(part, _Constant) for part in parts):
            with contextlib.suppress(Undefined):
                return _Constant(function(self.settled))
        return _Computed(function)


def _picker(name: str, path: tuple[int, ...]) -> Function:
    if len(path) == 1:
        (i,) = path
        return lambda e: e[name][i]

    def entry(e: Environment) -> Any:
        value = e[name]
        for i in path:
            value = value[i]
        return value

    return entry


def _looked_up(name: str, value: Any, words: Sequence[str]) -> Any:
    """Return the entry of a table at words."""
    for word in words:
        if word not in value:
            message = f"the table {name} has no entry for {word}{_instead(str(word), tuple(value))}"
            raise Undefined(message)
        value = value[word]
    return value


def _indexed(
    indices: tuple[str, ...], places: list[dict[str, int]], name: str, value: Any, words: Sequence[str]
) -> Any:
    """Return the entry of something indexed at words."""
    for index, word, place in zip(indices, words, places, strict=True):
        if word not in place:
            message = f"{index}={word} is not known to this law{_instead(str(word), tuple(place))}"
            raise Undefined(message)
        value = value[place[word]]
    return value


def _by_row(find: Callable[[Sequence[str]], Any], words: Sequence[Any], choose: Callable[[Any, Any], Any]) -> Any:
    """Return what is found at words of which some are columns: for each word of a column, chosen by row."""
    for i, word in enumerate(words):
        if isinstance(word, float | int):
            message = f"{word:g} is a number, and only a category picks an entry of a table"
            raise Undefined(message)
        if not isinstance(word, str):
            each = {one: [*words[:i], one, *words[i + 1 :]] for one in dict.fromkeys(word.tolist())}
            return choose(word, {one: _by_row(find, keys, choose) for one, keys in each.items()})
    return find(words)


def _instead(word: str, names: tuple[str, ...]) -> str:
    """Return what a table has in place of a name that it lacks: all, or the nearest and the first of many."""
    return _offered(word[:_LONGEST_NAME], names)


@ft.lru_cache(maxsize=256)
def _offered(word: str, names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_LISTED
    if more <= 0:
        return f"; it has {', '.join(names)}"
    return f"{nearest(word, names)}; it has {', '.join(names[:_MOST_LISTED])} and {more} more"
