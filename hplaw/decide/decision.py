"""A decision: what a law recommends to set, and what it is asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hplaw import rows
from hplaw.arrays import Array
from hplaw.evaluation.point import environment_at
from hplaw.law.law import Law
from hplaw.rows import Number


PLATEAU = 1e-3
"""Share of expected loss that a value on the plateau may cost."""

Bounds = Mapping[str, tuple[Number | None, Number | None]]
"""Lowest and highest value allowed, either None: numbers or columns."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be decided.

    - `known`: values by quantity; a chosen quantity among them is fixed, the others are `free`.
    - `limits`: lowest and highest value of each free quantity, either None.
    - `stretch`: by how much discrepancy is wider here than inside the domain.
    """

    law: Law
    known: Mapping[str, Any]
    free: list[str]
    limits: list[tuple[Any, Any]]
    stretch: Number

    @property
    def bounded(self) -> bool:
        """Return whether any free quantity has a bound."""
        return any(side is not None for limit in self.limits for side in limit)

    @property
    def closed(self) -> bool:
        """Return whether the law's closed form applies, bounds apart: nothing is fixed."""
        return bool(self.law.optimum) and len(self.free) == len(self.law.chosen)

    def inputs(self) -> dict[str, Any]:
        """Return the law's inputs that are known or have a default, free quantities omitted."""
        environment, _ = environment_at(self.law, self.known, free=self.free)
        return {name: environment[name] for name in self.law.inputs if name not in self.free}

    def values(self, logs: list[Number]) -> dict[str, Number]:
        """Return the free quantities from their logarithms, no digit outside the bounds."""
        return {
            name: rows.within(rows.exp(log), low, high)
            for name, (low, high), log in zip(self.free, self.limits, logs, strict=True)
        }


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What a law recommends, numbers or columns.

    - `values`: chosen quantities; `samples` where each may really be best, `[scenario]` or `[row, scenario]`, and
      `transfer` the same for another recipe.
    - `plateau`: range by quantity that costs at most a thousandth of expected loss.
    - `lets`: names of the law known by the way, scenario by scenario, at the values chosen.
    - `regret`: expected excess of what was minimized over each scenario's best, as a share; None where it has none.
    """

    values: dict[str, Number]
    samples: dict[str, Array]
    transfer: dict[str, Array]
    plateau: dict[str, tuple[Any, Any]]
    regret: Number | None
    lets: dict[str, Array] = {}
