"""Formula text -> tree, by precedence climbing; everything that is not in the grammar is refused with its column.

Weakest first: `or`, `and`, `not`, one comparison, `+ -`, `* /`, unary minus, `**` (from the right).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NoReturn, TypeVar

from hplaw.errors import LawError, nearest
from hplaw.expression.functions import FUNCTIONS, MAX_DEPTH, MAX_LENGTH, REDUCTIONS, STEPWISE, WORDS
from hplaw.expression.tree import Binary, Call, Item, Name, Node, Number, Reduce, Unary


_TOKEN = re.compile(
    r"\s*+(?:(?P<number>(?>(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+))(?![A-Za-z0-9_.])"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator>\*\*|<=|>=|==|[-+*/<>(),\[\]]))"
)

_NUMBER_LIKE = re.compile(r"\.?[0-9][A-Za-z0-9_.]{0,30}")

_COMPARISONS = ("<", "<=", ">", ">=", "==")
_LEFT = {"+": 5, "-": 5, "*": 6, "/": 6}
_NEGATE, _POWER = 7, 8

Parsed = TypeVar("Parsed", bound=Node)


def parse(text: str) -> Node:
    """Return the tree of a formula.

    **Raises:** `LawError` with the column: anything outside the grammar, more than 4,000 characters, deeper than 64.

    >>> parse("2 * x").operator
    '*'
    """
    parser = _Parser(text)
    return parser.whole(parser.expression(0))


def parse_call(text: str, functions: Mapping[str, int]) -> Call:
    """Return the tree of `name(arguments)` where the name is one of `functions`, as priors and likelihoods are written.

    **Arguments:**

    - `functions`: number of arguments by name.

    **Raises:** `LawError` with what is allowed.

    >>> parse_call("normal(0, 1)", {"normal": 2}).function
    'normal'
    """
    parser = _Parser(text)
    function = parser.token
    if function not in functions:
        message = f"'{text[:80]}' is none of {', '.join(functions)}{nearest(function, functions)}"
        raise LawError(message)
    parser.advance()
    parser.expect("(")
    node = parser.whole(Call(column=1, function=function, arguments=tuple(parser.arguments())))
    if len(node.arguments) != functions[function]:
        message = f"{function} takes {functions[function]} arguments, {len(node.arguments)} given"
        raise LawError(message)
    return node


_TOO_DEEP = f"the formula nests deeper than {MAX_DEPTH} levels; name its parts in [let]"


def _depth(root: Node) -> int:
    deepest, stack = 0, [(root, 1)]
    while stack:
        node, level = stack.pop()
        deepest = max(deepest, level)
        stack.extend((part, level + 1) for part in node.parts())
    return deepest


class _Parser:
    """The state of one parse: the text, the token ahead, and how deep the recursion is."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            message = (
                f"the formula has {len(text)} characters; at most {MAX_LENGTH:,} are allowed: name its parts in [let]"
            )
            raise LawError(message)
        self.text, self.end, self.level = text, 0, 0
        self.kind, self.token, self.column = "", "", 0
        self.advance()

    def fail(self, problem: str, *, column: int | None = None) -> NoReturn:
        message = f"column {self.column if column is None else column}: {problem}"
        raise LawError(message)

    def whole(self, node: Parsed) -> Parsed:
        """Return a tree with which the text ends, if it nests no deeper than is allowed."""
        if self.token:
            self.fail(f"'{self.token}' does not belong here")
        if _depth(node) > MAX_DEPTH:
            raise LawError(_TOO_DEEP)
        return node

    def advance(self) -> None:
        """Move to the next token; an empty one is the end."""
        match = _TOKEN.match(self.text, self.end)
        if match:
            self.kind = match.lastgroup or ""
            self.token = match.group(self.kind)
            self.column = match.start(self.kind) + 1
            self.end = match.end()
            return
        rest = self.text[self.end :].lstrip()
        self.kind, self.token, self.column = "", "", len(self.text) - len(rest) + 1
        if number := _NUMBER_LIKE.match(rest):
            self.fail(f"'{number[0]}' is not a number")
        if rest:
            self.fail(
                f"{rest[0]!r} is not allowed; a formula has numbers, names, + - * / **, comparisons, and, or, not and calls"
            )

    def expect(self, token: str) -> None:
        if self.token != token:
            self.fail(f"'{token}' is missing" + (f" before '{self.token}'" if self.token else " at the end"))
        self.advance()

    def expression(self, strength: int) -> Node:
        """Parse what binds at least as strongly as `strength`: 0 or, 1 and, 2 not, 3 comparison, 4 and up arithmetic."""
        self.level += 1
        if self.level > MAX_DEPTH:
            raise LawError(_TOO_DEEP)
        node = self.logic(strength) if strength <= 3 else self.arithmetic(strength)
        self.level -= 1
        return node

    def logic(self, strength: int) -> Node:
        """Parse `or`, `and`, `not` and at most one comparison."""
        column = self.column
        if self.token == "not":
            self.advance()
            node: Node = Unary(column=column, operator="not", x=self.expression(2))
        else:
            node = self.comparison()
        while self.token in ("and", "or"):
            word, column = self.token, self.column
            mine = 0 if word == "or" else 1
            if mine < strength:
                break
            self.advance()
            node = Binary(column=column, operator=word, left=node, right=self.expression(mine + 1))
        return node

    def comparison(self) -> Node:
        left = self.arithmetic(5)
        if self.token not in _COMPARISONS:
            return left
        operator, column = self.token, self.column
        self.advance()
        node = Binary(column=column, operator=operator, left=left, right=self.arithmetic(5))
        if self.token in _COMPARISONS:
            self.fail("comparisons cannot be chained; join them with 'and'")
        return node

    def arithmetic(self, strength: int) -> Node:
        node = self.factor()
        while _LEFT.get(self.token, -1) >= strength:
            operator, column = self.token, self.column
            self.advance()
            node = Binary(column=column, operator=operator, left=node, right=self.expression(_LEFT[operator] + 1))
        return node

    def factor(self) -> Node:
        column = self.column
        if self.token == "-":
            self.advance()
            return Unary(column=column, operator="-", x=self.expression(_NEGATE))
        node = self.atom()
        if self.token == "**":
            column = self.column
            self.advance()
            node = Binary(column=column, operator="**", left=node, right=self.expression(_POWER))
        return node

    def atom(self) -> Node:
        token, kind, column = self.token, self.kind, self.column
        if kind == "number":
            if not math.isfinite(float(token)):
                self.fail(f"{token} is too large for a number")
            self.advance()
            return Number(column=column, text=token)
        if token == "(":
            self.advance()
            node = self.expression(0)
            self.expect(")")
            return node
        if kind != "name" or token in WORDS:
            self.fail(f"a number or a name is missing before '{token}'" if token else "the formula ends too soon")
        self.advance()
        if self.token == "(":
            return self.call(token, column)
        if self.token == "[":
            return self.item(token, column)
        return Name(column=column, name=token)

    def call(self, function: str, column: int) -> Node:
        over_index = (*REDUCTIONS, *STEPWISE)
        if function not in FUNCTIONS and function not in over_index:
            offer = nearest(function, [*FUNCTIONS, *over_index])
            self.fail(f"'{function}' is not a function that formulas may call{offer}", column=column)
        self.advance()
        arguments = self.arguments()
        if function in over_index:
            if len(arguments) != 2 or not isinstance(arguments[0], Name):
                self.fail(f"{function} takes an index and an expression, as in {function}(ridge, x)", column=column)
            return Reduce(column=column, function=function, index=arguments[0].name, body=arguments[1])
        least, most = FUNCTIONS[function]
        if len(arguments) < least or (most is not None and len(arguments) > most):
            count = f"{least}" if most == least else f"{least} or more"
            self.fail(f"{function} takes {count} arguments, {len(arguments)} given", column=column)
        return Call(column=column, function=function, arguments=tuple(arguments))

    def arguments(self) -> list[Node]:
        """Parse expressions between commas up to the closing parenthesis, and that too."""
        found: list[Node] = []
        while self.token != ")":
            if found:
                self.expect(",")
            found.append(self.expression(0))
        self.advance()
        return found

    def item(self, name: str, column: int) -> Node:
        self.advance()
        keys: list[Name] = []
        while not keys or self.token == ",":
            if keys:
                self.advance()
            if self.kind != "name" or self.token in WORDS:
                self.fail(f"a key of {name}[...] is a name, not '{self.token}'")
            keys.append(Name(column=self.column, name=self.token))
            self.advance()
        self.expect("]")
        return Item(column=column, name=name, keys=tuple(keys))
