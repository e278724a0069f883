"""The form of a formula: whether its logarithm is affine in some names, and whether it is a power law of its inputs.

Gaussian names that enter a logarithm linearly make an output exactly log-normal; a power law has one slope everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hplaw.expression.tree import Binary, Call, Item, Name, Node, Number, Unary, walk
from hplaw.law.law import Law
from hplaw.law.scope import Namespace


def log_affine(law: Law, output: str, names: Collection[str]) -> bool:
    """Return whether ln(output) is affine in `names` by the form of its formula; a no may be a form not recognised.

    >>> from hplaw.catalogue import load_catalogue
    >>> log_affine(load_catalogue().get("step-law-2025"), "peak_lr", ["log_c", "a", "b"])
    True
    """
    formula, over = law.outputs[output]
    return over is None and _log_degree(formula.tree, law.namespace, names) is not None


def _free(node: Node, namespace: Namespace, names: Collection[str]) -> bool:
    """Return whether a formula speaks of none of the names, its lets followed."""
    for part in walk(node):
        spoken = (
            [part.name, *(key.name for key in part.keys)]
            if isinstance(part, Item)
            else [part.name]
            if isinstance(part, Name)
            else []
        )
        for name in spoken:
            let = namespace.lets.get(name)
            if name in names or (let is not None and not _free(let.tree, namespace, names)):
                return False
    return True


def _degree(node: Node, namespace: Namespace, names: Collection[str]) -> int | None:
    """Return 0 for a formula free of the names, 1 for one affine in them, None for any other."""
    if _free(node, namespace, names):
        return 0
    match node:
        case Name(name=name):
            return 1 if name in names else _degree(namespace.lets[name].tree, namespace, names)
        case Unary(operator="-", x=x):
            return _degree(x, namespace, names)
        case Binary(operator="+" | "-", left=left, right=right):
            return _most(_degree(left, namespace, names), _degree(right, namespace, names))
        case Binary(operator="*", left=left, right=right):
            if _free(left, namespace, names):
                return _degree(right, namespace, names)
            return _degree(left, namespace, names) if _free(right, namespace, names) else None
        case Binary(operator="/", left=left, right=right):
            return _degree(left, namespace, names) if _free(right, namespace, names) else None
        case Call(function="log", arguments=(x,)):
            return _log_degree(x, namespace, names)
        case _:
            return None


def _log_degree(node: Node, namespace: Namespace, names: Collection[str]) -> int | None:
    """Return the degree of a formula's logarithm."""
    if isinstance(node, Number) or _free(node, namespace, names):
        return 0
    match node:
        case Name(name=name) if name in namespace.lets:
            return _log_degree(namespace.lets[name].tree, namespace, names)
        case Binary(operator="*" | "/", left=left, right=right):
            return _most(_log_degree(left, namespace, names), _log_degree(right, namespace, names))
        case Binary(operator="**", left=base, right=power):
            if _free(power, namespace, names):
                return _log_degree(base, namespace, names)
            return _degree(power, namespace, names) if _free(base, namespace, names) else None
        case Call(function="exp", arguments=(x,)):
            return _degree(x, namespace, names)
        case Call(function="sqrt", arguments=(x,)):
            return _log_degree(x, namespace, names)
        case _:
            return None


def _most(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else max(a, b)


def monomial(
    law: Law, output: str, moved: Mapping[str, float] | None = None
) -> dict[str, float] | None:
    """Return the exponents of an output by input where it is a constant times powers of inputs, or None for any other.

    **Arguments:**

    - `moved`: parameters that are not at their best single values.

    >>> from hplaw.catalogue import load_catalogue
    >>> monomial(load_catalogue().get("step-law-2025"), "peak_lr")
    {'n_params': -0.713, 'tokens': 0.307}
    """
    formula, over = law.outputs[output]
    if (
        over is not None
        or law.exact
        or any(isinstance(item.missing, str) for item in law.inputs.values())
    ):
        return None
    return _Powers(law, moved or {}).of(formula.tree)


class _Powers:
    """The exponents of formulas in a law's inputs, at given values of its parameters."""

    def __init__(self, law: Law, moved: Mapping[str, float]) -> None:
        self.law, self.lets, self.inputs = law, law.namespace.lets, frozenset(law.inputs)
        self.moved = moved

    def constant(self, node: Node) -> float | None:
        """Return the value of a formula that speaks of no input, or None where it does."""
        from hplaw.expression import Undefined, compile_expression
        from hplaw.point import standing

        if not _free(node, self.law.namespace, self.inputs):
            return None
        try:
            function = compile_expression(node, self.law.namespace.scope, self.law.arithmetic)
            environment = standing(self.law)
            environment.update(self.moved)
            return float(function(environment))
        except (Undefined, KeyError, TypeError):
            return None

    def of(self, node: Node) -> dict[str, float] | None:
        """Return the exponents of a formula, or None where it is no product of powers."""
        if _free(node, self.law.namespace, self.inputs):
            return {}
        match node:
            case Name(name=name):
                return self.of(self.lets[name].tree) if name in self.lets else {name: 1.0}
            case Binary(operator="*" | "/" as sign, left=left, right=right):
                return _add(self.of(left), self.of(right), 1.0 if sign == "*" else -1.0)
            case Binary(operator="**", left=base, right=power):
                exponent = self.constant(power)
                return None if exponent is None else _add({}, self.of(base), exponent)
            case Call(function="sqrt", arguments=(x,)):
                return _add({}, self.of(x), 0.5)
            case Call(function="exp", arguments=(x,)):
                return self.of_log(x)
            case _:
                return None

    def of_log(self, node: Node) -> dict[str, float] | None:
        """Return the exponents of exp(formula)."""
        if _free(node, self.law.namespace, self.inputs):
            return {}
        match node:
            case Name(name=name) if name in self.lets:
                return self.of_log(self.lets[name].tree)
            case Unary(operator="-", x=x):
                return _add({}, self.of_log(x), -1.0)
            case Binary(operator="+" | "-" as sign, left=left, right=right):
                return _add(self.of_log(left), self.of_log(right), 1.0 if sign == "+" else -1.0)
            case Binary(operator="*", left=left, right=right):
                factor = self.constant(left)
                if factor is not None:
                    return _add({}, self.of_log(right), factor)
                factor = self.constant(right)
                return None if factor is None else _add({}, self.of_log(left), factor)
            case Call(function="log", arguments=(x,)):
                return self.of(x)
            case _:
                return None


def _add(
    a: dict[str, float] | None, b: dict[str, float] | None, times: float
) -> dict[str, float] | None:
    """Return a + times b, exponent by exponent."""
    if a is None or b is None:
        return None
    return {name: a.get(name, 0.0) + times * b.get(name, 0.0) for name in {**a, **b}}
