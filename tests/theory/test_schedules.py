"""Schedules: their curves, the area under each by its closed form, and what optax is given."""

import math
from typing import Any

import numpy as np
import pytest

import jax
import jax.numpy as jnp
import optax

import hplaw
from hplaw.errors import QueryError
from hplaw.evaluation.rates import SCHEDULES
from hplaw.theory.schedules import hypergradient_rates
from tests.helpers import is_one_sentence


LONG = 1_000_000


def uba_area(phi: float) -> float:
    """Return the integral of the budget-aware schedule over a run of length one."""
    return 0.5 if phi == 2 else 2 / (2 - phi) * (1 - math.sqrt(phi / 2))


AREAS = {
    "constant": ({}, 1.0),
    "cosine": ({}, 0.5),
    "linear": ({}, 0.5),
    "linear to a tenth": ({"final_lr": 3e-5}, 0.55),
    "wsd": ({"decay_steps": 0.25 * LONG}, 0.875),
    "wsd with warm-up": ({"decay_steps": 0.25 * LONG, "warmup_steps": 0.1 * LONG}, 0.825),
    "inverse-sqrt": ({"warmup_steps": 0.25 * LONG}, 0.125 + 0.5),
    "uba": ({"uba_phi": 0.5}, uba_area(0.5)),
    "uba high": ({"uba_phi": 5.0}, uba_area(5.0)),
    "uba of two": ({"uba_phi": 2.0}, 0.5),
    "cosine-power of one": ({"cosine_power": 1.0}, 0.5),
    # the mean of p^((1 + cos)/2) over half a wave is sqrt(p) I_0(log(p)/2)
    "cosine-power": ({"cosine_power": 10.0}, (math.sqrt(10) * float(np.i0(math.log(10) / 2)) - 1) / 9),
}


@pytest.mark.parametrize("name", AREAS)
def test_the_area_is_that_of_the_closed_form(name: str) -> None:
    given, share = AREAS[name]
    curve = hplaw.schedule(name.split()[0], total_steps=LONG, peak_lr=3e-4, given=given)
    assert curve.mean_share == pytest.approx(share, rel=1e-5)
    assert curve.area == pytest.approx(3e-4 * LONG * share, rel=1e-5)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_area_is_the_sum_of_the_rates_of_all_steps(name: str) -> None:
    curve = hplaw.schedule(name, total_steps=40, given={"warmup_steps": 5}, points=41)
    assert curve.steps == list(range(41))
    assert curve.area == pytest.approx(sum(curve.rates[:-1]))


def test_a_run_too_long_to_sum_has_nearly_the_same_area() -> None:
    short, long = (hplaw.schedule("wsd", total_steps=n, given={"warmup_steps": 0.1 * n}) for n in (2_000_000, 3e12))
    assert long.mean_share == pytest.approx(short.mean_share, rel=1e-4)


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_rate_is_above_the_peak_nor_rises_behind_the_warm_up(name: str) -> None:
    curve = hplaw.schedule(name, total_steps=1000, peak_lr=0.3, given={"warmup_steps": 100})
    rates = np.array(curve.rates)
    assert rates.max() <= 0.3 * (1 + 1e-12)
    assert rates.min() >= 0
    assert (np.diff(rates[20:]) <= 1e-12).all()


def test_a_cosine_is_the_budget_aware_schedule_of_two() -> None:
    cosine = hplaw.schedule("cosine", total_steps=500)
    uba = hplaw.schedule("uba", total_steps=500, given={"uba_phi": 2})
    assert uba.rates == pytest.approx(cosine.rates, abs=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_optax_is_given_the_same_curve(name: str) -> None:
    given = {"warmup_steps": 100.0, "final_lr": 1e-5} if name != "constant" else {}
    curve = hplaw.schedule(name, total_steps=1000, peak_lr=3e-4, given=given, points=101)
    rate = hplaw.optax_schedule(name, total_steps=1000, peak_lr=3e-4, **given)
    found = jax.jit(jax.vmap(rate))(jnp.array(curve.steps, jnp.int32))
    assert np.asarray(found) == pytest.approx(curve.rates, rel=2e-6, abs=2e-10)
    assert float(rate(5000)) == pytest.approx(curve.rates[-1], rel=1e-6, abs=1e-10)


def test_optax_steps_by_it() -> None:
    rate = hplaw.optax_schedule("linear", total_steps=4, peak_lr=1.0)
    step = optax.sgd(rate)
    state, weight = step.init(jnp.zeros(())), jnp.zeros(())
    for _ in range(4):
        update, state = step.update(jnp.ones(()), state)
        weight = weight + update
    assert float(weight) == pytest.approx(-hplaw.schedule("linear", total_steps=4).area)


def test_hypergradients_move_the_rate_within_bounds() -> None:
    inner = 0.1 * 0.2 + 0.2 * 0.1
    assert hypergradient_rates([0, inner], peak_lr=1.0) == pytest.approx([1.0, 1.04])
    assert hypergradient_rates([0, -9, -9], peak_lr=0.5) == pytest.approx([0.5, 0.1, 0.1])
    assert hypergradient_rates([0, 9], peak_lr=0.5, rate="client")[1] == 0.1
    assert hypergradient_rates([0, 3, 3, -1], peak_lr=1.0)[2:] == [5.0, 4.0]


@pytest.mark.parametrize(
    ("name", "fields", "field", "says"),
    [
        ("cosin", {}, "schedule", "did you mean 'cosine'"),
        ("step-law-2025", {}, "schedule", "is no schedule"),
        ("cosine", {"total_steps": 0}, "total_steps", ">= 1"),
        ("cosine", {"total_steps": math.inf}, "total_steps", "not finite"),
        ("cosine", {"peak_lr": -1}, "peak_lr", "> 0"),
        ("cosine", {"given": {"uba_phi": 1}}, "given", "takes no uba_phi"),
        ("uba", {"given": {"uba_ph": 1}}, "given", "did you mean 'uba_phi'"),
        ("uba", {"given": {"uba_phi": 0}}, "given", "not defined for phi"),
        ("cosine", {"given": {"warmup_steps": 100}}, "given", "warm-up is as long"),
        ("cosine", {"given": {"final_lr": -1}}, "final_lr", "below 0"),
        ("cosine", {"points": 1}, "points", ">= 2"),
        ("cosine-power", {"given": {"cosine_power": 0.5}}, "given", "power below one"),
    ],
)
def test_wrong_runs_are_one_sentence(name: str, fields: Any, field: str, says: str) -> None:
    with pytest.raises(QueryError, match=says) as caught:
        hplaw.schedule(name, **{"total_steps": 100, **fields})
    assert caught.value.field == field
    assert is_one_sentence(caught.value.text)
