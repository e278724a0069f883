"""Sums of linex ridges: the form of an objective whose expectation over effects is known in closed form.

ln(objective) = rest + sum of c (e^t - 1 - t), with t affine in the logarithms of the chosen quantities and in the
effects of a new group. Then E e^t = e^(mean + variance / 2), so that effects integrate exactly and only the draws of
parameters are summed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw import rows
from hplaw.expression.backends import numpy_backend
from hplaw.expression.compile import Function, compile_expression
from hplaw.expression.tree import Binary, Call, Name, Node, Number, Reduce
from hplaw.forms.affine import Affine, free_of
from hplaw.forms.folding import Folder
from hplaw.forms.log_linear import Lines, lines, on_scenarios
from hplaw.law.derived import derived
from hplaw.law.law import Law, numpy_environment
from hplaw.law.program import Environment, Meaning, Program, compile_program
from hplaw.posterior.scenarios import effect_covariance, scenarios


Array = NDArray[np.float64]


class Term(msgspec.Struct, frozen=True):
    """One ridge as trees: its factors, those it is divided by, t, and the entries of the indices it is under."""

    factors: tuple[Node, ...]
    divisors: tuple[Node, ...]
    t: Node
    at: tuple[tuple[str, int], ...]


class Linex(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A law's ridges, compiled.

    - `program`: names of the law with all that does not move folded.
    - `coefficients`, `offsets`: c, and t at chosen quantities of one and effects of zero, one function per ridge.
    - `lines`: ln c of all ridges and then their t, where these are affine in the logarithms of the inputs.
    - `slopes`: d t / d ln(chosen), `[chosen, ridge x scenario]`.
    - `variance`: that of t over the effects of a new group, `groups` what the drawn ones add to t, `[ridge x scenario]`.
    - `stray_variance`: that of t over the law's discrepancy inside its domain, `strays` what the drawn one takes from t.
    - `let`: the name of the law that is the sum of all ridges, if there is one.
    - `derived`: what other rooms derive from the ridges, kept as long as they are.
    """

    program: Program
    coefficients: tuple[Function, ...]
    offsets: tuple[Function, ...]
    lines: Lines | None
    slopes: Array
    variance: Array
    groups: Array
    stray_variance: Array
    strays: Array
    size: int
    let: str | None
    derived: dict[Any, Any] = {}

    def at(self, inputs: Mapping[str, object]) -> tuple[Array, Array]:
        """Return c and the offset of t at a law's inputs: `[ridge x scenario]` each, or `[row, ridge x scenario]`."""
        if self.lines is not None:
            found = self.lines.at(inputs)
            half = found.shape[-1] // 2
            return np.exp(found[..., :half]), found[..., half:]
        environment = self.program.environment({name: rows.across(value) for name, value in inputs.items()})
        with np.errstate(all="ignore"):
            c, t = (
                on_scenarios([f(environment) for f in functions], inputs, self.size)
                for functions in (self.coefficients, self.offsets)
            )
        shape = (*c.shape[:-2], -1)
        return c.reshape(shape), t.reshape(shape)


@derived
def linex(law: Law, *, transfer: bool = False) -> Linex | None:
    """Return a law's ridges, or None where its objective has another form; with `transfer`, in another recipe."""
    decision = law.spec.decision
    if decision is None or law.exact or any(effect.tail is not None for effect in law.spec.effects.values()):
        return None
    tree = law.outputs[decision.minimise][0].tree
    form = _Form(law)
    while isinstance(tree, Name) and tree.name in form.lets:
        tree = form.lets[tree.name].tree
    if not (isinstance(tree, Call) and tree.function == "exp"):
        return None
    terms = form.terms(tree.arguments[0], (), (), ())
    if not terms:
        return None
    let = form.whole[0] if form.whole and form.whole[1] == len(terms) else None
    return _compile(law, terms, form.effects, let, transfer=transfer)


class _Form:
    """Taking an objective apart; None wherever it has another form."""

    def __init__(self, law: Law) -> None:
        self.law, self.lets = law, law.namespace.lets
        self.chosen = frozenset(law.chosen)
        self.effects = tuple(n for e in law.spec.effects.values() if e.predict == "integrate" for n in e.of)
        self.affine = Affine(law.namespace, self.effects, logs=self.chosen, settled=frozenset(law.inputs))
        self.whole: tuple[str, int] | None = None

    def free(self, node: Node, names: frozenset[str]) -> bool:
        """Return whether a tree uses none of the names."""
        return free_of(node, self.law.namespace, names)

    def terms(
        self, node: Node, factors: tuple[Node, ...], divisors: tuple[Node, ...], at: tuple[tuple[str, int], ...]
    ) -> tuple[Term, ...] | None:
        """Return the ridges of a sum; parts without chosen quantities are omitted."""
        if self.free(node, self.chosen):
            return () if not factors and not divisors else None
        match node:
            case Name(name=name) if name in self.lets:
                found = self.terms(self.lets[name].tree, factors, divisors, at)
                if not factors and not divisors and found and self.pure(self.lets[name].tree):
                    self.whole = (name, len(found))
                return found
            case Binary(operator="+", left=left, right=right):
                return _join(self.terms(part, factors, divisors, at) for part in (left, right))
            case Binary(operator="*", left=left, right=right):
                for factor, rest in ((left, right), (right, left)):
                    if self.free(factor, self.chosen | frozenset(self.effects)):
                        return self.terms(rest, (*factors, factor), divisors, at)
                return None
            case Binary(operator="/", left=left, right=right) if self.free(
                right, self.chosen | frozenset(self.effects)
            ):
                return self.terms(left, factors, (*divisors, right), at)
            case Reduce(function="sum", index=index, body=body):
                entries = range(len(self.law.namespace.scope.indices[index]))
                return _join(self.terms(body, factors, divisors, (*at, (index, i))) for i in entries)
            case Call(function="expm2", arguments=(t,)) if self.affine.holds(t):
                return (Term(factors, divisors, t, at),)
            case _:
                return None

    def pure(self, node: Node) -> bool:
        """Return whether a sum of ridges has no part without chosen quantities."""
        if self.free(node, self.chosen):
            return False
        if isinstance(node, Name) and node.name in self.lets:
            return self.pure(self.lets[node.name].tree)
        return not isinstance(node, Binary) or node.operator != "+" or (self.pure(node.left) and self.pure(node.right))


def _join(parts: Any) -> tuple[Term, ...] | None:
    found: list[Term] = []
    for part in parts:
        if part is None:
            return None
        found += part
    return tuple(found)


def _compile(law: Law, terms: tuple[Term, ...], effects: tuple[str, ...], let: str | None, *, transfer: bool) -> Linex:
    """Return the ridges as functions; effects are zero in the environment."""
    drawn = scenarios(law)
    zero = {**drawn.values(transfer=transfer), **dict.fromkeys(effects, 0.0)}
    folder = Folder(law, zero)
    size = drawn.size
    coefficients = [(folder.fold(_product(term)), dict(term.at)) for term in terms]
    ones = dict.fromkeys(law.chosen, 1.0)
    offsets = [(folder.fold(term.t), dict(term.at)) for term in terms]
    kept = {**law.program(numpy_backend()).constants, **zero, **folder.kept, **ones}
    program = compile_program(Meaning(folder.namespace(), {}, {}, ()), numpy_backend(), constants=kept)
    slopes = np.array([_slope(law, terms, zero, {name: np.e}, size) for name in law.chosen])
    loads = {name: _slope(law, terms, zero, {name: 1.0}, size) for name in effects}
    groups = sum(
        (np.tile(drawn.effects[name], len(terms)) * loads[name] for name in effects), np.zeros(len(terms) * size)
    )
    variance = np.zeros(len(terms) * size)
    for (a, b), covariance in effect_covariance(law).items():
        variance += np.tile(np.broadcast_to(covariance, (size,)), len(terms)) * loads[a] * loads[b]
    z = np.array([drawn.discrepancy.get(name, np.zeros(size)) for name in law.chosen])
    functions = [compile_expression(node, folder.scope, numpy_backend(), at) for node, at in (*coefficients, *offsets)]
    trees = [*map(_product, terms), *(term.t for term in terms)]
    logs = [True] * len(terms) + [False] * len(terms)
    return Linex(
        program=program,
        coefficients=tuple(functions[: len(terms)]),
        offsets=tuple(functions[len(terms) :]),
        lines=lines(law, program, functions, trees, logs=logs),
        slopes=slopes,
        variance=variance,
        groups=groups,
        size=size,
        let=let,
        stray_variance=np.einsum("ir,ij,jr->r", slopes, z @ z.T / size, slopes),
        strays=np.sum(slopes * np.tile(z, len(terms)), axis=0),
    )


def _product(term: Term) -> Node:
    """Return the factors of a ridge over what they are divided by, as one tree."""
    node: Node = Number(column=1, text="1")
    for factor in term.factors:
        node = factor if isinstance(node, Number) else Binary(column=1, operator="*", left=node, right=factor)
    for divisor in term.divisors:
        node = Binary(column=1, operator="/", left=node, right=divisor)
    return node


def _slope(
    law: Law, terms: tuple[Term, ...], zero: Mapping[str, object], moved: Mapping[str, float], size: int
) -> Array:
    """Return the change of t by ridge and scenario when one affine name moves by one; it is the same at any input."""
    inputs = {name: _anything(law, name) for name in law.inputs}
    found: list[Array] = []
    for term in terms:
        function = compile_expression(term.t, law.namespace.scope, numpy_backend(), dict(term.at))
        with np.errstate(all="ignore"):
            before: Environment = numpy_environment(law, {**zero, **inputs})
            after: Environment = numpy_environment(law, {**zero, **inputs, **moved})
            found.append(np.broadcast_to(function(after) - function(before), (size,)))
    return np.concatenate(found)


def _anything(law: Law, name: str) -> Any:
    """Return some value of an input: slopes are the same at all."""
    quantity = law.quantity(name)
    if not quantity.categorical:
        return 1.0
    seen = law.spec.domain.get(name) or law.namespace.scope.indices.get(name) or quantity.categories
    return seen[0] if seen else ""
