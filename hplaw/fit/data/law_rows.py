"""The rows that a shipped law was fitted to, made from a table as others have it: what `hplaw fit` is then given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import DataError, LawNotFound, nearest
from hplaw.fit.data import best_settings, device_energy, layouts, one_factor, training_rows


def make_rows(name: str, path: Path, catalogue: Catalogue) -> pl.DataFrame:
    """Return the rows that a law is fitted to, of a table in another's words.

    **Arguments:**

    - `name`: the law: training-energy reads trainings and throughput, device-energy metered trainings, recipe and
      weight-decay-warmup sweeps, layout-throughput a benchmark of layouts.
    - `path`: CSV with `#` comments, or parquet; `read_published`, `read_metered` and `read_layouts` name its columns. For
      training-energy, recipe and weight-decay-warmup also the folder of the tables that `training_rows` and `best_settings` name.

    **Raises:** `LawNotFound` with the nearest name; `DataError` for another table, and for one of which no row is left.
    """
    maker = _MAKERS.get(name)
    if maker is None:
        near = nearest(name[:80], _MAKERS) or f"; there is {', '.join(_MAKERS)}"
        message = f"no rows are made for '{name[:80]}'{near}"
        raise LawNotFound(message)
    rows = maker(name, path, catalogue)
    if not len(rows):
        message = f"{path}: none of its rows tells what {name} is fitted to; give whole rows"
        raise DataError(message)
    return rows


def _trainings(name: str, path: Path, catalogue: Catalogue) -> pl.DataFrame:
    rows = training_rows.read_trainings(path, catalogue)
    return training_rows.for_fit(rows, catalogue.get(name)) if len(rows) else rows


def _metered(name: str, path: Path, catalogue: Catalogue) -> pl.DataFrame:
    rows = device_energy.read_metered(path)
    return device_energy.for_fit(rows) if len(rows) else rows


def _layouts(name: str, path: Path, catalogue: Catalogue) -> pl.DataFrame:
    return layouts.for_fit(layouts.read_layouts(path, catalogue))


def _best(name: str, path: Path, catalogue: Catalogue) -> pl.DataFrame:
    return best_settings.best_settings(path, catalogue)


def _one_factor(name: str, path: Path, catalogue: Catalogue) -> pl.DataFrame:
    return one_factor.one_factor(path)


_MAKERS: Mapping[str, Callable[[str, Path, Catalogue], pl.DataFrame]] = {
    "training-energy": _trainings,
    "device-energy": _metered,
    "layout-throughput": _layouts,
    "recipe": _best,
    "weight-decay-warmup": _one_factor,
}
