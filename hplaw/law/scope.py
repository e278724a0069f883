"""From a law's tables to its scope: the flat namespace, the order of lets, and everything that can be checked unread."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from hplaw.errors import LawError, nearest, refuse
from hplaw.expression import Kind, Scope, Symbol, Type, infer, names_in, parse
from hplaw.expression.backends import Curve
from hplaw.expression.functions import RESERVED
from hplaw.expression.tree import Node, Number, Reduce, walk
from hplaw.law.format import InputSpec, LawSpec
from hplaw.narrowing import is_list, is_table
from hplaw.vocabulary.quantities import Quantity, read_quantity, vocabulary


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
MAX_INDEX = 64
"""Entries that an index may have."""
MAX_NAMES = 1_000
"""Names that a law may define."""
GRID_NAMES = ("most_likely", "probability")
"""What the outputs of a map may use beside its inputs."""
MAX_WORK = 20_000
"""Operations that one formula of a law may take, sums unrolled."""
MAX_NESTING = 256
"""Levels that a formula may nest through all the lets it uses."""


class Formula(msgspec.Struct, frozen=True):
    """A checked formula: its text, tree, type, and the indices it is free in, in the law's order."""

    text: str
    tree: Node
    type: Type
    free: tuple[str, ...]


class Namespace(msgspec.Struct, frozen=True):
    """What the names of a law mean."""

    scope: Scope
    quantities: Mapping[str, Quantity]
    tables: Mapping[str, Any]
    lets: Mapping[str, Formula]
    work: Mapping[str, tuple[int, int]] = {}
    """Operations and levels of nesting by let."""

    def formula(self, text: str, *, table: str, key: str, extra: Mapping[str, Symbol] | None = None) -> Formula:
        """Return a checked formula of this law.

        **Raises:** `LawError` naming table and key.
        """
        scope = self.scope
        for name, symbol in (extra or {}).items():
            scope = scope.with_symbol(name, symbol)
        try:
            tree = parse(text)
            kind, free = infer(tree, scope)
        except LawError as error:
            raise error.within(table=table, key=key) from None
        return Formula(text, tree, kind, tuple(index for index in scope.indices if index in free))


def build_namespace(spec: LawSpec) -> Namespace:
    """Return the namespace of a law file.

    **Raises:** `LawError` for clashes, unknown quantities, cyclic or too deep lets, tables of no known form.
    """
    quantities = quantities_of(spec)
    indices = {name: _categories(name, size) for name, size in spec.index.items()}
    steps = frozenset(name for name, size in spec.index.items() if size == STEPS)
    tables = {name: read_table(name, table, indices) for name, table in spec.tables.items()}
    symbols = _Symbols()
    for item in spec.input_specs():
        quantity = quantities.get(item.quantity)
        if quantity is None:
            message = f"'{item.quantity}' is not a quantity{nearest(item.quantity, quantities)}; declare it in [quantities] if it is your own"
            refuse(message, key="inputs")
        _known_index(item.over, indices, "inputs", item.quantity)
        _check_over_steps(item, steps)
        kind = Type.CATEGORY if quantity.categorical else Type.NUMBER
        symbols.add("inputs", item.quantity, Symbol(Kind.INPUT, kind, (item.over,) if item.over else ()))
    for name, parameter in spec.parameters.items():
        _known_index(parameter.over, indices, "parameters", name)
        if parameter.over in steps:
            refuse("a parameter has no value for each step; use one value", table="parameters", key=name)
        symbols.add(
            "parameters", name, Symbol(Kind.PARAMETER, Type.NUMBER, (parameter.over,) if parameter.over else ())
        )
    for name in spec.constants:
        symbols.add("constants", name, Symbol(Kind.CONSTANT))
    inputs = {item.quantity for item in spec.input_specs()}
    for name in indices:
        if name not in inputs and name not in steps:  # an index that is an input too is the category at hand
            symbols.add("index", name, index_symbol(name))
    for name, table in tables.items():
        symbols.add("tables", name, _table_symbol(spec.tables[name], table))
    for effect in spec.effects.values():
        for name in effect.of:
            symbols.add("effects", name, Symbol(Kind.EFFECT))
    if spec.grid:
        symbols.add("grid", "most_likely", Symbol(Kind.CONSTANT, Type.CATEGORY))
        symbols.add("grid", "probability", Symbol(Kind.TABLE, Type.NUMBER, (), 1))
    for name in spec.let:
        symbols.check("let", name)
    words = frozenset(_category_names(spec, quantities, indices, tables))
    scope = Scope(symbols.found, indices, words, steps)
    namespace = Namespace(scope, quantities, tables, {})
    return _with_lets(namespace, spec.let)


def index_symbol(name: str) -> Symbol:
    """Return the symbol of an index: inside a sum over it, or an output over it, the category of the moment."""
    return Symbol(Kind.INDEX, Type.CATEGORY, (name,))


def _check_over_steps(item: InputSpec, steps: frozenset[str]) -> None:
    """Refuse an input over steps that does not say what it takes of them, and one that says so without going over any."""
    if (item.of is not None) != (item.over in steps) or (item.schedule is not None and item.of is None):
        message = "of = 'rate' or 'count' goes with over = an index of steps, and schedule with both"
        refuse(message, table="inputs", key=item.quantity)


class _Symbols:
    """The names collected so far, so that a clash names both places."""

    def __init__(self) -> None:
        self.found: dict[str, Symbol] = {}
        self.place: dict[str, str] = {}

    def check(self, table: str, name: str) -> None:
        if not _NAME.match(name) or name in RESERVED:
            why = "is a word of formulas" if name in RESERVED else "is not a name of letters, digits and _"
            refuse(f"'{name[:60]}' {why}; choose another", table=table, key=name[:60])
        if len(self.place) >= MAX_NAMES:
            refuse(f"a law has at most {MAX_NAMES:,} names; split it", table=table, key=name)
        if name in self.place:
            refuse(f"'{name}' is a name of [{self.place[name]}] already; choose another", table=table, key=name)
        self.place[name] = table

    def add(self, table: str, name: str, symbol: Symbol) -> None:
        self.check(table, name)
        self.found[name] = symbol


def quantities_of(spec: LawSpec) -> dict[str, Quantity]:
    """Return the quantities that a law may use: the vocabulary and its own.

    **Raises:** `LawError` naming the one that may not be.
    """
    own: dict[str, Quantity] = {}
    if len(spec.quantities) > MAX_NAMES:
        refuse(f"a law has at most {MAX_NAMES:,} quantities of its own; split it", table="quantities")
    for name, item in spec.quantities.items():
        if not _NAME.match(name) or name in RESERVED:
            message = "is not a name of letters, digits and _, or is a word of formulas; choose another"
            refuse(message, table="quantities", key=name[:60])
        if name in vocabulary():
            refuse("is a quantity of the vocabulary already; leave this table out", table="quantities", key=name)
        own[name] = read_quantity(name, msgspec.to_builtins(item))
    return {**vocabulary(), **own}


STEPS = "steps"
"""What an index says that goes over the steps of a schedule."""


def _categories(name: str, size: int | list[str] | str) -> tuple[str, ...]:
    if isinstance(size, str):
        return ()
    count = size if isinstance(size, int) else len(size)
    found = tuple(map(str, range(min(count, MAX_INDEX)))) if isinstance(size, int) else tuple(size)
    if not 1 <= count <= MAX_INDEX or len(set(found)) < count:
        refuse(f"an index has 1 to {MAX_INDEX} different entries, {count} given", table="index", key=name)
    return found


def _known_index(over: str | None, indices: Mapping[str, object], table: str, key: str) -> None:
    if over is not None and over not in indices:
        refuse(f"'{over}' is not an index of this law{nearest(over, indices)}", table=table, key=key)


def read_table(name: str, table: Mapping[str, Any], indices: Mapping[str, tuple[str, ...]]) -> Any:
    """Return a table of a law file in the form that formulas read: a tuple over an index, a curve, or nested entries.

    **Raises:** `LawError` where it has none of the forms.
    """

    def fail(problem: str) -> None:
        refuse(problem, table="tables", key=name)

    if set(table) >= {"over", "values"}:
        values = table["values"]
        if set(table) != {"over", "values"} or table["over"] not in list(indices):
            fail("a table over an index has 'over' (an index of this law) and 'values', nothing else")
        if not is_list(values) or len(values) != len(indices[table["over"]]) or not _numbers(values):
            fail(f"values must be {len(indices[table['over']])} numbers, one per entry of {table['over']}")
        return tuple(float(v) for v in values)
    if set(table) >= {"x", "y"}:
        x, y = table["x"], table["y"]
        if set(table) - {"x", "y", "in"} or table.get("in", "linear") not in ("linear", "log"):
            fail("a table by number has x, y and, if you like, in = 'log' or 'linear'")
        if not (is_list(x) and is_list(y) and _numbers([*x, *y]) and len(x) == len(y) >= 2):
            fail("x and y must be lists of two or more numbers, of equal length")
        curve = Curve(tuple(map(float, x)), tuple(map(float, y)), table.get("in") == "log")
        if any(b <= a for a, b in zip(curve.x, curve.x[1:], strict=False)) or (curve.log and curve.x[0] <= 0):
            fail("x must rise" + (" and be positive" if curve.log else ""))
        return curve
    if _entry_form(table) is None:
        fail("a table has one number per category, or one category, or tables of them all equally deep")
    return table


def _numbers(values: Iterable[object]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= sys.float_info.max for v in values)


def _entry_form(entry: object) -> tuple[int, Type] | None:
    """Return how many keys lead to an entry and what it is, or None where that differs or is neither number nor category."""
    if is_table(entry):
        forms = {_entry_form(value) for value in entry.values()}
        form = forms.pop() if len(forms) == 1 else None
        return None if form is None else (form[0] + 1, form[1])
    if isinstance(entry, str):
        return (0, Type.CATEGORY) if entry else None
    return (0, Type.NUMBER) if _numbers([entry]) else None


def _table_symbol(raw: Mapping[str, Any], table: Any) -> Symbol:
    if isinstance(table, Curve):
        return Symbol(Kind.CURVE)
    if isinstance(table, tuple):
        return Symbol(Kind.TABLE, Type.NUMBER, (raw["over"],))
    keys, kind = _entry_form(table) or (1, Type.NUMBER)
    return Symbol(Kind.TABLE, kind, (), keys)


def _category_names(
    spec: LawSpec,
    quantities: Mapping[str, Quantity],
    indices: Mapping[str, tuple[str, ...]],
    tables: Mapping[str, object],
) -> Iterable[str]:
    """Yield every word that may denote a category in this law's formulas."""
    spoken = {item.quantity for item in spec.input_specs()} | set(spec.outputs) | set(spec.quantities)
    for name in spoken:
        if name in quantities:
            yield from quantities[name].categories
    for categories in indices.values():
        yield from categories
    stack = [table for table in tables.values() if is_table(table)]
    while stack:
        for word, entry in stack.pop().items():
            yield word
            if is_table(entry):
                stack.append(entry)
            elif isinstance(entry, str):
                yield entry
    if spec.grid:
        yield from spec.grid.classes


def _with_lets(namespace: Namespace, texts: Mapping[str, str]) -> Namespace:
    """Return the namespace with its lets checked in the order in which they need each other."""
    trees: dict[str, Node] = {}
    for name, text in texts.items():
        try:
            trees[name] = parse(text)
        except LawError as error:
            raise error.within(table="let", key=name) from None
    done: dict[str, Formula] = {}
    work: dict[str, tuple[int, int]] = {}
    scope = namespace.scope
    for name in _order(trees):
        try:
            kind, free = infer(trees[name], scope)
        except LawError as error:
            raise error.within(table="let", key=name) from None
        indices = tuple(index for index in scope.indices if index in free)
        done[name] = Formula(texts[name], trees[name], kind, indices)
        work[name] = _work(done[name], scope, work)
        scope = scope.with_symbol(name, Symbol(Kind.LET, kind, indices))
    return Namespace(scope, namespace.quantities, namespace.tables, done, work)


def _order(trees: Mapping[str, Node]) -> list[str]:
    """Return the lets so that each comes after those it uses.

    **Raises:** `LawError` naming the cycle.
    """
    needs = {name: [n for n in dict.fromkeys(names_in(tree)) if n in trees] for name, tree in trees.items()}
    order: list[str] = []
    state: dict[str, int] = {}
    for root in trees:
        path = [(root, iter(needs[root]))] if root not in state else []
        state.setdefault(root, 1)
        while path:
            name, rest = path[-1]
            below = next(rest, None)
            if below is None:
                state[name] = 2
                order.append(name)
                path.pop()
            elif below not in state:
                state[below] = 1
                path.append((below, iter(needs[below])))
            elif state[below] == 1:
                names = [n for n, _ in path]
                cycle = " -> ".join([*names[names.index(below) :], below])
                refuse(f"the lets need each other in a circle: {cycle}; break it", table="let", key=below)
    return order


def check_work(namespace: Namespace, formula: Formula, *, table: str, key: str) -> None:
    """Refuse a formula that would take too many operations or nest too deep through its lets.

    **Raises:** `LawError`.
    """
    count, depth = _work(formula, namespace.scope, namespace.work)
    whole = count + sum(work for work, _ in namespace.work.values())
    if whole > MAX_WORK or depth > MAX_NESTING:
        message = f"takes more than {MAX_WORK:,} operations, or nests deeper than {MAX_NESTING} levels; use smaller indices or fewer lets"
        refuse(message, table=table, key=key)


def _work(formula: Formula, scope: Scope, below: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """Return how many operations a formula takes, its lets apart, and how deep it nests with them."""
    # all steps of a schedule are one operation over an array
    sizes = {index: len(categories) or 1 for index, categories in scope.indices.items()}
    count, depth = 0, 0
    stack = [(formula.tree, 1, 1)]
    while stack:
        node, times, level = stack.pop()
        count += times
        depth = max(depth, level)
        if isinstance(node, Reduce):
            times *= sizes[node.index]
        if not isinstance(node, Number):
            depth = max([depth, *(level + below[n][1] for n in _own_names(node) if n in below)])
        stack.extend((part, times, level + 1) for part in node.parts())
    for index in formula.free:
        count *= sizes[index]
    return count, depth


def _own_names(node: Node) -> list[str]:
    return [] if node.parts() else [n for part in walk(node) for n in names_in(part)]
