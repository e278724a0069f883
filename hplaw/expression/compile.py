"""Tree -> function of an environment, for one backend and one entry of each open index.

A checked tree is written as one Python expression and compiled, as a function costs a call and a node should not.
Nothing of a law's text gets into it: operations are the backend's, names and words are quoted, numbers are read first.

Indices are unrolled when a formula is compiled: a function never loops over a symbolic index, so that all backends
run the same straight line of operations. An environment maps names to values; an indexed name maps to a tuple
(nested where it has several indices), a table to its entries. Operations on what is settled beforehand are carried out
when a formula is compiled.
"""

from __future__ import annotations

import contextlib
import functools as ft
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from hplaw.expression.backends import Backend, Undefined
from hplaw.expression.scope import Kind, Scope
from hplaw.expression.tree import Binary, Call, Item, Name, Node, Number, Reduce, Unary


Environment = Mapping[str, Any]
Function = Callable[[Environment], Any]

__all__ = ["Environment", "Function", "Undefined", "compile_expression"]


_SIGNS: Mapping[Callable[..., Any], str] = {
    operator.add: "+", operator.sub: "-", operator.mul: "*", operator.neg: "-", operator.not_: "not ",
    operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=", operator.eq: "==",
}  # fmt: skip
"""How Python writes the operations that need no call."""


def compile_expression(
    node: Node,
    scope: Scope,
    backend: Backend,
    at: Mapping[str, int] | None = None,
    settled: Mapping[str, Any] | None = None,
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
    writer = _Writer(scope, backend, settled or {}, {})
    return writer.function(writer.part(node, at or {}))


class _Part(msgspec.Struct, frozen=True):
    """A part of a formula.

    - `text`: Python that works it out from the environment `e`, in brackets where it has signs; a tree of the 64 levels
      that may be read is well within the 200 brackets that Python allows.
    - `settled`: whether it is the same in every environment, and then its `value`.
    """

    text: str
    settled: bool = False
    value: Any = None


class _Writer(msgspec.Struct, frozen=True):
    """Writes formulas of one scope in Python, for one backend; `names` has what the text refers to."""

    scope: Scope
    backend: Backend
    settled: Mapping[str, Any]
    names: dict[str, Any]

    def function(self, part: _Part) -> Function:
        """Return a part as a function of an environment."""
        return eval(f"lambda e: {part.text}", self.names)  # noqa: S307  our own text, see above

    def part(self, node: Node, at: Mapping[str, int]) -> _Part:
        """Return a tree written."""
        operators = self.backend.operators
        match node:
            case Number(text=text):
                return self._constant(self.backend.number(text))
            case Name():
                return self._name(node, at)
            case Item():
                return self._item(node, at)
            case Unary(operator=sign, x=x):
                return self._apply(operators["neg" if sign == "-" else sign], [self.part(x, at)])
            case Binary(operator="and" | "or" as word, left=left, right=right) if self.backend.lazy:
                parts = [self.part(left, at), self.part(right, at)]
                return _Part(f"({parts[0].text} {word} {parts[1].text})")
            case Binary(operator=sign, left=left, right=right):
                return self._apply(operators[sign], [self.part(left, at), self.part(right, at)])
            case Reduce(function=function, index=index, body=body):
                join = operators["+" if function == "sum" else "*"]
                terms = [
                    self.part(body, {**at, index: i}) for i in range(len(self.scope.indices[index]))
                ]
                return self._apply(lambda *values: ft.reduce(join, values), terms)
            case Call():
                return self._call(node, at)
            case _:
                raise AssertionError(node)

    def _constant(self, value: Any) -> _Part:
        plain = isinstance(value, str) or (isinstance(value, float) and math.isfinite(value))
        return _Part(f"({value!r})" if plain else self._bound(value), settled=True, value=value)

    def _bound(self, value: Any) -> str:
        """Return a name for a value that text cannot hold."""
        name = f"k{len(self.names)}"
        self.names[name] = value
        return name

    def _name(self, node: Name, at: Mapping[str, int]) -> _Part:
        name = node.name
        if name == "pi":
            return self._constant(math.pi)
        symbol = self.scope.symbols.get(name)
        if symbol is None:
            return self._constant(name)  # a category stands for itself
        if symbol.kind is Kind.INDEX:
            return self._constant(self.scope.indices[name][at[name]])
        places = [at[index] for index in symbol.indices]
        if name not in self.settled:
            return _Part(f"e[{name!r}]" + "".join(f"[{i}]" for i in places))
        value = self.settled[name]
        for i in places:
            value = value[i]
        return self._constant(value)

    def _item(self, node: Item, at: Mapping[str, int]) -> _Part:
        name, symbol = node.name, self.scope.symbols[node.name]
        keys = [self._name(key, at) for key in node.keys]
        entries = _Part(f"e[{name!r}]")
        if name in self.settled:
            entries = self._constant(self.settled[name])
        if not symbol.indices:
            assert symbol.kind is Kind.TABLE
            return self._apply(_looked_up(name), [entries, *keys])
        places = [
            {category: i for i, category in enumerate(self.scope.indices[index])}
            for index in symbol.indices
        ]
        return self._apply(_indexed(symbol.indices, places), [entries, *keys])

    def _call(self, node: Call, at: Mapping[str, int]) -> _Part:
        function, arguments = node.function, node.arguments
        if function == "interp":
            assert isinstance(arguments[1], Name)
            parts = [self.part(arguments[0], at), _Part(f"e[{arguments[1].name!r}]")]
            return self._apply(self.backend.functions["interp"], parts)
        parts = [self.part(argument, at) for argument in arguments]
        if function == "where" and self.backend.lazy:
            condition, yes, no = parts
            if condition.settled:
                return yes if condition.value else no
            return _Part(f"({yes.text} if {condition.text} else {no.text})")
        return self._apply(self.backend.functions[function], parts)

    def _apply(self, function: Callable[..., Any], parts: Sequence[_Part]) -> _Part:
        """Return an operation on parts; one on settled parts is carried out.

        Where it has no value, that is said only when it is asked for. Arrays are left alone: what is made of them
        while JAX traces must not be kept.
        """
        if self.backend.lazy and all(part.settled for part in parts):
            with contextlib.suppress(Undefined):
                return self._constant(function(*[part.value for part in parts]))
        sign, texts = _SIGNS.get(function), [part.text for part in parts]
        if sign is None:
            return _Part(f"{self._bound(function)}({', '.join(texts)})")
        return _Part(f"({sign.join(['', *texts][-2:])})")


def _looked_up(name: str) -> Callable[..., Any]:
    def look_up(entry: Any, *keys: str) -> Any:
        for word in keys:
            if word not in entry:
                message = f"the table {name} has no entry for {word}; it has {', '.join(entry)}"
                raise Undefined(message)
            entry = entry[word]
        return entry

    return look_up


def _indexed(indices: tuple[str, ...], places: Sequence[Mapping[str, int]]) -> Callable[..., Any]:
    def pick(value: Any, *keys: str) -> Any:
        for index, word, place in zip(indices, keys, places, strict=True):
            if word not in place:
                message = f"{index}={word} is not known to this law; it has {', '.join(place)}"
                raise Undefined(message)
            value = value[place[word]]
        return value

    return pick
