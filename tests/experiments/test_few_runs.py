"""A handful of best settings and a prior over recipes: closed form, honest, and a law like any other."""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st

from hplaw.catalogue import load_catalogue
from hplaw.errors import DataError
from hplaw.evaluation import evaluate
from hplaw.law import read_law
from hplaw_experiments.few_runs import (
    BETWEEN,
    MEAN,
    SCATTER,
    TOGETHER,
    Recipe,
    Setting,
    features,
    foretell,
    linear,
    posterior,
    read_settings,
    recipes,
    update,
    write_law_of,
)


PRIOR = Recipe(name="recipes", mean=MEAN, covariance=BETWEEN)
CELLS = [(2e8, 4e9), (2e8, 1.2e10), (4e8, 8e9)]


def drawn(seed: int, cells: list[tuple[float, float]]) -> list[Setting]:
    """Return best settings of a recipe drawn from the prior."""
    random = np.random.default_rng(seed)
    theta = random.multivariate_normal(MEAN, BETWEEN)
    scatter = SCATTER**2 * np.array([[1, TOGETHER], [TOGETHER, 1]])
    found = []
    for n, d in cells:
        rate, batch = random.multivariate_normal(features(n, d) @ theta, scatter)
        found.append(
            Setting(n_params=n, tokens=d, peak_lr=math.exp(rate), batch_tokens=math.exp(batch))
        )
    return found


def test_laws_are_read_as_recipes() -> None:
    catalogue = load_catalogue()
    found = linear(catalogue.get("step-law-2025"), catalogue)
    assert found is not None
    assert found[[1, 2, 4, 5]] == pytest.approx([-0.713, 0.307, 0.571, 0], abs=1e-6)
    assert sum(recipe.weight for recipe in recipes(catalogue)) == pytest.approx(1)


def test_intervals_of_larger_cells_cover_what_recipes_of_the_prior_do() -> None:
    covered = []
    for seed in range(200):
        *seen, large = drawn(seed, [*CELLS, (2e9, 6e10)])
        mean, covariance = foretell(update(PRIOR, seen), large.n_params, large.tokens)
        wanted = np.log([large.peak_lr, large.batch_tokens or 1])
        covered.append(np.abs(wanted - mean) < 1.645 * np.sqrt(np.diag(covariance)))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.04)


@given(st.integers(0, 100))
def test_seeing_one_by_one_is_seeing_at_once(seed: int) -> None:
    settings = drawn(seed, CELLS)
    at_once, step = update(PRIOR, settings), PRIOR
    for setting in settings:
        step = update(step, [setting])
    assert step.mean == pytest.approx(at_once.mean, abs=1e-9)
    assert step.covariance == pytest.approx(at_once.covariance, abs=1e-9)


def test_a_law_that_foretells_gains_weight() -> None:
    catalogue = load_catalogue()
    law = catalogue.get("step-law-2025")
    settings = []
    for n, d in [*CELLS, (1e9, 1e11)]:
        found = evaluate(law, {"n_params": n, "tokens": d}, catalogue).outputs
        rate, batch = found["peak_lr"].value, found["batch_tokens"].value
        assert isinstance(rate, float)
        assert isinstance(batch, float)
        settings.append(Setting(n_params=n, tokens=d, peak_lr=3 * rate, batch_tokens=batch))
    _, shares = posterior(settings, recipes(catalogue))
    assert max(shares, key=lambda name: shares[name] if "rescaled" in name else 0) != "recipes"
    assert (
        shares[f"{law.address} rescaled"]
        > shares[f"{catalogue.get('deepseek-llm-2024').address} rescaled"]
    )


def test_the_law_written_says_what_was_worked_out(tmp_path: Path) -> None:
    settings = drawn(1, CELLS)
    catalogue = load_catalogue()
    law, _ = write_law_of(settings, tmp_path, catalogue=catalogue, data="my.csv", sha256="0" * 64)
    assert read_law(tmp_path / "own-recipe").id == law.id
    found = evaluate(law, {"n_params": 1e9, "tokens": 2e10}).outputs["peak_lr"]
    recipe, _ = posterior(settings, recipes(catalogue))
    mean, covariance = foretell(recipe, 1e9, 2e10)
    assert isinstance(found.value, float)
    assert found.low is not None
    assert math.log(found.value) == pytest.approx(mean[0], abs=0.02)
    assert math.log(found.value / found.low) == pytest.approx(
        1.645 * covariance[0, 0] ** 0.5, rel=0.25
    )


def test_runs_with_losses_give_the_best_of_each_cell() -> None:
    table = pl.DataFrame(
        {"n_params": [1e8] * 4, "tokens": [1e9] * 4, "peak_lr": [1e-3, 2e-3, 4e-3, 8e-3], "loss": [3.0, 2.9, 2.95, 3.3]}
    )  # fmt: skip
    assert [s.peak_lr for s in read_settings(table)] == [2e-3]
    with pytest.raises(DataError, match="3 runs"):
        read_settings(table.head(3))
    with pytest.raises(DataError, match="peak_lr"):
        read_settings(table.drop("peak_lr"))
