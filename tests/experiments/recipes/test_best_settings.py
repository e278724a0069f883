"""A handful of tuned optima and a prior over recipes: closed form, honest, and a law like any other."""

import math
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st

from hplaw.answer.evaluate_law import evaluate
from hplaw.errors import DataError
from hplaw.law import read_law
from hplaw_experiments.recipes.best_settings import posterior, read_settings, write_law_of
from hplaw_experiments.recipes.recipe import (
    PRIOR,
    Prior,
    Setting,
    drawn,
    features,
    grid_of,
    grid_step,
    predict,
    read_prior,
    settings_seen,
    update,
    with_grid,
)
from tests.helpers import shipped


CELLS = [(2e8, 4e9), (2e8, 1.2e10), (4e8, 8e9)]


@pytest.fixture(scope="module")
def prior() -> Prior:
    return read_prior(shipped().get(PRIOR))


def test_intervals_cover_what_a_search_on_the_same_coarse_grid_finds(prior: Prior) -> None:
    """Best values of a doubling grid lie up to half a step off; without the grid's share, intervals cover too little."""

    def read_off(setting: Setting) -> Setting:
        rate, batch = (2 ** round(math.log2(v)) for v in (setting.peak_lr, setting.batch_tokens or 1))
        return msgspec.structs.replace(setting, peak_lr=rate, batch_tokens=batch)

    random = np.random.default_rng(5)
    covered: list[np.ndarray] = []
    narrow: list[np.ndarray] = []
    for _ in range(150):
        *seen, large = map(read_off, drawn(prior, [*CELLS, (2e9, 6e10)], random))
        recipe = posterior(seen, prior)
        wanted = np.log([large.peak_lr, large.batch_tokens or 1])
        for one, found in ((recipe, covered), (with_grid(recipe, np.zeros((2, 2))), narrow)):
            mean, covariance = predict(one, large.n_params, large.tokens)
            found.append(np.abs(wanted - mean) < 1.645 * np.sqrt(np.diag(covariance)))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.05)
    assert np.mean(narrow) < np.mean(covered) - 0.01


@given(st.floats(1e-4, 1e6), st.floats(1.1, 2.5), st.permutations([0, 1, 3]))
def test_the_step_of_a_grid_is_read_off_its_values(start: float, step: float, places: list[int]) -> None:
    assert grid_step([start * step**k for k in places]) == pytest.approx(math.log(step))
    twice = [start, start * step, start]
    assert grid_step(twice) == pytest.approx(math.log(step))
    assert grid_step([start] * 3) == pytest.approx(math.log(2))  # they do not tell
    assert grid_step([start, start * 1.13, start * 1.61]) == 0


@given(st.integers(0, 100))
def test_seeing_one_by_one_is_seeing_at_once(prior: Prior, seed: int) -> None:
    """Cells of different sizes share nothing, so that their order does not matter."""
    settings = drawn(prior, [(1e8, 2e9), (2e8, 4e9), (4e8, 8e9)], np.random.default_rng(seed))
    start = prior.recipe

    def seen(some: list[Setting]) -> list:
        return [settings_seen(some, prior, start.scatter, start.mean)]

    at_once, step = update(start, seen(settings)), start
    for setting in settings:
        step = update(step, seen([setting]))
    assert step.mean == pytest.approx(at_once.mean, abs=1e-9)
    assert step.covariance == pytest.approx(at_once.covariance, abs=1e-9)
    assert step.log_weight == pytest.approx(at_once.log_weight, abs=1e-6)


def test_the_law_written_says_what_was_worked_out(tmp_path: Path, prior: Prior) -> None:
    settings = drawn(prior, CELLS, np.random.default_rng(1))
    law = write_law_of(settings, tmp_path, prior=prior, data="my.csv", sha256="0" * 64)
    assert read_law(tmp_path / "own-recipe").id == law.id
    assert law.spec.domain["recipe"] == ["own-recipe"]
    for n, d in ((1e9, 2e10), (1e9, 1e9)):
        found = evaluate(law, {"n_params": n, "tokens": d}).outputs
        mean, covariance = predict(posterior(settings, prior), n, d)
        for i, name in enumerate(("peak_lr", "batch_tokens")):
            assert math.log(found[name].value) == pytest.approx(mean[i], abs=0.02)
            assert math.log(found[name].value / found[name].low) == pytest.approx(
                1.645 * covariance[i, i] ** 0.5, rel=0.25
            )


def test_rounding_to_a_grid_is_part_of_the_law_written(tmp_path: Path, prior: Prior) -> None:
    settings = [Setting(n_params=n, tokens=d, peak_lr=1e-3, batch_tokens=2.0**18) for n, d in CELLS]
    law = write_law_of(settings, tmp_path, prior=prior, data="my.csv", sha256="0" * 64)
    size = np.asarray(law.spec.effects["size"].covariance)
    assert size == pytest.approx(prior.recipe.scatter.size + grid_of(settings), rel=1e-4)
    assert features(4e8, 1e10)[0, 1:].tolist() == [0, 0, 0, 0, 0]


def test_a_table_that_lacks_something_is_refused_in_one_sentence() -> None:
    table = pl.DataFrame({"n_params": [1e8, 2e8], "tokens": [1e9, 2e9], "peak_lr": [1e-3, None]})
    assert [s.peak_lr for s in read_settings(table.head(1))] == [1e-3]
    with pytest.raises(DataError, match="row 2 has no peak_lr"):
        read_settings(table)
    with pytest.raises(DataError, match="no column 'peak_lr'"):
        read_settings(table.drop("peak_lr"))
