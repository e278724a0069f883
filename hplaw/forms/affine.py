"""The form of a formula: whether its logarithm is affine in some names, and whether it is a power law of its inputs.

Gaussian names that enter a logarithm linearly make an output exactly log-normal; a power law has one slope everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hplaw.expression.tree import Binary, Call, Item, Name, Node, Unary, walk
from hplaw.law.law import Law
from hplaw.law.scope import Namespace


def log_affine(law: Law, output: str, names: Collection[str]) -> bool:
    """Return whether ln(output) is affine in `names` by the form of its formula; a no may be a form not recognized.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> log_affine(load_catalogue().get("step-law-2025"), "peak_lr", ["log_c", "a", "b"])
    True
    """
    formula, over = law.outputs[output]
    return over is None and Affine(law.namespace, names).in_log(formula.tree)


class Affine:
    """Whether formulas are affine in some names, and in the logarithms of others.

    **Arguments:**

    - `names`: names that enter as they are.
    - `logs`: names that enter as their logarithms.
    - `settled`: names that no factor of the others may use.
    """

    def __init__(
        self, namespace: Namespace, names: Collection[str], *, logs: Collection[str] = (), settled: Collection[str] = ()
    ) -> None:
        self.namespace, self.plain, self.logs = namespace, names, logs
        self.moving = frozenset(names).union(logs)
        self.settled = self.moving.union(settled)

    def holds(self, node: Node) -> bool:
        """Return whether a formula is affine."""
        if free_of(node, self.namespace, self.moving):
            return True
        match node:
            case Name(name=name):
                let = self.namespace.lets.get(name)
                return name in self.plain or (let is not None and self.holds(let.tree))
            case Unary(operator="-", x=x):
                return self.holds(x)
            case Binary(operator="+" | "-", left=left, right=right):
                return self.holds(left) and self.holds(right)
            case Binary(operator="*", left=left, right=right):
                return (self._factor(left) and self.holds(right)) or (self._factor(right) and self.holds(left))
            case Binary(operator="/", left=left, right=right):
                return self._factor(right) and self.holds(left)
            case Call(function="log", arguments=(x,)):
                return self.in_log(x)
            case _:
                return False

    def in_log(self, node: Node) -> bool:
        """Return whether a formula's logarithm is affine."""
        if free_of(node, self.namespace, self.moving):
            return True
        match node:
            case Name(name=name):
                let = self.namespace.lets.get(name)
                return name in self.logs or (let is not None and self.in_log(let.tree))
            case Binary(operator="*" | "/", left=left, right=right):
                return self.in_log(left) and self.in_log(right)
            case Binary(operator="**", left=base, right=power):
                return (self._factor(power) and self.in_log(base)) or (self._factor(base) and self.holds(power))
            case Call(function="exp", arguments=(x,)):
                return self.holds(x)
            case Call(function="sqrt", arguments=(x,)):
                return self.in_log(x)
            case _:
                return False

    def _factor(self, node: Node) -> bool:
        return free_of(node, self.namespace, self.settled)


def free_of(node: Node, namespace: Namespace, names: Collection[str]) -> bool:
    """Return whether a formula uses none of the names, its lets followed."""
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
            if name in names or (let is not None and not free_of(let.tree, namespace, names)):
                return False
    return True


def monomial(law: Law, output: str, moved: Mapping[str, float] | None = None) -> dict[str, float] | None:
    """Return the exponents of an output, or of a best value in closed form, by input where it is a constant times powers
    of inputs, or None for any other.

    **Arguments:**

    - `moved`: parameters that are not at their best single values.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> monomial(load_catalogue().get("step-law-2025"), "peak_lr")
    {'n_params': -0.713, 'tokens': 0.307}
    """
    formula, over = law.optimum.get(output), None
    if formula is None:
        formula, over = law.outputs[output]
    if over is not None or law.exact or any(isinstance(item.missing, str) for item in law.inputs.values()):
        return None
    return _Powers(law, moved or {}).of(formula.tree)


class _Powers:
    """The exponents of formulas in a law's inputs, at given values of its parameters."""

    def __init__(self, law: Law, moved: Mapping[str, float]) -> None:
        self.law, self.lets, self.inputs = law, law.namespace.lets, frozenset(law.inputs)
        self.moved = moved

    def constant(self, node: Node) -> float | None:
        """Return the value of a formula that uses no input, or None where it does."""
        from hplaw.evaluation.point import standing
        from hplaw.expression import Undefined, compile_expression

        if not free_of(node, self.law.namespace, self.inputs):
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
        if free_of(node, self.law.namespace, self.inputs):
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
        if free_of(node, self.law.namespace, self.inputs):
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


def _add(a: dict[str, float] | None, b: dict[str, float] | None, times: float) -> dict[str, float] | None:
    """Return a + times b, exponent by exponent."""
    if a is None or b is None:
        return None
    return {name: a.get(name, 0.0) + times * b.get(name, 0.0) for name in {**a, **b}}
