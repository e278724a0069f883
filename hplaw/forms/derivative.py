"""The slopes of a law as formulas: d ln(output) / d ln(input), compiled once beside the law's own."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import msgspec

from hplaw.evaluation.inputs import inputs
from hplaw.evaluation.point import Point, settled
from hplaw.expression import Kind, Symbol, Type, Undefined, names_in
from hplaw.expression.compile import Function
from hplaw.expression.differentiate import Derivative, NoRule
from hplaw.expression.tree import Node
from hplaw.law.derived import derived
from hplaw.law.law import Law
from hplaw.law.program import Environment, unroll
from hplaw.law.scope import Formula
from hplaw.law.settled import spoken


class Slope(msgspec.Struct, frozen=True):
    """One slope of a law.

    - `function`: its value in an environment of the law that has the names of `lets` also; None where it is zero.
    - `stood_in`: names that must be known, as the default of them may move too.
    """

    function: Function | None
    lets: Mapping[str, Function]
    stood_in: tuple[str, ...]

    def at(self, here: Point) -> float:
        """Return the slope at a point.

        **Raises:** `Undefined` where it has no value.
        """
        if self.function is None:
            return 0.0
        environment = Environment(here.environment, {**here.environment.lets, **self.lets})
        return float(self.function(environment))


@derived
def slope(law: Law, output: str, by: str, *, chosen: bool) -> Slope | None:
    """Return the slope of an output, or None where it has a function without derivative.

    **Arguments:**

    - `by`: the input that moves.
    - `chosen`: whether what the law chooses follows, at the closed form of its decision; it stays otherwise.
    """
    if law.over_steps:
        return None  # the rates of the steps move with the inputs, unseen by the formulas
    trees: dict[str, Node] = {name: let.tree for name, let in law.namespace.lets.items()}
    if chosen:
        trees |= {name: form.tree for name, form in law.optimum.items()}
    tree = trees[output] if output in law.chosen else law.outputs[output][0].tree
    derivative = Derivative(by, trees)
    try:
        found = derivative.relative(tree)
    except NoRule:
        return None
    words = spoken(law.namespace, tree).union(
        *(spoken(law.namespace, form.tree) for form in law.optimum.values() if chosen)
    )
    stood_in = tuple(i.known for i in inputs(law) if i.follows and i.name in words)
    if found is None:
        return Slope(None, {}, stood_in)
    return _compile(law, derivative, found, stood_in)


def _compile(law: Law, derivative: Derivative, tree: Node, stood_in: tuple[str, ...]) -> Slope:
    scope, backend = law.namespace.scope, law.arithmetic
    over = {name: scope.symbols[let].indices for name, let in derivative.let_of.items()}
    for name, indices in over.items():
        scope = scope.with_symbol(name, Symbol(Kind.LET, Type.NUMBER, indices))
    namespace = msgspec.structs.replace(law.namespace, scope=scope)
    values = dict(settled(law))

    def function(node: Node, free: tuple[str, ...]) -> Function:
        return unroll(namespace, Formula("", node, Type.NUMBER, free), backend, free, values)

    lets: dict[str, Function] = {}
    for name, node in derivative.lets_made.items():
        lets[name] = function(node, over[name])
        if values.keys() >= {word for word in names_in(node) if word in scope.symbols}:
            with contextlib.suppress(Undefined):
                values[name] = lets[name](values)
    return Slope(function(tree, ()), lets, stood_in)
