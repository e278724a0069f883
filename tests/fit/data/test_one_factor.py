"""Runs that vary one setting at a time, and published trainings, as rows of the law of weight decay and warm-up."""

import os
from pathlib import Path

import polars as pl
import pytest

from hplaw.fit.data.one_factor import DIVERGED, one_factor, practice, sweep


def runs(**columns: list) -> pl.DataFrame:
    rows = len(columns["varied"])
    base = {
        "optimizer": "mini",
        "size": "130m",
        "chinchilla_multiple": 1,
        "n_params": 1e8,
        "tokens": 2e9,
        "batch_tokens": 5e5,
        "learning_rate": 8e-3,
        "weight_decay": 0.1,
        "warmup": 2000,
        "beta2": 0.98,
    }
    return pl.DataFrame({**{name: [value] * rows for name, value in base.items()}, **columns})


def test_a_run_is_told_by_its_loss_over_the_baselines() -> None:
    base, other = sweep(runs(varied=["baseline", "beta2"], beta2=[0.98, 0.95], c4_loss=[3.5, 3.535]))
    assert (base.optimizer, base.relative_loss, base.relative_loss_low) == ("adam-mini", 1.0, None)
    assert other.relative_loss == pytest.approx(1.01)
    assert (base.second_moment_steps, other.second_moment_steps) == pytest.approx((50, 20))


def test_a_diverged_run_is_a_bound() -> None:
    _, diverged = sweep(runs(varied=["baseline", "warmup"], warmup=[2000, 500], c4_loss=[3.5, 7.6]))
    assert diverged.relative_loss_low == diverged.relative_loss == 1 + DIVERGED


def test_no_decay_is_told_from_a_decay_that_averages_over_the_run() -> None:
    _, none = sweep(runs(varied=["baseline", "weight_decay"], weight_decay=[0.1, 0.0], c4_loss=[3.5, 3.51]))
    assert none.no_decay == 1
    assert none.batch_tokens / (none.peak_lr * none.weight_decay * none.tokens) == pytest.approx(1)


def test_what_an_optimizer_has_not_is_said() -> None:
    found = sweep(runs(varied=["baseline", "weight_decay"], warmup=[0, 0], beta2=[None, None], c4_loss=[3.5, 3.6]))
    assert all(row.no_warmup == row.no_second_moment == 1 for row in found)


@pytest.mark.parametrize(
    "table",
    [
        runs(varied=["baseline"], c4_loss=[3.5]),
        runs(varied=["baseline", "warmup"], c4_loss=[None, 3.5]),
        runs(varied=["baseline", "learning_rate"], c4_loss=[3.4, 3.5]),
    ],
    ids=["one run", "no loss of the baseline", "another setting"],
)
def test_a_cell_that_tells_nothing_has_no_rows(table: pl.DataFrame) -> None:
    assert list(sweep(table)) == []


def test_practice_is_adamws_with_rate_batch_and_data() -> None:
    table = pl.DataFrame(
        {
            "family": ["A", "B", "C", "D", "E"],
            "optimizer": ["adam", "adamw", "muon", "adamw", "adamw"],
            "lr_comparable": [1, 1, 0, 1, 1],
            "n_params": [7e9, 2e9, 1e10, 1e9, 1e9],
            "n_active_params": [None, 1e9, None, None, None],
            "tokens": [2e12, 1e12, 1e12, 1e12, 1e12],
            "batch_tokens": [4e6, 4e6, 3e7, None, 1e6],
            "peak_lr": [3e-4, 1e-3, 4e-4, 1e-3, 1e-3],
            "weight_decay": [0.1, None, 0.1, 0.1, None],
            "warmup_steps": [None, 500, 2000, 2000, None],
            "warmup_tokens": [8e9, None, None, None, None],
        }
    )
    a, b = practice(table)
    assert (a.recipe, a.practice, a.used_weight_decay, a.used_warmup_steps) == ("A", 1, 0.1, 2000)
    assert (b.n_active_params, b.used_weight_decay, b.used_warmup_steps) == (1e9, None, 500)
    assert a.relative_loss is None


@pytest.mark.skipif("HPLAW_DATA" not in os.environ, reason="needs the tables of sweeps: set HPLAW_DATA")
def test_the_tables_make_rows() -> None:
    found = one_factor(Path(os.environ["HPLAW_DATA"]))
    marin = found.filter(pl.col("practice") == 0)
    assert set(marin["recipe"]) == {"marin"}
    assert marin["optimizer"].n_unique() == 11
    assert (marin.drop_nulls("relative_loss_low")["relative_loss_low"] == 1 + DIVERGED).all()
    assert marin.filter(pl.col("no_decay") == 0)["weight_decay"].max() == 1.0
    assert found.filter(pl.col("practice") == 1)["recipe"].n_unique() > 20
