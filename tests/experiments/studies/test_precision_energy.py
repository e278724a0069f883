"""The study of number formats: planted effects are found with their size, absent ones are bounded."""

import gc
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from hplaw.cli import main
from hplaw.errors import DataError
from hplaw_experiments.studies.precision_energy import BOUND, study, verdict, write_report
from hplaw_experiments.studies.statistics import Contrast, anova, holm, pooled, replicates_needed, welch


def table(effect: float, *, seeds: int = 6, sd: float = 0.03, seed: int = 0) -> pl.DataFrame:
    """Return metered runs of three formats: bf16 takes e^effect times fp32's energy at width 512, half of that at 128."""
    rng = np.random.default_rng(seed)
    rows = []
    for width in (128.0, 512.0):
        for batch in (1024.0, 8192.0):
            for precision in ("fp32", "bf16", "tf32"):
                for _ in range(seeds):
                    share = effect * (1.0 if width == 512 else 0.5) if precision == "bf16" else 0.0
                    level = 0.7 * math.log(width) - 0.3 * math.log(batch) + share
                    joules = 1e6 * math.exp(level - 12 + sd * rng.standard_normal())
                    rows.append(
                        {
                            "precision": precision,
                            "width": width,
                            "batch_tokens": batch,
                            "tokens": 1e6,
                            "energy_j": joules,
                        }
                    )
    return pl.DataFrame(rows)


def test_a_planted_effect_is_found_with_its_size() -> None:
    (found,) = study(table(-0.3))
    by_cell = {(e.precision, e.cell): e for e in found.effects}
    for (precision, cell), effect in by_cell.items():
        truth = {"bf16": -0.3 if "512" in cell else -0.15, "tf32": 0.0}[precision]
        assert abs(effect.contrast.difference - truth) < 0.06
        assert (effect.p_holm < 0.05) == (precision == "bf16")
    terms = {term.name: term for term in found.terms}
    assert terms["precision"].p < 1e-6
    assert terms["precision x width"].p < 1e-3
    assert terms["precision x batch_tokens"].p > 0.01
    bf16 = found.overall["bf16"]
    assert bf16.low < -0.225 < bf16.high
    assert bf16.p_below > 0.99
    assert "takes less than fp32" in verdict(found, "bf16", 0.05)


def test_a_table_without_effect_is_bounded() -> None:
    (found,) = study(table(0.0, seeds=8, seed=7))
    for precision in ("bf16", "tf32"):
        assert "within 5.0 percent" in verdict(found, precision, BOUND)
    assert all(effect.p_holm > 0.05 for effect in found.effects)
    assert sum(effect.contrast.p_equivalent < 0.05 for effect in found.effects) >= 6


def test_few_noisy_runs_leave_it_open() -> None:
    (found,) = study(table(0.0, seeds=2, sd=0.3))
    assert "no difference is established" in verdict(found, "bf16", 0.05)


@pytest.fixture
def small_heap() -> Iterator[None]:
    """Spare the garbage collector what the other tests left: statsmodels' Holm calls it each time."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_false_alarms_are_as_rare_as_promised(small_heap: None) -> None:
    alarms = [any(e.p_holm < 0.05 for e in study(table(0.0, seeds=4, seed=seed))[0].effects) for seed in range(40)]
    assert np.mean(alarms) < 0.13


def test_pooled_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(1)
    held = []
    for _ in range(100):
        cells = -0.1 + 0.1 * rng.standard_normal(6)
        contrasts = [Contrast(c + 0.03 * rng.standard_normal(), 0, 0, 0, 0, 0, 0.03) for c in cells]
        result = pooled(contrasts)
        held.append(result.low < -0.1 < result.high)
    assert 0.82 <= np.mean(held) <= 0.98


def test_welch_is_that_of_the_library_and_balanced_anova_near_the_classical_one() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, 9), rng.normal(0.8, 3, 14)
    assert math.isclose(welch(a, b, 0.1).p, stats.ttest_ind(b, a, equal_var=False).pvalue)
    groups = rng.normal([[0.0], [0.3], [0.1]], 1.0, (3, 400))
    levels = np.repeat(["x", "y", "z"], 400).tolist()
    (term,) = anova(groups.ravel(), {"g": levels})
    assert math.isclose(term.f, stats.f_oneway(*groups).statistic, rel_tol=0.05)


def test_the_replicates_asked_for_have_the_power_promised() -> None:
    n = replicates_needed(0.05, 0.05)
    rng = np.random.default_rng(3)
    found = [stats.ttest_ind(rng.normal(0, 0.05, n), rng.normal(0.05, 0.05, n)).pvalue < 0.05 for _ in range(1000)]
    assert 0.76 < np.mean(found) < 0.86
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_energy_to_a_loss_that_all_reach_counts_slower_learning() -> None:
    runs = table(0.0, seeds=4)
    losses = [[4.0, 3.0, 2.5, 2.4] if p == "bf16" else [4.0, 2.5, 2.4, 2.3] for p in runs["precision"]]
    runs = runs.with_columns(
        pl.Series("curve_losses", losses), pl.Series("curve_steps", [[0, 50, 75, 100]] * len(runs))
    )
    _, found = study(runs)
    assert found.overall["bf16"].median == pytest.approx(math.log(100 / 75), abs=0.04)
    assert found.overall["tf32"].median == pytest.approx(0.0, abs=0.04)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop("energy_j"), "no column energy_j"),
        (lambda t: t.filter(pl.col("precision") != "fp32"), "tell nothing of fp32"),
        (lambda t: t.unique(["precision", "width", "batch_tokens"]), "give replicates"),
    ],
)
def test_runs_that_tell_nothing_are_refused(change: object, said: str) -> None:
    assert callable(change)
    with pytest.raises(DataError, match=said):
        study(change(table(0.0)))


def test_the_command_writes_a_report_with_plots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(-0.3).write_csv(tmp_path / "runs.csv")
    words = ["study", "precision-energy", str(tmp_path / "runs.csv"), "--to", str(tmp_path / "r")]
    assert main(words) == 0, sys.stderr
    assert "bf16 takes less than fp32" in capsys.readouterr().out
    text = (tmp_path / "r" / "report.md").read_text()
    assert "factorial ANOVA" in text
    assert (tmp_path / "r" / "plots" / "effects-1.svg").read_text().startswith("<svg")
    assert len(pl.read_csv(tmp_path / "r" / "effects.csv")) == 8
    again = write_report(study(table(-0.3)), tmp_path / "again" / "report.md", beside=tmp_path / "again").read_text()
    assert again == text


def test_an_anova_by_hand_agrees_with_the_library() -> None:
    # F = (R b)' (R V R')^-1 R b / q with V = (X'X)^-1 X' diag(e^2 / (1 - h)^2) X (X'X)^-1, here of two factors
    rng = np.random.default_rng(5)
    first, second = np.repeat([0, 1, 2], 8), np.tile([0, 1], 12)
    y = rng.normal(0.3 * second, 1.0 + first)
    codes = np.vstack([np.eye(2), -np.ones(2)])[first]
    other = np.where(second == 0, 1.0, -1.0)[:, None]
    x = np.concatenate([np.ones((24, 1)), codes, other, codes * other], axis=1)
    inverse = np.linalg.inv(x.T @ x)
    b = inverse @ x.T @ y
    residual, leverage = y - x @ b, np.einsum("ni,ij,nj->n", x, inverse, x)
    covariance = inverse @ (x.T * (residual / (1 - leverage)) ** 2) @ x @ inverse
    found = {
        term.name: term for term in anova(y, {"n params": first.tolist(), "b": second.tolist(), "one": ["x"] * 24})
    }
    assert list(found) == ["n params", "b", "n params x b"]
    for name, place in {"n params": slice(1, 3), "b": slice(3, 4), "n params x b": slice(4, 6)}.items():
        own = b[place]
        f = own @ np.linalg.solve(covariance[place, place], own) / len(own)
        explained = own @ np.linalg.solve(inverse[place, place], own)
        assert found[name].df == len(own)
        assert found[name].f == pytest.approx(f)
        assert found[name].p == pytest.approx(stats.f.sf(f, len(own), 18))
        assert found[name].partial_eta2 == pytest.approx(explained / (explained + residual @ residual))


def test_a_run_alone_in_its_cell_leaves_a_lower_order_or_no_anova() -> None:
    levels = {"a": ["x", "x", "x", "y", "y", "y", "y"], "b": ["u", "u", "v", "u", "u", "v", "v"]}
    y = np.array([0.0, 0.1, 1.0, 0.3, 0.2, 1.1, 1.3])
    with pytest.raises(ValueError, match="one of 7 runs alone determines one of 4 coefficients"):
        anova(y, levels)
    assert [term.name for term in anova(y, levels, order=1)] == ["a", "b"]
    with pytest.raises(ValueError, match="7 runs do not tell 7 coefficients apart"):
        anova(y, {"a": list("abcdefg")})
    # two metered runs of two formats in one cell, and one of a third
    few = table(0.0, seeds=2).filter(width=128.0, batch_tokens=1024.0)
    alone = pl.concat([few.filter(pl.col("precision") != "tf32"), few.filter(precision="tf32").head(1)])
    (found,) = study(alone)
    assert found.terms == []
    assert [effect.precision for effect in found.effects] == ["bf16"]


@pytest.mark.parametrize(("shift", "p", "p_equivalent"), [(0.0, 1.0, 0.0), (0.05, 0.0, 0.0), (-0.2, 0.0, 1.0)])
def test_values_without_spread_are_told_apart_or_not(shift: float, p: float, p_equivalent: float) -> None:
    same = np.array([0.5, 0.5, 0.5])
    found = welch(same, same[:2] + shift, 0.1)
    assert (found.p, found.p_equivalent) == (p, p_equivalent)
    assert found.low == found.high == pytest.approx(shift)


@pytest.mark.parametrize(
    ("sd", "difference", "tests", "needed"), [(0.05, 0.02, 8, 162), (0.3, 0.02, 12, 6186), (0.01, 0.1, 1, 2)]
)
def test_the_replicates_of_a_small_effect_are_counted(sd: float, difference: float, tests: int, needed: int) -> None:
    assert replicates_needed(sd, difference, tests=tests) == needed
