"""Decisions by row: what a law chooses for many questions at once, as exactly as for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.answer.intervals import Run
from hplaw.answer.quantiles import quantiles
from hplaw.decide.ridges import Ridges
from hplaw.forms.linex import linex
from hplaw.forms.log_linear import best_logs
from hplaw.law import Law
from hplaw.narrowing import is_column
from hplaw.posterior.scenarios import scenarios


Array = NDArray[np.float64]

_CHUNK = 64
"""Rows that are run over all scenarios at a time, so that they stay in the processor's cache."""


class NeedsSearch(Exception):
    """Some row has ridges that are not convex or leave a direction flat: rows must be asked one by one."""


class Chosen(msgspec.Struct, frozen=True):
    """Chosen quantities by row with their intervals, and names of the law known by the way, `[row, scenario]`."""

    values: dict[str, Array] = {}
    intervals: dict[str, tuple[Array, Array]] = {}
    transfers: dict[str, tuple[Array, Array]] = {}
    lets: dict[str, Array] = {}


def chunks(size: int) -> Iterator[slice]:
    """Yield slices of rows that are worked on together.

    >>> list(chunks(100))
    [slice(0, 64, None), slice(64, 128, None)]
    """
    for start in range(0, size, _CHUNK):
        yield slice(start, start + _CHUNK)


def rows_of(values: Mapping[str, Any], part: slice) -> dict[str, Any]:
    """Return some rows of columns as `[row, 1]`; what is no column stays."""
    return {name: value[part, None] if is_column(value) else value for name, value in values.items()}


def in_rows(law: Law) -> bool:
    """Return whether a law's decision can be made by row: it has none, or a sum of ridges with a closed form."""
    if not law.chosen:
        return True
    return bool(law.optimum) and scenarios(law).uncertain and linex(law) is not None


def choose_rows(
    law: Law,
    bound: Mapping[str, Any],
    free: Sequence[str],
    wider: Array,
    *,
    drawn: Mapping[str, Array],
    following: Sequence[str] = (),
) -> Chosen:
    """Return what a law chooses for each row.

    **Arguments:**

    - `bound`: its inputs, numbers `[row]` or categories; the chosen ones that are free are not looked at.
    - `free`: chosen quantities that are not given.
    - `wider`: by how much discrepancy is wider outside the domain, `[row]`.
    - `drawn`: inputs that are not known, scenario by scenario.
    - `following`: outputs that follow what is chosen, whose intervals are wanted too.

    **Raises:** `NeedsSearch`.
    """
    if not free:
        return Chosen()
    size = len(wider)
    levels = {name: np.empty((size, 5)) for name in (*free, *following)}
    others = {name: np.empty((size, 5)) for name in levels if scenarios(law).transfer}
    values = {name: np.empty(size) for name in free}
    lets: dict[str, Array] = {}
    for part in chunks(size):
        one = _Part(law, rows_of(bound, part), free, wider[part, None])
        for name, x in one.best().items():
            values[name][part] = x
        for into, transfer in ((levels, False), (others, True)):
            if into:
                own = one.own(transfer=transfer)
                with_it = one.following(following, own, drawn, transfer=transfer)
                for name, samples in (own | with_it).items():
                    into[name][part] = quantiles(samples)
        for let, samples in one.lets().items():
            lets.setdefault(let, np.empty((size, scenarios(law).size)))[part] = samples
    return Chosen(values, _outer(levels), _outer(others), lets)


def _outer(levels: Mapping[str, Array]) -> dict[str, tuple[Array, Array]]:
    """Return the 90 percent interval by row; what no scenario moves, or moves out of all bounds, has none."""
    for found in levels.values():
        found[~(np.isfinite(found).all(axis=1) & (found[:, 0] < found[:, -1]))] = np.nan
    return {name: (found[:, 0].copy(), found[:, -1].copy()) for name, found in levels.items()}


class _Part:
    """The decisions of some rows."""

    def __init__(self, law: Law, bound: dict[str, Any], free: Sequence[str], wider: Array) -> None:
        form = linex(law)
        assert form is not None
        self.law, self.free = law, free
        self.inputs = {name: value for name, value in bound.items() if name not in law.chosen}
        self.fixed = {i: np.log(bound[name]) for i, name in enumerate(law.chosen) if name not in free}
        drawn = scenarios(law)
        self.shift = {name: wider * z for name, z in drawn.discrepancy.items()}
        self.wider = wider
        self.ridges = Ridges(form, self.inputs, self.fixed, stretch=wider)
        self.logs = best_logs(law, self.inputs, transfer=False)
        self.low, self.high = np.full(len(free), -np.inf), np.full(len(free), np.inf)
        start = self.logs.mean(axis=2)[:, list(self.ridges.free)]
        self.x = self.ridges.least(start, self.low, self.high)
        if not self.ridges.convex or not np.isfinite(self.x).all():
            raise NeedsSearch

    def best(self) -> dict[str, Array]:
        """Return the chosen values by row."""
        return {name: np.exp(self.x[:, i]) for i, name in enumerate(self.free)}

    def own(self, *, transfer: bool) -> dict[str, Array]:
        """Return where each scenario has its own best values, `[row, scenario]`."""
        if len(self.free) == len(self.law.chosen):
            logs = best_logs(self.law, self.inputs, transfer=True) if transfer else self.logs
            return {name: np.exp(logs[:, i] + self.shift.get(name, 0.0)) for i, name in enumerate(self.law.chosen)}
        ridges = self.ridges
        if transfer:
            form = linex(self.law, transfer=True)
            assert form is not None
            ridges = Ridges(form, self.inputs, self.fixed, stretch=self.wider)
        x, _ = ridges.own(self.x, self.low, self.high)
        return {name: np.exp(x[:, i]) for i, name in enumerate(self.free)}

    def following(
        self, names: Sequence[str], own: Mapping[str, Array], drawn: Mapping[str, Array], *, transfer: bool
    ) -> dict[str, Array]:
        """Return the outputs that follow the chosen quantities through `own`, `[row, scenario]`."""
        if not names:
            return {}
        given = {name: np.exp(self.fixed[i]) for i, name in enumerate(self.law.chosen) if i in self.fixed}
        values = {**self.inputs, **drawn}
        run = Run(self.law, values, stretch=self.wider, transfer=transfer, chosen={**given, **own})
        shape = (len(self.x), self.ridges.size)
        return {name: np.broadcast_to(run.output(name), shape) for name in names}

    def lets(self) -> dict[str, Array]:
        """Return the names of the law that the decision knows."""
        let = self.ridges.form.let
        return {let: self.ridges.excess(self.x)} if let else {}
