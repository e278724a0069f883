"""A handful of best settings of one's own, and a prior over recipes, to a law of rate and batch.

Constants do not carry over between recipes, exponents partly: a recipe is a draw of six numbers,

    ln rate = r0 + r1 n + r2 d,  ln batch = q0 + q1 d + q2 n,  n = ln(n_params / n_ref), d = ln(tokens / d_ref),

around a mean recipe. Best settings scatter around their recipe's law. All is normal, so that the posterior is closed.
Rescaling one published law is a strong rival: each such law stands beside the prior over recipes as a recipe whose
exponents are known better, and all are averaged by how well they foretold the settings given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from hplaw.catalogue import Catalogue
from hplaw.errors import DataError, HplawError
from hplaw.evaluation import evaluate
from hplaw.law import Law
from hplaw.law.format import EvidenceSpec
from hplaw.law.read import decode_spec


Array = NDArray[np.float64]

NAMES = ("r0", "r1", "r2", "q0", "q1", "q2")
"""The six numbers of a recipe, in their order."""

SCATTER = 0.16
"""Standard deviation of a best setting around its recipe's law, in ln of rate and of batch."""

TOGETHER = 0.5
"""Correlation of the two scatters: along the valley of the loss rate and batch rise together."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A normal distribution over recipes.

    **Arguments:**

    - `name`: of the prior, or of the published law that is rescaled.
    - `mean`: the six numbers at `n_ref`, `d_ref`; `covariance` theirs.
    - `weight`: before any setting is seen.
    """

    name: str
    mean: Array
    covariance: Array
    weight: float = 1.0


N_REF, D_REF = 4e8, 3e10
"""Where a recipe's constants are stated: parameters and tokens."""

MEAN = np.array([math.log(2e-3), -0.5, 0.15, math.log(5e5), 0.5, 0.0])
"""The mean recipe: 0.002 and half a million tokens at the reference, exponents between those of published sweeps."""

BETWEEN = np.zeros((6, 6))
"""Covariance between recipes: 0.7 in the rate's constant, 0.17 in its exponents, which correlate at -0.7; 0.5 and 0.16
for the batch."""
BETWEEN[:3, :3] = [[0.49, 0, 0], [0, 0.0289, -0.02023], [0, -0.02023, 0.0289]]
BETWEEN[3:, 3:] = np.diag([0.25, 0.0256, 0.0256])

KEPT = 0.25
"""Share of the spread of exponents that a law is allowed when it is rescaled."""

OWN_SHARE = 0.5
"""Weight of the prior over recipes beside all rescaled laws together, before any setting is seen."""


def recipes(catalogue: Catalogue) -> list[Recipe]:
    """Return the prior over recipes, and the laws at hand of rate and batch that may be rescaled."""
    held = np.array([1, KEPT, KEPT, 1, KEPT, KEPT])
    found = [
        (law.address, mean)
        for law in catalogue.laws
        if law.spec.status != "theory" and law.id not in OURS and (mean := linear(law, catalogue)) is not None
    ]  # fmt: skip
    rescaled = [
        Recipe(
            name=f"{name} rescaled", mean=mean, covariance=BETWEEN * np.outer(held, held),
            weight=(1 - OWN_SHARE) / len(found),
        )
        for name, mean in found
    ]  # fmt: skip
    return [Recipe(name="recipes", mean=MEAN, covariance=BETWEEN, weight=OWN_SHARE), *rescaled]


OURS = frozenset(("own-recipe", "own-surface"))
"""Laws that were made from runs of the user's own."""


def linear(law: Law, catalogue: Catalogue) -> Array | None:
    """Return the six numbers of a law at the reference, by its values there and one e-fold away; None where it gives
    not both rate and batch from size and data."""
    logs = []
    for n, d in ((0, 0), (1, 0), (0, 1)):
        size, data = N_REF * math.exp(n), D_REF * math.exp(d)
        flop = 6 * size * data
        point = {"n_params": size, "tokens": data, "compute_flop": flop, "training_flop": flop}
        try:
            found = evaluate(
                law, {k: v for k, v in point.items() if k in law.inputs}, catalogue
            ).outputs
        except HplawError:
            return None
        values = [
            found[name].value if name in found else None for name in ("peak_lr", "batch_tokens")
        ]
        if not all(isinstance(value, float) and value > 0 for value in values):
            return None
        logs.append([math.log(float(value)) for value in values])  # type: ignore[arg-type]
    (r0, q0), (rn, qn), (rd, qd) = logs
    return np.array([r0, rn - r0, rd - r0, q0, qd - q0, qn - q0])


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A best setting that was found: at a size and data, the rate and, where known, the batch in tokens."""

    n_params: float
    tokens: float
    peak_lr: float
    batch_tokens: float | None = None


def features(n_params: float, tokens: float) -> Array:
    """Return what the six numbers are multiplied by for ln rate and ln batch, `[2, 6]`."""
    n, d = math.log(n_params / N_REF), math.log(tokens / D_REF)
    return np.array([[1, n, d, 0, 0, 0], [0, 0, 0, 1, d, n]], dtype=np.float64)


def update(prior: Recipe, settings: Sequence[Setting]) -> Recipe:
    """Return a prior after settings are seen; its weight times the density that it gave them.

    >>> prior = Recipe(name="recipes", mean=MEAN, covariance=BETWEEN)
    >>> seen = update(prior, [Setting(n_params=4e8, tokens=3e10, peak_lr=1e-3)])
    >>> bool(math.log(1e-3) < seen.mean[0] < math.log(2e-3)), bool(seen.covariance[0, 0] < 0.49)
    (True, True)
    """
    if not settings:
        return prior
    rows, values, noise = [], [], []
    cell = SCATTER**2 * np.array([[1, TOGETHER], [TOGETHER, 1]])
    for setting in settings:
        known = [0] if setting.batch_tokens is None else [0, 1]
        found = [setting.peak_lr, setting.batch_tokens or 1.0]
        rows.append(features(setting.n_params, setting.tokens)[known])
        values += [math.log(found[i]) for i in known]
        noise.append(cell[np.ix_(known, known)])
    x, y = np.concatenate(rows), np.array(values)
    total = np.zeros((len(y), len(y)))
    start = 0
    for block in noise:
        end = start + len(block)
        total[start:end, start:end] = block
        start = end
    off = y - x @ prior.mean
    total += x @ prior.covariance @ x.T
    gain = np.linalg.solve(total, x @ prior.covariance).T
    log_density = -0.5 * (off @ np.linalg.solve(total, off) + np.linalg.slogdet(total)[1])
    return Recipe(
        name=prior.name, mean=prior.mean + gain @ off,
        covariance=prior.covariance - gain @ x @ prior.covariance,
        weight=prior.weight * math.exp(log_density),
    )  # fmt: skip


def average(parts: Sequence[Recipe]) -> Recipe:
    """Return the normal distribution with the mean and covariance of a mixture, weights made to add to one."""
    total = sum(part.weight for part in parts)
    shares = [part.weight / total for part in parts]
    mean = np.asarray(sum(s * part.mean for s, part in zip(shares, parts, strict=True)))
    spread = sum(
        s * (part.covariance + np.outer(part.mean - mean, part.mean - mean))
        for s, part in zip(shares, parts, strict=True)
    )
    return Recipe(name="average", mean=mean, covariance=np.asarray(spread))


def posterior(
    settings: Sequence[Setting], priors: Sequence[Recipe]
) -> tuple[Recipe, Mapping[str, float]]:
    """Return the recipe after settings are seen, and the shares of what it is averaged from."""
    raw = [update(prior, settings) for prior in priors]
    total = sum(part.weight for part in raw)
    return average(raw), {part.name: part.weight / total for part in raw}


def foretell(recipe: Recipe, n_params: float, tokens: float) -> tuple[Array, Array]:
    """Return the mean `[2]` and covariance `[2, 2]` of ln rate and ln batch of a cell's best setting."""
    x = features(n_params, tokens)
    cell = SCATTER**2 * np.array([[1, TOGETHER], [TOGETHER, 1]])
    return x @ recipe.mean, x @ recipe.covariance @ x.T + cell


def read_settings(table: pl.DataFrame) -> list[Setting]:
    """Return the best settings of a table: its rows without a loss, or the run of least loss of each cell.

    **Raises:** `DataError` for a table without n_params, tokens and peak_lr, or one with too few runs a cell to say
    which is best.
    """
    for name in ("n_params", "tokens", "peak_lr"):
        if name not in table.columns:
            message = f"no column '{name}'; few runs are given by n_params, tokens, peak_lr and, where known, batch_tokens; name it by --map {name}=COLUMN"
            raise DataError(message)
    if "loss" in table.columns and table["loss"].null_count() < len(table):
        cells = table.filter(pl.col("loss").is_not_null()).group_by(
            "n_params", "tokens", maintain_order=True
        )
        counted = cells.agg(pl.len(), pl.all().sort_by("loss").first())
        few = counted.filter(pl.col("len") < LEAST_RUNS)
        if len(few):
            message = f"the cell n_params={few['n_params'][0]:g}, tokens={few['tokens'][0]:g} has {few['len'][0]} runs, of which none can be called best; give {LEAST_RUNS} or more a cell, over rate and batch"
            raise DataError(message)
        table = counted.drop("len")
    wanted = [name for name in ("n_params", "tokens", "peak_lr", "batch_tokens") if name in table.columns]  # fmt: skip
    rows = table.select(wanted).iter_rows(named=True)
    return [Setting(**row) for row in rows]


LEAST_RUNS = 4
"""Runs of a cell from which its best is taken."""


def write_law_of(
    settings: Sequence[Setting], to: Path, *, catalogue: Catalogue, data: str, sha256: str
) -> tuple[Law, Mapping[str, float]]:
    """Write the law folder `to/own-recipe` that settings lead to; return it and what it is averaged from.

    **Raises:** `DataError` where no setting is given.
    """
    from hplaw.fit.write import write_served

    if not settings:
        message = "no best setting is given; give one row or more"
        raise DataError(message)
    found, shares = posterior(settings, recipes(catalogue))
    spec = decode_spec((files("hplaw_experiments") / "templates" / "few-runs.toml").read_bytes())
    parameters = {
        name: msgspec.structs.replace(spec.parameters[name], value=float(value))
        for name, value in zip(NAMES, found.mean, strict=True)
    }
    matrix = [[float(v) for v in row] for row in 0.5 * (found.covariance + found.covariance.T)]
    sizes, data_ = [s.n_params for s in settings], [s.tokens for s in settings]
    spec = msgspec.structs.replace(
        spec, parameters=parameters, covariance=[msgspec.structs.replace(spec.covariance[0], matrix=matrix)],
        domain={"n_params": [min(sizes), max(sizes)], "tokens": [min(data_), max(data_)]},
        evidence=EvidenceSpec(
            runs=len(settings), groups=len(settings), data=data, data_sha256=sha256,
            sampler="closed form: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items()),
        ),
    )  # fmt: skip
    words = "\n".join(f"- {name}: {share:.1%}" for name, share in shares.items())
    card = f"# {spec.title}\n\n{spec.notes}\nAveraged from:\n\n{words}\n"
    return write_served(to / spec.id, spec, {}, card), shares
