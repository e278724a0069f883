"""Many small files into one, and a look at every row."""

from __future__ import annotations

from typing import Any

import msgspec
import polars as pl

from hplaw.runs.place import at_once
from hplaw.runs.schema import columns
from hplaw.runs.store import COMPACT, Problem, Store
from hplaw.vocabulary.quantities import check_value, vocabulary


LEFT_ALONE_S = 3600.0
"""Age, s, below which a half-written file may still be somebody's."""


class Compacted(msgspec.Struct, frozen=True):
    """What was put together: the file, its runs, how many files it replaces, and what was skipped."""

    path: str | None
    runs: int
    replaced: int
    problems: tuple[Problem, ...]


class Verified(msgspec.Struct, frozen=True):
    """What a look at every row found: runs in order, files that hold them, half-written files, and what is wrong."""

    runs: int
    files: int
    leftovers: tuple[str, ...]
    problems: tuple[Problem, ...]


def compact(store: Store) -> Compacted:
    """Put all runs of a store into one file, then remove the files it replaces.

    Killed in between, the runs are in both, and counted once. A file at fault stays as it is.
    """
    place = store.place
    good, problems = store.tables()
    for name in place.leftovers(older_s=LEFT_ALONE_S):
        place.delete(name)
    if len(good) < 2:
        runs = len(good[0][1]) if good else 0
        return Compacted(place.label(good[0][0]) if good else None, runs, 0, tuple(problems))
    whole = pl.concat([table for _, table in good], how="diagonal")
    whole = whole.unique("key", keep="first", maintain_order=True).sort("key")
    target = store.put_many(whole.select(_in_order(whole.columns)))
    replaced = [name for name, _ in good if name != target]
    for _ in at_once(place.delete, replaced):
        pass
    return Compacted(place.label(target), len(whole), len(replaced), tuple(problems))


def verify(store: Store) -> Verified:
    """Look at every row of a store and say what is wrong: torn, foreign, changed, misnamed, or not allowed."""
    good, problems = store.tables()
    keys: set[str] = set()
    for name, table in good:
        named = name.rpartition("-")[0]
        for row in table.iter_rows(named=True):
            fault = _fault(row)
            if fault is None and named not in (COMPACT, row["key"]):
                fault = f"holds run {row['key']}, which its name does not say"
            if fault is None:
                keys.add(row["key"])
            else:
                problems.append(Problem(store.place.label(name), fault))
    leftovers = tuple(map(store.place.label, store.place.leftovers()))
    return Verified(len(keys), len(good), leftovers, tuple(problems))


def _fault(row: dict[str, Any]) -> str | None:
    words = vocabulary()
    for name, value in row.items():
        if name in words and value is not None and (problem := check_value(words[name], value)):
            return f"run {row['key']}: {problem}"
    if not row["key"]:
        return "has a run without a key"
    steps: list[int] = row.get("curve_steps") or []
    losses: list[float] = row.get("curve_losses") or []
    same = len(steps) == len(losses)
    return None if same else f"run {row['key']}: a curve has not as many losses as steps"


def _in_order(names: list[str]) -> list[str]:
    return [name for name in columns() if name in names]
