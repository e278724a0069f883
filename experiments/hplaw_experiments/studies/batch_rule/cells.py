"""From runs to cells: for one model and optimizer, what each batch size's runs at several rates came to.

A cell has one of two responses: the loss behind a fixed number of examples, and the logarithm of the examples until a
fixed loss is reached. Both have their minimum at the best rate of that batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from hplaw.errors import DataError


Array = NDArray[np.float64]
Measure = Literal["fixed examples", "fixed loss"]
MEASURES: tuple[Measure, ...] = ("fixed examples", "fixed loss")

WINDOW = math.log(2.0**2.6)
"""Distance from the best rate of a cell up to which its runs are used, in the logarithm of the rate."""

SMOOTHED = 5
"""Points of a learning curve that are averaged over before it is asked when it reached a loss."""


class Cell(msgspec.Struct, frozen=True):
    """The runs of one batch size.

    - `batch`: tokens, or examples, in a step.
    - `rates`: logarithms of the rates, a run each; `responses` and `seeds` of the same runs.
    - `edge`: whether the best of them is the first or last rate that was tried and did not diverge.
    - `stable`: logarithm of the largest rate at which no run diverged; None where even the smallest did.
    - `diverged`: logarithm of the lowest rate at which a run diverged; None where none did.
    """

    batch: float
    rates: Array
    responses: Array
    seeds: NDArray[np.int64]
    edge: bool
    stable: float | None
    diverged: float | None


class Series(msgspec.Struct, frozen=True):
    """The cells of one model, optimizer and measure, ascending in the batch; `target` is the fixed loss, nat/token."""

    family: str
    optimizer: str
    measure: Measure
    cells: tuple[Cell, ...]
    target: float | None = None

    @property
    def name(self) -> str:
        """Return the series in words."""
        return f"{self.family}, {self.optimizer}, {self.measure}"


def series_of(runs: pl.DataFrame, *, seeds: Sequence[int]) -> list[Series]:
    """Return the series of a table of runs, those of some seeds alone.

    **Arguments:**

    - `runs`: with trial, optimizer, batch_tokens, peak_lr, seed, loss, tokens, curve_steps and curve_losses.

    **Raises:** `DataError` where a model and optimizer has fewer than four batch sizes.
    """
    found: list[Series] = []
    for (family, optimizer), part in with_model(runs).group_by("model", "optimizer", maintain_order=True):
        if part["batch_tokens"].n_unique() < 4:
            message = f"{family}, {optimizer}: {part['batch_tokens'].n_unique()} batch sizes are stored; a rule needs four, finish the study with `hplaw study run batch-rule`"
            raise DataError(message)
        # the same loss for tuning and test seeds, so that they are asked the same
        target = _target(part)
        chosen = part.filter(pl.col("seed").is_in(list(seeds)))
        for measure in MEASURES:
            cells = tuple(_cells(chosen, measure, target))
            found.append(
                Series(str(family), str(optimizer), measure, cells, target if measure == "fixed loss" else None)
            )
    return sorted(found, key=lambda series: (series.family, series.optimizer, series.measure))


def with_model(runs: pl.DataFrame) -> pl.DataFrame:
    """Return runs with the column model: the family of the network that each trained."""
    return runs.with_columns(pl.col("trial").str.json_path_match("$.family").alias("model"))


def _target(runs: pl.DataFrame) -> float:
    """Return a loss that the best rate of every batch reaches: the worst of their best, and one percent more."""
    ended = runs.filter(pl.col("train_loss").is_finite())
    best = ended.group_by("batch_tokens", "peak_lr").agg(pl.col("train_loss").mean())
    return 1.01 * float(best.group_by("batch_tokens").agg(pl.col("train_loss").min())["train_loss"].to_numpy().max())


def _cells(runs: pl.DataFrame, measure: Measure, target: float) -> Iterator[Cell]:
    for (batch,), part in runs.sort("batch_tokens", "peak_lr", "seed").group_by("batch_tokens", maintain_order=True):
        rows = [_row(row, measure, target) for row in part.iter_rows(named=True)]
        rates, responses, seeds = (np.array(column) for column in zip(*rows, strict=True))
        levels = np.unique(rates)
        means = np.array([responses[rates == level].mean() for level in levels])  # infinite where a run has none
        if not np.isfinite(means).any():
            continue
        best = int(np.argmin(means))
        finite = np.flatnonzero(np.isfinite(means))
        gone = part.filter(pl.col("diverged").fill_null(value=False))["peak_lr"]
        least = float(np.log(gone.to_numpy().min())) if len(gone) else None
        stable = [level for level in levels if least is None or level < least]
        keep = (np.abs(rates - levels[best]) <= WINDOW) & np.isfinite(responses)
        yield Cell(
            batch=float(str(batch)),
            rates=rates[keep],
            responses=responses[keep],
            seeds=seeds[keep].astype(np.int64),
            edge=best in (finite[0], finite[-1]),
            stable=float(stable[-1]) if stable else None,
            diverged=least,
        )


def _row(row: dict[str, Any], measure: Measure, target: float) -> tuple[float, float, int]:
    """Return the logarithm of a run's rate, its response, infinite where it has none, and its seed."""
    response = math.inf
    if not row["diverged"]:
        response = row["loss"] if measure == "fixed examples" else _reached(row, target)
    return math.log(row["peak_lr"]), response, row["seed"]


def _reached(row: dict[str, Any], target: float) -> float:
    """Return the logarithm of the tokens until a run's smoothed training loss is at the target; infinite where it never is."""
    losses = np.asarray(row["curve_losses"], np.float64)
    steps = np.asarray(row["curve_steps"], np.float64) + 1
    if len(losses) < 2 * SMOOTHED:
        return math.inf
    smooth = np.convolve(losses, np.full(SMOOTHED, 1 / SMOOTHED), mode="valid")
    middle = np.convolve(steps, np.full(SMOOTHED, 1 / SMOOTHED), mode="valid")
    below = np.flatnonzero(smooth <= target)
    if not len(below):
        return math.inf
    at = int(below[0])
    if at == 0:
        return math.log(middle[0] * row["batch_tokens"])
    share = (smooth[at - 1] - target) / (smooth[at - 1] - smooth[at])
    # between two points of a curve, evenly in the logarithm of the steps
    step = math.exp(math.log(middle[at - 1]) + share * math.log(middle[at] / middle[at - 1]))
    return math.log(step * row["batch_tokens"])
