"""Recipes as six numbers, normal distributions over them, and what a tuned optimum says of them.

Constants do not carry over between recipes, exponents partly: a recipe is a draw of six numbers,

    ln rate = r0 + r1 n + r2 d,  ln batch = q0 + q1 d + q2 n,  n = ln(n_params / n_ref), d = ln(tokens / d_ref),

around a mean recipe. The shipped law `recipe` was fitted to the sweeps of many teams and says how far recipes lie apart;
here its posterior is a mixture of normals, so that what a few tuned optima add to it is closed.
"""

from __future__ import annotations

import itertools as it
import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.errors import LawError
from hplaw.law import Law
from hplaw.law.format import CovarianceSpec, LawSpec
from hplaw.posterior.arrays import read_arrays


Array = NDArray[np.float64]

NAMES = ("r0", "r1", "r2", "q0", "q1", "q2")
"""The six numbers of a recipe, in their order."""

N_REF, D_REF = 4e8, 1e10
"""Where a recipe's constants are stated: parameters and tokens."""

COARSE = math.log(2)
"""Step of a grid, in ln, where the values read off it are all one and do not tell; grids of rate and batch mostly double."""

ROUNDED = 0.01
"""How far values of a grid may lie from it, in ln: two written digits."""

PRIOR = "recipe"
"""The id of the shipped law that is the prior over recipes."""

TURN = np.zeros((6, 6))
"""From the numbers of that law, whose second slope is that of tokens per parameter, to the six."""
TURN[:3, :3] = [[1, 0, 0], [0, 1, -1], [0, 0, 1]]
TURN[3:, 3:] = [[1, 0, 0], [0, 1, -1], [0, 0, 1]]

LEVELS, EXPONENTS = (8, 2.0), (4, 4.0)
"""Mixing scales of the levels and of the exponents of a recipe: how many, and the factor between two."""

LEAST_MIXED = 0.35
"""The minimum mixing scale, of the variance."""

LOOSE = tuple(zip(*(part.tolist() for part in np.polynomial.hermite_e.hermegauss(5)), strict=True))
"""Points that represent a standard normal, and their weights up to a factor: how loose a recipe's cells lie."""

BEYOND = 0.1
"""Standard deviation of the rate at a batch that was not chosen, per e-fold of the best batch; that of the law `recipe`."""

ROUNDS = 3
"""How often the side of the best batch is looked for on which a batch that was not chosen lies."""


class Scatter(msgspec.Struct, frozen=True, kw_only=True):
    """How tuned optima scatter around the law of their recipe, as covariances of ln rate and ln batch `[2, 2]`.

    **Arguments:**

    - `cell`: of each one, where it is not short of tokens; `size` what all of one model size share.
    - `grid`: of rounding to the grid that they were read off.
    - `short`: tokens per parameter below which cells scatter more.
    """

    cell: Array
    size: Array
    grid: Array
    short: float

    def own(self, n_params: float, tokens: float) -> Array:
        """Return the covariance of one cell, apart from what its size shares."""
        more = 1 + max(math.log(self.short * n_params / tokens), 0.0)
        return more**2 * self.cell + self.grid

    def at(self, n_params: float, tokens: float) -> Array:
        """Return the covariance of a cell of a size that was not seen."""
        return self.size + self.own(n_params, tokens)


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A normal distribution over recipes.

    **Arguments:**

    - `mean`: the six numbers at `n_ref`, `d_ref`; `covariance` theirs.
    - `scatter`: of tuned optima around the law of such a recipe.
    - `log_weight`: logarithm of its weight in a mixture.
    """

    mean: Array
    covariance: Array
    scatter: Scatter
    log_weight: float = 0.0


class Prior(msgspec.Struct, frozen=True, kw_only=True):
    """What is known before a recipe is seen.

    **Arguments:**

    - `parts`: normals of which the distribution over recipes is a mixture, their weights adding to one. Parts differ in
      how far recipes lie from the mean recipe, which makes its tails, and in how far cells scatter.
    - `between`: covariance of recipes around the mean recipe `[6, 6]`.
    - `lower`, `upper`: slope of ln of the best rate in ln batch, below and above the best batch.
    """

    parts: tuple[Recipe, ...]
    between: Array
    lower: float
    upper: float

    @property
    def recipe(self) -> Recipe:
        """Return the distribution of a recipe of which nothing is known, as one normal."""
        return average(self.parts)


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A tuned optimum that was found: at a size and data, the rate and, where known, the batch in tokens.

    **Arguments:**

    - `given_batch_tokens`: the batch at which the rate was tuned, where the batch was not.
    """

    n_params: float
    tokens: float
    peak_lr: float
    batch_tokens: float | None = None
    given_batch_tokens: float | None = None


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


def settings_seen(settings: Sequence[Setting], prior: Prior, scatter: Scatter, guess: Array) -> Seen:
    """Return what tuned optima say of their recipe.

    A rate that is the best at a batch that was not chosen lies off the best rate by a slope times how far that batch lies
    off the best one; `guess` says on which side.
    """
    picked: list[Array] = []
    values: list[float] = []
    more: list[float] = []
    for place, setting in enumerate(settings):
        rate = np.zeros((len(settings), 2))
        rate[place, 0] = 1
        value, error = math.log(setting.peak_lr), 0.0
        if setting.batch_tokens is None and setting.given_batch_tokens is not None:
            batch = math.log(setting.given_batch_tokens)
            off = batch - float(features(setting.n_params, setting.tokens)[1] @ guess)
            slope = prior.upper if off > 0 else prior.lower
            rate[place, 1] = -slope
            value, error = value - slope * batch, BEYOND * off
        picked.append(rate.ravel())
        values.append(value)
        more.append(error**2)
        if setting.batch_tokens is not None:
            batch_row = np.zeros((len(settings), 2))
            batch_row[place, 1] = 1
            picked.append(batch_row.ravel())
            values.append(math.log(setting.batch_tokens))
            more.append(0.0)
    sizes = np.array([setting.n_params for setting in settings])
    noise = np.kron(sizes[:, None] == sizes[None, :], scatter.size)
    for place, setting in enumerate(settings):
        here = slice(2 * place, 2 * place + 2)
        noise[here, here] += scatter.own(setting.n_params, setting.tokens)
    pick = np.array(picked)
    rows = np.concatenate([features(setting.n_params, setting.tokens) for setting in settings])
    return Seen(rows=pick @ rows, values=np.array(values), noise=pick @ noise @ pick.T + np.diag(more))


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


def grid_of(settings: Sequence[Setting]) -> Array:
    """Return the covariance of rounding to the grids that tuned optima look read off `[2, 2]`."""
    steps = [
        grid_step([s.peak_lr for s in settings]),
        grid_step([s.batch_tokens for s in settings if s.batch_tokens is not None]),
    ]
    return np.diag(np.square(steps)) / 12


def with_grid(recipe: Recipe, grid: Array) -> Recipe:
    """Return a recipe whose tuned optima are rounded to a grid."""
    return msgspec.structs.replace(recipe, scatter=msgspec.structs.replace(recipe.scatter, grid=grid))


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

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> prior = read_prior(load_catalogue().get(PRIOR))
    >>> one = [Setting(n_params=4e8, tokens=1e10, peak_lr=1e-3)]
    >>> before = prior.recipe
    >>> seen = update(before, [settings_seen(one, prior, before.scatter, before.mean)])
    >>> bool(math.log(1e-3) < seen.mean[0] < before.mean[0]), bool(seen.covariance[0, 0] < 0.2)
    (True, True)
    """
    return update_all([prior], [together(parts)])[0] if parts else prior


def update_all(parts: Sequence[Recipe], seen: Sequence[Seen]) -> list[Recipe]:
    """Return the parts of a mixture after the same is seen by each, with its own noise."""
    x = np.stack([one.rows for one in seen])
    turned = x.swapaxes(1, 2)
    mean, covariance = np.stack([part.mean for part in parts]), np.stack([part.covariance for part in parts])
    total = x @ covariance @ turned + np.stack([one.noise for one in seen])
    off = np.stack([one.values for one in seen]) - np.einsum("kij,kj->ki", x, mean)
    gain = np.linalg.solve(total, x @ covariance).swapaxes(1, 2)
    left = np.linalg.solve(total, off[..., None])[..., 0]
    log_density = -0.5 * ((off * left).sum(axis=1) + np.linalg.slogdet(total)[1])
    moved = mean + np.einsum("kij,kj->ki", gain, off)
    known = covariance - gain @ x @ covariance
    return [
        msgspec.structs.replace(part, mean=a, covariance=b, log_weight=part.log_weight + float(c))
        for part, a, b, c in zip(parts, moved, known, log_density, strict=True)
    ]


def shares_of(parts: Sequence[Recipe]) -> Array:
    """Return the weights of a mixture, made to add to one."""
    logs = np.array([part.log_weight for part in parts])
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def average(parts: Sequence[Recipe]) -> Recipe:
    """Return the normal distribution with the mean and covariance of a mixture, and the mean of its scatters."""
    shares = shares_of(parts)
    means = np.array([part.mean for part in parts])
    mean = shares @ means
    off = means - mean
    spread = np.einsum("k,kij->ij", shares, [part.covariance for part in parts]) + (off.T * shares) @ off
    cell, size, grid = (
        np.einsum("k,kij->ij", shares, [getattr(part.scatter, name) for part in parts])
        for name in ("cell", "size", "grid")
    )
    scatter = Scatter(cell=cell, size=size, grid=grid, short=parts[0].scatter.short)
    return Recipe(mean=mean, covariance=spread, scatter=scatter)


def predict(recipe: Recipe, n_params: float, tokens: float) -> tuple[Array, Array]:
    """Return the mean `[2]` and covariance `[2, 2]` of ln rate and ln batch of a cell's optimum."""
    x = features(n_params, tokens)
    return x @ recipe.mean, x @ recipe.covariance @ x.T + recipe.scatter.at(n_params, tokens)


def drawn(prior: Prior, cells: Sequence[tuple[float, float]], random: np.random.Generator) -> list[Setting]:
    """Return the tuned optima of a recipe drawn from the prior at some sizes and data, scattered as cells are."""
    part = prior.parts[random.choice(len(prior.parts), p=shares_of(prior.parts))]
    theta = random.multivariate_normal(part.mean, part.covariance)
    shared = {n: random.multivariate_normal(np.zeros(2), part.scatter.size) for n, _ in cells}
    found: list[Setting] = []
    for n, d in cells:
        rate, batch = np.exp(
            features(n, d) @ theta + shared[n] + random.multivariate_normal(np.zeros(2), part.scatter.own(n, d))
        )
        found.append(Setting(n_params=n, tokens=d, peak_lr=float(rate), batch_tokens=float(batch)))
    return found


def half_width(recipe: Recipe, n_params: float, tokens: float) -> tuple[float, float]:
    """Return the 90% intervals of the best rate and batch as factors of the prediction."""
    _, covariance = predict(recipe, n_params, tokens)
    rate, batch = np.exp(Z90 * np.sqrt(np.diag(covariance)))
    return float(rate), float(batch)


def read_prior(law: Law) -> Prior:
    """Return the prior over recipes that a law of the form of `recipe` holds.

    **Raises:** `LawError` where the law has another form.
    """
    return prior_of(law, read_arrays(law))


def prior_of(law: Law, draws: Mapping[str, Array]) -> Prior:
    """Return the prior over recipes that draws of a law of the form of `recipe` lead to.

    Recipes are Student's t around the mean recipe, in two groups: the parts are normals whose scales are drawn with them.

    **Raises:** `LawError` where the law has another form.
    """
    spec = law.spec
    needed = (*NAMES, *(f"scale_{name}" for name in NAMES), "levels", "lower", "upper", *_SCATTERS)
    same = all(name in draws for name in needed) and {"recipe_levels", "recipe_exponents", "looseness"} <= set(
        spec.effects
    )
    if not same or (spec.constants.get("n_ref"), spec.constants.get("d_ref")) != (N_REF, D_REF):
        message = f"{law.id} is no prior over recipes: it lacks draws of {', '.join(NAMES)} and of their spread between recipes; take the shipped {PRIOR} as the model"
        raise LawError(message, file=str(law.path or ""))
    numbers = np.stack([draws[name] for name in NAMES])
    mean, unsure = TURN @ numbers.mean(axis=1), TURN @ np.cov(numbers) @ TURN.T
    levels, exponents = (TURN @ part @ TURN.T for part in _between(draws))
    tails = [spec.effects[name].tail for name in ("recipe_levels", "recipe_exponents")]
    parts = tuple(
        Recipe(
            mean=mean,
            covariance=unsure + a * levels + b * exponents,
            scatter=scatter,
            log_weight=math.log(share * of_a * of_b),
        )
        for (a, of_a), (b, of_b), (scatter, share) in it.product(
            mixing(tails[0], *LEVELS), mixing(tails[1], *EXPONENTS), _scatters(spec, draws)
        )
    )
    between = sum(
        mix * share * part
        for part, tail, grid in zip((levels, exponents), tails, (LEVELS, EXPONENTS), strict=True)
        for mix, share in mixing(tail, *grid)
    )
    return Prior(
        parts=parts, between=np.asarray(between), lower=float(draws["lower"].mean()), upper=float(draws["upper"].mean())
    )


_SCATTERS = ("cell_sd_lr", "cell_sd_batch", "size_sd_lr", "size_sd_batch")

Z90 = 1.6448536269514722


def _between(draws: Mapping[str, Array]) -> tuple[Array, Array]:
    """Return how the levels and the exponents of recipes vary where the mixing scale is one, in the law's numbers."""
    scale = {name: np.asarray(draws[f"scale_{name}"]) for name in NAMES}
    levels = np.diag([float(np.square(scale[name]).mean()) if name in {"r0", "q0"} else 0.0 for name in NAMES])
    exponents = np.diag([0.0 if name in {"r0", "q0"} else float(np.square(scale[name]).mean()) for name in NAMES])
    levels[0, 3] = levels[3, 0] = float((draws["levels"] * scale["r0"] * scale["q0"]).mean())
    return levels, exponents


def mixing(freedom: int | None, count: int, step: float) -> list[tuple[float, float]]:
    """Return mixing scales of the variance of a normal, and their weights, that make it Student's t; one where it is normal.

    >>> round(sum(weight for _, weight in mixing(4, 8, 2.0)), 9)
    1.0
    """
    from scipy.special import gammaincc

    if freedom is None:
        return [(1.0, 1.0)]
    scales = LEAST_MIXED * step ** np.arange(count)
    edges = scales[:-1] * math.sqrt(step)
    below = np.concatenate([[0.0], gammaincc(freedom / 2, freedom / (2 * edges)), [1.0]])
    return list(zip(scales.tolist(), np.diff(below).tolist(), strict=True))


def _scatters(spec: LawSpec, draws: Mapping[str, Array]) -> list[tuple[Scatter, float]]:
    """Return scatters of a recipe's cells and their weights: how loose they lie differs by recipe, for rate and batch apart."""
    from scipy.special import stdtrit

    tail = spec.effects["cell"].tail
    wider = 1.0 if tail is None else float(stdtrit(tail, 0.95)) / Z90
    loose = np.diag(np.asarray(spec.effects["looseness"].covariance))
    logs = [np.log(draws[name]) for name in ("cell_sd_lr", "cell_sd_batch")]
    spread = [math.sqrt(own + float(one.var())) for own, one in zip(loose, logs, strict=True)]
    size = np.diag([float(np.square(draws[name]).mean()) for name in ("size_sd_lr", "size_sd_batch")])
    found: list[tuple[Scatter, float]] = []
    for points in it.product(LOOSE, repeat=2):
        sds = [wider * math.exp(float(one.mean()) + s * z) for one, s, (z, _) in zip(logs, spread, points, strict=True)]
        scatter = Scatter(cell=np.diag(np.square(sds)), size=size, grid=np.zeros((2, 2)), short=spec.constants["short"])
        found.append((scatter, points[0][1] * points[1][1]))
    return found


def with_numbers(spec: LawSpec, recipe: Recipe) -> LawSpec:
    """Return a law file of this form with other numbers: the recipe, its covariance, and the scatter of its cells."""
    parameters = {
        name: msgspec.structs.replace(spec.parameters[name], value=float(value))
        for name, value in zip(NAMES, recipe.mean, strict=True)
    }
    found = recipe.scatter
    covariances = {"cell": found.cell, "size": found.size + found.grid}
    effects = {
        name: msgspec.structs.replace(effect, covariance=_rows(covariances[name]))
        for name, effect in spec.effects.items()
    }
    block = CovarianceSpec(of=list(NAMES), matrix=_rows(recipe.covariance))
    constants = {**spec.constants, "n_ref": N_REF, "d_ref": D_REF, "short": found.short}
    return msgspec.structs.replace(
        spec, parameters=parameters, covariance=[block], effects=effects, constants=constants
    )


def _rows(matrix: Array) -> list[list[float]]:
    """Return a covariance as rows, symmetric to the last digit."""
    return [[float(value) for value in row] for row in 0.5 * (matrix + matrix.T)]
