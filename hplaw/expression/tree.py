"""The tree of a formula: seven kinds of node, frozen, each with the column where it is in the text."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all nodes; `column` counts characters from one."""

    column: int

    def parts(self) -> tuple[Node, ...]:
        """Return the nodes below this one."""
        return ()


class Number(Node, frozen=True, kw_only=True):
    """A number as it was written, so that an exact backend need not go through binary."""

    text: str


class Name(Node, frozen=True, kw_only=True):
    """A quantity, parameter, constant, effect, index, let or category."""

    name: str


class Unary(Node, frozen=True, kw_only=True):
    """`-x` or `not x`."""

    operator: str
    x: Node

    def parts(self) -> tuple[Node, ...]:
        return (self.x,)


class Binary(Node, frozen=True, kw_only=True):
    """`+ - * / **`, a comparison, `and` or `or`."""

    operator: str
    left: Node
    right: Node

    def parts(self) -> tuple[Node, ...]:
        return (self.left, self.right)


class Call(Node, frozen=True, kw_only=True):
    """A function of the list, called."""

    function: str
    arguments: tuple[Node, ...]

    def parts(self) -> tuple[Node, ...]:
        return self.arguments


class Reduce(Node, frozen=True, kw_only=True):
    """`sum(index, body)` or `prod(index, body)`; over the steps of a schedule also `running` and `before`."""

    function: str
    index: str
    body: Node

    def parts(self) -> tuple[Node, ...]:
        return (self.body,)


class Item(Node, frozen=True, kw_only=True):
    """`NAME[key]` or `NAME[key, key]`: an entry of a table, or one category of an indexed name."""

    name: str
    keys: tuple[Name, ...]


def walk(node: Node) -> Iterator[Node]:
    """Yield `node` and all nodes below it.

    >>> [type(n).__name__ for n in walk(Unary(column=1, operator="-", x=Name(column=2, name="a")))]
    ['Unary', 'Name']
    """
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(top.parts())


def names_in(node: Node) -> Iterator[str]:
    """Yield every name that a formula uses, tables and keys included.

    >>> from hplaw.expression.parse import parse
    >>> sorted(names_in(parse("a * t[k]")))
    ['a', 'k', 't']
    """
    for part in walk(node):
        if isinstance(part, Name):
            yield part.name
        elif isinstance(part, Item):
            yield part.name
            yield from (key.name for key in part.keys)
