"""Robust fits: the published golden values, simulated truth, speed without loops, and sentences for wrong input."""

import numpy as np
import polars as pl
import pytest

from hplaw.catalogue.catalogue import load_catalogue
from hplaw.errors import FitError
from hplaw.fit.infer.huber import fit_huber
from hplaw.law.read import parse_law


CHINCHILLA = {"log_A": 477.84, "log_B": 2143.9, "log_E": 1.81724}


@pytest.fixture(scope="module")
def runs(data):
    table = pl.read_csv(data / "chinchilla_runs.csv", comment_prefix="#")
    return table.filter(pl.col("loss") < 3.446995).rename({"n_params": "n_params_with_embedding"})


@pytest.fixture(scope="module")
def law():
    return load_catalogue().get("besiroglu-2024")


@pytest.mark.slow
def test_huber_finds_the_optimum_of_the_replication_and_its_errors(law, runs):
    found = fit_huber(law, runs, bootstrap=4000)
    for name, value in CHINCHILLA.items():
        assert np.exp(found.best[name]) == pytest.approx(value, rel=5e-4)
    assert found.best["alpha"] == pytest.approx(0.34731, abs=2e-5)
    assert found.best["beta"] == pytest.approx(0.36718, abs=2e-5)
    assert found.agreeing > 0.2
    assert found.converged > 0.99
    # standard errors as published: 124.5, 1293, 0.0257, 0.0154, 0.0206
    errors = {name: np.exp(found.draws[name]).std() for name in CHINCHILLA}
    assert errors["log_A"] == pytest.approx(124.5, rel=0.1)
    assert errors["log_B"] == pytest.approx(1293, rel=0.15)
    assert errors["log_E"] == pytest.approx(0.0257, rel=0.05)
    assert found.errors["alpha"] == pytest.approx(0.0154, rel=0.05)
    assert found.errors["beta"] == pytest.approx(0.0206, rel=0.05)


@pytest.mark.slow
def test_the_published_constants_are_the_least_sum_of_absolute_residuals(law, runs):
    found = fit_huber(law, runs, objective="l1", bootstrap=0)
    published = {"log_A": 482.0, "log_B": 2085.4, "log_E": 1.8169}
    for name, value in published.items():
        assert np.exp(found.best[name]) == pytest.approx(value, rel=5e-5)
    assert found.best["alpha"] == pytest.approx(0.3478, abs=5e-5)
    assert found.best["beta"] == pytest.approx(0.3658, abs=1e-4)


LAW = """
schema = 1
id = "two-powers"
version = 1
title = "A sum of two powers"
status = "calibrated"
checked = "derived"
inputs = ["n_params", "tokens"]
[source]
title = "made for a test"
[parameters]
b0 = { prior = "normal(log(2.5), 0.3)" }
gN = { prior = "lognormal(log(0.05), 0.6)" }
gD = { prior = "lognormal(log(0.05), 0.6)" }
al = { prior = "lognormal(log(0.35), 0.25)" }
be = { prior = "lognormal(log(0.35), 0.25)" }
[let]
n = "log(n_params / 1e9)"
d = "log(tokens / 2e10)"
A = "gN * exp(b0) / al"
B = "gD * exp(b0) / be"
E = "exp(b0) - A - B"
[outputs]
loss = "E + A * exp(-al * n) + B * exp(-be * d)"
[fit]
observed = "loss"
transform = "log"
likelihood = "student_t(4, scale)"
scale = "0.005"
[[examples]]
given = { n_params = 1e9, tokens = 2e10 }
expect = { loss = 2.5 }
"""
TRUTH = {"b0": np.log(2.5), "gN": 0.06, "gD": 0.05, "al": 0.33, "be": 0.38}


def _simulated(noise, *, bad=0):
    rng = np.random.default_rng(1)
    n, d = rng.uniform(-3, 2.5, 200), rng.uniform(-3, 3, 200)
    t = TRUTH
    a, b = (t[g] * np.exp(t["b0"]) / t[e] for g, e in (("gN", "al"), ("gD", "be")))
    loss = np.exp(t["b0"]) - a - b + a * np.exp(-t["al"] * n) + b * np.exp(-t["be"] * d)
    loss = loss * np.exp(noise * rng.standard_normal(200))
    loss[:bad] *= 1.5
    return pl.DataFrame({"n_params": 1e9 * np.exp(n), "tokens": 2e10 * np.exp(d), "loss": loss})


def test_constants_of_simulated_runs_are_recovered_although_some_are_far_off():
    found = fit_huber(parse_law(LAW.encode()), _simulated(1e-4, bad=10), starts=16, bootstrap=0)
    for name, value in TRUTH.items():
        assert found.best[name] == pytest.approx(value, rel=5e-3)
    assert set(found.derived) == {"A", "B", "E"}
    assert found.derived["A"] == pytest.approx(0.06 * 2.5 / 0.33, rel=5e-3)


@pytest.mark.slow
def test_bootstraps_scatter_as_the_noise_says_and_repeat_with_their_seed():
    law = parse_law(LAW.encode())
    found = fit_huber(law, _simulated(3e-3), starts=4, bootstrap=250, seed=3)
    assert found.converged == 1
    for name, value in TRUTH.items():
        assert abs(found.best[name] - value) < 4 * found.errors[name]
        assert found.draws[name].shape == (250,)
    again = fit_huber(law, _simulated(3e-3), starts=4, bootstrap=250, seed=3)
    np.testing.assert_array_equal(found.draws["al"], again.draws["al"])


@pytest.mark.slow
def test_one_constant_per_category_is_fitted_as_a_vector():
    text = LAW.replace("[parameters]", "[index]\nterm = 2\n[parameters]\nh = { value = [0.1, 0.2], over = 'term' }")
    text = text.replace('b0 = { prior = "normal(log(2.5), 0.3)" }', "b0 = { value = 0.9 }")
    text = text.replace('loss = "E +', 'loss = "0 * sum(term, h) + E +')
    found = fit_huber(parse_law(text.encode()), _simulated(1e-3), starts=2, bootstrap=3)
    assert found.draws["h"].shape == (3, 2)


@pytest.mark.parametrize(
    ("frame", "options", "words"),
    [
        (_simulated(1e-3).drop("loss"), {}, "have no loss"),
        (_simulated(1e-3).head(4), {}, "4 runs cannot tell 5 constants"),
        (_simulated(1e-3), {"delta": 0.0}, "delta=0 is not positive"),
    ],
)
def test_wrong_input_is_one_sentence(frame, options, words):
    with pytest.raises(FitError, match=words):
        fit_huber(parse_law(LAW.encode()), frame, **options)


def test_a_law_without_constants_is_refused():
    law = load_catalogue().get("compute-6nd")
    frame = pl.DataFrame({"n_active_params": [1e9], "tokens": [1e10], "compute_flop": [6e19]})
    with pytest.raises(FitError, match="no constants to fit"):
        fit_huber(law, frame)
