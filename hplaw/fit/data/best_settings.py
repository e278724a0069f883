"""What sweeps, published laws and published trainings say of the best rate and batch: one table, one row per cell.

A grid that was tried tells between which values the best lies, not where: halfway (in logarithms) to the next worse
value on each side. A best at an edge of the grid is a bound on one side, open on the other. The columns:

- `recipe`: whose settings; `practice` is 1 for what a team trained with, `published_law` for what a law gives, else 0.
- `n_params`, `n_active_params`, `tokens`, `optimizer`, `muon_scale`: where.
- `peak_lr`, `batch_tokens`: the value found, null where it was not looked for.
- `peak_lr_low`, `peak_lr_high`, `batch_tokens_low`, `batch_tokens_high`: bounds on the best; both null for a point.
- `given_batch_tokens`: the batch at which the rate is the best where the batch was not chosen, else null.
"""

from __future__ import annotations

import itertools as it
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.catalogue import Catalogue
from hplaw.law import Law


STEP_LAW, MISFITTING, MARIN, MARIN_ADAMW, PUBLISHED = (
    "steplaw_runs.csv",
    "misfitting_lr_runs.csv",
    "marin_optimizer_sweep.csv",
    "marin_adamw_runs.csv",
    "published_recipes.csv",
)

LAWS: Mapping[str, Sequence[tuple[float, float]]] = {
    "step-law-2025": [(n, d) for n in (2.5e8, 1e9) for d in (1e10, 1e11)],
    "deepseek-llm-2024": [(n, 20 * n) for n in (1e8, 3e8, 1e9)],
    "porian-2024": [(n, 20 * n) for n in (1e7, 1e8, 8e8)],
    "bjorck-2024": [(n, d) for n in (1e8, 1e9) for d in (3e10, 3e11)],
    "power-lines-batch-2025": [(n, d) for n in (1.1e8, 1e9) for d in (3e9, 3e10)],
}
"""Published laws that were fitted to sweeps, and the points of their domains at which they represent these."""

FIXED = {"bjorck-2024": 524288.0}
"""Batches, in tokens, at which the rates of such a law were found, where it does not choose one."""

TEAMS = {"step-law-2025": "step-law"}
"""Laws of a team whose sweep is at hand, which are held out together with it."""

MARIN_SEQ_LEN = 4096
"""Tokens of a sequence in Marin's sweep."""

MARIN_SIZES = {"130m": 134217728.0, "300m": 301989888.0, "520m": 536870912.0}
"""Parameters without embedding of Marin's sizes, as its sweep of optimizers gives them: 32 layers of width 512 to 1024."""

MARIN_NAMES = {"mini": "adam-mini", "soape": "soap"}
"""Optimizers that Marin's sweep calls otherwise than the vocabulary."""

MARIN_LEFT_OUT = frozenset(("mudam",))
"""Optimizers of it that nobody else uses by that name."""


class Best(msgspec.Struct, frozen=True, kw_only=True):
    """The best value of a grid and the bounds that the grid sets on the true best; None is open."""

    value: float
    low: float | None
    high: float | None


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table."""

    recipe: str
    n_params: float
    tokens: float
    n_active_params: float | None = None
    practice: float = 0.0
    published_law: float = 0.0
    optimizer: str = "adamw"
    muon_scale: str = "original"
    peak_lr: float | None = None
    peak_lr_low: float | None = None
    peak_lr_high: float | None = None
    batch_tokens: float | None = None
    batch_tokens_low: float | None = None
    batch_tokens_high: float | None = None
    given_batch_tokens: float | None = None


_WORDS = frozenset(("recipe", "optimizer", "muon_scale"))
SCHEMA: Mapping[str, type[pl.DataType]] = {
    name: pl.String if name in _WORDS else pl.Float64 for name in Cell.__struct_fields__
}


def best_of(values: Sequence[float], losses: Sequence[float]) -> Best | None:
    """Return the best of a grid of one quantity; None where fewer than two runs have a loss.

    >>> found = best_of([1e-3, 2e-3], [3.2, 3.1])
    >>> found.value, found.high
    (0.002, None)
    """
    found: dict[float, float] = {}
    for value, loss in zip(values, losses, strict=True):
        if not math.isnan(loss):
            found[value] = min(loss, found.get(value, math.inf))
    if len(found) < 2:
        return None
    grid = sorted(found)
    place = min(range(len(grid)), key=lambda i: found[grid[i]])
    return Best(
        value=grid[place],
        low=math.sqrt(grid[place - 1] * grid[place]) if place else None,
        high=math.sqrt(grid[place] * grid[place + 1]) if place + 1 < len(grid) else None,
    )


def _rate(cell: Cell, best: Best | None) -> Cell:
    if best is None:
        return cell
    return msgspec.structs.replace(cell, peak_lr=best.value, peak_lr_low=best.low, peak_lr_high=best.high)


def _batch(cell: Cell, best: Best | None, tokens: float) -> Cell:
    """Return a cell with its best batch, counted in sequences of so many tokens."""
    if best is None:
        return cell
    low, high = (None if edge is None else edge * tokens for edge in (best.low, best.high))
    return msgspec.structs.replace(cell, batch_tokens=best.value * tokens, batch_tokens_low=low, batch_tokens_high=high)


def step_law(runs: pl.DataFrame) -> Iterator[Cell]:
    """Yield the place of the lowest smoothed loss of each cell; its grids are fine enough to make it a point."""
    from hplaw.fit.data.smooth import smooth

    for _, cell in runs.group_by("cell_id", maintain_order=True):
        x = np.log(cell.select("peak_lr", "batch_tokens").to_numpy().astype(np.float64))
        surface = smooth(x, np.log(cell["smooth_loss"].to_numpy()))
        if surface is None:
            continue
        rate, batch = np.exp(surface.best)
        n, active, tokens = (float(cell[name][0]) for name in ("n_params", "n_active", "tokens"))
        yield Cell(
            recipe="step-law",
            n_params=n,
            n_active_params=active,
            tokens=tokens,
            peak_lr=float(rate),
            batch_tokens=float(batch),
        )


def misfitting(runs: pl.DataFrame) -> Iterator[Cell]:
    """Yield each cell's best rate at the one batch of that sweep."""
    for (n, d), cell in runs.group_by("n_params_no_embed", "tokens", maintain_order=True):
        best = best_of(cell["peak_lr"].to_list(), cell["loss"].to_list())
        if best is not None:
            found = Cell(
                recipe="misfitting",
                n_params=float(str(n)),
                tokens=float(str(d)),
                given_batch_tokens=float(cell["batch_tokens"][0]),
            )
            yield _rate(found, best)


def marin(runs: pl.DataFrame, adamw: pl.DataFrame) -> Iterator[Cell]:
    """Yield the cells of Marin's sweep: the rate at the baseline's batch, the batch at the baseline's rate.

    **Arguments:**

    - `runs`: the sweep of optimizers; `adamw` the earlier table of AdamW alone, which has further cells.
    """
    first = runs.select(
        "optimizer",
        "size",
        times=pl.col("chinchilla_multiple").cast(pl.Float64),
        varied="varied",
        rate="learning_rate",
        batch=pl.col("train_batch_size").cast(pl.Float64),
        loss=pl.col("c4_loss").fill_null(math.nan),
    )
    second = adamw.select(
        optimizer=pl.lit("adamw"),
        size="size",
        times=pl.col("chinchilla_x").cast(pl.Float64),
        varied=pl.col("varied").replace({"lr": "learning_rate", "bs": "train_batch_size"}),
        rate="peak_lr",
        batch=pl.col("batch_seqs").cast(pl.Float64),
        loss="loss",
    ).join(first.select("optimizer", "size", "times").unique(), on=["optimizer", "size", "times"], how="anti")
    for (optimizer, size, times), cell in pl.concat([first, second]).group_by(
        "optimizer", "size", "times", maintain_order=True
    ):
        base = cell.filter(pl.col("varied") == "baseline")
        if base.is_empty() or optimizer in MARIN_LEFT_OUT:
            continue
        rate, batch = (
            best_of(varied[name].to_list(), varied["loss"].to_list())
            for name, varied in (
                ("rate", cell.filter(pl.col("varied").is_in(["baseline", "learning_rate"]))),
                ("batch", cell.filter(pl.col("varied").is_in(["baseline", "train_batch_size"]))),
            )
        )
        if rate is None and batch is None:
            continue
        n = MARIN_SIZES[str(size)]
        found = Cell(
            recipe="marin",
            n_params=n,
            tokens=20 * n * float(str(times)),
            optimizer=MARIN_NAMES.get(str(optimizer), str(optimizer)),
            given_batch_tokens=float(base["batch"][0]) * MARIN_SEQ_LEN,
        )
        yield _batch(_rate(found, rate), batch, MARIN_SEQ_LEN)


def _values_of(law: Law, catalogue: Catalogue, n_params: float, tokens: float) -> dict[str, float]:
    """Return the rate and the batch that a law gives at a size and data, as far as it gives them from these."""
    flop = 6 * n_params * tokens
    point = {"n_params": n_params, "tokens": tokens, "compute_flop": flop, "training_flop": flop}
    found = evaluate(law, {k: v for k, v in point.items() if k in law.inputs}, catalogue).outputs
    values = {name: found[name].value for name in ("peak_lr", "batch_tokens") if name in found}
    return {name: value for name, value in values.items() if isinstance(value, float) and value > 0}


def laws(catalogue: Catalogue) -> Iterator[Cell]:
    """Yield what published laws say at points of their domains."""
    for name, points in LAWS.items():
        law = catalogue.get(name)
        for n, d in points:
            values = _values_of(law, catalogue, n, d)
            yield Cell(
                recipe=TEAMS.get(name, name),
                published_law=1.0,
                n_params=n,
                tokens=d,
                given_batch_tokens=FIXED.get(name),
                peak_lr=values.get("peak_lr"),
                batch_tokens=values.get("batch_tokens"),
            )


def practice(table: pl.DataFrame) -> Iterator[Cell]:
    """Yield published trainings: rates only where they compare with AdamW's in standard parametrization, or are Muon's
    or Lion's own."""
    for row in table.iter_rows(named=True):
        own = row["optimizer"] in {"muon", "lion"} and row["parametrization"] == "standard"
        rate = row["peak_lr"] if row["lr_comparable"] or own else None
        if row["tokens"] is None or row["n_params"] is None or (rate is None and row["batch_tokens"] is None):
            continue
        matched = row["optimizer"] == "muon" and row["lineage"] == "muon-rms"
        yield Cell(
            recipe=row["family"],
            practice=1.0,
            n_params=row["n_params"],
            n_active_params=row["n_active_params"],
            tokens=row["tokens"],
            optimizer={"adam": "adamw"}.get(row["optimizer"], row["optimizer"]),
            muon_scale="match_rms_adamw" if matched else "original",
            peak_lr=rate,
            batch_tokens=row["batch_tokens"],
        )


def best_settings(folder: Path, catalogue: Catalogue) -> pl.DataFrame:
    """Return all cells of the tables in a folder and of published laws.

    **Raises:** `DataError` naming the table that is not there.
    """
    from hplaw.runs.table import read_table

    read = {name: read_table(folder / name) for name in (STEP_LAW, MISFITTING, MARIN, MARIN_ADAMW, PUBLISHED)}
    cells: Iterable[Cell] = it.chain(
        step_law(read[STEP_LAW]),
        misfitting(read[MISFITTING]),
        marin(read[MARIN], read[MARIN_ADAMW]),
        laws(catalogue),
        practice(read[PUBLISHED]),
    )
    return pl.DataFrame([msgspec.structs.asdict(cell) for cell in cells], schema=SCHEMA)
