"""The prior over recipes: learned from sweeps, recovered where they were drawn, and shipped as it was learned."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hplaw.errors import DataError
from hplaw_experiments.recipes.prior import CELL, CENTRE, MARIN_SEQ_LEN, SPREAD, Sweep, learn, marin_cells, sweeps
from hplaw_experiments.recipes.recipe import NAMES, PRIOR, Setting, features, read_prior, setting_seen, update
from hplaw_experiments.recipes.scores import held_out, ours, score, splits
from tests.helpers import shipped


CELLS = [(n, n * ratio) for n in (5e7, 2e8, 1e9) for ratio in (10.0, 40.0, 160.0)]


def drawn_sweep(name: str, theta: np.ndarray, random: np.random.Generator) -> Sweep:
    settings = []
    for n, d in CELLS:
        rate, batch = np.exp(features(n, d) @ theta + random.multivariate_normal(np.zeros(2), CELL))
        settings.append(Setting(n_params=n, tokens=d, peak_lr=float(rate), batch_tokens=float(batch)))
    return Sweep(name=name, team=name, settings=tuple(settings), seen=tuple(setting_seen(s, CELL) for s in settings))


def test_the_recipes_that_sweeps_were_drawn_from_are_recovered() -> None:
    random = np.random.default_rng(0)
    truth = CENTRE + np.array([0.4, 0.1, -0.1, -0.3, 0.05, 0.05])
    between = SPREAD * np.outer([1, 0.5, 0.5, 1, 1, 1], [1, 0.5, 0.5, 1, 1, 1])
    thetas = random.multivariate_normal(truth, between, size=40)
    found = learn([drawn_sweep(str(i), theta, random) for i, theta in enumerate(thetas)])
    z = (found.mean - truth) / np.sqrt(np.diag(found.unsure))
    assert np.abs(z).max() < 3
    ratio = np.sqrt(np.diag(found.between) / np.diag(between))
    assert ratio.min() > 0.7
    assert ratio.max() < 1.5


def test_nothing_can_be_learned_from_no_sweep() -> None:
    with pytest.raises(DataError, match="no sweep"):
        learn([])


def test_the_prior_shipped_is_the_one_learned(data: Path) -> None:
    found = learn(sweeps(data, shipped()))
    told = read_prior(shipped().get(PRIOR))
    np.testing.assert_allclose(told.mean, found.mean, atol=2e-3)
    np.testing.assert_allclose(told.between, found.between, atol=2e-3)
    np.testing.assert_allclose(told.unsure, found.unsure, atol=2e-3)


def test_experts_tell_a_recipe_s_exponents_of_data_and_hardly_its_constants(data: Path) -> None:
    prior = read_prior(shipped().get(PRIOR)).recipe
    [experts] = [sweep for sweep in sweeps(data, shipped()) if sweep.name == "step-law-moe"]
    seen = update(prior, experts.seen)
    left = np.sqrt(np.diag(seen.covariance) / np.diag(prior.covariance))
    assert left[[NAMES.index("r2"), NAMES.index("q1")]].max() < 0.6
    # a shift as wide as the spread between recipes leaves about the root of a half
    assert left[[NAMES.index("r0"), NAMES.index("q0")]].min() > 0.65


def test_a_best_value_at_the_end_of_those_tried_was_not_found() -> None:
    rows = [("baseline", 2.0, 8), ("lr", 1.0, 8), ("lr", 4.0, 8), ("bs", 2.0, 16)]
    losses = [3.0, 3.1, 7.7, 3.2]  # a run that diverged is a worse one, too
    runs = pl.DataFrame(
        [("130m", 1, *row, loss) for row, loss in zip(rows, losses, strict=True)],
        schema=["size", "chinchilla_x", "varied", "peak_lr", "batch_seqs", "loss"],
        orient="row",
    )
    [(setting, chosen)] = marin_cells(runs)
    assert (setting.peak_lr, setting.batch_tokens, chosen) == (2.0, 8 * MARIN_SEQ_LEN, False)
    less = runs.vstack(runs[3:].with_columns(batch_seqs=pl.lit(4, pl.Int64), loss=pl.lit(3.3)))
    assert marin_cells(less) == [(setting, True)]
    assert marin_cells(runs[:2].vstack(runs[3:])) == []  # no higher rate was tried


def test_a_sweep_is_foretold_by_the_others_better_than_by_its_cheapest_cell(data: Path) -> None:
    """(Mis)Fitting is the one sweep of many cells over the range asked for; its batch was fixed."""
    catalogue = shipped()
    lists, batch, prior, laws = held_out(sweeps(data, catalogue), catalogue)["misfitting"]
    told = score(lists, ours(prior, catalogue, laws), batch=batch)
    assert len(told.rate) > 50
    assert told.factors()[0] <= 1.25
    assert told.coverage()[0] >= 0.8
    cheapest = score(lists, lambda seen, n, d: (np.log([seen[0].peak_lr, 1.0]), np.zeros((2, 2))), batch=batch)
    assert cheapest.factors()[0] > 1.2 * told.factors()[0]


def test_cells_asked_for_have_more_compute_than_those_seen(data: Path) -> None:
    found = sweeps(data, shipped())
    for sweep in found:
        for seen, asked in splits(sweep.settings):
            assert max(s.n_params * s.tokens for s in seen) < min(a.n_params * a.tokens for a in asked)
