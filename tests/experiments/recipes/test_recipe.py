"""Recipes as a mixture of normals: that of the law of recipes, its tails, and what tuned optima add to it."""

import math

import msgspec
import numpy as np
import pytest
from scipy.special import stdtr

from hplaw.answer.evaluate_law import evaluate
from hplaw.errors import LawError
from hplaw_experiments.recipes.best_settings import posterior
from hplaw_experiments.recipes.recipe import (
    PRIOR,
    Prior,
    Setting,
    average,
    drawn,
    features,
    half_width,
    mixing,
    predict,
    read_prior,
    settings_seen,
    update,
)
from tests.helpers import shipped


SEEN = [(1e8, 2e9), (1e8, 8e9), (2e8, 4e9), (2e8, 1.6e10), (4e8, 8e9)]
LARGE = [(2e9, 4e10), (2e9, 2e11)]


@pytest.fixture(scope="module")
def prior() -> Prior:
    return read_prior(shipped().get(PRIOR))


@pytest.mark.parametrize(("n_params", "tokens"), [(4e8, 1e10), (1e8, 1e11), (7e9, 1e12)])
def test_the_prior_answers_as_the_law_does(prior: Prior, n_params: float, tokens: float) -> None:
    """The two state their exponents in different bases; the law's intervals hold draws of a t, the prior's its normal."""
    found = evaluate(shipped().get(PRIOR), {"n_params": n_params, "tokens": tokens}).outputs
    mean, _ = predict(prior.recipe, n_params, tokens)
    widths = half_width(prior.recipe, n_params, tokens)
    for name, value, width in zip(("peak_lr", "batch_tokens"), np.exp(mean), widths, strict=True):
        assert value == pytest.approx(found[name].value, rel=0.1)
        assert math.log(width) == pytest.approx(0.5 * math.log(found[name].high / found[name].low), rel=0.3)


def test_a_law_of_another_form_is_no_prior() -> None:
    with pytest.raises(LawError, match="no prior over recipes"):
        read_prior(shipped().get("step-law-2025"))


@pytest.mark.parametrize(("count", "step"), [(8, 2.0), (4, 4.0)])
@pytest.mark.parametrize("place", [0.5, 1.0, 2.0, 4.0, 8.0])
def test_a_mixture_of_normals_has_the_tail_of_a_student_t(count: int, step: float, place: float) -> None:
    parts = mixing(4, count, step)
    assert sum(weight for _, weight in parts) == pytest.approx(1)
    beyond = sum(weight * math.erfc(place / math.sqrt(2 * scale)) for scale, weight in parts)
    assert beyond == pytest.approx(2 * stdtr(4, -place), rel=0.1 if place < 4 else 0.4)
    assert mixing(None, count, step) == [(1.0, 1.0)]


def at(theta: np.ndarray, cells: list[tuple[float, float]]) -> list[Setting]:
    """Return the tuned optima of a recipe, without scatter."""
    found = []
    for n, d in cells:
        rate, batch = np.exp(features(n, d) @ theta)
        found.append(Setting(n_params=n, tokens=d, peak_lr=rate, batch_tokens=batch))
    return found


def test_a_strange_recipe_is_believed_and_its_exponents_stay_those_of_others(prior: Prior) -> None:
    """Thirty times the rate of the mean recipe is beyond any normal; the tail takes it in the level alone."""
    plain = prior.recipe
    strange = plain.mean + np.array([math.log(30), 0, 0, 0, 0, 0])
    found = posterior(at(strange, SEEN[:3]), prior)
    narrow = min(prior.parts, key=lambda part: np.trace(part.covariance))
    normal = update(narrow, [settings_seen(at(strange, SEEN[:3]), prior, narrow.scatter, narrow.mean)])
    n, d = LARGE[0]
    truth = (features(n, d) @ strange)[0]
    mean, covariance = predict(found, n, d)
    assert abs(mean[0] - truth) < 0.5 * abs(predict(normal, n, d)[0][0] - truth)
    assert abs(mean[0] - truth) < 1.645 * covariance[0, 0] ** 0.5
    assert half_width(found, n, d)[0] < 3
    assert abs(found.mean[3:] - plain.mean[3:]).max() < 0.1


def test_recipes_are_recovered_and_their_intervals_hold_what_they_should(prior: Prior) -> None:
    random = np.random.default_rng(1)
    inside = {3: [], 5: []}
    missed = {3: [], 5: []}
    for _ in range(100):
        settings = drawn(prior, [*SEEN, *LARGE], random)
        for count in (3, 5):
            found = posterior(settings[:count], prior)
            for cell in settings[len(SEEN) :]:
                mean, covariance = predict(found, cell.n_params, cell.tokens)
                off = np.abs(mean - np.log([cell.peak_lr, cell.batch_tokens or 1]))
                inside[count].append(off < 1.645 * np.sqrt(np.diag(covariance)))
                missed[count].append(off)
    for count in (3, 5):
        assert np.mean(inside[count], axis=0) == pytest.approx([0.9, 0.9], abs=0.06)
    three, five = (np.median(missed[count], axis=0) for count in (3, 5))
    assert (five < three).all()


def test_many_cells_tell_the_recipe_and_how_loose_its_cells_lie(prior: Prior) -> None:
    random = np.random.default_rng(2)
    theta = prior.recipe.mean + np.array([0.5, 0.1, -0.1, -0.4, 0.05, 0.05])
    cells = [(n, n * ratio) for n in np.geomspace(3e7, 3e9, 12) for ratio in (10, 40, 160)]
    for sd, wanted in ((0.05, -1), (0.3, 1)):
        settings = [
            msgspec.structs.replace(s, peak_lr=s.peak_lr * math.exp(random.normal(0, sd))) for s in at(theta, cells)
        ]
        found = posterior(settings, prior)
        z = (found.mean - theta) / np.sqrt(np.diag(found.covariance))
        assert np.abs(z).max() < 3
        assert wanted * (found.scatter.cell[0, 0] - prior.recipe.scatter.cell[0, 0]) > 0


def test_short_runs_count_less_so_that_five_cells_do_no_worse_than_three(prior: Prior) -> None:
    """The two cells that are added have one token per parameter and lie far off; they move the answer less than long ones."""
    theta, scatter = prior.recipe.mean, prior.recipe.scatter
    assert scatter.own(1e9, 1e9)[0, 0] > 6 * scatter.own(1e9, 2e10)[0, 0]
    three = at(theta, SEEN[2:])

    def error(ratio: float) -> float:
        added = [
            msgspec.structs.replace(s, peak_lr=s.peak_lr * math.exp(0.7))
            for s in at(theta, [(1e9, ratio * 1e9), (5e8, ratio * 5e8)])
        ]
        found = posterior([*three, *added], prior)
        return float((features(*LARGE[0]) @ (found.mean - theta))[0])

    assert 0 < error(1.0) < 0.6 * error(20.0)
    assert error(1.0) < 0.25


def test_cells_of_one_size_share_what_is_its_own(prior: Prior) -> None:
    one = posterior(at(prior.recipe.mean, [(2e8, 4e9), (2e8, 4.1e9), (2e8, 4.2e9)]), prior)
    three = posterior(at(prior.recipe.mean, [(1.99e8, 4e9), (2e8, 4.1e9), (2.01e8, 4.2e9)]), prior)
    assert three.covariance[0, 0] < one.covariance[0, 0]


@pytest.mark.parametrize("times", [1 / 8, 8])
def test_a_rate_at_a_batch_that_was_not_chosen_is_read_at_it(prior: Prior, times: float) -> None:
    n, d = 4e8, 8e9
    theta = prior.recipe.mean
    rate, batch = np.exp(features(n, d) @ theta)
    slope = prior.lower if times < 1 else prior.upper
    there = Setting(n_params=n, tokens=d, peak_lr=rate * times**slope, given_batch_tokens=batch * times)
    found = posterior([there] * 2, prior)
    assert predict(found, n, d)[0] == pytest.approx(np.log([rate, batch]), abs=0.05)
    taken = posterior([msgspec.structs.replace(there, given_batch_tokens=None)] * 2, prior)
    assert abs(predict(taken, n, d)[0][0] - math.log(rate)) > 0.2


def test_a_batch_of_ones_own_matters_less_above_the_best_than_below(prior: Prior) -> None:
    assert 0 <= prior.upper < 0.35 < prior.lower < 0.8


def test_weights_of_what_cannot_be_stay_finite(prior: Prior) -> None:
    random = np.random.default_rng(3)
    cells = [(n, n * r) for n in np.geomspace(1e7, 1e10, 20) for r in (10, 100)]
    wild = [
        msgspec.structs.replace(s, peak_lr=s.peak_lr * math.exp(random.normal(0, 5)))
        for s in at(prior.recipe.mean, cells)
    ]
    found = average(prior.parts), posterior(wild, prior)
    assert all(np.isfinite(one.mean).all() and np.isfinite(one.covariance).all() for one in found)
