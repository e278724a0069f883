"""The next runs: a cross first, then what narrows the answer at the target most per FLOP, on simulated recipes."""

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hplaw.cli.app import main
from hplaw.errors import QueryError
from hplaw_experiments.recipes.next_best import RUNS_PER_CELL
from hplaw_experiments.recipes.propose import NOISE, NOISE_SHARE, Bowl, bowl_of, cells_for, cross, propose, see_runs
from hplaw_experiments.recipes.recipe import PRIOR, Prior, features, half_width, read_prior
from tests.helpers import shipped


TARGET = (7e9, 1.4e12)
GOAL = features(*TARGET)
ASKED = ("calibrate", "--next", "6", "--target", "n_params=7e9", "--target", "tokens=1.4e12")


@pytest.fixture(scope="module")
def prior() -> Prior:
    return read_prior(shipped().get(PRIOR))


@pytest.fixture(scope="module")
def bowl() -> Bowl:
    return bowl_of(shipped().get("pretrain-surface"))


def simulate(
    settings: list[tuple[float, ...]], theta: np.ndarray, prior: Prior, bowl: Bowl, random: np.random.Generator
) -> pl.DataFrame:
    """Return runs of a recipe: levels and optima of cells, and noise, drawn as the model has them."""
    cells: dict[tuple[float, float], tuple[float, np.ndarray]] = {}
    rows = []
    for n, d, rate, batch in settings:
        drawn = random.normal(1, 0.1), random.multivariate_normal(np.zeros(2), prior.recipe.scatter.at(n, d))
        level, off = cells.setdefault((n, d), drawn)
        x = np.log([rate, batch]) - features(n, d) @ theta - off
        excess = float(bowl.excess(x[None])[0])
        noise = random.normal() * (NOISE + NOISE_SHARE * excess)
        rows.append((n, d, rate, batch, math.exp(level + excess + noise)))
    names = ["n_params", "tokens", "peak_lr", "batch_tokens", "loss"]
    return pl.DataFrame(rows, schema=names, orient="row")


def spread(covariance: np.ndarray, bowl: Bowl) -> float:
    """Return the loss that not knowing the optimum at the target costs: half the trace of curvature and covariance."""
    return float(0.5 * np.trace(bowl.curvature() @ GOAL @ covariance @ GOAL.T))


def test_the_first_runs_are_a_cross_in_the_cheapest_cell(prior: Prior, bowl: Bowl) -> None:
    found = propose(prior.recipe, prior, bowl, target=TARGET, runs=6)
    cheapest = min(cells_for(TARGET, []), key=lambda cell: cell[0] * cell[1])
    assert {(p.n_params, p.tokens) for p in found} == {cheapest}
    guess = features(*cheapest) @ prior.recipe.mean
    places = [np.log([p.peak_lr, p.batch_tokens]) - guess for p in found]
    np.testing.assert_allclose(places, cross(prior), atol=1e-9)


def test_no_cell_gets_more_runs_than_teach_something(prior: Prior, bowl: Bowl) -> None:
    found = propose(prior.recipe, prior, bowl, target=TARGET, runs=100)
    count = pl.DataFrame([(p.n_params, p.tokens) for p in found], orient="row").group_by("column_0", "column_1").len()
    assert count["len"].max() <= RUNS_PER_CELL
    factors = [p.rate_factor for p in found]
    assert factors == sorted(factors, reverse=True)


def test_proposals_narrow_more_per_flop_than_random_runs(prior: Prior, bowl: Bowl) -> None:
    proposed = propose(prior.recipe, prior, bowl, target=TARGET, runs=12)
    ours = [(p.n_params, p.tokens, p.peak_lr, p.batch_tokens) for p in proposed]
    cells = cells_for(TARGET, [])
    before = spread(prior.recipe.covariance, bowl)
    gains: dict[str, list[float]] = {"ours": [], "any cell": [], "same cells": []}
    within = []
    for seed in range(25):
        random = np.random.default_rng(seed)
        theta = random.multivariate_normal(prior.recipe.mean, prior.recipe.covariance)

        def anywhere(n: float, d: float, random: np.random.Generator = random) -> tuple[float, ...]:
            x = features(n, d) @ prior.recipe.mean + random.uniform([-1.8, -1.4], [1.8, 1.4])
            return (n, d, *np.exp(x))

        two = [cells[i] for i in random.integers(len(cells), size=2)]
        designs = {
            "ours": ours,
            "any cell": [anywhere(*cell) for cell in two for _ in range(6)],
            "same cells": [anywhere(n, d) for n, d, *_ in ours],
        }
        for name, settings in designs.items():
            runs = simulate(settings, theta, prior, bowl, random)
            after = see_runs(prior.recipe, bowl, runs)
            flop = sum(6 * n * d for n, d, *_ in settings)
            gains[name].append((before - spread(after.covariance, bowl)) / flop)
            if name == "ours":
                z = (GOAL @ (after.mean - theta)) / np.sqrt(np.diag(GOAL @ after.covariance @ GOAL.T))
                within.append(np.abs(z) < 1.645)
    told = {name: float(np.mean(values)) for name, values in gains.items()}
    assert told["ours"] > 10 * told["any cell"]
    assert told["ours"] > 1.02 * told["same cells"]
    assert np.mean(within) > 0.8  # what is said to be known is known


def test_what_is_there_is_not_proposed_again(prior: Prior, bowl: Bowl) -> None:
    cell = (1e8, 2e9)
    found = propose(prior.recipe, prior, bowl, target=TARGET, runs=6, done={cell: RUNS_PER_CELL})
    assert found
    assert cell not in {(p.n_params, p.tokens) for p in found}


def test_seeing_runs_finds_the_recipe_that_made_them(prior: Prior, bowl: Bowl) -> None:
    random = np.random.default_rng(3)
    theta = random.multivariate_normal(prior.recipe.mean, prior.recipe.covariance)
    cells = [(1e8, 2e9), (1e8, 1.8e10), (2e9, 4e10)]
    guess = [features(*cell) @ theta for cell in cells]
    settings = [(*cell, *np.exp(g + np.array(p))) for cell, g in zip(cells, guess, strict=True) for p in cross(prior)]
    after = see_runs(prior.recipe, bowl, simulate(settings, theta, prior, bowl, random))
    for cell, g in zip(cells, guess, strict=True):
        np.testing.assert_allclose(features(*cell) @ after.mean, g, atol=0.6)
    before, now = (half_width(recipe, *TARGET) for recipe in (prior.recipe, after))
    assert now[0] < 0.6 * before[0]


@pytest.mark.parametrize("runs", [0, 2, -1])
def test_too_few_runs_are_refused(prior: Prior, bowl: Bowl, runs: int) -> None:
    with pytest.raises(QueryError, match="ask for 3 or more"):
        propose(prior.recipe, prior, bowl, target=TARGET, runs=runs)


def test_programs_get_json_and_a_table_to_fill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "next.csv"
    assert main([*ASKED, "--json", "--to", str(file)]) == 0
    told = json.loads(capsys.readouterr().out)
    table = pl.read_csv(file)
    assert len(told) == len(table) == 6
    assert table["peak_lr"].to_list() == [run["peak_lr"] for run in told]
    assert table["loss"].null_count() == 6


def test_best_settings_that_are_there_lead_to_other_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "best.csv"
    file.write_text("n_params,tokens,peak_lr,batch_tokens\n1e8,2e9,6e-3,131072\n2e8,4e9,5e-3,196608\n")
    assert main([*ASKED, "--runs", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not {(run["n_params"], run["tokens"]) for run in found} & {(1e8, 2e9), (2e8, 4e9)}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (ASKED[:5], "--target tokens is missing"),
        ((*ASKED, "--target", "peak_lr=1"), "leave peak_lr out"),
        ((*ASKED[:3], "--target", "n_params=-1", "--target", "tokens=1"), "not positive"),
        ((*ASKED[:2], "2", *ASKED[3:]), "ask for 3 or more"),
        ((*ASKED[:3], "--target", "n_params=1e300", "--target", "tokens=1e9"), "maximum allowed"),
        ((*ASKED, "--to", "."), "give a CSV file"),
        ((*ASKED, "--to", "no/such/next.csv"), "give a CSV file"),
        (("calibrate", "--target", "n_params=1"), "belongs to --next"),
        (("calibrate", "--runs", "none.csv"), "--to is missing"),
    ],
)
def test_wrong_words_are_refused_in_one_sentence(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(list(words)) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
