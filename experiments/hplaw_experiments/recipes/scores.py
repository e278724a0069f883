"""How well few cells of a recipe predict its larger ones, when the prior was learned without that recipe's team.

From each start, the three cheapest cells are seen, and asked for are those of 10 to 30 times their compute (their
geometric mean). A sweep that does not reach so far is asked for its cells beyond `LEAST` times. Few sweeps of others
give rate and batch over such a range, so that recipes drawn from published laws, with the scatter of real cells, are
scored beside them; the law and its team are held out of the prior, too. Marin's sweep is not scored: of its best batches
one alone lies between others that were tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.catalogue.catalogue import Catalogue
from hplaw_experiments.recipes.best_settings import posterior, rescaled
from hplaw_experiments.recipes.prior import CELL, TEAMS, Sweep, learn
from hplaw_experiments.recipes.recipe import Prior, Setting, features, foretell, linear, scatter


Array = NDArray[np.float64]
Foretelling = Callable[[Sequence[Setting], float, float], tuple[Array, Array]]
"""Cells seen, n_params and tokens -> mean `[2]` and covariance `[2, 2]` of ln rate and ln batch."""

CELLS_SEEN = 3
NEAR, FAR = 10.0, 30.0
LEAST = 4.0
"""Times the compute of what is seen, from where a sweep of a small range is asked."""

Z90 = 1.6448536269514722

LADDERS: Mapping[str, Sequence[float]] = {
    "porian-2024": [1e7 * 2 ** (i / 2) for i in range(14)],
    "deepseek-llm-2024": [3e7 * 2 ** (i / 2) for i in range(14)],
}
"""Published laws that recipes are drawn from, and the sizes of the cells, of 20 tokens per parameter."""

DRAWN = 12
"""Recipes drawn from each."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How cells were predicted: ln of value over truth by cell, and whether the 90% interval held it."""

    rate: tuple[float, ...]
    batch: tuple[float, ...]
    rate_inside: tuple[bool, ...]
    batch_inside: tuple[bool, ...]

    def factors(self) -> tuple[float, float]:
        """Return the median factors of rate and batch; NaN where none was predicted."""
        return _factor(self.rate), _factor(self.batch)

    def coverage(self) -> tuple[float, float]:
        """Return the shares of cells inside their intervals; NaN where none was predicted."""
        return _mean(self.rate_inside), _mean(self.batch_inside)


def _factor(errors: Sequence[float]) -> float:
    return math.exp(float(np.median(np.abs(errors)))) if errors else math.nan


def _mean(inside: Sequence[bool]) -> float:
    return float(np.mean(inside)) if inside else math.nan


def splits(cells: Sequence[Setting]) -> list[tuple[list[Setting], list[Setting]]]:
    """Return pairs of cells seen and cells asked for, from the cheapest start on.

    >>> ladder = [Setting(n_params=n, tokens=20 * n, peak_lr=1e-3) for n in (1e8, 1.2e8, 1.5e8, 5e8, 9e8)]
    >>> [(len(seen), [f"{a.n_params:g}" for a in asked]) for seen, asked in splits(ladder)]
    [(3, ['5e+08'])]
    """
    ordered = sorted(cells, key=lambda s: s.n_params * s.tokens)
    flop = np.array([6 * s.n_params * s.tokens for s in ordered])
    found: list[tuple[list[Setting], list[Setting]]] = []
    for start in range(len(ordered) - CELLS_SEEN):
        end = start + CELLS_SEEN
        times = flop[end:] / math.exp(float(np.mean(np.log(flop[start:end]))))
        asked = [s for s, t in zip(ordered[end:], times, strict=True) if NEAR <= t <= FAR]
        if not asked and start == 0:
            asked = [s for s, t in zip(ordered[end:], times, strict=True) if t >= LEAST]
        if asked:
            found.append((ordered[start:end], asked))
    return found


def score(lists: Sequence[Sequence[Setting]], foretelling: Foretelling, *, batch: bool = True) -> Score:
    """Return how a way of prediction does on lists of cells; `batch` says whether their batches were chosen at all."""
    errors: list[Array] = []
    inside: list[NDArray[np.bool_]] = []
    for cells in lists:
        for seen, asked in splits(cells):
            for cell in asked:
                mean, covariance = foretelling(seen, cell.n_params, cell.tokens)
                off = mean - np.log([cell.peak_lr, cell.batch_tokens or 1.0])
                errors.append(off)
                inside.append(np.abs(off) < Z90 * np.sqrt(np.diag(covariance)))
    rate, batches = [float(e[0]) for e in errors], [float(e[1]) for e in errors if batch]
    return Score(
        rate=tuple(rate),
        batch=tuple(batches),
        rate_inside=tuple(bool(i[0]) for i in inside),
        batch_inside=tuple(bool(i[1]) for i in inside if batch),
    )


def held_out(
    found: Sequence[Sweep], catalogue: Catalogue
) -> dict[str, tuple[list[list[Setting]], bool, Prior, frozenset[str]]]:
    """Return what to score by name: lists of cells, whether they have batches, the prior without the team, and the ids
    of the team's laws, which are not rescaled either."""
    cases: dict[str, tuple[list[list[Setting]], bool]] = {
        sweep.name: ([list(sweep.settings)], sweep.name != "misfitting") for sweep in found if splits(sweep.settings)
    }
    for name, sizes in LADDERS.items():
        theta = linear(catalogue.get(name), catalogue)
        if theta is not None:
            cases[name] = [ladder(theta, sizes, seed=seed) for seed in range(DRAWN)], True
    result: dict[str, tuple[list[list[Setting]], bool, Prior, frozenset[str]]] = {}
    for name, (lists, batch) in cases.items():
        team = TEAMS.get(name, name)
        others = [sweep for sweep in found if sweep.team != team]
        laws = _laws_of(team, catalogue)
        result[name] = (lists, batch, learn(others), laws)
    return result


def _laws_of(team: str, catalogue: Catalogue) -> frozenset[str]:
    """Return the laws that rest on a team's sweeps, those fitted here among them."""
    names = {"step-law": ("step-law-2025", "pretrain-surface", "pretrain-surface-moe")}
    return frozenset(names.get(team, (team,))) & {law.id for law in catalogue.laws}


def ladder(theta: Array, sizes: Sequence[float], *, seed: int) -> list[Setting]:
    """Return cells of 20 tokens per parameter of a recipe, with the scatter of real cells."""
    random = np.random.default_rng(seed)
    found: list[Setting] = []
    for n in sizes:
        rate, batch = np.exp(features(n, 20 * n) @ theta + random.multivariate_normal(np.zeros(2), CELL))
        found.append(Setting(n_params=n, tokens=20 * n, peak_lr=float(rate), batch_tokens=float(batch)))
    return found


def ours(prior: Prior, catalogue: Catalogue, without: frozenset[str]) -> Foretelling:
    """Return the prediction of `hplaw calibrate --runs` under a prior, the laws named omitted."""
    rivals = rescaled(prior, catalogue, without=without)

    def tell(seen: Sequence[Setting], n_params: float, tokens: float) -> tuple[Array, Array]:
        found, _ = posterior(seen, prior, rivals)
        return foretell(found, scatter(seen, prior.cell), n_params, tokens)

    return tell


def summary(found: Sequence[Sweep], catalogue: Catalogue) -> dict[str, float]:
    """Return the scores that a prior's evidence tells, by name; those with no cell to ask for are omitted."""
    told: dict[str, float] = {}
    for name, (lists, batch, prior, laws) in held_out(found, catalogue).items():
        one = score(lists, ours(prior, catalogue, laws), batch=batch)
        word = name.replace("-", "_")
        numbers = {
            f"{word}_factor_peak_lr": one.factors()[0],
            f"{word}_factor_batch_tokens": one.factors()[1],
            f"{word}_coverage_peak_lr": one.coverage()[0],
            f"{word}_coverage_batch_tokens": one.coverage()[1],
            f"{word}_cells": float(len(one.rate)),
        }
        told |= {key: float(f"{value:.4g}") for key, value in numbers.items() if math.isfinite(value)}
    return told
