"""Recipes as six numbers, normal distributions over them, and what a tuned optimum says of them.

Constants do not carry over between recipes, exponents partly: a recipe is a draw of six numbers,

    ln rate = r0 + r1 n + r2 d,  ln batch = q0 + q1 d + q2 n,  n = ln(n_params / n_ref), d = ln(tokens / d_ref),

around a mean recipe. Tuned optima scatter around their recipe's law. All is normal, so that the posterior is closed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import HplawError, LawError
from hplaw.law import Law
from hplaw.law.format import CovarianceSpec, LawSpec


Array = NDArray[np.float64]

NAMES = ("r0", "r1", "r2", "q0", "q1", "q2")
"""The six numbers of a recipe, in their order."""

N_REF, D_REF = 4e8, 3e10
"""Where a recipe's constants are stated: parameters and tokens."""

COARSE = math.log(2)
"""Step of a grid, in ln, where the values read off it are all one and do not tell; grids of rate and batch mostly double."""

ROUNDED = 0.01
"""How far values of a grid may lie from it, in ln: two written digits."""

PRIOR = "recipe-prior"
"""The id of the shipped law that holds the prior over recipes."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A normal distribution over recipes.

    **Arguments:**

    - `name`: of the prior, or of the law that is rescaled.
    - `mean`: the six numbers at `n_ref`, `d_ref`; `covariance` theirs.
    - `weight`: before any setting is seen.
    """

    name: str
    mean: Array
    covariance: Array
    weight: float = 1.0


class Prior(msgspec.Struct, frozen=True, kw_only=True):
    """What is known before a recipe is seen: the mean recipe, how recipes differ, how a recipe's tuned optima scatter.

    **Arguments:**

    - `mean`: six numbers; `unsure` their covariance `[6, 6]`.
    - `between`: covariance of recipes around the mean recipe `[6, 6]`.
    - `cell`: covariance of ln rate and ln batch of a tuned optimum around its recipe's law `[2, 2]`.
    """

    mean: Array
    unsure: Array
    between: Array
    cell: Array

    @property
    def recipe(self) -> Recipe:
        """Return the distribution of a recipe of which nothing is known."""
        return Recipe(name=PRIOR, mean=self.mean, covariance=self.unsure + self.between)


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A tuned optimum that was found: at a size and data, the rate and, where known, the batch in tokens."""

    n_params: float
    tokens: float
    peak_lr: float
    batch_tokens: float | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is seen of a recipe: numbers that are linear in its six, with noise.

    **Arguments:**

    - `rows`: what the six numbers are multiplied by `[number, 6]`.
    - `values`: what was seen `[number]`; `noise` its covariance `[number, number]`.
    """

    rows: Array
    values: Array
    noise: Array


def features(n_params: float, tokens: float) -> Array:
    """Return what the six numbers are multiplied by for ln rate and ln batch, `[2, 6]`."""
    n, d = math.log(n_params / N_REF), math.log(tokens / D_REF)
    return np.array([[1, n, d, 0, 0, 0], [0, 0, 0, 1, d, n]], dtype=np.float64)


def setting_seen(setting: Setting, cell: Array) -> Seen:
    """Return what a tuned optimum says of its recipe; `cell` is the covariance of its scatter."""
    known = [0] if setting.batch_tokens is None else [0, 1]
    found = np.log([setting.peak_lr, setting.batch_tokens or 1.0])
    return Seen(
        rows=features(setting.n_params, setting.tokens)[known], values=found[known], noise=cell[np.ix_(known, known)]
    )


def grid_step(values: Sequence[float]) -> float:
    """Return the step, in ln, of the grid that best values were read off; 0 where they do not look read off one.

    They do where a value comes back, or where the gaps between them are multiples of the minimum.

    >>> [round(math.exp(grid_step(v)), 2) for v in ([1e-3, 1e-3], [1e-3, 2e-3, 8e-3], [1e-3, 4e-3, 1e-3], [1e-3, 1.3e-3, 2.1e-3])]
    [2.0, 2.0, 2.0, 1.0]
    """
    x = np.log(np.unique(np.asarray(values, dtype=np.float64)))
    comes_back = len(x) < len(values)
    gaps = np.diff(x)
    if not len(gaps):
        return COARSE if comes_back else 0.0
    least = float(gaps.min())
    off = gaps - least * np.round(gaps / least)
    multiples = len(gaps) > 1 and float(np.abs(off).max()) < ROUNDED
    return least / max(1, round(least / COARSE)) if comes_back or multiples else 0.0


def scatter(settings: Sequence[Setting], cell: Array) -> Array:
    """Return the covariance of the scatter of tuned optima: that of cells, and of rounding to the grid they were read off."""
    rates = [s.peak_lr for s in settings]
    batches = [s.batch_tokens for s in settings if s.batch_tokens is not None]
    return cell + np.diag([grid_step(rates) ** 2, grid_step(batches) ** 2]) / 12


def together(parts: Sequence[Seen]) -> Seen:
    """Return all that was seen as one, the parts' noises independent."""
    size = sum(len(part.values) for part in parts)
    noise, start = np.zeros((size, size)), 0
    for part in parts:
        end = start + len(part.values)
        noise[start:end, start:end] = part.noise
        start = end
    return Seen(
        rows=np.concatenate([part.rows for part in parts]),
        values=np.concatenate([part.values for part in parts]),
        noise=noise,
    )


def update(prior: Recipe, parts: Sequence[Seen]) -> Recipe:
    """Return a distribution after something is seen; its weight times the density that it gave to it.

    >>> prior = Recipe(name="a", mean=np.log([2e-3, 1, 1, 5e5, 1, 1]), covariance=np.eye(6))
    >>> one = setting_seen(Setting(n_params=4e8, tokens=3e10, peak_lr=1e-3), 0.02 * np.eye(2))
    >>> seen = update(prior, [one])
    >>> bool(math.log(1e-3) < seen.mean[0] < math.log(2e-3)), bool(seen.covariance[0, 0] < 0.1)
    (True, True)
    """
    if not parts:
        return prior
    seen = together(parts)
    x = seen.rows
    total = x @ prior.covariance @ x.T + seen.noise
    off = seen.values - x @ prior.mean
    gain = np.linalg.solve(total, x @ prior.covariance).T
    log_density = -0.5 * (off @ np.linalg.solve(total, off) + np.linalg.slogdet(total)[1])
    return Recipe(
        name=prior.name,
        mean=prior.mean + gain @ off,
        covariance=prior.covariance - gain @ x @ prior.covariance,
        weight=prior.weight * math.exp(log_density),
    )


def shares_of(parts: Sequence[Recipe]) -> list[float]:
    """Return the weights of a mixture, made to add to one."""
    total = sum(part.weight for part in parts)
    return [part.weight / total for part in parts]


def average(parts: Sequence[Recipe]) -> Recipe:
    """Return the normal distribution with the mean and covariance of a mixture."""
    shares = shares_of(parts)
    mean = np.asarray(sum(s * part.mean for s, part in zip(shares, parts, strict=True)))
    spread = sum(
        s * (part.covariance + np.outer(part.mean - mean, part.mean - mean))
        for s, part in zip(shares, parts, strict=True)
    )
    return Recipe(name="average", mean=mean, covariance=np.asarray(spread))


def foretell(recipe: Recipe, cell: Array, n_params: float, tokens: float) -> tuple[Array, Array]:
    """Return the mean `[2]` and covariance `[2, 2]` of ln rate and ln batch of a cell's optimum."""
    x = features(n_params, tokens)
    return x @ recipe.mean, x @ recipe.covariance @ x.T + cell


def read_prior(law: Law) -> Prior:
    """Return the prior that a law file of the form of `recipe-prior` holds.

    **Raises:** `LawError` where the law has another form.
    """
    spec = law.spec
    try:
        mean = np.array([spec.parameters[name].value for name in NAMES], dtype=np.float64)
        [block] = spec.covariance
        between, cell = (spec.effects[name].covariance for name in ("recipe", "cell"))
        same = (spec.constants["n_ref"], spec.constants["d_ref"], tuple(block.of)) == (N_REF, D_REF, NAMES)
    except (KeyError, ValueError, TypeError):
        same, mean, between, cell, block = False, np.zeros(6), None, None, None
    if not same or block is None or between is None or cell is None:
        message = f"{law.id} is no prior over recipes: it lacks the parameters {', '.join(NAMES)} with one covariance, and the effects recipe and cell; take the shipped {PRIOR} as the model"
        raise LawError(message, file=str(law.path or ""))
    return Prior(
        mean=mean,
        unsure=np.asarray(block.matrix, dtype=np.float64),
        between=np.asarray(between, dtype=np.float64),
        cell=np.asarray(cell, dtype=np.float64),
    )


def logs_of(law: Law, catalogue: Catalogue, n_params: float, tokens: float) -> dict[str, float]:
    """Return ln of the rate and of the batch that a law gives at a size and data, as far as it gives them from these."""
    flop = 6 * n_params * tokens
    point = {"n_params": n_params, "tokens": tokens, "compute_flop": flop, "training_flop": flop}
    try:
        found = evaluate(law, {k: v for k, v in point.items() if k in law.inputs}, catalogue)
    except HplawError:
        return {}
    values = {name: found.outputs[name].value for name in ("peak_lr", "batch_tokens") if name in found.outputs}
    return {k: math.log(v) for k, v in values.items() if isinstance(v, float) and v > 0}


def linear(law: Law, catalogue: Catalogue) -> Array | None:
    """Return the six numbers of a law at the reference, by its values there and one e-fold away; None where it gives
    not both rate and batch from size and data."""
    found = [logs_of(law, catalogue, N_REF * math.exp(n), D_REF * math.exp(d)) for n, d in ((0, 0), (1, 0), (0, 1))]
    if any(len(logs) < 2 for logs in found):
        return None
    (r0, q0), (rn, qn), (rd, qd) = ((f["peak_lr"], f["batch_tokens"]) for f in found)
    return np.array([r0, rn - r0, rd - r0, q0, qd - q0, qn - q0])


def with_numbers(
    spec: LawSpec, mean: Array, covariance: Array, *, cell: Array, between: Array | None = None
) -> LawSpec:
    """Return a law file of this form with other numbers: the mean recipe, its covariance, and those of its effects."""
    parameters = {
        name: msgspec.structs.replace(spec.parameters[name], value=float(value))
        for name, value in zip(NAMES, mean, strict=True)
    }
    covariances = {"cell": cell} if between is None else {"cell": cell, "recipe": between}
    effects = {
        name: msgspec.structs.replace(effect, covariance=_rows(covariances[name]))
        for name, effect in spec.effects.items()
    }
    block = CovarianceSpec(of=list(NAMES), matrix=_rows(covariance))
    return msgspec.structs.replace(spec, parameters=parameters, covariance=[block], effects=effects)


def _rows(matrix: Array) -> list[list[float]]:
    """Return a covariance as rows, symmetric to the last digit."""
    return [[float(value) for value in row] for row in 0.5 * (matrix + matrix.T)]
