"""A handful of tuned optima of your own, and a prior over recipes, to a law of rate and batch.

The prior is the shipped law `recipe-prior`. Rescaling one published law is a strong rival: each such law is beside
the prior as a recipe whose exponents are known better, and all are averaged by how well they predicted the settings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import DataError
from hplaw.law import Law
from hplaw.law.format import EvidenceSpec
from hplaw.law.read import decode_spec
from hplaw_experiments.recipes.recipe import (
    PRIOR,
    Prior,
    Recipe,
    Setting,
    average,
    linear,
    read_prior,
    scatter,
    setting_seen,
    shares_of,
    update,
    with_numbers,
)


Array = NDArray[np.float64]

KEPT = 0.25
"""Share of the spread of exponents between recipes that a law is allowed when it is rescaled."""

PRIOR_SHARE = 0.5
"""Weight of the prior over recipes beside all rescaled laws together, before any setting is seen."""

OURS = frozenset((PRIOR, "own-recipe", "own-surface", "own-runs"))
"""The prior itself, and laws that were made from runs of the user's own."""


def rescaled(prior: Prior, catalogue: Catalogue, *, without: Collection[str] = ()) -> list[Recipe]:
    """Return the available laws of rate and batch as recipes of which the constants are open, with equal weights.

    **Arguments:**

    - `without`: ids of laws to omit.
    """
    held = np.array([1, KEPT, KEPT, 1, KEPT, KEPT])
    found = [
        (law.address, mean)
        for law in catalogue.laws
        if law.spec.status != "theory"
        and law.id not in OURS
        and law.id not in without
        and (mean := linear(law, catalogue)) is not None
    ]
    return [
        Recipe(
            name=f"{name} rescaled", mean=mean, covariance=prior.between * np.outer(held, held), weight=1 / len(found)
        )
        for name, mean in found
    ]


def posterior(
    settings: Sequence[Setting], prior: Prior, rivals: Sequence[Recipe] = ()
) -> tuple[Recipe, Mapping[str, float]]:
    """Return the recipe after settings are seen, and the shares of what it is averaged from.

    **Arguments:**

    - `rivals`: recipes beside the prior, as `rescaled` returns them; with none the prior is alone.
    """
    cell = scatter(settings, prior.cell)
    seen = [setting_seen(setting, cell) for setting in settings]
    weight = PRIOR_SHARE if rivals else 1.0
    start = [msgspec.structs.replace(prior.recipe, weight=weight)]
    start += [msgspec.structs.replace(r, weight=r.weight * (1 - PRIOR_SHARE)) for r in rivals]
    found = [update(recipe, seen) for recipe in start]
    shares = {part.name: share for part, share in zip(found, shares_of(found), strict=True)}
    return average(found), shares


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
    wanted = [name for name in ("n_params", "tokens", "peak_lr", "batch_tokens") if name in table.columns]
    return [Setting(**row) for row in table.select(wanted).iter_rows(named=True)]


def write_law_of(
    settings: Sequence[Setting], to: Path, *, catalogue: Catalogue, data: str, sha256: str
) -> tuple[Law, Mapping[str, float]]:
    """Write the law folder `to/own-recipe` that settings lead to; return it and what it is averaged from.

    **Raises:** `DataError` where no setting is given.
    """
    from hplaw.fit.output.law_folder import write_served

    if not settings:
        message = "no tuned optimum is given; give one row or more"
        raise DataError(message)
    prior = read_prior(catalogue.get(PRIOR))
    found, shares = posterior(settings, prior, rescaled(prior, catalogue))
    spec = decode_spec((files("hplaw_experiments") / "templates" / "few-runs.toml").read_bytes())
    sizes, data_ = [s.n_params for s in settings], [s.tokens for s in settings]
    spec = msgspec.structs.replace(
        with_numbers(spec, found.mean, found.covariance, cell=scatter(settings, prior.cell)),
        domain={"n_params": [min(sizes), max(sizes)], "tokens": [min(data_), max(data_)]},
        evidence=EvidenceSpec(
            runs=len(settings),
            groups=len(settings),
            data=data,
            data_sha256=sha256,
            sampler="closed form: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items()),
        ),
    )
    words = "\n".join(f"- {name}: {share:.1%}" for name, share in shares.items())
    card = f"# {spec.title}\n\n{spec.notes}\nAveraged from:\n\n{words}\n"
    return write_served(to / spec.id, spec, {}, card), shares
