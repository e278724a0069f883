"""Cells: one pruned and retrained network family member each, trained condition by condition, stored as they end."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

import jax
import jax.numpy as jnp
import jax.random as jr

from hplaw.errors import DataError
from hplaw.pruning.connectivity import linear_cka, mode_connectivity
from hplaw_experiments.studies.pruning import networks as nets
from hplaw_experiments.studies.pruning.settings import Condition, Family, key_of


FILE = "cells.jsonl"
"""The file of a folder that cells are stored in, one JSON object a line."""


def read_cells(folder: Path) -> pl.DataFrame:
    """Return the stored cells; a line that was cut off when its writer was killed is passed over.

    **Raises:** `DataError` where there are none.
    """
    rows = _rows(folder)
    if not rows:
        message = (
            f"{folder} holds no cells of the pruning study; train them with `hplaw study run pruning --to {folder}`"
        )
        raise DataError(message)
    return pl.DataFrame(rows, infer_schema_length=None).unique(["key", "density"], keep="first", maintain_order=True)


def stored(folder: Path) -> set[str]:
    """Return the keys that are stored with all their densities."""
    return {row["key"] for row in _rows(folder) if row["last"]}


def _rows(folder: Path) -> list[dict[str, Any]]:
    file = folder / FILE
    if not file.is_file():
        return []
    found: list[dict[str, Any]] = []
    for line in file.read_bytes().splitlines():
        try:
            found.append(msgspec.json.decode(line, type=dict[str, Any]))
        except msgspec.DecodeError:
            continue
    return found


def store(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Append cells, whole lines at a time and safe on the disk.

    **Raises:** `DataError` where the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torn = (folder / FILE).is_file() and not (folder / FILE).read_bytes().endswith(b"\n")
        with (folder / FILE).open("ab") as file:
            file.write((b"\n" if torn else b"") + b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        message = f"{folder}: {error.strerror or error}; give a folder that can be written"
        raise DataError(message) from None


def train_condition(condition: Condition, family: Family, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Return the cells of one dense training: for each seed and density, errors, connectivity and similarity.

    All seeds, densities and retrainings are one program. The last density of a seed is marked `last`.
    """
    began = time.monotonic()
    task = nets.digits_task(condition.family, n_train=family.n_train, label_noise=family.label_noise)
    start = nets.stack(
        [nets.build(condition.family, width=family.width, n_layers=family.n_layers, seed=s) for s in seeds]
    )
    steps = max(condition.epochs * family.n_train // condition.batch, 4)
    keys = jax.vmap(jr.key)(jnp.asarray([1000 + s for s in seeds], jnp.uint32))
    dense_plan = nets.plan((condition.rate, condition.stop_rate), (steps - steps // 4, steps), keys, rho=condition.rho)
    dense = nets.train(start, nets.dense_masks(start), dense_plan, task, batch=condition.batch, sharp=condition.rho > 0)
    pruned = [nets.prune(dense, density) for density in family.densities]
    whole, masks = (jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *part) for part in zip(*pruned, strict=True))
    count, times = len(seeds) * len(family.densities), family.retrains
    places = np.repeat(np.arange(count), times)
    end = family.retrain_steps
    retrain = nets.plan(
        (family.retrain_rate, family.retrain_rate / 10, family.retrain_rate / 100),
        (end // 2, end * 3 // 4, end),
        jax.vmap(jr.key)(jnp.asarray([7000 + i % times for i in range(count * times)], jnp.uint32)),
    )
    ready = nets.train(
        nets.take(whole, places), nets.take(masks, places), retrain, task, batch=family.retrain_batch, sharp=False
    )
    test = np.asarray(nets.errors(ready, task.x_test, task.y_test), np.float64).reshape(count, times)
    trained = np.asarray(nets.errors(ready, task.x, task.y), np.float64).reshape(count, times)
    before = np.asarray(nets.errors(dense, task.x_test, task.y_test), np.float64)
    lmc, cka = _pairs(ready, task, count, times)
    shared = _where() | {"duration_s": round((time.monotonic() - began) / count, 4)}
    rows: list[dict[str, Any]] = []
    for place in range(count):
        d, s = divmod(place, len(seeds))
        rows.append(
            {
                "key": key_of(condition, family, seeds[s]),
                "last": d == len(family.densities) - 1,
                **msgspec.to_builtins(condition),
                "density": family.densities[d],
                "seed": seeds[s],
                "retrains": times,
                "dense_error": round(float(before[s]), 6),
                "train_error": round(float(trained[place].mean()), 6),
                "test_error": round(float(test[place].mean()), 6),
                "lmc": lmc[place],
                "cka": cka[place],
                **shared,
            }
        )
    return rows


def _pairs(ready: Any, task: nets.Task, count: int, times: int) -> tuple[list[float | None], list[float | None]]:
    """Return connectivity and similarity of each cell, means over its pairs of retrainings; None where undefined."""
    pairs = [(i, j) for i in range(times) for j in range(i + 1, times)]
    first = np.asarray([c * times + i for c in range(count) for i, _ in pairs])
    second = np.asarray([c * times + j for c in range(count) for _, j in pairs])
    lines = np.asarray(nets.line_errors(nets.take(ready, first), nets.take(ready, second), task.x, task.y), np.float64)
    seen = np.asarray(nets.outputs(ready, task.x), np.float64)
    whole = np.isfinite(seen).all(axis=(1, 2))
    lmc: list[float | None] = []
    cka: list[float | None] = []
    for c in range(count):
        here = slice(c * len(pairs), (c + 1) * len(pairs))
        if not whole[c * times : (c + 1) * times].all():
            lmc.append(None)
            cka.append(None)
            continue
        alike = [linear_cka(seen[i], seen[j]) for i, j in zip(first[here], second[here], strict=True)]
        lmc.append(round(float(np.mean([mode_connectivity(np.clip(e, 0, 1).tolist()) for e in lines[here]])), 6))
        told = [a for a in alike if a is not None]
        cka.append(round(float(np.mean(told)), 6) if len(told) == len(alike) else None)
    return lmc, cka


def _where() -> dict[str, str]:
    device = jax.devices()[0]
    return {
        "hardware": str(device.device_kind),
        "platform": str(device.platform),
        "jax_version": jax.__version__,
        "code_version": f"hplaw {version('hplaw')}",
    }
