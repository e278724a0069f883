"""The pruning study: networks, cells that go on where they were, labels, planted transitions, scores of choices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

import jax
import jax.numpy as jnp

from hplaw.errors import DataError
from hplaw.pruning.connectivity import mode_connectivity
from hplaw_experiments.launch.here import Here
from hplaw_experiments.studies.pruning import networks as nets
from hplaw_experiments.studies.pruning.analysis import (
    choose_models,
    means,
    paired,
    score_advice,
    score_changes,
    with_regimes,
)
from hplaw_experiments.studies.pruning.cells import FILE, read_cells, store, stored, train_condition
from hplaw_experiments.studies.pruning.laws import error_law, fit_error, planted, slope
from hplaw_experiments.studies.pruning.settings import AXES, Family, conditions, families, key_of
from hplaw_experiments.studies.pruning.study import PruningStudy
from hplaw_experiments.studies.study import read_study


TINY = Family(
    width=16,
    n_layers=2,
    n_train=128,
    label_noise=0.1,
    batch=32,
    rate=0.1,
    densities=[0.1, 0.5],
    epochs=[1, 2],
    annealed=[2],
    rhos=[0.1],
    at_epochs=1,
    retrain_steps=8,
    retrain_rate=0.2,
    retrain_batch=32,
)


@pytest.fixture(scope="module")
def stacked() -> Any:
    return nets.stack([nets.build("mlp", width=16, n_layers=2, seed=seed) for seed in (0, 1)])


def test_pruning_keeps_the_largest_weights_of_each_layer_and_the_readout_whole(stacked: Any) -> None:
    pruned, masks = nets.prune(stacked, 0.25)
    for whole, mask in zip((stacked.first, *stacked.hidden), (masks.first, *masks.hidden), strict=True):
        share = np.asarray(mask.value).reshape(2, -1).mean(axis=1)
        assert share == pytest.approx(0.25, abs=0.01)
        for net in range(2):
            here, stays = np.abs(np.asarray(whole.value[net])), np.asarray(mask.value[net]) == 1
            assert here[stays].min() >= here[~stays].max()
    assert np.array_equal(np.asarray(pruned.last.value), np.asarray(stacked.last.value))


def test_masked_weights_stay_at_zero_and_the_others_learn(stacked: Any) -> None:
    task = nets.digits_task("mlp", n_train=256, label_noise=0.0)
    pruned, masks = nets.prune(stacked, 0.3)
    keys = jax.random.split(jax.random.key(0), 2)
    ready = nets.train(pruned, masks, nets.plan((0.1, 0.01), (40, 60), keys), task, batch=32, sharp=False)
    assert not np.asarray(ready.first.value)[np.asarray(masks.first.value) == 0].any()
    before, after = (np.asarray(nets.errors(n, task.x, task.y)) for n in (pruned, ready))
    assert (after < before - 0.2).all()


def test_sharpness_aware_minimization_with_a_radius_of_zero_is_plain(stacked: Any) -> None:
    task = nets.digits_task("mlp", n_train=64, label_noise=0.0)
    keys = jax.random.split(jax.random.key(1), 2)
    masks = nets.dense_masks(stacked)
    found = [
        np.asarray(
            nets.train(stacked, masks, nets.plan((0.1,), (5,), keys, rho=rho), task, batch=16, sharp=sharp).first.value
        )
        for rho, sharp in ((0.0, False), (0.0, True), (0.5, True))
    ]
    assert np.allclose(found[0], found[1], atol=1e-6)
    assert not np.allclose(found[0], found[2], atol=1e-4)


def test_a_line_between_a_network_and_itself_has_no_barrier(stacked: Any) -> None:
    task = nets.digits_task("mlp", n_train=64, label_noise=0.0)
    lines = np.asarray(nets.line_errors(stacked, stacked, task.x, task.y))
    assert lines.shape == (2, nets.POINTS)
    assert mode_connectivity(lines[0].tolist()) == pytest.approx(0, abs=1e-6)
    ends = nets.line_errors(nets.take(stacked, np.array([0])), nets.take(stacked, np.array([1])), task.x, task.y)
    assert np.asarray(ends)[0, [0, -1]] == pytest.approx(np.asarray(nets.errors(stacked, task.x, task.y)))


def test_a_convnet_is_pruned_too() -> None:
    stacked = nets.stack([nets.build("convnet", width=4, n_layers=1, seed=0)])
    task = nets.digits_task("convnet", n_train=16, label_noise=0.0)
    pruned, masks = nets.prune(stacked, 0.5)
    assert np.asarray(masks.stem.value).mean() == pytest.approx(0.5, abs=0.05)
    assert np.asarray(masks.norm.gain.value).all()
    assert jnp.isfinite(nets.outputs(pruned, task.x)).all()


def test_the_files_presets_declare_families_whose_temperatures_are_varied_apart() -> None:
    for preset in ("small", "gpu"):
        spec = read_study("pruning", preset)
        assert not set(spec.tuning_seeds) & set(spec.test_seeds)
        for name, family in families(spec).items():
            plan = list(conditions(name, family))
            assert {c.axis for c in plan} == set(AXES)
            assert len({key_of(c, family, 0) for c in plan}) == len(plan)
    assert set(families(read_study("pruning", "gpu"))) == {"mlp", "convnet"}


def test_a_family_that_is_none_is_refused() -> None:
    spec = msgspec.structs.replace(read_study("pruning"), options={"families": {"mlp": {"width": 3}}})
    with pytest.raises(DataError, match=r"options\.families"):
        families(spec)


@pytest.mark.slow
def test_cells_are_stored_whole_and_an_interrupted_study_goes_on(tmp_path: Path) -> None:
    spec = msgspec.structs.replace(
        read_study("pruning"),
        options={"families": {"mlp": msgspec.to_builtins(TINY)}},
        tuning_seeds=(0,),
        test_seeds=(1,),
    )
    calls = iter([True, False])

    def run(within: Any = None) -> Any:
        return PruningStudy().run(spec, tmp_path, launcher=Here(), report=lambda _: lambda _: None, within=within)

    first = run(lambda: next(calls))
    assert (first.done, first.asked, first.before) == (2, 8, 0)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"key":"torn')
    second = run()
    assert (second.done, second.asked, second.before) == (8, 8, 2)
    cells = read_cells(tmp_path)
    assert len(cells) == 4 * 2 * 2
    assert cells.select("key", "density").is_unique().all()
    assert run().before == 8
    again = train_condition(next(iter(conditions("mlp", TINY))), TINY, [0])
    same = cells.filter(pl.col("key") == again[0]["key"])
    assert same["test_error"].to_list() == [row["test_error"] for row in again]
    assert same["lmc"].to_list() == [row["lmc"] for row in again]


def test_a_folder_without_cells_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="hplaw study run pruning"):
        read_cells(tmp_path)
    store(tmp_path, [{"key": "a", "last": False, "density": 0.1}])
    assert stored(tmp_path) == set()


def grid(**values: Any) -> pl.DataFrame:
    """Cells at three densities and four numbers of epochs."""
    rows = [{"density": d, "epochs": e} for d in (0.05, 0.1, 0.4) for e in (1, 4, 16, 64)]
    fixed = {"family": "mlp", "axis": "epochs", "batch": 64, "rate": 0.1, "stop_rate": 0.1, "rho": 0.0}
    return pl.DataFrame(rows).with_columns(**{k: pl.lit(v) for k, v in fixed.items()}, **values)


def test_labels_are_by_the_barrier_then_by_similarity_within_a_density() -> None:
    cells = grid(
        lmc=pl.when(pl.col("epochs") == 64).then(-0.3).otherwise(-0.01),
        cka=pl.col("density") + pl.col("epochs") / 1000,
        test_error=pl.lit(0.1),
    )
    found = with_regimes(cells, barrier=-0.12, alike=0.2).sort("density", "epochs")
    one = ["connected_different", "connected_different", "connected_alike", "unconnected"]
    assert found["pruning_regime"].to_list() == one * 3


def test_means_leave_out_what_is_undefined() -> None:
    cells = grid(
        lmc=pl.lit(-0.1), cka=pl.lit(0.9), test_error=pl.lit(0.1), train_error=pl.lit(0.1), dense_error=pl.lit(0.1)
    )
    two = pl.concat(
        [cells.with_columns(seed=pl.lit(0)), cells.with_columns(seed=pl.lit(1), lmc=pl.lit(None, pl.Float64))]
    )
    found = means(two, (0, 1))
    assert found["cells"].unique().to_list() == [1]
    assert len(means(two, (1,))) == 0


def test_a_planted_difference_is_within_its_interval() -> None:
    rng = np.random.default_rng(0)
    first = grid(lmc=pl.Series(rng.normal(0, 0.01, 12)))
    second = first.with_columns(lmc=pl.col("lmc") - 0.05 + pl.Series(rng.normal(0, 0.01, 12)))
    found = paired(first, second, ["density", "epochs"], "lmc")
    assert found.pairs == 12
    assert found.low < -0.05 < found.high < 0


def test_advice_and_choices_are_scored_on_other_seeds() -> None:
    cells = grid(
        lmc=pl.when(pl.col("epochs") == 64).then(-0.3).otherwise(-0.01),
        cka=pl.when(pl.col("epochs") == 16).then(0.99).otherwise(0.9),
        test_error=0.1 + (pl.col("epochs").log() - np.log(16)).abs() * 0.01,
        dense_error=1 / pl.col("epochs"),
    )
    tuned = with_regimes(cells, barrier=-0.12, alike=0.75).sort("density", "epochs")
    score = score_advice(tuned, cells)
    assert (score.right, score.cells) == (1.0, 9)
    assert score.followed < 0
    for one in choose_models(cells, cells, barrier=-0.12):
        assert (one.rejected, one.candidates) == (1, 4)
        assert one.error == one.best < one.by_dense
    assert score_changes(lambda d, a, b: abs(np.log(b / 16)) - abs(np.log(a / 16)), cells) == (1.0, 15)
    assert score_changes(lambda d, a, b: 1.0, cells)[0] < 0.6


def test_the_law_of_the_error_reads_and_its_epochs_are_logarithmic() -> None:
    law = error_law("mlp")
    assert "log(max(dense_epochs" in law.spec.let["from"]
    assert law.id == "pruning-digits-mlp-error"


@pytest.mark.slow
@pytest.mark.parametrize("move", [1.0, 0.0, -0.7])
def test_a_planted_transition_is_recovered(move: float) -> None:
    rng = np.random.default_rng(2)
    rows = [{"density": d, "epochs": e} for d in (0.02, 0.05, 0.1, 0.2, 0.4) for e in (1, 2, 4, 8, 16, 32, 64, 128)]
    cells = pl.DataFrame(rows).with_columns(test_error=pl.Series(0.15 + 0.004 * rng.standard_normal(40)))
    middle, low, high = slope(fit_error("mlp", planted(cells, move=move, noise=0.02, seed=3)))
    assert low < move < high
    assert abs(middle - move) < 0.3
