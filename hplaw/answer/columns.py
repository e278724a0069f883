"""One law over many rows: cases checked, outputs worked out and intervals taken as columns."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.answer.choose import choose_rows, chunks, rows_of
from hplaw.answer.intervals import WIDEST, Run, drawn_inputs, followers
from hplaw.answer.quantiles import quantiles
from hplaw.evaluation.domain import domain
from hplaw.evaluation.inputs import inputs
from hplaw.evaluation.point import SILENT, positive_outputs
from hplaw.expression.backends import Undefined, numpy_backend
from hplaw.expression.compile import Function
from hplaw.forms.log_normal import NORMAL_QUANTILES, closed, log_deviation
from hplaw.law import Law
from hplaw.law.derived import derived
from hplaw.law.law import numpy_environment
from hplaw.law.program import Environment, unroll
from hplaw.narrowing import is_column
from hplaw.posterior.discrepancy import stretch_of
from hplaw.posterior.scenarios import scenarios


Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Columns(msgspec.Struct, frozen=True):
    """A quantity by row: its value and intervals, NaN for null."""

    value: Array
    low: Array
    high: Array
    transfer_low: Array
    transfer_high: Array

    @classmethod
    def empty(cls, size: int) -> Self:
        """Return columns without any value."""
        return cls(*(np.full(size, np.nan) for _ in range(5)))

    def fields(self) -> tuple[Array, ...]:
        """Return the five columns."""
        return (self.value, self.low, self.high, self.transfer_low, self.transfer_high)

    def put(self, rows: NDArray[np.int64], others: Columns) -> None:
        """Overwrite some rows."""
        for mine, other in zip(self.fields(), others.fields(), strict=True):
            mine[rows] = other


class Column(msgspec.Struct, frozen=True):
    """What a law says for many rows: values and intervals by output, and which case makes a row doubtful, counted from
    one; a row without a value is NaN."""

    values: dict[str, Array]
    intervals: dict[str, tuple[Array, Array]]
    transfers: dict[str, tuple[Array, Array]]
    doubtful: NDArray[np.int64]

    def one(self, name: str, rows: Mask) -> Columns:
        """Return one output's columns at some rows."""
        value = self.values[name][rows]
        nothing = np.full(len(value), np.nan)
        low, high = (side[rows] for side in self.intervals[name]) if name in self.intervals else (nothing, nothing)
        outer = self.transfers.get(name)
        return Columns(value, low, high, *((side[rows] for side in outer) if outer else (nothing, nothing)))


def ask_column(law: Law, known: Mapping[str, Any], outside: Array, *, seen: Collection[str]) -> Column:
    """Return what a law of plain formulas says for many rows, choosing what it is free to choose.

    **Arguments:**

    - `known`: numbers `[row]` and categories by name; the law's inputs are among them, have a stand-in, or are chosen.
    - `outside`: e-folds outside the law's domain, `[row]`.
    - `seen`: outputs whose intervals are seen, and whose values are then the medians of a fitted law.
    """
    size = len(outside)
    wider = stretch_of(law, outside)
    free = [name for name in law.chosen if name not in known]
    drawn = drawn_inputs(law, known)
    chosen = choose_rows(
        law,
        _bind(law, {**known, **dict.fromkeys(free, np.ones(size))}),
        free,
        wider,
        drawn=drawn,
        following=sorted(followers(law) & {*seen}),
    )
    bound = _bind(law, {**known, **chosen.values})
    environment = numpy_environment(law, {**scenarios(law).point, **bound})
    silent, doubtful = _cases(law, environment, size)
    values = {
        name: _row_values(output, environment, size)
        for name, output in law.program(numpy_backend()).outputs.items()
        if not law.quantity(name).categorical
    }
    found, transfers = dict(chosen.intervals), dict(chosen.transfers)
    if seen and (scenarios(law).uncertain or drawn):
        decided = law.spec.decision.minimise if law.spec.decision else None
        told = [name for name in values if name in seen and name not in chosen.intervals]
        for name in [name for name in told if np.isfinite(values[name]).any()]:
            found.update(_interval(law, name, values, bound, drawn, wider, chosen.lets))
            if scenarios(law).transfer and name != decided:
                transfers.update(_interval(law, name, values, bound, drawn, wider, {}, transfer=True))
    values.update(chosen.values)
    for name, value in values.items():
        vain = value <= 0 if name in positive_outputs(law) else False
        value[silent | ~np.isfinite(value) | vain] = np.nan
    return Column(values, found, transfers, doubtful)


def _bind(law: Law, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a law's inputs by row; stand-ins that are formulas are worked out over the others."""
    bound: dict[str, Any] = {}
    for item in inputs(law):
        value = known.get(item.known, item.default)
        if value is not None:
            bound[item.name] = value
    for item in inputs(law):
        if item.name not in bound:
            environment = numpy_environment(law, {**scenarios(law).point, **bound})
            bound[item.name] = _stand_in(law, item.name)(environment)
    return bound


@derived
def _stand_in(law: Law, name: str) -> Function:
    """Return the function of the formula that stands in for an input."""
    formula = law.namespace.formula(str(law.inputs[name].missing), table="inputs", key=name)
    return unroll(law.namespace, formula, numpy_backend(), ())


def followed(law: Law, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a law's domain that follow from those known by row, as far as they do."""
    late = [item.name for item in domain(law).follows if known.get(item.name) is None]
    if not late:
        return {}
    early = {i.name: known.get(i.known, i.default) for i in inputs(law)}
    early = {name: value for name, value in early.items() if value is not None}
    found: dict[str, Any] = {}
    for name in late:
        environment = numpy_environment(law, {**scenarios(law).point, **early})
        try:
            found[name] = _stand_in(law, name)(environment)
        except KeyError:  # it follows from what is not known
            continue
    return found


def _cases(law: Law, environment: Environment, size: int) -> tuple[Mask, NDArray[np.int64]]:
    """Return which rows a case silences, and the number of the case that makes others doubtful.

    Where a case cannot be told, as a table lacks the category of these rows, all that it would decide are silent.
    """
    silent, doubtful = np.zeros(size, dtype=bool), np.zeros(size, dtype=np.int64)
    decided = np.zeros(size, dtype=bool)
    for number, case in enumerate(law.program(numpy_backend()).cases, 1):
        try:
            holds = np.broadcast_to(np.asarray(case.holds(environment), dtype=bool), (size,))
        except Undefined:
            return silent | ~decided, doubtful
        holds = holds & ~decided
        decided |= holds
        if case.status in SILENT:
            silent |= holds
        else:
            doubtful[holds] = number
    return silent, doubtful


def _row_values(output: Any, environment: Environment, size: int) -> Array:
    try:
        value = output(environment)
    except Undefined:  # a table without the category of these rows
        value = math.nan
    return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (size,)))


def _interval(
    law: Law,
    name: str,
    values: dict[str, Array],
    bound: Mapping[str, Any],
    drawn_in: Mapping[str, Array],
    wider: Array,
    lets: Mapping[str, Array],
    *,
    transfer: bool = False,
) -> dict[str, tuple[Array, Array]]:
    """Return the 90 percent interval of one output by row: in closed form, or from scenarios a chunk of rows at a time.

    The value of a fitted law is the median of its scenarios, and is put in its place. `drawn_in` has the inputs that
    are not known, scenario by scenario.
    """
    value, drawn, follows = values[name], scenarios(law), name in followers(law)
    if not law.chosen and closed(law, name, transfer=transfer):
        rows = {n: v[:, None] if is_column(v) else v for n, v in bound.items()}
        deviation = log_deviation(law, name, rows, wider, transfer=transfer)
        if deviation is None:
            return {}
        width = np.exp(NORMAL_QUANTILES[-1] * deviation)
        width = np.where((deviation > 0) & (deviation < WIDEST), width, np.nan)
        return {name: (value / width, value * width)}
    levels = np.full((len(value), 5), np.nan)
    for part in chunks(len(value)):
        run = Run(
            law,
            {**rows_of(bound, part), **drawn_in},
            stretch=wider[part, None],
            transfer=transfer,
            lets={let: samples[part] for let, samples in lets.items()},
            chosen={} if follows else None,
        )
        noise = 1.0 if transfer else run.noise(name)
        samples = np.asarray(run.output(name) * noise)
        levels[part] = quantiles(np.broadcast_to(samples, (len(value[part]), samples.shape[-1])))
    # what no scenario moves, or moves out of all bounds, has no interval
    known = np.isfinite(levels).all(axis=1) & (levels[:, 0] < levels[:, -1])
    if drawn.fitted and not transfer and not follows:
        there = known & (levels[:, 2] > 0) if name in positive_outputs(law) else known
        values[name] = np.where(there, levels[:, 2], value)
    low, high = (np.where(known, levels[:, side], np.nan) for side in (0, -1))
    return {name: (low, high)}
