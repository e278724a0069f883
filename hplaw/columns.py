"""One law over many rows: cases checked, outputs worked out and intervals taken as columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.gaussian import NORMAL_QUANTILES, closed, directions, log_deviation
from hplaw.interval import quantiles, stretch_of
from hplaw.law import Law
from hplaw.law.program import Environment
from hplaw.narrow import is_column
from hplaw.point import SILENT, inputs
from hplaw.posterior import numpy, numpy_environment, scenarios


Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_CHUNK = 256
"""Rows that are run over all scenarios at a time, so that they stay in the processor's cache."""


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
        low, high = (
            (side[rows] for side in self.intervals[name])
            if name in self.intervals
            else (nothing, nothing)
        )
        outer = self.transfers.get(name)
        return Columns(
            value, low, high, *((side[rows] for side in outer) if outer else (nothing, nothing))
        )


def ask_column(law: Law, known: Mapping[str, Any], outside: Array, *, intervals: bool) -> Column:
    """Return what a law of plain formulas says for many rows.

    **Arguments:**

    - `known`: numbers `[row]` and categories by name; the law's inputs are among them or have a stand-in.
    - `outside`: e-folds outside the law's domain, `[row]`.
    - `intervals`: false leaves them out.
    """
    size = len(outside)
    environment = numpy_environment(law, scenarios(law).point)
    bound = _bind(law, known, environment)
    environment.update(bound)
    with np.errstate(all="ignore"):
        silent, doubtful = _cases(law, environment, size)
        values = {
            name: _row_values(output, environment, size)
            for name, output in law.program(numpy()).outputs.items()
        }
    for value in values.values():
        value[silent | ~np.isfinite(value)] = np.nan
    found: dict[str, tuple[Array, Array]] = {}
    transfers: dict[str, tuple[Array, Array]] = {}
    if intervals and scenarios(law).uncertain:
        wider = stretch_of(law, outside)
        rows: dict[str, Any] = {
            name: value[:, None] if is_column(value) else value for name, value in bound.items()
        }
        for name in values:
            if law.quantity(name).categorical:
                continue
            found.update(_interval(law, name, values[name], rows, wider, transfer=False))
            if scenarios(law).transfer:
                transfers.update(_interval(law, name, values[name], rows, wider, transfer=True))
    return Column(values, found, transfers, doubtful)


def _bind(law: Law, known: Mapping[str, Any], environment: Environment) -> dict[str, Any]:
    """Return a law's inputs by row; stand-ins that are formulas are worked out over the others."""
    bound: dict[str, Any] = {}
    for item in inputs(law):
        value = known.get(item.known, item.default)
        if value is not None:
            bound[item.name] = value
    environment.update(bound)
    for item in inputs(law):
        if item.name not in bound:
            from hplaw.law.program import unroll

            text = law.inputs[item.name].missing
            formula = law.namespace.formula(str(text), table="inputs", key=item.name)
            bound[item.name] = environment[item.name] = unroll(law.namespace, formula, numpy(), ())(
                environment
            )
    return bound


def _cases(law: Law, environment: Environment, size: int) -> tuple[Mask, NDArray[np.int64]]:
    """Return which rows a case silences, and the number of the case that makes others doubtful."""
    silent, doubtful = np.zeros(size, dtype=bool), np.zeros(size, dtype=np.int64)
    decided = np.zeros(size, dtype=bool)
    for number, case in enumerate(law.program(numpy()).cases, 1):
        holds = np.broadcast_to(np.asarray(case.holds(environment), dtype=bool), (size,)) & ~decided
        decided |= holds
        if case.status in SILENT:
            silent |= holds
        else:
            doubtful[holds] = number
    return silent, doubtful


def _row_values(output: Any, environment: Environment, size: int) -> Array:
    value = output(environment)
    return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (size,)))


def _interval(
    law: Law, name: str, value: Array, rows: Mapping[str, Any], wider: Array, *, transfer: bool
) -> dict[str, tuple[Array, Array]]:
    """Return the 90 percent interval of one output by row: in closed form, or from scenarios a chunk of rows at a time."""
    if closed(law, name, transfer=transfer) and directions(law) is not None:
        deviation = log_deviation(law, name, rows, wider, transfer=transfer)
        if deviation is None:
            return {}
        with np.errstate(all="ignore"):
            width = np.exp(NORMAL_QUANTILES[-1] * deviation)
        return {name: (value / width, value * width)}
    drawn, size = scenarios(law), len(value)
    low, high = np.empty(size), np.empty(size)
    shift = drawn.discrepancy.get(name)
    for start in range(0, size, _CHUNK):
        part = slice(start, start + _CHUNK)
        chunk: dict[str, Any] = {n: v[part] if is_column(v) else v for n, v in rows.items()}
        environment = numpy_environment(law, {**drawn.values(transfer=transfer), **chunk})
        with np.errstate(all="ignore"):
            sample = np.broadcast_to(
                law.program(numpy()).outputs[name](environment), (len(value[part]), drawn.size)
            )
            if shift is not None:
                sample = sample * np.exp(wider[part, None] * shift)
        levels = quantiles(sample)
        low[part], high[part] = levels[:, 0], levels[:, -1]
    bad = ~(np.isfinite(low) & np.isfinite(high) & np.isfinite(value))
    low[bad] = high[bad] = np.nan
    return {name: (low, high)}
