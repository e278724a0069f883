"""A law compiled for one set of scenarios: whatever does not depend on the inputs is computed once and kept.

Of a fitted law most operations join parameters with parameters; with these folded, a question costs only those that
meet its numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hplaw.expression.backends import numpy_backend
from hplaw.expression.scope import Kind, Scope, Symbol, Type, infer
from hplaw.expression.tree import Binary, Call, Item, Name, Node, Number, Reduce, Unary, names_in
from hplaw.law.derived import derived
from hplaw.law.law import Law, numpy_environment
from hplaw.law.program import Environment, Meaning, Program, compile_program, unroll
from hplaw.law.scope import Formula, Namespace
from hplaw.posterior.scenarios import scenarios


class Folder:
    """Trees of a law rewritten so that constant parts become names with values.

    **Arguments:**

    - `values`: the names that are settled, scenario by scenario; all others are the law's inputs.
    """

    def __init__(self, law: Law, values: Mapping[str, object]) -> None:
        self.law = law
        self.scope: Scope = law.namespace.scope
        self.environment: Environment = numpy_environment(law, values)
        self.kept: dict[str, Any] = {}
        self.lets: dict[str, Formula] = {}
        self._moving: dict[str, bool] = dict.fromkeys(law.inputs, True)

    def moves(self, name: str) -> bool:
        """Return whether a name depends on the inputs."""
        found = self._moving.get(name)
        if found is None:
            let = self.law.namespace.lets.get(name)
            found = self._moving[name] = let is not None and any(map(self.moves, names_in(let.tree)))
        return found

    def fold(self, node: Node) -> Node:
        """Return a tree in which every part that does not move is a name."""
        if isinstance(node, Number):
            return node
        if isinstance(node, Item):
            if not any(map(self.moves, names_in(node))):
                return self._keep(node)
            for key in node.keys:  # a category that a formula finds
                self.fold(key)
            return node
        if isinstance(node, Name):
            if node.name not in self.law.namespace.lets:
                return node
            if not self.moves(node.name):
                return self._keep(node)
            self._let(node.name)
            return node
        if not any(map(self.moves, names_in(node))):
            return self._keep(node)
        match node:
            case Unary(operator=operator, x=x):
                return Unary(column=node.column, operator=operator, x=self.fold(x))
            case Binary(operator=operator, left=left, right=right):
                return Binary(column=node.column, operator=operator, left=self.fold(left), right=self.fold(right))
            case Reduce(function=function, index=index, body=body):
                return Reduce(column=node.column, function=function, index=index, body=self.fold(body))
            case Call(function="interp", arguments=(x, table)):
                return Call(column=node.column, function="interp", arguments=(self.fold(x), table))
            case Call(function=function, arguments=arguments):
                return Call(column=node.column, function=function, arguments=tuple(map(self.fold, arguments)))
            case _:
                raise AssertionError(node)

    def formula(self, formula: Formula) -> Formula:
        """Return a formula with its tree folded."""
        return Formula(formula.text, self.fold(formula.tree), formula.type, formula.free)

    def _let(self, name: str) -> None:
        if name not in self.lets:
            let = self.law.namespace.lets[name]
            self.lets[name] = let  # in place while its own parts are folded
            self.lets[name] = self.formula(let)

    def _keep(self, node: Node) -> Node:
        """Return the name under which the value of a settled tree is kept."""
        kind, free = infer(node, self.law.namespace.scope)
        if kind is not Type.NUMBER:
            return node
        indices = tuple(index for index in self.law.namespace.scope.indices if index in free)
        name = f"kept {len(self.kept)}"  # no law can have a name with a space
        with np.errstate(all="ignore"):
            function = unroll(self.law.namespace, Formula("", node, kind, indices), numpy_backend(), indices)
            self.kept[name] = function(self.environment)
        self.scope = self.scope.with_symbol(name, Symbol(Kind.PARAMETER, Type.NUMBER, indices))
        return Name(column=node.column, name=name)

    def namespace(self) -> Namespace:
        """Return the law's namespace with the names kept so far and the lets that move."""
        return Namespace(self.scope, self.law.namespace.quantities, self.law.namespace.tables, self.lets)


@derived
def folded(law: Law, *, transfer: bool = False) -> Program:
    """Return a law compiled for its scenarios, or for those of another recipe; its environment needs only inputs."""
    values = scenarios(law).values(transfer=transfer)
    folder = Folder(law, values)
    outputs = {name: (folder.formula(formula), over) for name, (formula, over) in law.outputs.items()}
    optimum = {name: folder.formula(formula) for name, formula in law.optimum.items()}
    cases = tuple((folder.formula(formula), status, say) for formula, status, say in law.cases)
    constants = {**law.program(numpy_backend()).constants, **values, **folder.kept}
    return compile_program(Meaning(folder.namespace(), outputs, optimum, cases), numpy_backend(), constants=constants)
