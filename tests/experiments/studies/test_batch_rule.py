"""The batch-rule study: cells read from runs, bowls and rules that recover what was planted, and the laws that are shipped."""

import functools as ft
import json
import math
from typing import Any

import numpy as np
import polars as pl
import pytest

import jax

from hplaw.answer.evaluate_law import evaluate
from hplaw.errors import DataError
from hplaw_experiments.studies.batch_rule.analysis import critical_batch
from hplaw_experiments.studies.batch_rule.bowls import Bowls, Optima
from hplaw_experiments.studies.batch_rule.cells import Cell, Series, series_of
from hplaw_experiments.studies.batch_rule.rules import RULES, Rules, curve, stacking
from tests.helpers import shipped


BATCHES = 2.0 ** np.arange(2, 12)


def runs(exponent: float = 1.0) -> pl.DataFrame:
    """Return runs whose best rate is 0.01 at batch 4 and goes as the batch to a power; rates far above it diverge."""
    rows: list[dict[str, Any]] = []
    for batch in (4, 8, 16, 32):
        best = 0.01 * (batch / 4) ** exponent
        for step in range(-4, 4):
            rate = best * 2.0**step
            for seed in (0, 1, 2):
                lost = step == 3
                loss = 1.0 + 0.02 * step**2 + 0.01 * seed
                steps = np.arange(1, 65) * 10
                rows.append(
                    {
                        "trial": json.dumps({"family": "mlp"}),
                        "optimizer": "sgd",
                        "batch_tokens": float(batch),
                        "peak_lr": rate,
                        "seed": seed,
                        "diverged": lost,
                        "loss": None if lost else loss,
                        "train_loss": None if lost else loss,
                        "curve_steps": steps.tolist(),
                        "curve_losses": (loss + 3 * np.exp(-steps / 100)).tolist(),
                    }
                )
    return pl.DataFrame(rows)


def test_cells_hold_the_runs_near_the_best_rate_and_the_edge_of_stability() -> None:
    fixed, target = series_of(runs(), seeds=[0, 1])
    assert (fixed.measure, target.measure) == ("fixed examples", "fixed loss")
    assert [cell.batch for cell in fixed.cells] == [4, 8, 16, 32]
    cell = fixed.cells[0]
    assert set(cell.seeds) == {0, 1}
    assert not cell.edge
    assert math.exp(cell.diverged or 0) == pytest.approx(0.08)
    assert math.exp(cell.stable or 0) == pytest.approx(0.04)
    assert np.abs(cell.rates - math.log(0.01)).max() <= math.log(2**2.6)
    # tokens to the loss, by a curve that falls as it is known to
    assert target.target == pytest.approx(1.01 * 1.01)
    first = target.cells[0].responses[np.isclose(target.cells[0].rates, math.log(0.01))][0]
    assert math.exp(first) / 4 == pytest.approx(-100 * math.log((1.0201 - 1.0) / 3), rel=0.1)
    with pytest.raises(DataError, match="rule needs four"):
        series_of(runs().filter(pl.col("batch_tokens") < 10), seeds=[0])


def test_all_rules_are_one_form() -> None:
    x, s = np.log(BATCHES), math.log(200.0)
    saturating = -0.7 * np.log1p(200 / BATCHES)
    assert curve(-0.7 * s, 0.7, 0.7, s, x) == pytest.approx(saturating)
    surge = -np.log((np.sqrt(200 / BATCHES) + np.sqrt(BATCHES / 200)) / 2)
    assert curve(math.log(2) - s / 2, 0.5, 1.0, s, x) == pytest.approx(surge)


def test_stacking_takes_what_predicts() -> None:
    rng = np.random.default_rng(0)
    good, bad = rng.normal(0, 0.1, 20), rng.normal(-3, 0.1, 20)
    assert stacking(np.stack([good, bad], axis=1)) == pytest.approx([1, 0], abs=1e-3)
    # two that are right on half of the cases each share the weight
    left, right = np.r_[np.zeros(10), np.full(10, -20.0)], np.r_[np.full(10, -20.0), np.zeros(10)]
    assert stacking(np.stack([left, right], axis=1)) == pytest.approx([0.5, 0.5], abs=1e-3)


def test_the_critical_batch_is_found_in_examples_that_grow_as_it_says() -> None:
    rng = np.random.default_rng(0)
    least = np.log(1e4 * (1 + BATCHES / 300)) + 0.02 * rng.standard_normal((50, len(BATCHES)))
    optima = Optima(BATCHES, np.zeros_like(least), least, np.zeros(50), 3, 1.0, 0)
    found = critical_batch(optima)
    assert found is not None
    assert np.median(found) == pytest.approx(300, rel=0.1)
    flat = Optima(BATCHES, np.zeros_like(least), np.zeros_like(least), np.zeros(50), 3, 1.0, 0)
    assert critical_batch(flat) is None


@ft.cache
def rules() -> Rules:
    return Rules(len(BATCHES))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("winner", "truth", "exponent"),
    [
        ("saturating", lambda b: -np.log1p(2000 / b), 1.0),
        ("square root", lambda b: 0.5 * np.log(b), 0.5),
        ("surge", lambda b: -np.log(np.sqrt(200 / b) + np.sqrt(b / 200)), None),
    ],
)
def test_a_planted_rule_is_recovered(winner: str, truth: Any, exponent: float | None) -> None:
    rng = np.random.default_rng(1)
    y = truth(BATCHES) + 0.08 * rng.standard_normal(len(BATCHES))
    sd = np.full(len(BATCHES), 0.08)
    found = rules().compare(BATCHES, y, sd, noise_scale=300.0, planted=0.5 * np.log(BATCHES), key=jax.random.PRNGKey(0))
    by_rule = dict(zip(RULES, found.whole.weights, strict=True))
    near = by_rule[winner] + (by_rule["power"] if winner == "square root" else 0)
    assert near > 0.5, by_rule
    assert found.r_hat < 1.1
    assert found.below is not None
    if exponent is not None:
        low, high = np.quantile(found.below, [0.05, 0.95])
        assert low - 0.05 <= exponent <= high + 0.05
    assert found.planted is not None
    assert np.median(found.planted) == pytest.approx(0.5, abs=0.02)
    draws = found.whole.draws(np.log(BATCHES), np.random.default_rng(0))
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    assert np.mean((low <= y) & (y <= high)) >= 0.7


@pytest.mark.slow
def test_bowls_find_the_best_rates_of_simulated_runs() -> None:
    rng = np.random.default_rng(0)
    best = np.log(0.01 * BATCHES[:6] / 4) + 0.1
    cells: list[Cell] = []
    for batch, middle in zip(BATCHES[:6], best, strict=True):
        rates = np.repeat(np.log(0.01 * batch / 4) + math.log(2) * np.arange(-3, 4), 3)
        seeds = np.tile([0, 1, 2], 7)
        t = 0.4 * (rates - middle)
        y = 1 + 0.5 * (np.expm1(t) - t) + 0.01 * seeds + 0.004 * rng.standard_normal(len(rates))
        near = np.abs(rates - middle) < 1.8
        cells.append(Cell(float(batch), rates[near], y[near], seeds[near], False, None, None))
    series = Series("mlp", "sgd", "fixed examples", tuple(cells))
    found = Bowls.of([series]).fit(series, key=jax.random.PRNGKey(0))
    assert found.r_hat < 1.05
    assert found.mean == pytest.approx(best, abs=0.15)
    assert np.abs((found.mean - best) / found.sd).max() < 3.5


@pytest.mark.parametrize(("optimizer", "exponent"), [("sgd", 1.0), ("momentum", 1.0), ("adam", 0.5)])
def test_the_shipped_laws_go_as_theory_far_below_the_noise_scale(optimizer: str, exponent: float) -> None:
    law = shipped().get(f"batch-rule-{optimizer}")
    given = {"base_peak_lr": 1e-3, "base_batch_tokens": 16, "noise_scale_tokens": 4096}
    same = evaluate(law, {**given, "batch_tokens": 16}).outputs["peak_lr"]
    assert same.value == pytest.approx(1e-3)
    assert same.low == pytest.approx(same.high)
    found = evaluate(law, {**given, "batch_tokens": 128}).outputs["peak_lr"]
    low, high = (math.log(float(end or 0) / 1e-3) / math.log(8) for end in (found.low, found.high))
    assert low - 0.05 <= exponent <= high + 0.05
    # above the noise scale it flattens; not known, the interval is wider
    above = evaluate(law, {**given, "noise_scale_tokens": 2, "batch_tokens": 128}).outputs["peak_lr"]
    assert float(above.value or 0) < float(found.value or 0)
    unknown = {name: value for name, value in given.items() if name != "noise_scale_tokens"}
    wide = evaluate(law, {**unknown, "batch_tokens": 128}).outputs["peak_lr"]
    assert float(wide.high or 0) / float(wide.low or 1) > float(found.high or 0) / float(found.low or 1)
    assert evaluate(law, {**unknown, "batch_tokens": 1e6}).status == "out_of_validity"
