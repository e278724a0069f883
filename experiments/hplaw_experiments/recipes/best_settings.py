"""A handful of tuned optima of your own, and the law of recipes as the prior, to a law of rate and batch."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from hplaw.errors import DataError
from hplaw.law import Law
from hplaw.law.format import EvidenceSpec
from hplaw.law.read import decode_spec
from hplaw_experiments.recipes.recipe import (
    PRIOR,
    ROUNDS,
    Prior,
    Recipe,
    Setting,
    average,
    grid_of,
    settings_seen,
    update_all,
    with_grid,
    with_numbers,
)


GIVEN = "given_batch_tokens"
"""The column of batches at which rates were tuned that did not have theirs chosen."""


def posterior(settings: Sequence[Setting], prior: Prior) -> Recipe:
    """Return the recipe after settings are seen, as one normal."""
    grid = grid_of(settings)
    parts = [with_grid(part, grid) for part in prior.parts]
    open_sides = any(setting.batch_tokens is None and setting.given_batch_tokens is not None for setting in settings)
    found = parts
    for _ in range(ROUNDS if open_sides else 1):
        guess = average(found).mean
        # few scatters serve many parts
        scatters = {id(old.scatter): new.scatter for old, new in zip(prior.parts, parts, strict=True)}
        seen = {key: settings_seen(settings, prior, scatter, guess) for key, scatter in scatters.items()}
        found = update_all(parts, [seen[id(old.scatter)] for old in prior.parts])
    return average(found)


def read_settings(table: pl.DataFrame) -> list[Setting]:
    """Return the tuned optima of a table, one a row.

    **Raises:** `DataError` for a table without n_params, tokens and peak_lr, or with a row that lacks one of them.
    """
    for name in ("n_params", "tokens", "peak_lr"):
        if name not in table.columns:
            message = f"no column '{name}'; few runs are given by n_params, tokens, peak_lr and, where known, batch_tokens; name it by --map {name}=COLUMN"
            raise DataError(message)
        if table[name].null_count():
            row = int(np.argmax(table[name].is_null().to_numpy())) + 1
            message = f"row {row} has no {name}; give it, or take the row out"
            raise DataError(message)
    known = ("n_params", "tokens", "peak_lr", "batch_tokens", GIVEN)
    wanted = [name for name in known if name in table.columns]
    return [Setting(**{**row, GIVEN: row.get(GIVEN) or None}) for row in table.select(wanted).iter_rows(named=True)]


def write_law_of(settings: Sequence[Setting], to: Path, *, prior: Prior, data: str, sha256: str) -> Law:
    """Write the law folder `to/own-recipe` that settings lead to; return the law.

    **Raises:** `DataError` where no setting is given.
    """
    from hplaw.fit.output.law_folder import write_served

    if not settings:
        message = "no tuned optimum is given; give one row or more"
        raise DataError(message)
    spec = decode_spec((files("hplaw_experiments") / "templates" / "few-runs.toml").read_bytes())
    sizes, data_ = [s.n_params for s in settings], [s.tokens for s in settings]
    spec = msgspec.structs.replace(
        with_numbers(spec, posterior(settings, prior)),
        constants={**spec.constants, "lower": prior.lower, "upper": prior.upper},
        domain={**spec.domain, "n_params": [min(sizes), max(sizes)], "tokens": [min(data_), max(data_)]},
        evidence=EvidenceSpec(
            runs=len(settings),
            groups=len(settings),
            data=data,
            data_sha256=sha256,
            sampler=f"closed form, from {PRIOR}",
        ),
    )
    return write_served(to / spec.id, spec, {}, f"# {spec.title}\n\n{spec.notes}")
