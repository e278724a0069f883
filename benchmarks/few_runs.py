"""How well a few runs of your own predict larger cells, the recipe's team held out of the prior, beside rivals.

Three tuned optima: what they say of cells of 10 to 30 times their compute, in sweeps by others and in recipes drawn from
published laws. Twelve single runs of Step Law's small dense cells, with rate and batch warped by a hidden power law: the
regret on the largest cells. The bowl's shape is that of `pretrain-surface`, which was fitted to these runs unwarped.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import WARPS, split, warped
from benchmarks.rows import data_file, row


MOST_RATE, MOST_BATCH, LEAST_COVERAGE, MOST_REGRET = 1.25, 1.3, 0.8, 0.18
"""What is asked for: median factors of rate and batch, the share inside 90%, and the mean regret in percent."""

RUNS = 12
DRAWN = 200
"""Recipes drawn from the prior itself."""

STRAY = 0.5
"""How far the guess of a cross lies from the cell's best run, in ln of rate and of batch."""


def run() -> list[dict[str, Any]]:
    """Measure; see `benchmarks.__main__`."""
    folder = data_file("steplaw_runs.csv").parent
    os.environ.setdefault("XLA_FLAGS", "--xla_llvm_disable_expensive_passes=true")
    from hplaw.catalogue.catalogue import load_catalogue
    from hplaw_experiments.recipes.prior import learn, sweeps

    catalogue = load_catalogue()
    found = sweeps(folder, catalogue)
    prior = learn([sweep for sweep in found if sweep.team != "step-law"])
    rows = [*three_cells(found, catalogue), *recipes_of(prior), *twelve_runs(folder, catalogue, prior)]
    return [{**one, "ok": one["limit"] is None or one["ok"]} for one in rows]


def three_cells(found: Sequence[Any], catalogue: Any) -> list[dict[str, Any]]:
    """Return the scores of three cells, ours and the rivals'."""
    from hplaw.formatting import plural
    from hplaw_experiments.recipes.recipe import features, linear
    from hplaw_experiments.recipes.scores import held_out, ours, score

    law = linear(catalogue.get("step-law-2025"), catalogue)
    assert law is not None
    nothing = np.zeros((2, 2))
    rows: list[dict[str, Any]] = []
    for name, (lists, batch, prior, without) in held_out(found, catalogue).items():
        told = score(lists, ours(prior, catalogue, without), batch=batch)
        rivals = {
            "the pooled law": lambda seen, n, d, mean=prior.mean: (features(n, d) @ mean, nothing),
            "Step Law": lambda seen, n, d: (features(n, d) @ law, nothing),
            "the cheapest cell's setting": lambda seen, n, d: (
                np.log([seen[0].peak_lr, seen[0].batch_tokens or 1.0]),
                nothing,
            ),
        }
        scores = {rival: score(lists, tell, batch=batch) for rival, tell in rivals.items()}
        quantities = ("peak_lr", "batch_tokens") if batch else ("peak_lr",)
        for i, quantity in enumerate(quantities):
            what = f"{name}, {plural(len(told.rate), 'cell')} from 3 each: {quantity}"
            most = (MOST_RATE, MOST_BATCH)[i]
            rows += [
                row(f"{what}, median factor", told.factors()[i], "1", most=most),
                row(f"{what}, share inside 90%", told.coverage()[i], "1", least=LEAST_COVERAGE),
                *(row(f"{what}, median factor of {rival}", s.factors()[i], "1") for rival, s in scores.items()),
            ]
    return rows


def recipes_of(prior: Any) -> list[dict[str, Any]]:
    """Return how often recipes drawn from a prior, with the scatter of real cells, are predicted as well as is asked for.

    Nothing could be known of them but the prior and three cells, so that this is what scatter and recipes leave to reach.
    """
    from hplaw_experiments.recipes.best_settings import posterior
    from hplaw_experiments.recipes.recipe import foretell
    from hplaw_experiments.recipes.scores import LADDERS, ladder, score

    def tell(seen: Sequence[Any], n_params: float, tokens: float) -> tuple[Any, Any]:
        return foretell(posterior(seen, prior)[0], prior.cell, n_params, tokens)

    random = np.random.default_rng(0)
    thetas = random.multivariate_normal(prior.mean, prior.recipe.covariance, size=DRAWN)
    sizes = LADDERS["deepseek-llm-2024"]
    scores = [score([ladder(theta, sizes, seed=seed)], tell) for seed, theta in enumerate(thetas)]
    told = []
    for i, (quantity, most) in enumerate((("peak_lr", MOST_RATE), ("batch_tokens", MOST_BATCH))):
        within = float(np.mean([s.factors()[i] <= most for s in scores]))
        covered = float(np.mean([s.coverage()[i] >= LEAST_COVERAGE for s in scores]))
        what = f"share of {DRAWN} recipes drawn from the prior: {quantity}"
        told += [
            row(f"{what}, median factor at most {most:g}", within, "1"),
            row(f"{what}, inside 90% at least {LEAST_COVERAGE:g}", covered, "1"),
        ]
    return told


def cross(cell: Any, random: np.random.Generator) -> Any:
    """Return the six runs of a cell's grid that lie nearest to a cross around a guess that deviates from its best run."""
    from hplaw_experiments.recipes.propose import CROSS

    x = np.log(cell.select("peak_lr", "batch_tokens").to_numpy())
    guess = x[int(np.argmin(cell["loss"].to_numpy()))] + random.normal(0, STRAY, 2)
    used: list[int] = []
    for point in CROSS:
        away = np.abs((x - guess - np.array(point)) / [0.35, 0.5]).sum(axis=1)
        away[used] = math.inf
        used.append(int(np.argmin(away)))
    return cell[used]


def designs(rest: Any, seed: int) -> dict[str, Any]:
    """Return twelve runs by design: two crosses at the smallest model, and runs drawn from all small cells."""
    import polars as pl

    random = np.random.default_rng(seed)
    least = rest.filter(pl.col("n_params") == pl.col("n_params").min())
    cells = [part for _, part in least.group_by("tokens", maintain_order=True)]
    cells.sort(key=lambda part: part["tokens"][0])
    crosses = pl.concat([cross(part, random) for part in cells[:2]])
    return {"two crosses": crosses, "random runs": rest.sample(RUNS, seed=seed)}


def twelve_runs(folder: Path, catalogue: Any, prior: Any) -> list[dict[str, Any]]:
    """Return the regret of twelve single runs under hidden warps, ours and the rivals'."""
    import polars as pl

    from hplaw.answer.answer import answer
    from hplaw.fit.data.runs import read_runs
    from hplaw_experiments.recipes.recipe import features, linear
    from hplaw_experiments.recipes.single_runs import NEEDED, SHAPE, write_surface

    shape = catalogue.get(SHAPE)
    frame = read_runs(folder / "steplaw_runs.csv", law=shape, maps={"loss": "smooth_loss"}, where="family = 'dense'")
    law = linear(catalogue.get("step-law-2025"), catalogue)
    assert law is not None
    means: dict[str, list[float]] = {}
    rivals: dict[str, list[float]] = {}
    for seed, warp in enumerate(WARPS):
        rest, cells = split(warped(frame, warp))
        best = rest.sort(pl.col("n_params") * pl.col("tokens"), "loss").row(0, named=True)
        for name, theta in (("Step Law", law), ("the pooled law", prior.mean)):
            told = [np.exp(features(c.known["n_params"], c.known["tokens"]) @ theta) for c in cells]
            regret = [c.regret(*place) for c, place in zip(cells, told, strict=True)]
            rivals.setdefault(name, []).append(float(np.mean(regret)))
        regret = [c.regret(best["peak_lr"], best["batch_tokens"]) for c in cells]
        rivals.setdefault("the cheapest cell's best run of all", []).append(float(np.mean(regret)))
        for name, some in designs(rest, seed).items():
            with tempfile.TemporaryDirectory() as to:
                own = write_surface(
                    some.select(NEEDED), Path(to), prior=prior, recipe=prior.recipe, shape=shape, data="", sha256=""
                )
                known = [{k: c.known[k] for k in ("n_params", "tokens")} for c in cells]
                found = [answer(own, one) for one in known]
            regret = [
                c.regret(a.values["peak_lr"], a.values["batch_tokens"]) for a, c in zip(found, cells, strict=True)
            ]
            means.setdefault(name, []).append(float(np.mean(regret)))
    what = f"mean regret, largest dense cells under {len(WARPS)} hidden warps"
    return [
        *(row(f"{what}, {RUNS} runs as {name}", float(np.mean(v)), most=MOST_REGRET) for name, v in means.items()),
        *(row(f"{what}, {name}", float(np.mean(v))) for name, v in rivals.items()),
    ]
