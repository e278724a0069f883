"""Derivatives of trees, as trees: by how much a formula moves when one of its names grows by a share.

Two forms lean on one another, each where it is the shorter: the change d f / d ln(x), and the relative change
d ln(f) / d ln(x), under which products are sums and powers are factors. Each is None where f does not move.
"""

from __future__ import annotations

from collections.abc import Mapping

from hplaw.expression.tree import Binary, Call, Item, Name, Node, Number, Reduce, Unary


class NoRule(Exception):
    """A formula moves through a function that has no derivative here."""


class Derivative:
    """Derivatives with respect to the logarithm of one name.

    **Arguments:**

    - `name`: what moves.
    - `lets`: formulas by the name that represents them.

    `lets_made` collects the derivatives of lets under names of their own, each to be computed once at a point; the
    let that such a name belongs to is found in `let_of`.

    >>> from hplaw.expression import parse
    >>> from hplaw.expression.latex import latex
    >>> by_n = Derivative("N", {})
    >>> latex(by_n.relative(parse("A / N ** alpha")))
    '-\\\\alpha'
    """

    def __init__(self, name: str, lets: Mapping[str, Node]) -> None:
        self.name, self.lets = name, lets
        self.lets_made: dict[str, Node] = {}
        self.let_of: dict[str, str] = {}
        self._still: set[str] = set()

    def change(self, node: Node) -> Node | None:
        """Return d f / d ln(x).

        **Raises:** `NoRule`.
        """
        match node:
            case Number():
                return None
            case Name(name=name) if name not in self.lets:
                return node if name == self.name else None
            case Name(name=name):
                if _grows(self.lets[name]):
                    return _times(node, self.relative(node))
                return self._let(name, "change")
            case Unary(operator="-", x=x):
                return _minus(self.change(x))
            case Binary(operator="+", left=left, right=right):
                return _plus(self.change(left), self.change(right))
            case Binary(operator="-", left=left, right=right):
                return _plus(self.change(left), _minus(self.change(right)))
            case Binary(operator="*", left=left, right=right):
                return _plus(_times(left, self.change(right)), _times(right, self.change(left)))
            case Binary(operator="/", left=left, right=right):
                return _over(_plus(self.change(left), _minus(_times(node, self.change(right)))), right)
            case Call(function="log", arguments=(x,)):
                return self.relative(x)
            case Call(function="expm1", arguments=(x,)):
                return _times(_call("exp", x), self.change(x))
            case Call(function="log1p", arguments=(x,)):
                return _over(self.change(x), _binary("+", _ONE, x))
            case Call(function="expm2", arguments=(x,)):  # e^x - 1 - x
                return _times(_call("expm1", x), self.change(x))
            case Call(function="where", arguments=(condition, yes, no)):
                moved = self.change(yes), self.change(no)
                if moved == (None, None):
                    return None
                return Call(column=1, function="where", arguments=(condition, moved[0] or _ZERO, moved[1] or _ZERO))
            case Reduce(function="sum", index=index, body=body):
                moved = self.change(body)
                if moved is None:
                    return None
                return Reduce(column=1, function="sum", index=index, body=moved)
            case _ if _grows(node):
                return _times(node, self.relative(node))
            case _:
                return self._none(node)

    def relative(self, node: Node) -> Node | None:
        """Return d ln(f) / d ln(x).

        **Raises:** `NoRule`.
        """
        match node:
            case Name(name=name) if name not in self.lets:
                return _ONE if name == self.name else None
            case Name(name=name):
                if _grows(self.lets[name]) or _multiplies(self.lets[name]):
                    return self._let(name, "relative")
                return _over(self.change(node), node)
            case Binary(operator="*", left=left, right=right):
                return _plus(self.relative(left), self.relative(right))
            case Binary(operator="/", left=left, right=right):
                return _plus(self.relative(left), _minus(self.relative(right)))
            case Binary(operator="**", left=base, right=power):
                return _plus(_times(power, self.relative(base)), _times(_call("log", base), self.change(power)))
            case Call(function="exp", arguments=(x,)):
                return self.change(x)
            case Call(function="sqrt", arguments=(x,)):
                return _times(_HALF, self.relative(x))
            case _:
                return _over(self.change(node), node)

    def _let(self, let: str, form: str) -> Node | None:
        """Return the name under which a derivative of a let is kept."""
        name = f"{form} of {let} by {self.name}"  # no law can have a name with a space
        if name not in self.lets_made and name not in self._still:
            tree = self.lets[let]
            moved = self.change(tree) if form == "change" else self.relative(tree)
            if moved is None:
                self._still.add(name)
            else:
                self.lets_made[name], self.let_of[name] = moved, let
        return Name(column=1, name=name) if name in self.lets_made else None

    def _none(self, node: Node) -> None:
        """Refuse what has no rule, unless it does not move.

        **Raises:** `NoRule`.
        """
        if isinstance(node, Item):
            whole = Name(column=node.column, name=node.name)
            moves = node.name == self.name or self.change(whole) is not None
        else:
            moves = any(self.change(part) is not None for part in node.parts())
        if moves:
            raise NoRule


def _grows(node: Node) -> bool:
    """Return whether the change of a formula is best had from its relative change: it is zero nowhere inside."""
    match node:
        case Binary(operator="**") | Call(function="exp" | "sqrt"):
            return True
        case _:
            return False


def _multiplies(node: Node) -> bool:
    return isinstance(node, Binary) and node.operator in ("*", "/")


_ZERO, _HALF, _ONE = (Number(column=1, text=text) for text in ("0", "0.5", "1"))


def _binary(operator: str, left: Node, right: Node) -> Node:
    return Binary(column=1, operator=operator, left=left, right=right)


def _call(function: str, x: Node) -> Node:
    return Call(column=1, function=function, arguments=(x,))


def _plus(a: Node | None, b: Node | None) -> Node | None:
    if a is None or b is None:
        return a or b
    return _binary("-", a, b.x) if isinstance(b, Unary) else _binary("+", a, b)


def _minus(a: Node | None) -> Node | None:
    return None if a is None else Unary(column=1, operator="-", x=a)


def _times(factor: Node, moved: Node | None) -> Node | None:
    if moved is None or moved is _ONE:
        return moved and factor
    if isinstance(moved, Unary):
        return _minus(_times(factor, moved.x))
    return _binary("*", factor, moved)


def _over(moved: Node | None, divisor: Node) -> Node | None:
    return None if moved is None else _binary("/", moved, divisor)
