"""Laws that sum over the steps of a schedule: the index, its functions, and schedules that fill it."""

import functools as ft
import math
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hplaw.answer.answer import plain_outputs
from hplaw.arrays import Array
from hplaw.errors import LawError, QueryError
from hplaw.evaluation import rates
from hplaw.evaluation.point import point
from hplaw.evaluation.rates import SCHEDULES, rates_over, schedule_law, spans
from hplaw.expression import Undefined, compile_expression, infer, latex, parse
from hplaw.expression.backends import jax_backend, numpy_backend
from hplaw.expression.scope import Kind, Scope, Symbol
from hplaw.law import Law, read_law
from tests.helpers import is_one_sentence, make_law


INPUTS = """[
  { quantity = "learning_rate", over = "k", of = "rate" },
  { quantity = "entry_steps", over = "k", of = "count" },
  "schedule",
  "total_steps",
  { quantity = "peak_lr", missing = 1.0 },
]"""
EACH = 10**9


def over_steps(formula: str, *, rest: str = "") -> Law:
    body = f'[index]\nk = "steps"\n[outputs]\nscheduled_loss = "{formula}"\n'
    return make_law(body + rest, inputs=INPUTS)


def at(law: Law, **known: object) -> float:
    return point(law, {"schedule": "linear", "total_steps": 10.0, **known}).output("scheduled_loss")


def test_a_sum_goes_over_the_steps_that_a_run_takes() -> None:
    law = over_steps("sum(k, learning_rate * entry_steps)")
    assert at(law) == pytest.approx(sum(1 - step / 10 for step in range(10)), rel=1e-14)
    assert at(law, total_steps=3.0, schedule="constant", peak_lr=0.5) == 1.5


def test_rates_may_be_given_as_they_are() -> None:
    law = over_steps("sum(k, learning_rate * entry_steps)")
    rate = np.array([1.0, 2.0, 4.0])
    assert at(law, learning_rate=rate) == 7.0
    assert at(law, learning_rate=rate, entry_steps=np.array([2.0, 1.0, 1.0])) == 8.0


def test_the_running_sum_and_the_step_before() -> None:
    rate = np.array([1.0, 2.0, 4.0])
    assert at(over_steps("sum(k, running(k, learning_rate) * entry_steps)"), learning_rate=rate) == 1 + 3 + 7
    # before the first step there is no rate
    assert at(over_steps("1 + sum(k, before(k, learning_rate) * entry_steps)"), learning_rate=rate) == 1 + 0 + 1 + 2


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("learning_rate", "'k'"),
        ("prod(k, learning_rate)", "no product over the steps"),
        ("sum(k, total_steps)", "differs from step to step"),
        ("running(k, learning_rate)", "'k'"),
        ("running(j, learning_rate)", "'j' is not an index"),
        ("sum(k)", "takes an index and an expression"),
        ("sum(k, interp(learning_rate, nothing))", "needs the name of a table"),
    ],
)
def test_formulas_that_mean_nothing_over_steps_are_refused(formula: str, says: str) -> None:
    with pytest.raises(LawError, match=says) as caught:
        over_steps(formula)
    assert is_one_sentence(str(caught.value))


def test_stepwise_functions_need_steps() -> None:
    text = '[index]\nkind = ["a", "b"]\n[parameters]\nw = { value = [1, 2], over = "kind" }\n'
    for function in ("running", "before"):
        with pytest.raises(LawError, match="entries by name; use sum"):
            make_law(text + f'[outputs]\nsteps = "sum(kind, {function}(kind, w))"')


@pytest.mark.parametrize(
    ("inputs", "body", "says"),
    [
        ('{ quantity = "learning_rate", over = "k" }', '[index]\nk = "steps"', "goes with over"),
        ('{ quantity = "learning_rate", of = "rate" }', "", "goes with over"),
        ('{ quantity = "learning_rate", schedule = "cosine" }', "", "goes with over"),
        ('{ quantity = "learning_rate", over = "k", of = "rates" }', '[index]\nk = "steps"', "rates"),
        ('"tokens"', '[index]\nk = "stages"', "stages"),
        ('"tokens"', '[index]\nk = "steps"\n[parameters]\nw = { value = 1, over = "k" }', "no value for each step"),
    ],
)
def test_inputs_over_steps_say_what_they_take(inputs: str, body: str, says: str) -> None:
    with pytest.raises(LawError, match=says) as caught:
        make_law(body + '\n[outputs]\nloss = "1"', inputs=f"[{inputs}]")
    assert is_one_sentence(str(caught.value))


def test_a_schedule_that_has_no_such_rate_is_said_in_words() -> None:
    law = over_steps("sum(k, learning_rate * entry_steps)")
    here = point(law, {"schedule": "triangle", "total_steps": 10.0})
    assert here.status == "undefined"
    assert "no schedule here is called triangle" in str(here.say)
    law = over_steps("sum(k, learning_rate * entry_steps)", rest="[constants]\nwarmup_steps = 20\n")
    here = point(law, {"schedule": "cosine", "total_steps": 10.0})
    assert here.status == "undefined"
    assert "warm-up is as long as the run" in str(here.say)


def test_rates_are_no_values_to_be_typed() -> None:
    law = over_steps("sum(k, learning_rate * entry_steps)")
    with pytest.raises(QueryError, match="taken from the schedule"):
        plain_outputs(law, {"schedule": "linear", "total_steps": 10.0, "learning_rate": 1.0})


def test_a_value_that_is_none_is_said() -> None:
    law = over_steps("log(sum(k, learning_rate * entry_steps) - 1000)")
    with pytest.raises(Undefined, match="no value"):
        at(law)


def test_constants_of_a_law_settle_its_schedule() -> None:
    law = over_steps("sum(k, learning_rate * entry_steps)", rest='[let]\nwarmup_steps = "total_steps / 2"\n')
    assert at(law, schedule="constant") == pytest.approx(0.2 * (0 + 1 + 2 + 3 + 4) + 5)


def test_latex_has_the_sums() -> None:
    text = latex(parse("sum(k, before(k, x) * running(k, x))"))
    assert text == r"\sum_{\mathrm{k}} {x}_{k-1} \, \left(\sum_{\tau \le k} x\right)"


# Spans


@pytest.mark.parametrize("total", [1.0, 2.0, 17.0, 17.25, 4096.0, 4097.0, 10_000.5, 123_457.0, 1e6, 1e8])
def test_spans_cover_every_step_once(total: float) -> None:
    middles, counts = spans(total)
    assert counts.sum() == pytest.approx(total, rel=1e-12)
    assert counts.min() > 0
    assert len(counts) <= 4096
    assert (np.diff(middles) >= 0).all()
    assert middles[0] >= 0
    assert middles[-1] <= total


@pytest.mark.parametrize("steps", [3_000.3, 24_000.0, 350_000.0])
@pytest.mark.parametrize("schedule", ["wsd", "cosine", "constant"])
def test_the_loss_moves_smoothly_with_the_length_of_the_run(schedule: str, steps: float) -> None:
    def loss(by: float) -> float:
        known = {"n_params": 1e8, "peak_lr": 3e-4, "schedule": schedule, "steps": steps * by}
        return point(multi_power(), known).output("scheduled_loss")

    near, far = (math.log(loss(1 + step) / loss(1 - step)) / (2 * step) for step in (1e-4, 1e-2))
    assert near == pytest.approx(far, rel=0.05, abs=2e-4)


@settings(max_examples=25, deadline=None)
@given(
    schedule=st.sampled_from(SCHEDULES),
    total=st.integers(4097, 60_000),
    warmup=st.floats(0, 0.3),
    final=st.sampled_from([0.0, 3e-6, 3e-5]),
    size=st.sampled_from([2.5e7, 1e8]),
)
def test_spans_give_the_loss_of_the_full_sum(
    schedule: str, total: int, warmup: float, final: float, size: float
) -> None:
    law = multi_power()
    known: dict[str, Any] = {"n_params": size, "peak_lr": 3e-4, "steps": float(total)}
    run = {"peak_lr": 3e-4, "final_lr": final, "warmup_steps": round(warmup * total)}
    rate, counts = rates_over(schedule_law(schedule), run, total)
    full, each = full_rates(schedule, run, total)
    coarse = point(law, {**known, "schedule": schedule, "learning_rate": rate, "entry_steps": counts})
    exact = point(law, {**known, "schedule": schedule, "learning_rate": full, "entry_steps": each})
    assert abs(coarse.output("scheduled_loss") - exact.output("scheduled_loss")) < 5e-5


def full_rates(schedule: str, run: dict[str, Any], total: int) -> tuple[Array, Array]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rates, "EACH", EACH)
        spans.cache_clear()
        found = rates_over(schedule_law(schedule), run, total)
    spans.cache_clear()
    return found


@ft.cache
def multi_power() -> Law:
    return read_law(Path(str(files("hplaw_laws") / "published" / "multi-power-2025.toml")))


# Backends

SCOPE = Scope(
    {"eta": Symbol(Kind.INPUT, indices=("k",)), "c": Symbol(Kind.INPUT)}, {"k": ()}, frozenset(), frozenset(["k"])
)


@settings(max_examples=25, deadline=None)
@given(eta=st.lists(st.floats(1e-6, 1.0), min_size=5, max_size=5), c=st.floats(0.1, 10))
def test_numpy_and_jax_agree(eta: list[float], c: float) -> None:
    text = "sum(k, (before(k, eta) - eta) * (1 - (1 + c * eta ** (-0.6) * running(k, eta)) ** (-0.5)))"
    tree = parse(text)
    infer(tree, SCOPE)
    values = [
        float(compile_expression(tree, SCOPE, backend)({"eta": np.array(eta), "c": c}))
        for backend in (numpy_backend(), jax_backend())
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-12, abs=1e-13)


def test_the_law_of_a_schedule_is_the_same_in_jax() -> None:
    import jax.numpy as jnp

    law = multi_power()
    run = {"peak_lr": 3e-4, "final_lr": 3e-5, "warmup_steps": 2160.0}
    for schedule in ("cosine", "wsd", "constant"):
        rate, counts = rates_over(schedule_law(schedule), run, 24_000)
        values = []
        for backend, array in ((numpy_backend(), np.asarray), (jax_backend(), jnp.asarray)):
            program = law.program(backend)
            environment = program.environment(
                {"n_params": 1e8, "learning_rate": array(rate), "entry_steps": array(counts)}
            )
            values.append(float(program.outputs["scheduled_loss"](environment)))
        assert values[0] == pytest.approx(values[1], rel=1e-12)
