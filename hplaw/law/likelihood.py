"""The noise of what a law's runs observe, as `[fit]` writes it: `student_t(4, scale)` read into its parts, once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec

from hplaw.errors import refuse
from hplaw.expression import Kind, Symbol
from hplaw.expression.tree import Node
from hplaw.law.formulas import check_call
from hplaw.law.scope import Namespace
from hplaw.law.settled import refuse_names, settled, spoken


Family = Literal["normal", "student_t", "lognormal", "bernoulli_logits"]

_FAMILIES: Mapping[str, tuple[Family, int]] = {
    "normal": ("normal", 1),
    "student_t": ("student_t", 2),
    "lognormal": ("lognormal", 1),
    "bernoulli_logits": ("bernoulli_logits", 0),
}
"""Families with their number of arguments, the last of which is the scale."""
SCALE = "scale"
"""What formulas of a likelihood call the value of the law's own scale."""


class Likelihood(msgspec.Struct, frozen=True):
    """The noise of one observed quantity.

    - `freedom`: degrees of freedom of a `student_t`, None for others.
    - `scale`: the formula of its scale, which may use `scale`; None for a family that has none.
    """

    family: Family
    freedom: float | None
    scale: Node | None

    @property
    def bounded(self) -> bool:
        """Return whether the share of it between two bounds has a closed form."""
        return self.family == "normal" or (self.freedom is not None and self.freedom % 2 == 0)


def read_likelihood(namespace: Namespace, constants: Mapping[str, float], text: str, *, table: str) -> Likelihood:
    """Return the likelihood that a text says.

    **Arguments:**

    - `namespace`, `constants`: those of the law; degrees of freedom are a formula of its constants and tables.
    - `table`: where the text is, for errors.

    **Raises:** `LawError` naming table and key.
    """
    counts = {name: count for name, (_, count) in _FAMILIES.items()}
    call = check_call(namespace, text, counts, table, "likelihood", over={SCALE: Symbol(Kind.INPUT)})
    family, _ = _FAMILIES[call.function]
    freedom = _freedom(namespace, constants, call.arguments[0], table) if family == "student_t" else None
    return Likelihood(family, freedom, call.arguments[-1] if call.arguments else None)


def _freedom(namespace: Namespace, constants: Mapping[str, float], tree: Node, table: str) -> float:
    why = "is not known when degrees of freedom are; use constants and tables"
    if SCALE in spoken(namespace, tree):
        refuse(f"'{SCALE}' {why}", table=table, key="likelihood")
    refuse_names(namespace, tree, (Kind.INPUT, Kind.EFFECT, Kind.PARAMETER), why, table=table, key="likelihood")
    found = settled(namespace, constants, tree, {}, table=table, key="likelihood")
    if not (math.isfinite(found) and found > 0):
        refuse(f"student_t needs a positive number of degrees of freedom, not {found:g}", table=table, key="likelihood")
    return found
