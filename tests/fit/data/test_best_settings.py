"""Best settings by cell from tables of sweeps: bounds of coarse grids, batches that were not chosen, laws, practice."""

import os
from pathlib import Path

import polars as pl
import pytest

from hplaw.errors import DataError
from hplaw.fit.data.best_settings import best_of, best_settings, laws, marin, misfitting, practice
from hplaw.runs.table import checked
from hplaw.vocabulary.quantities import vocabulary
from tests.helpers import shipped


def test_a_best_between_others_has_bounds_halfway_to_them() -> None:
    found = best_of([4e-3, 1e-3, 2e-3], [3.3, 3.4, 3.1])
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((2e-3, 2e-3 / 2**0.5, 2e-3 * 2**0.5))


@pytest.mark.parametrize(
    ("losses", "low", "high"),
    [([3.1, 3.2, 3.4], None, 1e-3 * 2**0.5), ([3.4, 3.2, 3.1], 4e-3 / 2**0.5, None)],
    ids=["lowest", "highest"],
)
def test_a_best_at_an_edge_is_open_there(losses: list[float], low: float | None, high: float | None) -> None:
    found = best_of([1e-3, 2e-3, 4e-3], losses)
    assert found is not None
    assert found.low == (low if low is None else pytest.approx(low))
    assert found.high == (high if high is None else pytest.approx(high))


def test_runs_without_a_loss_bound_nothing() -> None:
    assert best_of([1e-3, 2e-3], [3.2, float("nan")]) is None
    found = best_of([1e-3, 2e-3, 4e-3, 4e-3], [3.2, 3.1, float("nan"), 9.0])
    assert found is not None
    assert found.high == pytest.approx(4e-3 / 2**0.5)


def sweep(**columns: list) -> pl.DataFrame:
    base = {
        "optimizer": "lion",
        "size": "130m",
        "chinchilla_multiple": 2,
        "learning_rate": 1e-3,
        "train_batch_size": 128,
    }
    rows = len(columns["varied"])
    return pl.DataFrame({**{name: [value] * rows for name, value in base.items()}, **columns})


NO_ADAMW = pl.DataFrame(
    schema={"size": pl.String, "chinchilla_x": pl.Int64, "varied": pl.String, "peak_lr": pl.Float64}
    | {"batch_seqs": pl.Float64, "loss": pl.Float64}
)


def test_a_sweep_of_one_factor_at_a_time_tells_rate_and_batch_apart() -> None:
    runs = sweep(
        varied=["baseline", "learning_rate", "learning_rate", "train_batch_size", "beta1"],
        learning_rate=[1e-3, 5e-4, 2e-3, 1e-3, 1e-3],
        train_batch_size=[128, 128, 128, 256, 128],
        c4_loss=[3.4, 3.5, None, 3.45, 3.0],
    )
    [cell] = marin(runs, NO_ADAMW)
    assert (cell.optimizer, cell.n_params, cell.tokens) == ("lion", 134217728.0, 2 * 20 * 134217728.0)
    assert cell.given_batch_tokens == 128 * 4096
    assert cell.peak_lr == 1e-3
    assert cell.peak_lr_high is None
    assert cell.batch_tokens_low is None
    assert cell.batch_tokens_high == pytest.approx(128 * 2**0.5 * 4096)


def test_a_cell_with_one_run_was_predicted_not_swept() -> None:
    assert list(marin(sweep(varied=["baseline"], c4_loss=[3.4]), NO_ADAMW)) == []


def test_a_sweep_at_one_batch_says_so() -> None:
    runs = pl.DataFrame(
        {
            "n_params_no_embed": [1e8] * 3,
            "tokens": [2e9] * 3,
            "peak_lr": [1e-3, 2e-3, 4e-3],
            "loss": [3.3, 3.2, 3.25],
            "batch_tokens": [1048576.0] * 3,
        }
    )
    [cell] = misfitting(runs)
    assert (cell.given_batch_tokens, cell.batch_tokens, cell.peak_lr) == (1048576.0, None, 2e-3)


def test_laws_stand_for_the_sweeps_behind_them() -> None:
    found = list(laws(shipped()))
    assert {cell.recipe for cell in found} >= {"step-law", "porian-2024", "deepseek-llm-2024"}
    assert all(cell.published_law == 1 and (cell.peak_lr or cell.batch_tokens) for cell in found)
    assert {cell.given_batch_tokens for cell in found if cell.recipe == "bjorck-2024"} == {524288.0}


def test_rates_of_practice_are_those_that_compare() -> None:
    table = pl.DataFrame(
        {
            "family": ["A", "B", "C", "D"],
            "lineage": ["llama", "mup", "muon-rms", "other"],
            "parametrization": ["standard", "mup", "standard", "standard"],
            "optimizer": ["adam", "adamw", "muon", "adafactor"],
            "lr_comparable": [1, 0, 0, 0],
            "n_params": [7e9, 2e9, 1e10, 1e9],
            "n_active_params": [None, None, 2e9, None],
            "tokens": [2e12, 1e12, 1e12, 1e12],
            "batch_tokens": [4e6, 4e6, 3e7, None],
            "peak_lr": [3e-4, 1e-2, 4e-4, 1e-2],
        }
    )
    a, b, c = practice(table)
    assert (a.optimizer, a.peak_lr, a.practice) == ("adamw", 3e-4, 1)
    assert (b.peak_lr, b.batch_tokens) == (None, 4e6)
    assert (c.optimizer, c.muon_scale, c.peak_lr) == ("muon", "match_rms_adamw", 4e-4)


@pytest.mark.skipif("HPLAW_DATA" not in os.environ, reason="needs the tables of sweeps: set HPLAW_DATA")
def test_the_tables_of_sweeps_make_cells() -> None:
    found = best_settings(Path(os.environ["HPLAW_DATA"]), shipped())
    sweeps = found.filter((pl.col("practice") == 0) & (pl.col("published_law") == 0))
    assert set(sweeps["recipe"]) == {"step-law", "misfitting", "marin"}
    assert len(set(sweeps.filter(pl.col("recipe") == "marin")["optimizer"])) == 11
    for name in ("peak_lr", "batch_tokens"):
        inside = found.drop_nulls([name, f"{name}_low", f"{name}_high"])
        assert ((inside[f"{name}_low"] < inside[name]) & (inside[name] < inside[f"{name}_high"])).all()


def test_muons_scales_are_read_by_their_former_names(tmp_path: Path) -> None:
    column = checked(pl.Series("muon_scale", ["rms", "shape", "original", None]), vocabulary()["muon_scale"], tmp_path)
    assert column.to_list() == ["match_rms_adamw", "original", "original", None]
    with pytest.raises(DataError, match="give original, match_rms_adamw"):
        checked(pl.Series("muon_scale", ["spectral"]), vocabulary()["muon_scale"], tmp_path)
