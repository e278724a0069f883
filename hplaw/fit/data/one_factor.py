"""Weight decay, warm-up and beta2 varied one at a time around a tuned baseline, and what teams trained with.

A row of the sweep is a run: its loss over that of the baseline of its cell, and its settings. A run that diverged has
no loss that compares: `relative_loss_low` says that it is at least `DIVERGED` worse. The columns:

- `recipe`, `practice`: whose settings; `practice` is 1 for what a team trained with, which has `used_*` and no loss.
- `n_params`, `n_active_params`, `tokens`, `batch_tokens`, `peak_lr`, `optimizer`: where.
- `weight_decay`, `warmup_steps`, `second_moment_steps`: the settings of a run of the sweep, of which the last is
  1 / (1 - beta2).
- `no_decay`, `no_warmup`, `no_second_moment`: 1 where the run has none. No decay has no logarithm: its
  `weight_decay` is the one that averages over the whole run.
"""

from __future__ import annotations

import itertools as it
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from hplaw.fit.data.best_settings import MARIN, MARIN_LEFT_OUT, MARIN_NAMES, PUBLISHED
from hplaw.runs.table import read_table


VARIED = ("baseline", "weight_decay", "warmup", "beta2")
"""Runs of the sweep that are read, by the key that differs from the baseline."""

FAR = 0.05
"""Share above the baseline's loss from which a run counts as diverged."""

DIVERGED = 0.01
"""Share above the baseline's loss that a diverged run is counted with: at least so much."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table."""

    recipe: str
    practice: float = 0.0
    n_params: float
    n_active_params: float | None = None
    tokens: float
    batch_tokens: float
    peak_lr: float
    optimizer: str = "adamw"
    weight_decay: float = 1.0
    warmup_steps: float = 1.0
    second_moment_steps: float = 1.0
    no_decay: float = 0.0
    no_warmup: float = 0.0
    no_second_moment: float = 0.0
    relative_loss: float | None = None
    relative_loss_low: float | None = None
    used_weight_decay: float | None = None
    used_warmup_steps: float | None = None


SCHEMA: Mapping[str, type[pl.DataType]] = {
    name: pl.String if name in {"recipe", "optimizer"} else pl.Float64 for name in Row.__struct_fields__
}


def sweep(runs: pl.DataFrame) -> Iterator[Row]:
    """Yield the runs of Marin's sweep that vary one of the settings, with the baselines that have such runs."""
    told = runs.filter(pl.col("varied").is_in(VARIED) & ~pl.col("optimizer").is_in(MARIN_LEFT_OUT))
    for _, cell in told.group_by("optimizer", "size", "chinchilla_multiple", maintain_order=True):
        losses = cell.filter(pl.col("varied") == "baseline")["c4_loss"].drop_nulls()
        if len(cell) < 2 or losses.is_empty():
            continue
        for run in cell.drop_nulls("c4_loss").iter_rows(named=True):
            relative = run["c4_loss"] / losses[0]
            diverged = relative > 1 + FAR
            lost = 1 + DIVERGED
            yield msgspec.structs.replace(
                _settings(run),
                relative_loss=lost if diverged else relative,
                relative_loss_low=lost if diverged else None,
            )


def _settings(run: Mapping[str, Any]) -> Row:
    """Return where a run of the sweep lies."""
    decay, warmup, beta2 = run["weight_decay"], run["warmup"], run["beta2"]
    whole = run["batch_tokens"] / (run["learning_rate"] * run["tokens"])
    name = str(run["optimizer"])
    return Row(
        recipe="marin",
        n_params=run["n_params"],
        tokens=run["tokens"],
        batch_tokens=run["batch_tokens"],
        peak_lr=run["learning_rate"],
        optimizer=MARIN_NAMES.get(name, name),
        weight_decay=decay or whole,
        warmup_steps=warmup or 1.0,
        second_moment_steps=1.0 if beta2 is None else 1 / (1 - beta2),
        no_decay=float(not decay),
        no_warmup=float(not warmup),
        no_second_moment=float(beta2 is None),
    )


def practice(table: pl.DataFrame) -> Iterator[Row]:
    """Yield published trainings by AdamW of which rate, batch and data are known, so that decay has a timescale."""
    own = table.filter(pl.col("optimizer").is_in(["adam", "adamw"]) & (pl.col("lr_comparable") == 1))
    for run in own.drop_nulls(["n_params", "tokens", "batch_tokens", "peak_lr"]).iter_rows(named=True):
        steps = run["warmup_steps"]
        if steps is None and run["warmup_tokens"] is not None:
            steps = run["warmup_tokens"] / run["batch_tokens"]
        row = Row(
            recipe=run["family"],
            practice=1.0,
            n_params=run["n_params"],
            n_active_params=run["n_active_params"],
            tokens=run["tokens"],
            batch_tokens=run["batch_tokens"],
            peak_lr=run["peak_lr"],
            used_weight_decay=run["weight_decay"] or None,
            used_warmup_steps=steps or None,
        )
        if row.used_weight_decay or row.used_warmup_steps:
            yield row


def one_factor(folder: Path) -> pl.DataFrame:
    """Return the runs of the sweep and the published trainings of the tables in a folder.

    **Raises:** `DataError` naming the table that is not there.
    """
    read = {name: read_table(folder / name) for name in (MARIN, PUBLISHED)}
    rows = it.chain(sweep(read[MARIN]), practice(read[PUBLISHED]))
    return pl.DataFrame([msgspec.structs.asdict(row) for row in rows], schema=SCHEMA)
