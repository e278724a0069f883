"""Search spaces as values: what may be chosen, apart from who chooses.

A space is a tree of nodes. Programs count it, list it, take its i-th point, place a point of the unit cube in it,
and rewrite it. A point is a mapping of names to values.

    Record({"width": choice(32, 64), "peak_lr": log_grid(1e-4, 1e-1, 7)})

A `Case` is a conditional sub-space: a value that brings fields of its own. The manner is that of PyGlove and
DeepArchitect: a search space is a program's datum, and search algorithms see nothing else.
"""

from __future__ import annotations

import itertools as it
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from hplaw.errors import QueryError


Point = dict[str, Any]


class Const(msgspec.Struct, frozen=True, tag=True):
    """One value, nothing to choose."""

    value: Any


class Choice(msgspec.Struct, frozen=True, tag=True):
    """One of several nodes."""

    options: tuple[Node, ...]


class Grid(msgspec.Struct, frozen=True, tag=True):
    """One of `points` numbers from `low` to `high`, both included, at equal distances or equal ratios."""

    low: float
    high: float
    points: int
    log: bool = False


class Range(msgspec.Struct, frozen=True, tag=True):
    """Any number between `low` and `high`, uniform in itself or in its logarithm; it cannot be listed."""

    low: float
    high: float
    log: bool = False


class Subset(msgspec.Struct, frozen=True, tag=True):
    """`size` of the options, as a tuple in their order."""

    size: int
    options: tuple[Any, ...]


class Permutation(msgspec.Struct, frozen=True, tag=True):
    """All options in any order, as a tuple."""

    options: tuple[Any, ...]


class Record(msgspec.Struct, frozen=True, tag=True):
    """All of several named nodes: a product."""

    fields: dict[str, Node]


class Case(msgspec.Struct, frozen=True, tag=True):
    """A conditional sub-space: a value, or none, that brings further fields."""

    value: Node | None
    fields: Record


Node = Const | Choice | Grid | Range | Subset | Permutation | Record | Case


# Short forms


def choice(*options: Any) -> Choice:
    """Return one of the options, which may be nodes.

    >>> count(Record({"a": choice(1, 2, 3), "b": subset(2, "wxyz"), "c": permutation(7, 8, 9)}))
    108
    """
    return Choice(tuple(as_node(option) for option in options))


def grid(low: float, high: float, points: int) -> Grid:
    """Return numbers at equal distances.

    >>> [p["x"] for p in enumerate_points(Record({"x": grid(0, 1, 3)}))]
    [0.0, 0.5, 1.0]
    """
    return _checked_grid(Grid(low, high, points))


def log_grid(low: float, high: float, points: int) -> Grid:
    """Return numbers at equal ratios.

    >>> [p["x"] for p in enumerate_points(Record({"x": log_grid(1, 100, 3)}))]
    [1.0, 10.0, 100.0]
    """
    return _checked_grid(Grid(low, high, points, log=True))


def subset(size: int, options: Sequence[Any]) -> Subset:
    """Return `size` of the options."""
    if not 0 <= size <= len(options):
        message = f"subset={size} of {len(options)} options; give a size from 0 to {len(options)}"
        raise QueryError(message, field="subset")
    return Subset(size, tuple(options))


def permutation(*options: Any) -> Permutation:
    """Return the options in any order."""
    return Permutation(tuple(options))


def case(value: Any = None, **fields: Any) -> Case:
    """Return a value that brings fields; without a value the fields alone.

    >>> space = Record({"optimizer": choice("sgd", case("adamw", beta2=choice(0.95, 0.99)))})
    >>> list(enumerate_points(space))[1:]
    [{'optimizer': 'adamw', 'beta2': 0.95}, {'optimizer': 'adamw', 'beta2': 0.99}]
    """
    named = {name: as_node(node) for name, node in fields.items()}
    return Case(None if value is None else as_node(value), Record(named))


def as_node(value: Any) -> Node:
    """Return a node as it is, and any other value as a constant."""
    return value if isinstance(value, Node) else Const(value)


def _checked_grid(node: Grid) -> Grid:
    if node.points < 1 or not (math.isfinite(node.low) and math.isfinite(node.high)):
        message = f"a grid of {node.points} points from {node.low:g} to {node.high:g}; give two finite ends and 1 point or more"
        raise QueryError(message, field="grid")
    if node.log and not 0 < node.low <= node.high:
        message = f"log_grid from {node.low:g} to {node.high:g}; give positive ends, the lesser first"
        raise QueryError(message, field="log_grid")
    return node


# Counting and listing


def count(node: Node) -> int | float:
    """Return how many points there are: a whole number, or infinity where a `Range` is among them."""
    match node:
        case Const():
            return 1
        case Choice(options):
            return sum(count(option) for option in options)
        case Grid(points=points):
            return points
        case Range():
            return math.inf
        case Subset(size, options):
            return math.comb(len(options), size)
        case Permutation(options):
            return math.factorial(len(options))
        case Record(fields):
            return math.prod(count(field) for field in fields.values())
        case Case(value, fields):
            return (1 if value is None else count(value)) * count(fields)


def take(space: Record, index: int) -> Point:
    """Return the point of that number, counted from zero; the last field changes fastest.

    **Raises:** `QueryError` for a number beyond the last, or a space that cannot be listed.
    """
    total = count(space)
    if total == math.inf:
        message = "the space has a range that cannot be listed; walk it by random or sobol, or give grids"
        raise QueryError(message, field="walker")
    if not 0 <= index < total:
        message = f"point {index} of {total}; count from 0"
        raise QueryError(message, field="index")
    return _take(space, index)[1]


def enumerate_points(space: Record) -> Iterator[Point]:
    """Yield all points in order."""
    total = count(space)
    return (take(space, index) for index in (range(int(total)) if total < math.inf else (0,)))


def _take(node: Node, index: int) -> tuple[Any, Point]:
    """Return what a node's choice of that number is: its value, and the fields it brings."""
    match node:
        case Const(value):
            return value, {}
        case Choice(options):
            for option in options:
                if index < (size := int(count(option))):
                    return _take(option, index)
                index -= size
            raise IndexError(index)
        case Grid():
            return _grid_value(node, index), {}
        case Subset(size, options):
            return next(it.islice(it.combinations(options, size), index, None)), {}
        case Permutation(options):
            return _permuted(options, index), {}
        case Record(fields):
            point: Point = {}
            for name, field in reversed(fields.items()):
                index, here = divmod(index, int(count(field)))
                point = {**_named(name, field, _take(field, here)), **point}
            return None, point
        case Case(value, fields):
            index, inner = divmod(index, int(count(fields)))
            own, brought = (None, {}) if value is None else _take(value, index)
            return own, {**brought, **_take(fields, inner)[1]}
        case Range():
            raise IndexError(index)


def _named(name: str, field: Node, found: tuple[Any, Point]) -> Point:
    value, brought = found
    nameless = value is None and (bool(brought) or isinstance(field, Record))
    return brought if nameless else {name: value, **brought}


def _grid_value(node: Grid, index: int) -> float:
    if index == 0 or node.points == 1:
        return float(node.low)
    if index == node.points - 1:
        return float(node.high)
    share = index / (node.points - 1)
    if node.log:
        # twelve digits, so that a decade is written as one
        return float(f"{node.low * (node.high / node.low) ** share:.12g}")
    return float(f"{node.low + (node.high - node.low) * share:.12g}")


def _permuted(options: tuple[Any, ...], index: int) -> tuple[Any, ...]:
    left, found = list(options), []
    for remaining in range(len(left), 0, -1):
        place, index = divmod(index, math.factorial(remaining - 1))
        found.append(left.pop(place))
    return tuple(found)


# Points of the unit cube


def dimensions(node: Node) -> int:
    """Return how many coordinates of the unit cube say which point; each branch has coordinates of its own."""
    match node:
        case Const():
            return 0
        case Choice(options):
            return (len(options) > 1) + sum(dimensions(option) for option in options)
        case Grid() | Range() | Subset() | Permutation():
            return 1
        case Record(fields):
            return sum(dimensions(field) for field in fields.values())
        case Case(value, fields):
            return (0 if value is None else dimensions(value)) + dimensions(fields)


def place(space: Record, coordinates: Sequence[float]) -> Point:
    """Return the point at coordinates in [0, 1), of which `dimensions(space)` are wanted.

    >>> place(Record({"x": log_grid(1, 100, 3), "y": choice("a", "b")}), [0.5, 0.9])
    {'x': 10.0, 'y': 'b'}
    """
    return _place(space, list(coordinates))[1]


def _place(node: Node, at: list[float]) -> tuple[Any, Point]:
    match node:
        case Const(value):
            return value, {}
        case Choice(options):
            number = _cell(at.pop(0), len(options)) if len(options) > 1 else 0
            start = sum(dimensions(option) for option in options[:number])
            return _place(options[number], at[start : start + dimensions(options[number])])
        case Grid() | Subset() | Permutation():
            return _take(node, _cell(at[0], int(count(node))))
        case Range(low, high, log):
            value = low * (high / low) ** at[0] if log else low + (high - low) * at[0]
            return float(value), {}
        case Record(fields):
            point: Point = {}
            for name, field in fields.items():
                size = dimensions(field)
                point |= _named(name, field, _place(field, at[:size]))
                at = at[size:]
            return None, point
        case Case(value, fields):
            size = 0 if value is None else dimensions(value)
            own, brought = (None, {}) if value is None else _place(value, at[:size])
            return own, {**brought, **_place(fields, at[size:])[1]}


def _cell(coordinate: float, cells: int) -> int:
    return min(int(coordinate * cells), cells - 1)


# Looking and rewriting


def nodes(node: Node, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Yield all nodes with the names that lead to them, a node before its parts."""
    yield path, node
    for name, part in _parts(node).items():
        yield from nodes(part, (*path, name))


def names_in(node: Node) -> set[str]:
    """Return the names that the cases and records of a node set.

    >>> sorted(names_in(choice(1, case(2, y=3, z=case(4, w=5)))))
    ['w', 'y', 'z']
    """
    found: set[str] = set()
    for _, part in nodes(node):
        match part:
            case Record(fields) | Case(fields=Record(fields)):
                found |= set(fields)
            case _:
                pass
    return found


def rewrite(node: Node, rule: Callable[[tuple[str, ...], Node], Node], path: tuple[str, ...] = ()) -> Node:
    """Return the space with each node as `rule(path, node)` gives it, parts first.

    >>> finer = lambda path, n: msgspec.structs.replace(n, points=5) if isinstance(n, Grid) else n
    >>> count(rewrite(Record({"x": grid(0, 1, 3)}), finer))
    5
    """
    parts = {name: rewrite(part, rule, (*path, name)) for name, part in _parts(node).items()}
    match node:
        case Choice():
            node = Choice(tuple(parts.values()))
        case Record():
            node = Record(parts)
        case Case(value):
            own = None if value is None else parts.pop("=")
            node = Case(own, Record(parts))
        case _:
            pass
    return rule(path, node)


def replace(space: Record, nodes: Mapping[str, Any]) -> Record:
    """Return the space with some fields put in place of those of the same name, or added."""
    return Record({**space.fields, **{name: as_node(node) for name, node in nodes.items()}})


def _parts(node: Node) -> dict[str, Node]:
    match node:
        case Choice(options):
            return {str(number): option for number, option in enumerate(options)}
        case Record(fields):
            return dict(fields)
        case Case(value, fields):
            return {**({} if value is None else {"=": value}), **fields.fields}
        case _:
            return {}
