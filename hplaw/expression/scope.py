"""What names mean in a law: a scope of symbols, and the type and free indices of a formula in it.

A formula is a number, a truth value or a category. It is free in an index when it uses an indexed name without
saying which entry; `sum` and `prod` close an index, an output with `over` gives one value per category.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NoReturn

import msgspec

from hplaw.errors import LawError, nearest
from hplaw.expression.functions import CONSTANTS, STEPWISE
from hplaw.expression.tree import Binary, Call, Item, Name, Node, Number, Reduce, Unary


class Type(enum.Enum):
    """What a formula gives."""

    NUMBER = "a number"
    TRUTH = "a condition"
    CATEGORY = "a category"


class Kind(enum.Enum):
    """What a name is."""

    INPUT = "input"
    PARAMETER = "parameter"
    CONSTANT = "constant"
    EFFECT = "effect"
    INDEX = "index"
    TABLE = "table"
    CURVE = "table by number"
    LET = "let"


class Symbol(msgspec.Struct, frozen=True):
    """One name of a law: its kind, its type, the indices it is free in, and a table's number of keys."""

    kind: Kind
    type: Type = Type.NUMBER
    indices: tuple[str, ...] = ()
    keys: int = 0


class Scope(msgspec.Struct, frozen=True):
    """The flat namespace of a law: symbols by name, the categories of each index, and all category names.

    `steps` are the indices over the steps of a schedule: they have no categories, their length comes with the question.
    """

    symbols: Mapping[str, Symbol]
    indices: Mapping[str, tuple[str, ...]]
    categories: frozenset[str]
    steps: frozenset[str] = frozenset()

    def with_symbol(self, name: str, symbol: Symbol) -> Scope:
        """Return the scope with one more name."""
        return Scope({**self.symbols, name: symbol}, self.indices, self.categories, self.steps)


def infer(node: Node, scope: Scope) -> tuple[Type, frozenset[str]]:
    """Return the type of a formula and the indices it is free in.

    **Raises:** `LawError` with the column: unknown names, a number where a condition is needed, a key that no table has.
    """
    match node:
        case Number():
            return Type.NUMBER, frozenset()
        case Name():
            return _infer_name(node, scope)
        case Item():
            return _infer_item(node, scope)
        case Unary(operator=operator, x=x):
            need = Type.TRUTH if operator == "not" else Type.NUMBER
            return need, _need(x, need, scope, f"'{operator}'")
        case Binary(operator=operator, left=left, right=right):
            return _infer_binary(node, operator, left, right, scope)
        case Reduce(index=index, body=body):
            if index not in scope.indices:
                _fail(node, f"'{index}' is not an index of this law{nearest(index, scope.indices)}")
            return Type.NUMBER, _infer_reduce(node, index, _need(body, Type.NUMBER, scope, node.function), scope)
        case Call():
            return _infer_call(node, scope)
        case _:
            raise AssertionError(node)


def _fail(node: Node, problem: str) -> NoReturn:
    message = f"column {node.column}: {problem}"
    raise LawError(message)


def _need(node: Node, need: Type, scope: Scope, whose: str) -> frozenset[str]:
    found, free = infer(node, scope)
    if found is not need:
        _fail(node, f"{whose} needs {need.value} here, not {found.value}")
    return free


def _infer_reduce(node: Reduce, index: str, free: frozenset[str], scope: Scope) -> frozenset[str]:
    """Return what indices a sum leaves open; over the steps of a schedule, whose number is not known here, it has rules of its own."""
    steps = index in scope.steps
    if node.function in STEPWISE and not steps:
        _fail(node, f"{node.function} goes over the steps of a schedule, and '{index}' has entries by name; use sum")
    if steps and node.function == "prod":
        _fail(node, f"there is no product over the steps '{index}'; use exp(sum({index}, log(x)))")
    if steps and index not in free:
        _fail(node, f"{node.function} needs something that differs from step to step, by an input over '{index}'")
    return free if node.function in STEPWISE else free - {index}


def _infer_name(node: Name, scope: Scope) -> tuple[Type, frozenset[str]]:
    if node.name in CONSTANTS:
        return Type.NUMBER, frozenset()
    symbol = scope.symbols.get(node.name)
    if symbol is None:
        if node.name in scope.categories:
            return Type.CATEGORY, frozenset()
        _fail(node, f"'{node.name}' is not a name of this law{nearest(node.name, scope.symbols)}")
    if symbol.kind in (Kind.TABLE, Kind.CURVE) and not symbol.indices:
        how = f"{node.name}[key]" if symbol.kind is Kind.TABLE else f"interp(x, {node.name})"
        _fail(node, f"'{node.name}' is a table; write {how}")
    return symbol.type, frozenset(symbol.indices)


def _infer_item(node: Item, scope: Scope) -> tuple[Type, frozenset[str]]:
    symbol = scope.symbols.get(node.name)
    if symbol is None or symbol.kind is Kind.INDEX or not (symbol.indices or symbol.keys):
        _fail(node, f"'{node.name}' has no entries to pick from{nearest(node.name, scope.symbols)}")
    wanted = len(symbol.indices) or symbol.keys
    if len(node.keys) != wanted:
        _fail(node, f"'{node.name}' takes {wanted} keys, {len(node.keys)} given")
    free: frozenset[str] = frozenset()
    for position, key in enumerate(node.keys):
        of = symbol.indices[position] if symbol.indices else None
        if key.name in scope.symbols:
            kind, more = infer(key, scope)
            if kind is not Type.CATEGORY:
                _fail(key, f"'{key.name}' is {kind.value}; a key is a category")
            if of is not None and key.name in scope.indices and key.name != of:
                _fail(key, f"'{node.name}' goes over '{of}', not over '{key.name}'")
            free |= more
        elif of is not None and key.name not in scope.indices[of]:
            _fail(key, f"'{of}' has no '{key.name}'{nearest(key.name, scope.indices[of])}")
        elif of is None and key.name not in scope.categories:
            _fail(key, f"'{node.name}' has no entry '{key.name}'{nearest(key.name, scope.categories)}")
    return symbol.type, free


def _infer_binary(node: Binary, operator: str, left: Node, right: Node, scope: Scope) -> tuple[Type, frozenset[str]]:
    whose = f"'{operator}'"
    if operator in ("and", "or"):
        return Type.TRUTH, _need(left, Type.TRUTH, scope, whose) | _need(right, Type.TRUTH, scope, whose)
    if operator == "==":
        (a, free_a), (b, free_b) = infer(left, scope), infer(right, scope)
        if a is not b or a is Type.TRUTH:
            _fail(node, f"'==' compares two numbers or two categories, not {a.value} with {b.value}")
        return Type.TRUTH, free_a | free_b
    free = _need(left, Type.NUMBER, scope, whose) | _need(right, Type.NUMBER, scope, whose)
    return (Type.TRUTH if operator in ("<", "<=", ">", ">=") else Type.NUMBER), free


def _infer_call(node: Call, scope: Scope) -> tuple[Type, frozenset[str]]:
    arguments = node.arguments
    if node.function == "where":
        free = _need(arguments[0], Type.TRUTH, scope, "where")
        (a, free_a), (b, free_b) = infer(arguments[1], scope), infer(arguments[2], scope)
        if a is not b:
            _fail(node, f"both branches of where must be of one kind, not {a.value} and {b.value}")
        return a, free | free_a | free_b
    if node.function == "interp":
        table = arguments[1]
        symbol = scope.symbols.get(table.name) if isinstance(table, Name) else None
        if symbol is None or symbol.kind is not Kind.CURVE:
            _fail(table, "interp needs the name of a table with x and y as its second argument")
        return Type.NUMBER, _need(arguments[0], Type.NUMBER, scope, "interp")
    free = frozenset[str]()
    for argument in arguments:
        free |= _need(argument, Type.NUMBER, scope, node.function)
    return Type.NUMBER, free
