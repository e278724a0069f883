"""From cells to regimes: means over seeds, labels by thresholds, pairs that differ in one thing, choices scored on test seeds."""

from __future__ import annotations

import itertools as it
import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import polars as pl
from scipy import stats

from hplaw.fit.data.cells import Cells, CellTable
from hplaw.pruning.regimes import COOLER, HOTTER, MATTERS, action_of
from hplaw.vocabulary.names import REGIMES


WHERE = ("family", "axis", "epochs", "batch", "rate", "stop_rate", "rho")
"""What distinguishes dense trainings."""

CLASSES = tuple(REGIMES)


def means(cells: pl.DataFrame, seeds: Sequence[int]) -> pl.DataFrame:
    """Return the mean of each training and density over some dense seeds; cells that are undefined do not count."""
    here = cells.filter(pl.col("seed").is_in(list(seeds)), pl.col("lmc").is_not_null(), pl.col("cka").is_not_null())
    return here.group_by(*WHERE, "density", maintain_order=True).agg(
        pl.col("lmc", "cka", "test_error", "train_error", "dense_error").mean(), pl.len().alias("cells")
    )


def with_regimes(found: pl.DataFrame, *, barrier: float, alike: float) -> pl.DataFrame:
    """Return cells with `pruning_regime`: by the barrier, then by similarity relative to its range at the density.

    Similarity mostly tracks density, so that `alike` is a place between the lowest and the largest value at each density.
    """
    low, high = (f("cka").over("family", "density") for f in (pl.min, pl.max))
    place = (pl.col("cka") - low) / pl.max_horizontal(high - low, pl.lit(1e-12))
    regime = (
        pl.when(pl.col("lmc") < barrier)
        .then(pl.lit(CLASSES[0]))
        .when(place < alike)
        .then(pl.lit(CLASSES[1]))
        .otherwise(pl.lit(CLASSES[2]))
    )
    return found.with_columns(place.alias("cka_place"), regime.alias("pruning_regime"))


def cell_table(found: pl.DataFrame) -> CellTable:
    """Return cells with regimes as what a map is learned from."""
    cells = Cells(
        first=found["density"].to_numpy().astype(np.float64),
        second=found["epochs"].to_numpy().astype(np.float64),
        label=np.asarray([CLASSES.index(word) for word in found["pruning_regime"]], dtype=np.intp),
        classes=CLASSES,
    )
    return CellTable(cells=cells, error=found["test_error"].to_numpy().astype(np.float64))


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """A mean difference between cells that differ in one thing, with its 90% interval, and of how many pairs."""

    mean: float
    low: float
    high: float
    pairs: int


def paired(first: pl.DataFrame, second: pl.DataFrame, by: Sequence[str], value: str) -> Paired:
    """Return how much higher a value is in the second table, row by row of equal `by`."""
    both = first.join(second, on=list(by), suffix="_then").drop_nulls([value, f"{value}_then"])
    change = (both[f"{value}_then"] - both[value]).to_numpy()
    mean, error = float(change.mean()), float(change.std(ddof=1) / math.sqrt(len(change)))
    reach = float(stats.t.ppf(0.95, len(change) - 1)) * error
    return Paired(mean=mean, low=mean - reach, high=mean + reach, pairs=len(change))


class AdviceScore(msgspec.Struct, frozen=True, kw_only=True):
    """How advice did on test seeds: share of the right sign, of how many cells, and the mean change of error if followed."""

    right: float
    cells: int
    followed: float


def score_advice(tuned: pl.DataFrame, tested: pl.DataFrame) -> AdviceScore:
    """Return whether the regime on tuning seeds tells on which side the test error of other seeds is lowest.

    Counted are cells more than 0.002 above the lowest error at their density; followed is the change to the best cell on
    the side that is advised, chosen on tuning seeds.
    """
    right: list[bool] = []
    change: list[float] = []
    for density in tuned["density"].unique():
        a, b = (part.filter(pl.col("density") == density).sort("epochs") for part in (tuned, tested))
        before, after = a["test_error"].to_numpy(), b["test_error"].to_numpy()
        best = int(after.argmin())
        for i, regime in enumerate(a["pruning_regime"]):
            action = action_of(regime)
            sides = {HOTTER: range(i), COOLER: range(i + 1, len(before))}.get(action, range(0))
            to = min(sides, key=lambda j: before[j], default=i)
            if after[i] - after[best] > MATTERS:
                right.append((action == HOTTER and best < i) or (action == COOLER and best > i))
                change.append(float(after[to] - after[i]))
    return AdviceScore(
        right=float(np.mean(right)) if right else math.nan,
        cells=len(right),
        followed=float(np.mean(change)) if change else math.nan,
    )


def score_changes(change: Callable[[float, float, float], float], tested: pl.DataFrame) -> tuple[float, int]:
    """Return how often a law of the error tells the sign of a change between epochs at a density, and of how many pairs.

    Counted are pairs of cells of test seeds whose errors differ by more than 0.002.

    **Arguments:**

    - `change`: of the error, from density, epochs before, epochs after.
    """
    right: list[bool] = []
    for _, here in tested.group_by("density", maintain_order=True):
        rows = here.select("density", "epochs", "test_error").rows()
        for (density, a, error_a), (_, b, error_b) in it.combinations(rows, 2):
            if abs(error_b - error_a) > MATTERS:
                right.append((change(density, a, b) > 0) == (error_b > error_a))
    return (float(np.mean(right)) if right else math.nan), len(right)


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Which dense training to prune at a density, and test errors on other seeds of it, the best, the mean and another choice.

    - `by_dense`: the error where the one of lowest dense error is taken.
    """

    density: float
    rejected: int
    candidates: int
    error: float
    best: float
    mean: float
    by_dense: float


def choose_models(tuned: pl.DataFrame, tested: pl.DataFrame, *, barrier: float) -> list[Chosen]:
    """Return the choice at each density: connected on tuning seeds, then most alike; scored on test seeds."""
    found: list[Chosen] = []
    both = tuned.join(tested.select(*WHERE, "density", pl.col("test_error").alias("then")), on=[*WHERE, "density"])
    for density in both["density"].unique().sort():
        here = both.filter(pl.col("density") == density)
        left = here.filter(pl.col("lmc") >= barrier)
        pick = (left if len(left) else here).sort("cka", descending=True).row(0, named=True)
        dense = here.sort("dense_error").row(0, named=True)
        then = here["then"].to_numpy()
        found.append(
            Chosen(
                density=density,
                rejected=len(here) - len(left),
                candidates=len(here),
                error=pick["then"],
                best=float(then.min()),
                mean=float(then.mean()),
                by_dense=dense["then"],
            )
        )
    return found
