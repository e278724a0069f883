"""The law of weight decay, warm-up and beta2: what its formulas say, and that it recovers what made simulated runs."""

import math
from importlib.resources import files

import numpy as np
import polars as pl
import pytest

from hplaw.answer.answer import answer
from hplaw.answer.estimate import estimate_of
from hplaw.answer.evaluate_law import evaluate
from hplaw.fit.infer.fitting import fit_law
from hplaw.law import Law
from hplaw.law.read import parse_law


QUESTION = {"n_params": 4e8, "tokens": 8e9, "batch_tokens": 8e5, "peak_lr": 1e-3}
TRUTH = {"t0": -1.9, "t1": -0.55, "w0": 7.0, "w1": 0.3, "b0": 3.5}


@pytest.fixture(scope="module")
def law() -> Law:
    return parse_law((files("hplaw_experiments") / "templates" / "weight-decay-warmup.toml").read_bytes())


def test_the_best_decay_has_the_timescale_of_the_law(law: Law) -> None:
    known = {**QUESTION, "warmup_steps": 1000.0, "second_moment_steps": 50.0}
    at = {wd: evaluate(law, {**known, "weight_decay": wd}).outputs["relative_loss"].value for wd in (1, 2, 4)}
    best = 8e5 / (1e-3 * 8e9) / math.exp(law.spec.parameters["t0"].value)
    least = evaluate(law, {**known, "weight_decay": best}).outputs["relative_loss"].value
    assert least < min(at.values())
    assert at[1] < at[2] < at[4]


def test_a_warm_up_is_at_most_a_tenth_of_the_run(law: Law) -> None:
    short = answer(law, {**QUESTION, "tokens": 8e8})
    assert short.values["warmup_tokens"] == pytest.approx(8e7)
    assert short.values["warmup_steps"] > 100


def test_what_follows_a_choice_has_its_plateau(law: Law) -> None:
    found = answer(law, {**QUESTION, "tokens": 8e10})
    beta2, steps, warmup, decay = (
        estimate_of(found, name) for name in ("beta2", "second_moment_steps", "warmup_tokens", "weight_decay")
    )
    assert beta2.plateau_low == pytest.approx(1 - 1 / steps.plateau_low)
    assert beta2.plateau_high == pytest.approx(1 - 1 / steps.plateau_high)
    assert warmup.plateau_low < warmup.value < warmup.plateau_high <= 8e9
    for found_one in (beta2, warmup, decay):
        assert found_one.low < found_one.value < found_one.high
        assert found_one.plateau_low < found_one.value < found_one.plateau_high


def simulate(seed: int) -> pl.DataFrame:
    """Return a sweep of one factor at a time around a baseline near the truth, and what teams trained with."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, float | str | None]] = []
    for n, times in ((1e8, 20), (1e8, 80), (3e8, 20), (3e8, 80), (6e8, 40)):
        tokens, batch, rate = times * n, 2.5e5, 4e-3
        steps = math.log(tokens / batch / 1e4)
        wd = batch / (rate * tokens) / math.exp(TRUTH["t0"] + TRUTH["t1"] * math.log(times / 20))
        best = [math.log(wd), TRUTH["w0"] + TRUTH["w1"] * steps, TRUTH["b0"]]
        base = [b + random.normal(0, 0.1) for b in best]
        settings = [base] + [
            [v + (step if j == i else 0) for j, v in enumerate(base)]
            for i in range(3)
            for step in (-1.4, -0.7, 0.7, 1.4)
        ]
        losses = [loss(s, best, steps) * math.exp(random.normal(0, 2e-4)) for s in settings]
        for setting, value in zip(settings, losses, strict=True):
            rows.append(
                {
                    **row("sweep", n, tokens, batch, rate),
                    "weight_decay": math.exp(setting[0]),
                    "warmup_steps": math.exp(setting[1]),
                    "second_moment_steps": math.exp(setting[2]),
                    "relative_loss": value / losses[0],
                }
            )
    for team in range(6):
        for n in (1e9, 7e9):
            steps = math.log(200 * n / 4e6 / 1e4)
            decay = 4e6 / (3e-4 * 200 * n) / math.exp(TRUTH["t0"] + TRUTH["t1"] * math.log(10))
            used = {
                "used_weight_decay": decay * math.exp(random.normal(0, 0.3)),
                "used_warmup_steps": math.exp(TRUTH["w0"] + TRUTH["w1"] * steps + random.normal(0, 0.3)),
            }
            rows.append({**row(f"team{team}", n, 200 * n, 4e6, 3e-4), "practice": 1.0, **used})
    return pl.DataFrame(rows, infer_schema_length=None)


def row(recipe: str, n_params: float, tokens: float, batch: float, rate: float) -> dict[str, float | str | None]:
    numbers = {"n_params": n_params, "n_active_params": n_params, "tokens": tokens, "batch_tokens": batch}
    settings = dict.fromkeys(("weight_decay", "warmup_steps", "second_moment_steps"), 1.0)
    flags = dict.fromkeys(("no_decay", "no_warmup", "no_second_moment", "practice"), 0.0)
    told = dict.fromkeys(("relative_loss", "relative_loss_low", "used_weight_decay", "used_warmup_steps"))
    return {"recipe": recipe, "optimizer": "adamw", "peak_lr": rate, **numbers, **settings, **flags, **told}


def loss(setting: list[float], best: list[float], steps: float) -> float:
    decay, warmup, moment = (a - b for a, b in zip(setting, best, strict=True))
    bowl = linex(0.008, 1.2, decay) + linex(0.004 * math.exp(-1.5 * steps), 1.5, warmup)
    return math.exp(bowl + linex(0.006, -1.5, warmup) + linex(0.004, -0.5, moment))


def linex(curvature: float, k: float, x: float) -> float:
    return curvature / k**2 * (math.expm1(k * x) - k * x)


@pytest.mark.slow
def test_simulated_runs_give_back_what_made_them(law: Law) -> None:
    runs = simulate(seed=5).with_columns(pl.col("relative_loss_low").cast(pl.Float64))
    fitted = fit_law(law, runs, method="map", chains=2, draws=200)
    draws = fitted.draws
    for name in ("w1", "b0", "t1"):
        assert abs(draws[name].mean() - TRUTH[name]) < 3 * draws[name].std(), name
    sweep = draws["t0"] + draws["recipe"][:, 0, 0]
    assert abs(sweep.mean() - TRUTH["t0"]) < 3 * sweep.std()
    assert sweep.std() < 0.15
