"""Which runs to make next, so that the optimum at a target becomes known for the minimum compute.

A recipe's six numbers are normal, the bowl of the loss has the shape that `pretrain-surface` lends it, each cell has a
level and an optimum of its own around the recipe's law. A block of runs in one cell is offered whole, as one run in a new
cell learns the cell's level and no more; its gradients, in units of noise, level and cell effects together, go to
`next_best`. Runs made before are seen by Gauss and Newton's method in the same model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from hplaw.errors import QueryError
from hplaw.law import Law
from hplaw.posterior.scenarios import scenarios
from hplaw_experiments.recipes.next_best import Block, next_best, seen as seen_block
from hplaw_experiments.recipes.recipe import Prior, Recipe, Seen, features, half_width, update


Array = NDArray[np.float64]
Point = tuple[float, float]

RATES = (-1.8, -0.6, 0.6, 1.8)
"""Rates of a cross, as ln over the guess."""

BATCHES = (-math.log(6), math.log(6))
"""Batches of a cross, as ln over the guess: about as far as one recipe's lie from another's."""

FEWEST = 3
"""Runs of the smallest block."""

LEVEL = 0.05
"""Standard deviation of a cell's level around anything that is known of it, in ln loss."""

NOISE, NOISE_SHARE = 1.5e-3, 0.06
"""Noise of one run in ln loss, at the optimum and as a share of the distance from the lowest loss."""

SMALLER = (64.0, 16.0, 4.0)
"""How many times smaller than the target the models of new cells are."""

RATIO, LONGER = 20.0, (1.0, 3.0, 9.0)
"""Tokens per parameter of a new cell, and times as many."""

ROUNDS = 30
"""Rounds of Gauss and Newton's method; each goes half of the way."""


class Bowl(msgspec.Struct, frozen=True, kw_only=True):
    """The loss around a tuned optimum: sum over ridges of height / steepness^2 (e^t - 1 - t), t = steepness (direction . x).

    **Arguments:**

    - `height`, `steepness`: by ridge; `direction` unit vectors over ln rate and ln batch `[ridge, 2]`.
    """

    height: Array
    steepness: Array
    direction: Array

    def excess(self, x: Array) -> Array:
        """Return ln loss over its minimum at settings `[run, 2]`, relative to the best one."""
        t = self._t(x)
        return np.asarray((np.expm1(t) - t) @ (self.height / self.steepness**2))

    def slope(self, x: Array) -> Array:
        """Return the derivative of `excess` `[run, 2]`."""
        return np.asarray((np.expm1(self._t(x)) * self.height / self.steepness) @ self.direction)

    def curvature(self) -> Array:
        """Return the second derivative at the optimum `[2, 2]`."""
        return np.asarray((self.direction.T * self.height) @ self.direction)

    def _t(self, x: Array) -> Array:
        return np.clip(x @ self.direction.T * self.steepness, -50.0, 5.0)


def bowl_of(law: Law) -> Bowl:
    """Return the bowl of a law of the form of `pretrain-surface`, at its best single values.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> bowl = bowl_of(load_catalogue().get("pretrain-surface"))
    >>> float(bowl.excess(np.zeros((1, 2)))[0]), bool((np.linalg.eigvalsh(bowl.curvature()) > 0).all())
    (0.0, True)
    """
    point = scenarios(law).point
    angle = np.asarray(point["th"])
    return Bowl(
        height=np.exp(np.asarray(point["lh"])),
        steepness=np.broadcast_to(point["k"], angle.shape),
        direction=np.stack([np.cos(angle), np.sin(angle)], axis=1),
    )


def cross(prior: Prior) -> tuple[Point, ...]:
    """Return six runs around a guess, ln rate and ln batch over it: the batches move along the valley of best rates."""
    few, many = BATCHES
    return (*((u, 0.0) for u in RATES), (prior.lower * few, few), (prior.upper * many, many))


def designs(prior: Prior) -> dict[str, tuple[Point, ...]]:
    """Return the blocks of runs that a cell is offered with."""
    whole = cross(prior)
    return {"cross": whole, "rates": whole[:4], "corner": ((-0.9, 0.0), (0.9, 0.0), whole[-1])}


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """One run to make.

    **Arguments:**

    - `block`: its number, from one; runs of a block are made together.
    - `rate_factor`, `batch_factor`: half of the 90% interval at the target as a factor, when its block is done.
    """

    block: int
    n_params: float
    tokens: float
    peak_lr: float
    batch_tokens: float
    compute_flop: float
    rate_factor: float
    batch_factor: float


def cells_for(target: Point, done: Sequence[Point]) -> list[Point]:
    """Return the cells to offer, the cheapest first: small models at 20 tokens per parameter and more, below the target.

    **Arguments:**

    - `target`: n_params and tokens; `done` those of cells with runs, of which the smallest model goes on.

    >>> [f"{n:.3g} {d:.3g}" for n, d in cells_for((6.4e9, 1e12), [])[:2]]
    ['1e+08 2e+09', '1e+08 6e+09']
    """
    n_target, d_target = target
    sizes = [n_target / times for times in SMALLER]
    if done:
        least = min(n for n, _ in done)
        sizes = [least * times for times in (1.0, 4.0, 16.0)]
    found = {
        (n, n * RATIO * longer) for n in sizes for longer in LONGER if n * RATIO * longer * n < n_target * d_target
    } | {(n, 3 * d) for n, d in done}
    below = [(n, d) for n, d in found | set(done) if n * d < n_target * d_target]
    return sorted(below, key=lambda cell: (cell[0] * cell[1], cell))


def block_of(recipe: Recipe, bowl: Bowl, cell: Point, points: Sequence[Point]) -> Block:
    """Return the runs of a design around what is guessed for a cell."""
    n_params, tokens = cell
    x = features(n_params, tokens)
    guess = x @ recipe.mean
    places = np.array(points)
    settings = np.exp(guess + places)
    runs = tuple(
        {"n_params": n_params, "tokens": tokens, "peak_lr": float(rate), "batch_tokens": float(batch)}
        for rate, batch in settings
    )
    part = _linear(recipe.scatter.at(*cell), bowl, x, places, np.zeros(len(places)))
    whiten = np.linalg.inv(np.linalg.cholesky(part.noise))
    return Block(cell=_name(cell), gradients=whiten @ part.rows, flop=6 * n_params * tokens * len(runs), runs=runs)


def _name(cell: Point) -> str:
    return f"{cell[0]:.6g} {cell[1]:.6g}"


def _linear(scatter: Array, bowl: Bowl, x: Array, places: Array, left: Array) -> Seen:
    """Return what runs of one cell say of its recipe's numbers: their change moves the losses by `rows`.

    **Arguments:**

    - `scatter`: covariance of the cell's optimum around its recipe's law `[2, 2]`.
    - `places`: ln rate and batch over the guess `[run, 2]`; `left` what the guess leaves of ln loss, its level aside.
    """
    slope = bowl.slope(places)
    noise = np.diag((NOISE + NOISE_SHARE * bowl.excess(places)) ** 2)
    return Seen(rows=-slope @ x, values=left, noise=noise + LEVEL**2 + slope @ scatter @ slope.T)


def see_runs(recipe: Recipe, bowl: Bowl, runs: pl.DataFrame) -> Recipe:
    """Return a recipe after single runs are seen, by Gauss and Newton's method around its mean.

    **Arguments:**

    - `runs`: n_params, tokens, peak_lr, batch_tokens and loss, one run a row.
    """
    cells = [
        (
            features(float(str(n)), float(str(d))),
            recipe.scatter.at(float(str(n)), float(str(d))),
            np.log(cell.select("peak_lr", "batch_tokens").to_numpy()),
            np.log(cell["loss"].to_numpy()),
        )
        for (n, d), cell in runs.group_by("n_params", "tokens", maintain_order=True)
    ]
    mean, found = recipe.mean, recipe
    for _ in range(ROUNDS):
        parts: list[Seen] = []
        for x, scatter, settings, z in cells:
            places = settings - x @ mean
            left = z - bowl.excess(places)
            part = _linear(scatter, bowl, x, places, left - left.mean())
            parts.append(msgspec.structs.replace(part, values=part.values + part.rows @ mean))
        found = update(recipe, parts)
        mean = mean + 0.5 * (found.mean - mean)
    return msgspec.structs.replace(found, mean=mean)


def propose(
    recipe: Recipe,
    prior: Prior,
    bowl: Bowl,
    *,
    target: Point,
    runs: int,
    done: Mapping[Point, int] | None = None,
    cells: Sequence[Point] | None = None,
) -> list[Proposal]:
    """Return the runs to make next: where nothing is done a cross in the cheapest cell, then what narrows the most per FLOP.

    **Arguments:**

    - `recipe`: what is known by now; `target` n_params and tokens of the run that all is for.
    - `runs`: at most so many.
    - `done`: runs made already by cell; `cells` those to offer, `cells_for` by default.

    **Raises:** `QueryError` for too few runs, and for a target that leaves no smaller cell.
    """
    if runs < FEWEST:
        message = f"{runs} runs are too few to learn anything in a new cell; ask for {FEWEST} or more"
        raise QueryError(message, field="next")
    made = dict(done or {})
    offered = list(cells) if cells is not None else cells_for(target, list(made))
    if not offered:
        message = f"no cell is smaller than n_params={target[0]:g} and tokens={target[1]:g}; give a larger target"
        raise QueryError(message, field="target")
    goal = features(*target)
    curvature = bowl.curvature()
    chosen: list[Block] = []
    covariance, left = recipe.covariance, runs
    offers = designs(prior)
    first = offers["cross"]
    if not made and runs >= len(first):
        chosen.append(block_of(recipe, bowl, offered[0], first))
        covariance = seen_block(covariance, chosen[0].gradients)
        left -= len(first)
    count = {_name(cell): number for cell, number in made.items()}
    count |= {block.cell: len(block.runs) for block in chosen}
    blocks = [block_of(recipe, bowl, cell, points) for cell in offered for points in offers.values()]
    chosen += next_best(blocks, covariance=covariance, target=goal, curvature=curvature, runs=left, done=count)
    return _told(chosen, recipe, target)


def _told(blocks: Sequence[Block], recipe: Recipe, target: Point) -> list[Proposal]:
    found: list[Proposal] = []
    for number, block in enumerate(blocks, 1):
        recipe = msgspec.structs.replace(recipe, covariance=seen_block(recipe.covariance, block.gradients))
        rate, batch = half_width(recipe, *target)
        found += [
            Proposal(
                block=number,
                **run,
                compute_flop=block.flop / len(block.runs),
                rate_factor=rate,
                batch_factor=batch,  # type: ignore[arg-type]
            )
            for run in block.runs
        ]
    return found
