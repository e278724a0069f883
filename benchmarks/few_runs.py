"""How well a few runs of your own predict larger cells, the recipe's team held out of the law of recipes.

The law is fitted again without the team, and its draws are the prior. The three and the five cheapest tuned optima of a team
say where its others lie; recipes simulated from the prior say what could be reached. Single runs of Step Law's smaller dense
cells, drawn at random, or in crosses and under a hidden power law of rate and batch, are scored by the regret on the largest
cells. The bowl's shape is that of `pretrain-surface`, which was fitted to these runs unwarped.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import WARPS, regrets, scored_by_noise, split, step_law, warped
from benchmarks.recipes import Refits, Score, Seen, bounds_of, score
from benchmarks.rows import data_file, row


CELLS = (3, 5)
"""How many of a team's cheapest cells are seen."""
MOST = {"peak_lr": 1.3, "batch_tokens": 1.25}
LEAST_COVERAGE = 0.85
"""What is asked for: factors in the median over teams, and the share inside 90%."""

DRAWN = 100
"""Recipes simulated from the prior, of the same cells each."""
LADDER = tuple(3e7 * 2 ** (i / 2) for i in range(12))
"""Sizes of their cells, of 20 tokens per parameter."""

RANDOM = {60: 0.08, 30: 0.11}
"""Runs drawn at random, and what the mean regret in percent may be."""
SEEDS = 8
RUNS, MOST_REGRET = 12, 0.18
"""Runs under a hidden warp, and their mean regret in percent."""

STRAY = 0.5
"""How far the guess of a cross lies from the cell's best run, in ln of rate and of batch."""

TEAMS = {
    "Step Law": ("step-law", lambda known: known["n_active_params"] >= 0.99 * known["n_params"]),
    "Step Law, experts": ("step-law", lambda known: known["n_active_params"] < 0.99 * known["n_params"]),
    "Marin, AdamW": ("marin", lambda known: True),
    "(Mis)Fitting": ("misfitting", lambda known: True),
}
"""Sweeps: the recipe that is held out of the prior, and which of its cells are of one recipe."""


def run() -> list[dict[str, Any]]:
    """Measure; see `benchmarks.__main__`."""
    folder = data_file("steplaw_runs.csv").parent
    os.environ.setdefault("XLA_FLAGS", "--xla_llvm_disable_expensive_passes=true")
    from hplaw.catalogue.catalogue import load_catalogue
    from hplaw_experiments.recipes.recipe import read_prior

    catalogue = load_catalogue()
    refits = Refits(catalogue.get("recipe"), folder, catalogue)
    priors = {recipe: prior_without(refits, recipe) for recipe in dict.fromkeys(recipe for recipe, _ in TEAMS.values())}
    return [
        *cheapest_cells(refits.rows, priors),
        *simulated(read_prior(catalogue.get("recipe"))),
        *single_runs(folder, catalogue, priors["step-law"]),
    ]


def prior_without(refits: Refits, recipe: str) -> Any:
    """Return the prior over recipes that the law leads to without what one recipe's sweep found."""
    from hplaw.fit.model.double_precision import double_precision
    from hplaw_experiments.recipes.recipe import prior_of

    out = np.array([known["recipe"] == recipe and not known["practice"] for known in refits.rows])
    with double_precision():
        _, flat = refits.draws(out)
        draws = {name: np.asarray(value) for name, value in refits.density.constrain(flat).items()}
    return prior_of(refits.law, draws)


def cheapest_cells(rows: Sequence[Mapping[str, Any]], priors: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the scores of each team's other cells from its cheapest ones."""
    medians: dict[tuple[int, str], list[float]] = {}
    for name, (recipe, wanted) in TEAMS.items():
        cells = sorted(
            (
                known
                for known in rows
                if known["recipe"] == recipe
                and not known["practice"]
                and not known["published_law"]
                and known["optimizer"] == "adamw"
                and known["peak_lr"] is not None
                and wanted(known)
            ),
            key=lambda known: known["n_params"] * known["tokens"],
        )
        for count in CELLS:
            for quantity, found in predicted(cells[:count], cells[count:], priors[recipe]).items():
                medians.setdefault((count, quantity), []).append(found.factor)
                what = f"{name}, {found.told} of {found.all} cells from the {count} cheapest: {quantity}"
                yield row(f"{what}, median factor", found.factor, "1")
                yield row(f"{what}, inside 90%", found.within, "1", least=LEAST_COVERAGE)
                yield row(f"{what}, half-width", found.width, "1")
            for quantity, found in predicted(cells[:count], cells[max(CELLS) :], priors[recipe]).items():
                what = f"{name}, cells after the {max(CELLS)} cheapest from {count}: {quantity}, median factor"
                yield row(what, found.factor, "1")
    for (count, quantity), factors in medians.items():
        what = f"median over teams of the factor from {count} cells: {quantity}"
        yield row(what, float(np.median(factors)), "1", most=MOST[quantity])


def predicted(seen: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]], prior: Any) -> dict[str, Score]:
    """Return the scores of cells, by quantity, from cells seen; those of which no grid encloses a best are omitted."""
    from hplaw_experiments.recipes.best_settings import posterior

    recipe = posterior([_setting(known) for known in seen], prior)
    found = [item for known in asked for item in _predicted_of(known, recipe, prior)]
    scores = {name: score([item for item in found if item.quantity == name]) for name in MOST}
    return {name: value for name, value in scores.items() if value is not None}


def _setting(known: Mapping[str, Any]) -> Any:
    from hplaw_experiments.recipes.recipe import Setting

    names = ("n_params", "tokens", "peak_lr", "batch_tokens")
    return Setting(**{name: known[name] for name in names}, given_batch_tokens=known["given_batch_tokens"] or None)


def _predicted_of(known: Mapping[str, Any], recipe: Any, prior: Any) -> Iterator[Seen]:
    """Yield what a recipe predicts of a cell: of a rate whose batch was given, that at this batch."""
    from hplaw_experiments.recipes.recipe import settings_seen

    seen = settings_seen([_setting(known)], prior, recipe.scatter, recipe.mean)
    values = seen.rows @ recipe.mean
    spread = np.sqrt(np.diag(seen.rows @ recipe.covariance @ seen.rows.T + seen.noise))
    for name, value, found, sd in zip(MOST, values, seen.values, spread, strict=False):
        shift = found - math.log(known[name])
        low, high = bounds_of(known, name)
        yield Seen(
            team="",
            quantity=name,
            row=known,
            found=found,
            bounds=(low + shift, high + shift),
            value=value,
            half=(value - 0.6745 * sd, value + 0.6745 * sd),
            most=(value - 1.6449 * sd, value + 1.6449 * sd),
        )


def simulated(prior: Any) -> Iterator[dict[str, Any]]:
    """Yield how recipes drawn from the prior itself are predicted: nothing more could be known of them."""
    from hplaw_experiments.recipes.recipe import drawn

    random = np.random.default_rng(0)
    lists = [drawn(prior, [(n, 20 * n) for n in LADDER], random) for _ in range(DRAWN)]
    nothing = {"given_batch_tokens": 0.0, **{f"{name}_{end}": None for name in MOST for end in ("low", "high")}}
    for count in CELLS:
        found: dict[str, list[Score]] = {}
        for settings in lists:
            cells = [
                {name: getattr(cell, name) for name in ("n_params", "tokens", *MOST)} | nothing for cell in settings
            ]
            for name, value in predicted(cells[:count], cells[max(CELLS) :], prior).items():
                found.setdefault(name, []).append(value)
        for name, scores in found.items():
            what = f"{DRAWN} recipes simulated, their larger cells from the {count} cheapest: {name}"
            yield row(f"{what}, median factor", float(np.median([s.factor for s in scores])), "1")
            yield row(f"{what}, inside 90%", float(np.mean([s.within for s in scores])), "1", least=LEAST_COVERAGE)


def near_cross(cell: Any, points: Sequence[tuple[float, float]], random: np.random.Generator) -> Any:
    """Return the runs of a cell's grid that lie nearest to a cross around a guess that deviates from its best run."""
    x = np.log(cell.select("peak_lr", "batch_tokens").to_numpy())
    guess = x[int(np.argmin(cell["loss"].to_numpy()))] + random.normal(0, STRAY, 2)
    used: list[int] = []
    for point in points:
        away = np.abs((x - guess - np.array(point)) / [0.35, 0.5]).sum(axis=1)
        away[used] = math.inf
        used.append(int(np.argmin(away)))
    return cell[used]


def designs(rest: Any, seed: int, prior: Any) -> dict[str, Any]:
    """Return twelve runs by design: two crosses at the smallest model, and runs drawn from all small cells."""
    import polars as pl

    from hplaw_experiments.recipes.propose import cross

    random = np.random.default_rng(seed)
    least = rest.filter(pl.col("n_params") == pl.col("n_params").min())
    cells = [part for _, part in least.group_by("tokens", maintain_order=True)]
    cells.sort(key=lambda part: part["tokens"][0])
    crosses = pl.concat([near_cross(part, cross(prior), random) for part in cells[:2]])
    return {"two crosses": crosses, "random runs": rest.sample(RUNS, seed=seed)}


def single_runs(folder: Path, catalogue: Any, prior: Any) -> Iterator[dict[str, Any]]:
    """Yield the regret of single runs on the largest dense cells: random ones, twelve under hidden warps, and the rivals'."""
    import polars as pl

    from hplaw.fit.data.runs import read_runs
    from hplaw_experiments.recipes.from_table import SHAPE
    from hplaw_experiments.recipes.recipe import features

    shape = catalogue.get(SHAPE)
    frame = read_runs(folder / "steplaw_runs.csv", law=shape, maps={"loss": "smooth_loss"}, where="family = 'dense'")
    rest, cells = split(frame)
    noise, spread = scored_by_noise(cells, math.exp(shape.spec.parameters["ls0"].value))
    yield row("mean regret on the largest dense cells by the runs' noise alone", noise)
    yield row("standard deviation of the same", spread)
    for size, most in RANDOM.items():
        found = [regret_of(rest.sample(size, seed=seed), cells, shape, prior) for seed in range(SEEDS)]
        yield row(f"mean regret there, {size} random runs, {SEEDS} draws", float(np.mean(found)), most=most)
        yield row(f"largest mean regret of a draw of {size} runs", max(found))
    means: dict[str, list[float]] = {}
    rivals: dict[str, list[float]] = {}
    for seed, warp in enumerate(WARPS):
        rest, cells = split(warped(frame, warp))
        best = rest.sort(pl.col("n_params") * pl.col("tokens"), "loss").row(0, named=True)
        told = [np.exp(features(c.known["n_params"], c.known["tokens"]) @ prior.recipe.mean) for c in cells]
        regret = [c.regret(*place) for c, place in zip(cells, told, strict=True)]
        rivals.setdefault("the mean recipe", []).append(float(np.mean(regret)))
        rivals.setdefault("Step Law", []).append(float(np.mean(step_law(cells))))
        regret = [c.regret(best["peak_lr"], best["batch_tokens"]) for c in cells]
        rivals.setdefault("the cheapest cell's best run of all", []).append(float(np.mean(regret)))
        for name, some in designs(rest, seed, prior).items():
            means.setdefault(name, []).append(regret_of(some, cells, shape, prior))
    what = f"mean regret, largest dense cells under {len(WARPS)} hidden warps"
    for name, values in means.items():
        yield row(f"{what}, {RUNS} runs as {name}", float(np.mean(values)), most=MOST_REGRET)
    for name, values in rivals.items():
        yield row(f"{what}, {name}", float(np.mean(values)))


def regret_of(runs: Any, cells: Sequence[Any], shape: Any, prior: Any) -> float:
    """Return the mean regret on cells of the law that single runs lead to."""
    from hplaw.answer.answer import answer
    from hplaw_experiments.recipes.from_table import NEEDED
    from hplaw_experiments.recipes.single_runs import write_surface

    with tempfile.TemporaryDirectory() as to:
        own = write_surface(runs.select(NEEDED), Path(to), recipe=prior.recipe, shape=shape, data="", sha256="")
        found = [answer(own, {name: c.known[name] for name in ("n_params", "tokens")}) for c in cells]
    return float(np.mean(regrets(found, cells)))
