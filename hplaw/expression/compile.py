"""Tree -> function of an environment, for one backend and one entry of each open index.

Indices are unrolled when a formula is compiled: a function never loops over a symbolic index, so that all backends
run the same straight line of operations. An environment maps names to values; an indexed name maps to a tuple
(nested where it has several indices), a table to its entries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from hplaw.expression.backends import Backend, Undefined
from hplaw.expression.scope import Kind, Scope
from hplaw.expression.tree import Binary, Call, Item, Name, Node, Number, Reduce, Unary


Environment = Mapping[str, Any]
Function = Callable[[Environment], Any]

__all__ = ["Environment", "Function", "Undefined", "compile_expression"]


def compile_expression(
    node: Node, scope: Scope, backend: Backend, at: Mapping[str, int] | None = None
) -> Function:
    """Return the function that evaluates a checked tree.

    **Arguments:**

    - `node`: a tree that `infer` accepted in `scope`.
    - `at`: position by index, for the indices the tree is free in.

    **Returns:** a function of an environment; on floats it raises `Undefined` where the formula has no value.

    >>> from hplaw.expression import Scope, Symbol, Kind, parse
    >>> from hplaw.expression.backends import FLOATS
    >>> scope = Scope({"x": Symbol(Kind.INPUT)}, {}, frozenset())
    >>> compile_expression(parse("2 * x ** 2"), scope, FLOATS)({"x": 3.0})
    18.0
    """
    return _compile(node, scope, backend, at or {})


def _compile(node: Node, scope: Scope, backend: Backend, at: Mapping[str, int]) -> Function:
    match node:
        case Number(text=text):
            return _constant(backend.number(text))
        case Name():
            return _name(node, scope, at)
        case Item():
            return _item(node, scope, backend, at)
        case Unary(operator=operator, x=x):
            return _unary(
                backend.operators["neg" if operator == "-" else operator],
                _compile(x, scope, backend, at),
            )
        case Binary(operator=operator, left=left, right=right):
            f, g = _compile(left, scope, backend, at), _compile(right, scope, backend, at)
            if operator in ("and", "or") and backend.lazy:
                return (lambda e: f(e) and g(e)) if operator == "and" else (lambda e: f(e) or g(e))
            plain = _binary(backend.operators[operator], f, g)
            return _short_binary(node, scope, backend, f, g) or plain
        case Reduce(function=function, index=index, body=body):
            terms = [
                _compile(body, scope, backend, {**at, index: i})
                for i in range(len(scope.indices[index]))
            ]
            return _reduce(backend.operators["+" if function == "sum" else "*"], terms)
        case Call():
            return _call(node, scope, backend, at)
        case _:
            raise AssertionError(node)


def _constant(value: Any) -> Function:
    return lambda e: value


def _unary(operator: Callable[[Any], Any], f: Function) -> Function:
    return lambda e: operator(f(e))


def _binary(operator: Callable[[Any, Any], Any], f: Function, g: Function) -> Function:
    return lambda e: operator(f(e), g(e))


def _short_binary(
    node: Binary, scope: Scope, backend: Backend, f: Function, g: Function
) -> Function | None:
    """Return an operation on names or numbers without the calls that would only fetch them: half of all are such."""
    operator = backend.operators[node.operator]
    a, b = _plain_name(node.left, scope), _plain_name(node.right, scope)
    if a and b:
        return lambda e: operator(e[a], e[b])
    if a:
        if isinstance(node.right, Number):
            number = backend.number(node.right.text)
            return lambda e: operator(e[a], number)
        return lambda e: operator(e[a], g(e))
    if b:
        if isinstance(node.left, Number):
            number = backend.number(node.left.text)
            return lambda e: operator(number, e[b])
        return lambda e: operator(f(e), e[b])
    return None


def _plain_name(node: Node, scope: Scope) -> str | None:
    """Return the name of a node that is one value in the environment, or None."""
    symbol = scope.symbols.get(node.name) if isinstance(node, Name) else None
    if symbol is None or symbol.indices or symbol.kind is Kind.INDEX:
        return None
    return node.name if isinstance(node, Name) else None


def _reduce(operator: Callable[[Any, Any], Any], terms: list[Function]) -> Function:
    def reduce(e: Environment) -> Any:
        total = terms[0](e)
        for term in terms[1:]:
            total = operator(total, term(e))
        return total

    return reduce


def _name(node: Name, scope: Scope, at: Mapping[str, int]) -> Function:
    name = node.name
    if name == "pi":
        return _constant(math.pi)
    symbol = scope.symbols.get(name)
    if symbol is None:
        return _constant(name)  # a category stands for itself
    if symbol.kind is Kind.INDEX:
        return _constant(scope.indices[name][at[name]])
    if not symbol.indices:
        return lambda e: e[name]
    return _entry(name, tuple(at[index] for index in symbol.indices))


def _entry(name: str, path: tuple[int, ...]) -> Function:
    if len(path) == 1:
        (i,) = path
        return lambda e: e[name][i]

    def entry(e: Environment) -> Any:
        value = e[name]
        for i in path:
            value = value[i]
        return value

    return entry


def _item(node: Item, scope: Scope, backend: Backend, at: Mapping[str, int]) -> Function:
    name, symbol = node.name, scope.symbols[node.name]
    keys = [_name(key, scope, at) for key in node.keys]
    if symbol.indices:
        places = [
            {category: i for i, category in enumerate(scope.indices[index])}
            for index in symbol.indices
        ]
        return _indexed(name, symbol.indices, keys, places)
    assert symbol.kind is Kind.TABLE

    def look_up(e: Environment) -> Any:
        entry = e[name]
        for key in keys:
            word = key(e)
            if word not in entry:
                message = f"the table {name} has no entry for {word}; it has {', '.join(entry)}"
                raise Undefined(message)
            entry = entry[word]
        return entry

    return look_up


def _indexed(
    name: str, indices: tuple[str, ...], keys: list[Function], places: list[dict[str, int]]
) -> Function:
    def pick(e: Environment) -> Any:
        value = e[name]
        for index, key, place in zip(indices, keys, places, strict=True):
            word = key(e)
            if word not in place:
                message = f"{index}={word} is not known to this law; it has {', '.join(place)}"
                raise Undefined(message)
            value = value[place[word]]
        return value

    return pick


def _call(node: Call, scope: Scope, backend: Backend, at: Mapping[str, int]) -> Function:
    if node.function == "interp":
        assert isinstance(node.arguments[1], Name)
        x, curve, interp = (
            _compile(node.arguments[0], scope, backend, at),
            node.arguments[1].name,
            backend.functions["interp"],
        )
        return lambda e: interp(x(e), e[curve])
    parts = [_compile(argument, scope, backend, at) for argument in node.arguments]
    if node.function == "where" and backend.lazy:
        condition, yes, no = parts
        return lambda e: yes(e) if condition(e) else no(e)
    function = backend.functions[node.function]
    if len(parts) == 1:
        return _unary(function, parts[0])
    if len(parts) == 2:
        return _binary(function, parts[0], parts[1])
    return lambda e: function(*[part(e) for part in parts])
