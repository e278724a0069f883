"""Losses over learning rates at several sizes, as the analysis reads them: one set for each scheme that is compared.

Runs that differ in their seed are one: their mean log loss, which is above all where one of them diverged. A loss counts as
measured where its logarithm is within `NEAR` of the best at that size; from a loss above that, or a
run that diverged, it is taken only that it is above. So a plateau far from the best does not bend the fit, and a run
that failed still says where the best rate is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hplaw.errors import DataError
from hplaw.formatting import plural


NEAR = 1.2
"""Largest logarithm of a loss over the best one that the bowl is fitted to; a factor of 3.3."""

SHARE_OF_RANGE = 0.5
"""Part of the logarithmic range from the best loss to the worst that the bowl is fitted to, where that is less."""

GRID_SD = 0.29
"""Standard deviation, octaves, of a best rate that was read off a grid of factors of two: uniform within a step."""

FAILED = float("inf")
"""The log loss of a run that diverged."""

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Bowls(NamedTuple):
    """The runs of one scheme, or its best rates alone: sizes in ascending order, then size, rate and loss of each cell.

    - `labels`: the categories that distinguish the set, by column.
    - `sizes`: widths, or layers.
    - `place`: of a cell, which is the runs of one size and rate, the place of its size.
    - `log2_rate`, `log_loss`: of a cell, rates ascending within a size; `FAILED` where a run diverged.
    - `cap`: by size, the largest log loss that counts as measured.
    - `optimum`: by size log2 of a best rate that was given in place of runs, else NaN.
    - `runs`: how many rows of the table the set was made of.
    """

    labels: Mapping[str, str]
    sizes: Array
    place: NDArray[np.int64]
    log2_rate: Array
    log_loss: Array
    cap: Array
    optimum: Array
    runs: int

    @property
    def name(self) -> str:
        """Return the categories in words."""
        return ", ".join(self.labels.values()) or "all runs"

    @property
    def log2_size(self) -> Array:
        """Return log2 of each size over the smallest."""
        return np.log2(self.sizes / self.sizes[0])

    @property
    def above(self) -> Flags:
        """Return whether a cell is only known to be above the cap of its size."""
        return self.log_loss > self.cap[self.place]

    def means(self, i: int) -> tuple[Array, Array]:
        """Return the rates tried at a size in ascending order, and the mean log loss over seeds; `FAILED` where one did."""
        here = self.place == i
        return self.log2_rate[here], self.log_loss[here]

    def lowest(self) -> Array:
        """Return by size log2 of the best rate that was given, or of the rate whose mean loss is lowest."""
        return np.array([given if np.isfinite(given) else self._lowest(i) for i, given in enumerate(self.optimum)])

    def _lowest(self, i: int) -> float:
        rates, losses = self.means(i)
        return float(rates[int(np.argmin(losses))])

    def at_edge(self) -> list[float]:
        """Return the sizes at which the lowest loss is at the edge of the rates tried: there the best is a bound."""
        found: list[float] = []
        for i, (size, given) in enumerate(zip(self.sizes, self.optimum, strict=True)):
            if not np.isfinite(given):
                rates, _ = self.means(i)
                found += [float(size)] * (self._lowest(i) in (rates[0], rates[-1]))
        return found

    def cost(self, i: int, log2_rate: float) -> float:
        """Return the loss at a rate over the lowest at a size, interpolated in logarithms; infinite beyond what was tried."""
        rates, losses = self.means(i)
        if not rates[0] <= log2_rate <= rates[-1]:
            return FAILED
        right = int(np.searchsorted(rates, log2_rate))
        near = losses[max(right - 1, 0) : right + 1] if rates[right] != log2_rate else losses[right : right + 1]
        if not np.isfinite(near).all():
            return FAILED
        known = np.isfinite(losses)
        return float(np.exp(np.interp(log2_rate, rates[known], losses[known]) - losses.min()))

    def first(self, count: int) -> Bowls:
        """Return the set with its smallest sizes only."""
        kept = self.place < count
        return self._replace(
            sizes=self.sizes[:count],
            cap=self.cap[:count],
            optimum=self.optimum[:count],
            place=self.place[kept],
            log2_rate=self.log2_rate[kept],
            log_loss=self.log_loss[kept],
        )


def bowls(table: pl.DataFrame, *, by: Sequence[str], size: str = "width") -> list[Bowls]:
    """Return the runs of a table, apart by the categories in `by`; without a column `loss`, rows are best rates.

    **Arguments:**

    - `table`: columns of `by`, of `size`, `peak_lr`, and `loss`, which is empty where a run diverged.

    **Raises:** `DataError` where no scheme has two sizes with two rates each.
    """
    known = "loss" in table.columns
    found: list[Bowls] = []
    for key, rows in _parts(table, by):
        labels = dict(zip(by, map(str, key), strict=True))
        kept = [part for _, part in rows.group_by(size, maintain_order=True) if not known or _usable(part)]
        if len(kept) > 1:
            rows = pl.concat(kept)
            found.append(_runs(rows, labels, size) if known else _optima(rows, labels, size))
    if not found:
        what = "two rates each" if known else "a best rate"
        message = f"{plural(len(table), 'row')} hold no two values of {size} with {what}; give a sweep of peak_lr at several of them"
        raise DataError(message)
    return found


def _parts(table: pl.DataFrame, by: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], pl.DataFrame]]:
    if not by:
        yield (), table
        return
    yield from table.group_by(by, maintain_order=True)


def _log_loss() -> pl.Expr:
    """Return the log loss of a run, `FAILED` where it diverged."""
    loss = pl.col("loss").cast(pl.Float64)
    known = (loss.is_finite() & (loss > 0)).fill_null(value=False)
    return pl.when(known).then(loss.log()).otherwise(FAILED)


def _usable(rows: pl.DataFrame) -> bool:
    cells = rows.group_by("peak_lr").agg(_log_loss().mean().alias("log_loss"))
    return len(cells) > 1 and bool(cells["log_loss"].is_finite().any())


def _runs(rows: pl.DataFrame, labels: Mapping[str, str], size: str) -> Bowls:
    cells = rows.group_by(size, "peak_lr").agg(_log_loss().mean().alias("log_loss")).sort(size, "peak_lr")
    sizes = cells[size].unique().sort().to_numpy().astype(float)
    place = np.searchsorted(sizes, cells[size].to_numpy().astype(float))
    log_loss = cells["log_loss"].to_numpy().astype(float)
    worst = log_loss[np.isfinite(log_loss)].max()
    best = np.array([log_loss[place == i].min() for i in range(len(sizes))])
    return Bowls(
        labels=labels,
        sizes=sizes,
        place=place,
        log2_rate=np.log2(cells["peak_lr"].to_numpy().astype(float)),
        log_loss=log_loss,
        cap=best + np.minimum(NEAR, SHARE_OF_RANGE * (worst - best)),
        optimum=np.full(len(sizes), np.nan),
        runs=len(rows),
    )


def _optima(rows: pl.DataFrame, labels: Mapping[str, str], size: str) -> Bowls:
    found = rows.group_by(size).agg(pl.col("peak_lr").log(2).mean()).sort(size)
    none = np.zeros(0)
    return Bowls(
        labels=labels,
        sizes=found[size].to_numpy().astype(float),
        place=none.astype(np.int64),
        log2_rate=none,
        log_loss=none,
        cap=np.zeros(len(found)),
        optimum=found["peak_lr"].to_numpy().astype(float),
        runs=len(rows),
    )
