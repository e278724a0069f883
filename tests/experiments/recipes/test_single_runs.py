"""A handful of single runs under a prior over recipes: what they lead to, and what is refused."""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hplaw.answer.answer import answer
from hplaw.errors import DataError
from hplaw.posterior.arrays import read_arrays
from hplaw_experiments.recipes.from_table import NEEDED, SHAPE, read_single, write_own
from hplaw_experiments.recipes.propose import bowl_of, cross
from hplaw_experiments.recipes.recipe import PRIOR, features, read_prior
from hplaw_experiments.recipes.single_runs import OPTIMUM, open_optimum, surface_law
from tests.helpers import shipped


CELLS = [(1e8, 2e9), (1e8, 6e9)]


def crosses(seed: int) -> tuple[pl.DataFrame, np.ndarray]:
    """Return two crosses of a recipe drawn from the prior, around a guess that is off, and its six numbers."""
    random = np.random.default_rng(seed)
    prior, bowl = read_prior(shipped().get(PRIOR)), bowl_of(shipped().get(SHAPE))
    theta = random.multivariate_normal(prior.recipe.mean, prior.recipe.covariance)
    rows = []
    for number, (n, d) in enumerate(CELLS):
        best = features(n, d) @ theta
        guess = best + random.normal(0, 0.4, 2)
        for point in cross(prior):
            x = guess + np.array(point)
            z = 1.2 - 0.05 * number + float(bowl.excess((x - best)[None])[0]) + random.normal(0, 1e-3)
            rows.append((n, d, *np.exp(x), math.exp(z)))
    return pl.DataFrame(rows, schema=list(NEEDED), orient="row"), theta


@pytest.mark.slow
def test_twelve_runs_find_the_best_setting_of_a_larger_cell(tmp_path: Path) -> None:
    runs, theta = crosses(1)
    file = tmp_path / "runs.csv"
    runs.write_csv(file)
    law, words = write_own(file, tmp_path / "mine", maps={}, catalogue=shipped())
    assert law.id == "own-recipe"
    assert law.spec.domain["recipe"] == ["own-recipe"]
    assert "in 2 cells" in words
    large = (4e8, 1.6e10)
    found = answer(law, {"n_params": large[0], "tokens": large[1]})
    best = np.exp(features(*large) @ theta)
    for name, truth in zip(("peak_lr", "batch_tokens"), best, strict=True):
        assert found.spreads[name].low < truth < found.spreads[name].high
        assert found.spreads[name].high / found.spreads[name].low < 6
    assert 2 < found.values["loss"] < 4


def test_the_optimum_law_of_the_prior_is_that_of_its_recipes() -> None:
    prior = read_prior(shipped().get(PRIOR))
    runs, _ = crosses(0)
    spec = surface_law(runs, prior.recipe, shape=shipped().get(SHAPE))
    opened = open_optimum(spec, prior.recipe)
    roots = np.array([opened.tables[f"{name}_root"]["values"] for name in OPTIMUM])
    np.testing.assert_allclose(roots @ roots.T, prior.recipe.covariance, atol=1e-9)


def test_the_tables_of_the_bowl_are_written_with_as_many_digits_as_they_need() -> None:
    prior = read_prior(shipped().get(PRIOR))
    shape = shipped().get(SHAPE)
    spec = surface_law(crosses(0)[0], prior.recipe, shape=shape)
    assert all(
        value == float(f"{value:.6g}") for name in ("lh", "th", "lk") for value in spec.tables[f"{name}_mean"]["values"]
    )
    np.testing.assert_allclose(spec.tables["th_mean"]["values"], read_arrays(shape)["th"].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.head(4), "4 runs with a loss are too few"),
        (lambda t: t.drop("batch_tokens"), "no column 'batch_tokens'"),
        (lambda t: t.with_columns(tokens=pl.when(pl.col("peak_lr") > 0).then(None)), "row 1 has no tokens"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, said: str, tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    change(crosses(0)[0]).write_csv(file)
    with pytest.raises(DataError, match=said):
        write_own(file, tmp_path / "mine", maps={}, catalogue=shipped())
    assert not (tmp_path / "mine").exists()


def test_runs_that_diverged_are_left_out() -> None:
    table = crosses(0)[0].with_columns(diverged=pl.Series([True] + [False] * 11))
    assert len(read_single(table)) == 11
