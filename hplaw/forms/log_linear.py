"""Scenarios that are affine in the logarithms of a law's inputs, as power laws are: one table answers any question."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw import rows
from hplaw.expression.compile import Function
from hplaw.expression.tree import Node
from hplaw.forms.affine import Affine, free_of
from hplaw.forms.folding import folded
from hplaw.law.derived import derived
from hplaw.law.law import Law
from hplaw.law.program import Program
from hplaw.posterior.scenarios import scenarios


Array = NDArray[np.float64]


class Lines(msgspec.Struct, frozen=True, eq=False):
    """Columns of constant + sum of slope times ln(input): `table` has a row for the constant and one for each name."""

    names: tuple[str, ...]
    table: Array

    def at(self, inputs: Mapping[str, object]) -> Array:
        """Return the columns at a law's inputs: `[column]`, or `[row, column]` where some are columns themselves.

        >>> Lines(("tokens",), np.array([[1.0], [2.0]])).at({"tokens": math.e})
        array([3.])
        """
        logs = [rows.log(inputs[name]) for name in self.names]
        # one product for each row, as that of all rows together adds in another order
        product = np.matmul(rows.beside([1.0, *logs])[..., None, :], self.table)
        return product[..., 0, :]


def lines(
    law: Law, program: Program, functions: Sequence[Function], trees: Sequence[Node], *, logs: Sequence[bool]
) -> Lines | None:
    """Return formulas as lines, each over all scenarios, or None where they have another form.

    **Arguments:**

    - `functions`: the formulas compiled, to be computed in the environment of `program`; `trees` what they say.
    - `logs`: whether it is the logarithm of a formula that is affine.
    """
    numbers = [name for name in law.inputs if name not in law.chosen and _positive(law, name)]
    others = [name for name in law.inputs if name not in law.chosen and name not in numbers]
    affine = Affine(law.namespace, (), logs=numbers)
    for tree, log in zip(trees, logs, strict=True):
        holds = affine.in_log(tree) if log else affine.holds(tree)
        if not holds or not free_of(tree, law.namespace, others):
            return None

    def row(moved: str | None) -> Array:
        inputs = {name: math.e if name == moved else 1.0 for name in numbers}
        environment = program.environment(inputs)
        parts = [np.broadcast_to(function(environment), (size,)) for function in functions]
        return np.concatenate([np.log(p) if log else p for p, log in zip(parts, logs, strict=True)])

    size = scenarios(law).size
    with np.errstate(all="ignore"):
        constant = row(None)
        table = np.stack([constant, *(row(name) - constant for name in numbers)])
    return Lines(tuple(numbers), table) if np.isfinite(table).all() else None


def _positive(law: Law, name: str) -> bool:
    """Return whether an input is a number that has a logarithm wherever it is allowed."""
    quantity = law.quantity(name)
    return not quantity.categorical and not law.inputs[name].over and quantity.low == 0 and quantity.open_low


@derived
def _optimum(law: Law, *, transfer: bool) -> Lines | None:
    program = folded(law, transfer=transfer)
    trees = [law.optimum[name].tree for name in law.chosen]
    functions = [program.optimum[name] for name in law.chosen]
    return lines(law, program, functions, trees, logs=[True] * len(trees))


def best_logs(law: Law, inputs: Mapping[str, object], *, transfer: bool) -> Array:
    """Return the logarithms of what each scenario chooses by the closed form, discrepancy omitted.

    **Arguments:**

    - `inputs`: the law's inputs, chosen ones omitted: numbers, or columns.

    **Returns:** `[chosen, scenario]`, or `[row, chosen, scenario]`.
    """
    size = scenarios(law).size
    found = _optimum(law, transfer=transfer)
    if found is not None:
        logs = found.at(inputs)
        return logs.reshape(*logs.shape[:-1], len(law.chosen), size)
    program = folded(law, transfer=transfer)
    environment = program.environment({name: rows.across(value) for name, value in inputs.items()})
    parts = [np.log(program.optimum[name](environment)) for name in law.chosen]
    return on_scenarios(parts, inputs, size)


def on_scenarios(parts: Sequence[Any], inputs: Mapping[str, Any], size: int) -> Array:
    """Return parts that may be the same in all rows or scenarios as `[part, scenario]`, or `[row, part, scenario]`."""
    count = rows.count(inputs.values())
    shape = (size,) if count is None else (count, size)
    return np.stack([np.broadcast_to(part, shape) for part in parts], axis=-2)
