"""Intervals: closed forms and scenarios against simulations of what the law file says."""

import math

import numpy as np
import pytest

from hplaw.answer.answer import answer
from hplaw.answer.estimate import estimate_of
from hplaw.answer.intervals import samples, stretch
from hplaw.answer.quantiles import quantiles, spreads_of
from hplaw.forms.log_normal import NORMAL_QUANTILES, closed, directions
from hplaw.law import Law
from hplaw.messages.query import Query
from hplaw.posterior.scenarios import factor, scenarios
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.record import recommend
from tests.helpers import fixture_law, make_law, shipped


STEP = fixture_law("step-law")
COUNT = 200_000


def simulate(law: Law, names: list[str]) -> dict[str, np.ndarray]:
    """Return draws of parameters from a file's covariance."""
    (block,) = law.spec.covariance
    assert block.of == names
    rng = np.random.default_rng(11)
    mean = np.array([float(law.spec.parameters[name].value) for name in names])  # type: ignore[arg-type]
    drawn = rng.multivariate_normal(mean, np.array(block.matrix), COUNT, method="eigh")
    return dict(zip(names, drawn.T, strict=True))


def levels(x: np.ndarray) -> list[float]:
    return np.quantile(x, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()


def five(found: object) -> list[float]:
    return [getattr(found, name) for name in ("low", "low50", "median", "high50", "high")]


@pytest.mark.parametrize("cell", [(4e8, 3e10), (1e9, 1e11), (7e9, 1.4e12), (1e7, 1e9)])
def test_the_closed_form_is_that_of_many_draws(cell: tuple[float, float]) -> None:
    n, d = cell
    p = simulate(STEP, ["log_c", "a", "b", "log_g", "h"])
    outside = sum(
        max(0.0, math.log(v / high), math.log(low / v))
        for v, (low, high) in zip(cell, ((2.1e8, 1.1e9), (4e9, 1e11)), strict=True)
    )
    rng = np.random.default_rng(12)
    strays = rng.multivariate_normal(
        [0, 0], np.array([[0.0289, 0.04131], [0.04131, 0.0729]]) * (1 + 0.1 * outside**2), COUNT
    )
    drawn = {
        "peak_lr": p["log_c"] + p["a"] * math.log(n) + p["b"] * math.log(d) + strays[:, 0],
        "batch_tokens": p["log_g"] + p["h"] * math.log(d) + strays[:, 1],
    }
    found = answer(STEP, {"n_params": n, "tokens": d})
    for name, logs in drawn.items():
        assert closed(STEP, name)
        have = np.log(five(found.spreads[name]))
        want = np.array(levels(logs))
        assert have - have[2] == pytest.approx(want - want[2], rel=0.03, abs=1e-9)
        assert have[2] == pytest.approx(math.log(found.values[name]), abs=1e-9)
        assert (have[4] - have[0]) == pytest.approx(logs.std() * 2 * 1.6448536, rel=0.01)


@pytest.mark.parametrize("name", ["besiroglu-2024"])
def test_scenarios_have_the_spread_of_many_draws(name: str) -> None:
    law = shipped().get(name)
    p = simulate(law, ["log_A", "log_B", "log_E", "alpha", "beta"])
    n, d = 1e9, 2e10
    loss = (
        np.exp(p["log_E"])
        + np.exp(p["log_A"] - p["alpha"] * math.log(n))
        + np.exp(p["log_B"] - p["beta"] * math.log(d))
    )
    rng = np.random.default_rng(12)
    loss = loss * np.exp(math.sqrt(5.7e-5) * rng.standard_normal(COUNT))
    found = answer(law, {"n_params_with_embedding": n, "tokens": d}).spreads["loss"]
    assert not closed(law, "loss")
    assert math.log(found.high / found.low) == pytest.approx(np.log(levels(loss)[4] / levels(loss)[0]), rel=0.1)
    drawn = samples(law, {"n_params_with_embedding": n, "tokens": d}, ["loss"])["loss"]
    assert np.log(drawn).std() == pytest.approx(np.log(loss).std(), rel=0.03)


def test_a_law_with_draws_of_its_own_uses_them() -> None:
    assert directions(fixture_law("dense-surface")) is None or not closed(fixture_law("dense-surface"), "loss")


@pytest.mark.parametrize(
    ("formula", "closed_form"),
    [
        ("c * tokens ** a", False),
        ("exp(l) * tokens ** a", True),
        ("exp(l) * tokens ** a / batch_tokens", True),
        ("sqrt(exp(l) * tokens ** a)", True),
        ("exp(l + a * log(tokens))", True),
        ("exp(l) * tokens ** (a * 2 - 1)", True),
        ("exp(l) + tokens ** a", False),
        ("exp(l) * tokens ** (a * l)", False),
        ("exp(sin(l)) * tokens", False),
        ("min(exp(l), tokens)", False),
        ("tokens / exp(l)", True),
        ("exp(l) ** 2 * tokens", True),
    ],
)
def test_only_log_affine_outputs_have_closed_forms_and_both_ways_agree(formula: str, closed_form: bool) -> None:
    body = f'[parameters]\nc = {{ value = 2, sd = 0.1 }}\nl = {{ value = 1, sd = 0.1 }}\na = {{ value = 0.5, sd = 0.02 }}\n[outputs]\nsteps = "{formula}"'
    law = make_law(body, examples="[[examples]]\ngiven = { tokens = 8, batch_tokens = 2 }")
    assert closed(law, "steps") is closed_form
    known = {"tokens": 100.0, "batch_tokens": 3.0}
    found = answer(law, known).spreads["steps"]
    rng = np.random.default_rng(3)
    names = {
        "c": 2 + 0.1 * rng.standard_normal(COUNT),
        "l": 1 + 0.1 * rng.standard_normal(COUNT),
        "a": 0.5 + 0.02 * rng.standard_normal(COUNT),
    }
    python = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt, "sin": np.sin, "min": np.minimum}
    truth = levels(np.broadcast_to(evaluated(formula, {**python, **names, **known}), (COUNT,)))
    width = math.log(truth[4] / truth[0])
    assert math.log(found.high / found.low) == pytest.approx(width, rel=0.01 if closed_form else 0.1, abs=1e-9)


def evaluated(formula: str, names: dict) -> np.ndarray:
    from hplaw.expression import Kind, Scope, Symbol, compile_expression, parse
    from hplaw.expression.backends import numpy_backend

    scope = Scope({name: Symbol(Kind.INPUT) for name in names}, {}, frozenset())
    return compile_expression(parse(formula), scope, numpy_backend())(names)


# What is null, and why


def test_a_published_law_without_a_covariance_has_no_interval() -> None:
    law = shipped().get("deepseek-llm-2024")
    found = answer(law, dict.fromkeys(law.inputs, 1e20))
    for name in law.outputs:
        e = estimate_of(found, name)
        assert e.value is not None
        assert (e.low, e.high, e.low50, e.high50) == (None,) * 4
        assert e.reason == "the source states no covariance, so there is a value and no interval"


def test_a_rule_of_theory_has_no_interval() -> None:
    e = estimate_of(answer(shipped().get("compute-6nd"), {"n_active_params": 1e9, "tokens": 2e10}), "compute_flop")
    assert (e.value, e.low) == (1.2e20, None)
    assert e.reason == "a rule of theory has a value and no interval"


def test_a_zero_deviation_is_no_uncertainty_of_that_parameter() -> None:
    law = make_law(
        '[parameters]\nl = { value = 1, sd = 0.1 }\na = { value = 0.5, sd = 0 }\n[outputs]\nsteps = "exp(l) * tokens ** a"',
        inputs='["tokens"]',
        examples="[[examples]]\ngiven = { tokens = 8 }",
    )
    found = answer(law, {"tokens": 1e9}).spreads["steps"]
    assert math.log(found.high / found.low) == pytest.approx(0.1 * 2 * 1.6448536, rel=1e-6)


# Discrepancy and distance


def test_a_discrepancy_grows_with_distance_and_never_shrinks_below_its_own() -> None:
    assert stretch(STEP, 0.0) == 1.0
    assert stretch(STEP, 3.0) == pytest.approx(math.sqrt(1.9))
    body = '[predict.discrepancy]\nof = ["steps"]\ncovariance = [[0.04]]\ngrows = "1 - outside"\n[outputs]\nsteps = "tokens"\n[domain]\ntokens = [1e9, 1e10]'
    shrinking = make_law(body, inputs='["tokens"]', examples="[[examples]]\ngiven = { tokens = 8 }")
    assert stretch(shrinking, 5.0) == 1.0
    inside, outside = (answer(shrinking, {"tokens": t}).spreads["steps"] for t in (1e9, 1e13))
    assert outside.high / outside.low == pytest.approx(inside.high / inside.low)


def test_the_step_law_widens_with_distance() -> None:
    widths = []
    for tokens in (1e11, 3e11, 1e12, 1e14):
        s = answer(STEP, {"n_params": 5e8, "tokens": tokens}).spreads["peak_lr"]
        widths.append(math.log(s.high / s.low))
    assert widths == sorted(widths)
    assert widths[-1] > 2 * widths[0]


# Pieces


def test_quantiles_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    for size in (2, 5, 256, 1001):
        x = rng.standard_normal((3, size))
        np.testing.assert_allclose(quantiles(x).T, np.quantile(x, [0.05, 0.25, 0.5, 0.75, 0.95], axis=-1))
    assert spreads_of(quantiles(np.array([[1.0, np.nan, 2.0]]))) == [None]
    assert spreads_of(quantiles(np.array([[1.0, np.inf, np.inf, np.inf]]))) == [None]


def test_a_factor_gives_back_its_matrix() -> None:
    rng = np.random.default_rng(1)
    for size in (1, 3, 6):
        root = rng.standard_normal((size, size))
        for matrix in (root @ root.T, root[:, :1] @ root[:, :1].T, np.zeros((size, size))):
            f = factor(matrix)
            np.testing.assert_allclose(f @ f.T, matrix, atol=1e-12)


def test_the_normal_quantiles_are_right() -> None:
    for z, p in zip(NORMAL_QUANTILES, (0.05, 0.25, 0.5, 0.75, 0.95), strict=True):
        assert 0.5 * math.erfc(-z / math.sqrt(2)) == pytest.approx(p, abs=1e-12)


def test_draws_of_everything_are_apart_from_one_another() -> None:
    law = fixture_law("training-energy")
    drawn = scenarios(law)
    z = np.array(
        [
            drawn.effects[name] / s
            for name, s in (("u_generation", 0.26), ("u_developer", 0.16), ("u_family", 0.17), ("u_run", 0.21))
        ]
    )
    np.testing.assert_allclose(z @ z.T / drawn.size, np.eye(4), atol=1e-12)


def test_parameters_and_discrepancy_do_not_go_together() -> None:
    body = '[parameters]\na = { value = 1, sd = 0.1 }\nb = { value = 1, sd = 0.1 }\n[predict.discrepancy]\nof = ["steps"]\ncovariance = [[0.01]]\n[effects.g]\nby = ["run"]\nof = ["u"]\nscale = { u = "0.1" }\n[outputs]\nsteps = "(exp(a) + exp(b)) * tokens * exp(u)"'
    law = make_law(body, inputs='["tokens"]', examples="[[examples]]\ngiven = { tokens = 8 }")
    drawn = scenarios(law)
    rows = np.array(
        [drawn.parameters["a"] - 1, drawn.parameters["b"] - 1, drawn.effects["u"], drawn.discrepancy["steps"]]
    )
    np.testing.assert_allclose(rows @ rows.T / drawn.size, np.eye(4) * 0.01, atol=1e-14)


# What follows a choice


FOLLOWED = ("value", "low", "high", "low50", "high50", "plateau_low", "plateau_high")


def test_a_warm_up_in_tokens_follows_its_steps_through_intervals_and_plateau() -> None:
    law = shipped().get("weight-decay-warmup")
    known = {"n_params": 1e9, "tokens": 1e12, "batch_tokens": 5e5, "peak_lr": 1e-3}
    found = answer(law, known)
    steps, warmup = (estimate_of(found, name) for name in ("warmup_steps", "warmup_tokens"))
    for field in FOLLOWED:
        assert getattr(warmup, field) == pytest.approx(5e5 * getattr(steps, field)), field
    fixed = estimate_of(answer(law, {**known, "warmup_steps": 2000.0}), "warmup_tokens")
    assert (fixed.value, fixed.low, fixed.plateau_low) == (pytest.approx(1e9), None, None)


def test_what_follows_a_choice_is_the_same_in_a_batch_of_questions() -> None:
    queries = [
        Query(n_params=1e9, tokens=2e10),
        Query(n_params=3e8, tokens=2e10),
        Query(n_params=1e9, tokens=2e10, given={"batch_tokens": 5e5}),
        Query(n_params=3e8, tokens=2e10, given={"peak_lr": 1e-3}),
        Query(n_params=3e9, tokens=9e10, given={"peak_lr": 1e-3}),
        Query(n_params=3e9, tokens=9e10, given={"warmup_steps": 1000}),
    ]
    for query, row in zip(queries, recommend_many(queries, shipped()), strict=True):
        one = recommend(query, shipped()).answers["warmup_tokens"]
        for field in ("value", "low", "high"):
            alone, together = getattr(one, field), getattr(row.answers["warmup_tokens"], field)
            assert together == (alone if alone is None else pytest.approx(alone, rel=1e-9)), field


def test_a_variance_near_the_greatest_number_has_a_factor() -> None:
    shift = factor(np.array([[1.0, 0.0], [0.0, 1e308]]))
    assert np.square(shift).sum(axis=1) == pytest.approx([1.0, 1e308])
