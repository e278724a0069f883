"""What tuning is worth: the laws of it against simulation, scores as they are, and what cannot be drawn."""

import itertools as it
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hplaw.answer.evaluate_law import evaluate
from hplaw.errors import DataError
from hplaw.theory.tuning import expected_best, optimism
from tests.helpers import is_one_sentence, shipped


def law(name: str, want: str, **given_: float) -> float:
    return evaluate(shipped().get(name), given_, shipped()).outputs[want].value


@given(st.lists(st.integers(-100, 100), min_size=1, max_size=7), st.data())
def test_the_expected_best_is_the_mean_over_all_draws(scores, data):
    k = data.draw(st.integers(1, len(scores)))
    draws = [max(drawn) for drawn in it.combinations(scores, k)]
    assert expected_best(scores, k) == pytest.approx(sum(draws) / len(draws), abs=1e-9)


def test_the_law_of_ranks_is_the_expected_best_of_ranks():
    for n, k in ((10, 3), (10, 10), (40, 7)):
        assert law("best-of-ranks", "expected_best_rank", n_trials=k, n_scored=n) == pytest.approx(
            expected_best(range(1, n + 1), k), rel=1e-12
        )


@pytest.mark.parametrize("trials", [1, 5, 45, 300])
def test_the_optimism_of_tuning_seeds_is_that_of_simulated_searches(trials):
    rng = np.random.default_rng(0)
    true = rng.normal(10, 3, size=(20_000, trials))
    tuned = true + rng.normal(0, 4 / math.sqrt(2), size=true.shape)
    best = np.argmax(tuned, axis=1)
    rows = np.arange(len(true))
    given_ = {"n_trials": trials, "score_mean": 10, "score_sd": 3, "seed_sd": 4, "seeds_per_trial": 2}
    assert law("best-of-trials", "tuning_score", **given_) == pytest.approx(tuned[rows, best].mean(), abs=0.1)
    assert law("best-of-trials", "test_score", **given_) == pytest.approx(true[rows, best].mean(), abs=0.1)


def test_seeds_for_an_error_keep_it():
    seeds = int(law("seeds-for-error", "seeds_needed", seed_sd=2.0, score_error=0.5, score_confidence=0.9))
    means = np.random.default_rng(0).normal(0, 2.0, size=(20_000, seeds)).mean(axis=1)
    assert np.mean(np.abs(means) < 0.5) == pytest.approx(0.9, abs=0.02)


def test_trials_needed_hit_the_good_share():
    needed = law("random-search-hit", "trials_needed", n_trials=1, top_share=0.03, hit_confidence=0.9)
    assert law("random-search-hit", "hit_probability", n_trials=needed, top_share=0.03) >= 0.9
    assert law("random-search-hit", "hit_probability", n_trials=needed - 1, top_share=0.03) < 0.9


def test_the_choice_on_tuning_seeds_is_judged_on_others():
    found = optimism({"a": [5.0, 1.0], "b": [2.0, 2.0]}, {"a": [1.0], "b": [2.0]})
    assert (found.setting, found.tuning_score, found.test_score, found.gap) == ("a", 3.0, 1.0, 2.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: expected_best([1.0, 2.0], 0),
        lambda: expected_best([1.0, 2.0], 3),
        lambda: expected_best([], 1),
        lambda: expected_best([1.0, math.nan], 1),
        lambda: optimism({}, {}),
        lambda: optimism({"a": [1.0]}, {"b": [1.0]}),
        lambda: optimism({"a": [1.0]}, {"a": []}),
    ],
)
def test_what_cannot_be_drawn_or_compared_is_refused_in_a_sentence(call):
    with pytest.raises(DataError) as caught:
        call()
    assert is_one_sentence(caught.value)
