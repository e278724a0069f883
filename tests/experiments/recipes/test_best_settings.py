"""A handful of tuned optima and a prior over recipes: closed form, honest, and a law like any other."""

import math
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st

from hplaw.answer.evaluate_law import evaluate
from hplaw.errors import DataError, LawError
from hplaw.law import read_law
from hplaw.messages.query import Query
from hplaw.messages.recommendation import Estimate
from hplaw.recommendation.record import recommend
from hplaw_experiments.recipes.best_settings import posterior, read_settings, rescaled, write_law_of
from hplaw_experiments.recipes.recipe import (
    PRIOR,
    Prior,
    Recipe,
    Setting,
    features,
    foretell,
    grid_step,
    linear,
    read_prior,
    scatter,
    setting_seen,
    update,
)
from tests.helpers import shipped


CELLS = [(2e8, 4e9), (2e8, 1.2e10), (4e8, 8e9)]


@pytest.fixture(scope="module")
def prior() -> Prior:
    return read_prior(shipped().get(PRIOR))


def drawn(prior: Prior, seed: int, cells: list[tuple[float, float]]) -> list[Setting]:
    """Return tuned optima of a recipe drawn from the prior."""
    random = np.random.default_rng(seed)
    theta = random.multivariate_normal(prior.recipe.mean, prior.recipe.covariance)
    found = []
    for n, d in cells:
        rate, batch = random.multivariate_normal(features(n, d) @ theta, prior.cell)
        found.append(Setting(n_params=n, tokens=d, peak_lr=math.exp(rate), batch_tokens=math.exp(batch)))
    return found


def seen_by(prior: Prior, settings: list[Setting]) -> Recipe:
    return update(prior.recipe, [setting_seen(setting, prior.cell) for setting in settings])


def test_laws_are_read_as_recipes(prior: Prior) -> None:
    catalogue = shipped()
    found = linear(catalogue.get("step-law-2025"), catalogue)
    assert found is not None
    assert found[[1, 2, 4, 5]] == pytest.approx([-0.713, 0.307, 0.571, 0], abs=1e-6)
    rivals = rescaled(prior, catalogue)
    assert sum(recipe.weight for recipe in rivals) == pytest.approx(1)
    assert PRIOR not in {recipe.name.partition("@")[0] for recipe in rivals}


def test_a_law_of_another_form_is_no_prior() -> None:
    with pytest.raises(LawError, match="no prior over recipes"):
        read_prior(shipped().get("step-law-2025"))


def test_the_prior_is_asked_only_where_a_recipe_is_named() -> None:
    found = recommend(Query(n_params=1e9, tokens=2e10), shipped())
    told = found.answers["peak_lr"]
    assert isinstance(told, Estimate)
    assert not any(a.law.startswith(PRIOR) for a in told.alternatives or ())
    named = recommend(Query(n_params=1e9, tokens=2e10, given={"recipe": "mine"}, laws=[PRIOR]), shipped())
    wide = named.answers["peak_lr"]
    assert isinstance(wide, Estimate)
    assert wide.high is not None
    assert wide.low is not None
    assert wide.high / wide.low > 9


def test_intervals_of_larger_cells_cover_what_recipes_of_the_prior_do(prior: Prior) -> None:
    covered = []
    for seed in range(200):
        *seen, large = drawn(prior, seed, [*CELLS, (2e9, 6e10)])
        mean, covariance = foretell(seen_by(prior, seen), prior.cell, large.n_params, large.tokens)
        wanted = np.log([large.peak_lr, large.batch_tokens or 1])
        covered.append(np.abs(wanted - mean) < 1.645 * np.sqrt(np.diag(covariance)))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.04)


def test_intervals_cover_what_a_search_on_the_same_coarse_grid_finds(prior: Prior) -> None:
    """Best values of a doubling grid lie up to half a step off; without the grid's share, intervals cover too little."""

    def read_off(setting: Setting) -> Setting:
        rate, batch = (2 ** round(math.log2(v)) for v in (setting.peak_lr, setting.batch_tokens or 1))
        return msgspec.structs.replace(setting, peak_lr=rate, batch_tokens=batch)

    covered, narrow = [], []
    for seed in range(300):
        *seen, large = map(read_off, drawn(prior, seed, [*CELLS, (2e9, 6e10)]))
        recipe, _ = posterior(seen, prior)
        wanted = np.log([large.peak_lr, large.batch_tokens or 1])
        for cell, found in ((scatter(seen, prior.cell), covered), (prior.cell, narrow)):
            mean, covariance = foretell(recipe, cell, large.n_params, large.tokens)
            found.append(np.abs(wanted - mean) < 1.645 * np.sqrt(np.diag(covariance)))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.04)
    assert np.mean(narrow) < np.mean(covered) - 0.02


@given(st.floats(1e-4, 1e6), st.floats(1.1, 2.5), st.permutations([0, 1, 3]))
def test_the_step_of_a_grid_is_read_off_its_values(start: float, step: float, places: list[int]) -> None:
    assert grid_step([start * step**k for k in places]) == pytest.approx(math.log(step))
    twice = [start, start * step, start]
    assert grid_step(twice) == pytest.approx(math.log(step))
    assert grid_step([start] * 3) == pytest.approx(math.log(2))  # they do not tell
    assert grid_step([start, start * 1.13, start * 1.61]) == 0


@given(st.integers(0, 100))
def test_seeing_one_by_one_is_seeing_at_once(seed: int) -> None:
    prior = read_prior(shipped().get(PRIOR))
    settings = drawn(prior, seed, CELLS)
    at_once, step = seen_by(prior, settings), prior.recipe
    for setting in settings:
        step = update(step, [setting_seen(setting, prior.cell)])
    assert step.mean == pytest.approx(at_once.mean, abs=1e-9)
    assert step.covariance == pytest.approx(at_once.covariance, abs=1e-9)


def test_a_law_that_foretells_gains_weight(prior: Prior) -> None:
    catalogue = shipped()
    law = catalogue.get("step-law-2025")
    settings = []
    for n, d in [*CELLS, (1e9, 1e11)]:
        found = evaluate(law, {"n_params": n, "tokens": d}, catalogue).outputs
        rate, batch = found["peak_lr"].value, found["batch_tokens"].value
        assert isinstance(rate, float)
        assert isinstance(batch, float)
        settings.append(Setting(n_params=n, tokens=d, peak_lr=3 * rate, batch_tokens=batch))
    _, shares = posterior(settings, prior, rescaled(prior, catalogue))
    assert shares[f"{law.address} rescaled"] > 2 * shares[f"{catalogue.get('deepseek-llm-2024').address} rescaled"]


def test_the_law_written_says_what_was_worked_out(tmp_path: Path, prior: Prior) -> None:
    settings = drawn(prior, 1, CELLS)
    catalogue = shipped()
    law, _ = write_law_of(settings, tmp_path, catalogue=catalogue, data="my.csv", sha256="0" * 64)
    assert read_law(tmp_path / "own-recipe").id == law.id
    found = evaluate(law, {"n_params": 1e9, "tokens": 2e10}).outputs["peak_lr"]
    recipe, _ = posterior(settings, prior, rescaled(prior, catalogue))
    mean, covariance = foretell(recipe, prior.cell, 1e9, 2e10)
    assert isinstance(found.value, float)
    assert found.low is not None
    assert math.log(found.value) == pytest.approx(mean[0], abs=0.02)
    assert math.log(found.value / found.low) == pytest.approx(1.645 * covariance[0, 0] ** 0.5, rel=0.25)


def test_a_table_that_lacks_something_is_refused_in_one_sentence() -> None:
    table = pl.DataFrame({"n_params": [1e8, 2e8], "tokens": [1e9, 2e9], "peak_lr": [1e-3, None]})
    assert [s.peak_lr for s in read_settings(table.head(1))] == [1e-3]
    with pytest.raises(DataError, match="row 2 has no peak_lr"):
        read_settings(table)
    with pytest.raises(DataError, match="no column 'peak_lr'"):
        read_settings(table.drop("peak_lr"))
