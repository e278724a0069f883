"""The width study: what a table says is read honestly, planted slopes are found, and the law predicts a new model."""

import functools as ft
import json
import math
from importlib.resources import files
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hplaw.answer.evaluate_law import evaluate
from hplaw.cli import main
from hplaw.errors import DataError, QueryError
from hplaw.law import read_law
from hplaw.posterior.arrays import read_arrays
from hplaw_experiments.studies.study import read_study
from hplaw_experiments.studies.width_transfer.analysis import HeldOut, analyze, carried, predict, slope_of, theory_of
from hplaw_experiments.studies.width_transfer.bowls import NEAR, Bowls, bowls
from hplaw_experiments.studies.width_transfer.law import Measured, new_model, write_law
from hplaw_experiments.studies.width_transfer.model import Posterior, posterior
from hplaw_experiments.studies.width_transfer.outside import read_sweep
from hplaw_experiments.studies.width_transfer.recovery import recover, simulate
from hplaw_experiments.studies.width_transfer.results import OUTSIDE, OWN, Result, Results


WIDTHS = (64, 128, 256, 512)


def sweep(slope: float, *, scheme: str = "standard", seeds: int = 2, sd: float = 0.03, seed: int = 0) -> pl.DataFrame:
    """Return runs whose best log2 rate goes from -7 with the width, steeper above; far above they diverge."""
    rng = np.random.default_rng(seed)
    rows = []
    for width in WIDTHS:
        best = -7 + slope * math.log2(width / WIDTHS[0])
        for log2_rate in range(-13, -2):
            d = log2_rate - best
            for _ in range(seeds):
                log_loss = -3 + 0.3 * (math.exp(d) - 1 - d) + sd * rng.standard_normal()
                loss = math.exp(log_loss) if d < 4 else None
                rows.append({"parametrization": scheme, "width": width, "peak_lr": 2.0**log2_rate, "loss": loss})
    return pl.DataFrame(rows)


@ft.cache
def flat() -> Bowls:
    """Return runs whose best rate does not go with the width."""
    return bowls(sweep(0.0), by=["parametrization"])[0]


def labeled(scheme: str, optimizer: str = "adam") -> Bowls:
    return flat()._replace(labels={"family": "mlp", "optimizer": optimizer, "parametrization": scheme})


def drawn(one: Bowls, slope: float, *, sd: float = 0.1, wander: float = 0.2, steep: float = 1.0) -> Posterior:
    """Return draws around a slope, the best rate at the smallest size known."""
    n, rng = 400, np.random.default_rng(0)
    slopes = slope + sd * rng.standard_normal(n)
    full = np.ones((n, len(one.sizes)))
    return Posterior(
        slope=slopes,
        wander=np.full(n, wander),
        noise=np.full(n, 0.05),
        best=-7 + slopes[:, None] * one.log2_size,
        floor=-3 * full,
        curvature=0.3 * full,
        steepness=steep * full,
        r_hat=1.0,
        divergences=0,
    )


def test_losses_far_above_the_best_and_diverged_runs_are_bounds() -> None:
    one = bowls(sweep(-0.5, sd=0.0), by=["parametrization"])[0]
    assert list(one.sizes) == list(WIDTHS)
    assert one.cap[[0, 2]] == pytest.approx(-3 + NEAR)  # at these widths the best rate is on the grid
    assert one.above.any()
    assert (one.log_loss[~one.above] <= one.cap[one.place][~one.above]).all()
    diverged = np.isinf(one.log_loss)
    assert diverged.any()
    assert one.above[diverged].all()
    assert one.lowest()[[0, 2]].tolist() == [-7.0, -8.0]


def test_cost_is_read_between_the_rates_tried_and_infinite_beyond_them() -> None:
    one = bowls(sweep(0.0, sd=0.0), by=["parametrization"])[0]
    assert one.cost(0, -7.0) == pytest.approx(1.0)
    assert one.cost(0, -6.0) == pytest.approx(math.exp(0.3 * (math.e - 2)))
    assert 1.0 < one.cost(0, -6.5) < one.cost(0, -6.0)
    assert one.cost(0, -14.0) == math.inf
    assert one.cost(0, -2.5) == math.inf


def test_a_best_rate_at_the_edge_is_named() -> None:
    table = sweep(-1.0, sd=0.0).filter(pl.col("peak_lr") >= 2.0**-9)
    assert bowls(table, by=["parametrization"])[0].at_edge() == [256.0, 512.0]


def test_one_width_is_too_few() -> None:
    with pytest.raises(DataError, match="hold no two values of width with two rates each"):
        bowls(sweep(0.0).filter(pl.col("width") == 64), by=["parametrization"])


@pytest.mark.parametrize(
    ("scheme", "optimizer", "slopes"),
    [
        ("standard", "adam", (-0.5, -1.0)),
        ("standard", "sgd", (-1.0, -1.0)),
        ("mup", "adam", (0.0, 0.0)),
        ("mup", "sgd", (0.0, 0.0)),
    ],
)
def test_theory_gives_the_slope_of_the_one_rate(scheme: str, optimizer: str, slopes: tuple[float, float]) -> None:
    assert theory_of(labeled(scheme, optimizer)) == pytest.approx(slopes)


def test_theory_is_silent_on_schemes_that_it_does_not_know() -> None:
    assert theory_of(labeled("homemade")) is None
    assert theory_of(labeled("standard"), size="n_layers") is None


def test_a_prediction_is_the_less_sure_the_further_it_goes_and_below_where_high_rates_cost_more() -> None:
    one = labeled("standard")
    near, far = (predict(drawn(one, -1.0), one, width) for width in (1024.0, 8192.0))
    assert near.median == pytest.approx(2.0**-11, rel=0.15)
    assert far.high / far.low > near.high / near.low > 1
    steep = predict(drawn(one, -1.0, steep=5.0), one, 8192.0)
    assert steep.peak_lr < far.peak_lr <= far.high


def test_a_scheme_made_to_transfer_is_predicted_nearer_to_no_slope() -> None:
    made, standard = (labeled(scheme) for scheme in ("mup", "standard"))
    draws = drawn(made, 0.4, sd=0.3)
    assert predict(draws, made, 8192.0).median < predict(draws, standard, 8192.0).median


def test_the_base_rate_is_chosen_on_some_seeds_and_scored_on_others() -> None:
    tuning, test = (bowls(sweep(-1.0, sd=0.0, seed=s), by=["parametrization"])[0] for s in (0, 1))
    costs = [each.cost for each in carried(tuning, test)]
    assert costs[0] == pytest.approx(1.0)
    assert costs[1] == pytest.approx(math.exp(0.3 * (math.e - 2)))
    assert costs[3] > costs[2] > costs[1]


def test_a_table_of_others_is_read_by_its_map(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    path.write_text("scheme,n,log2_lr,final,epoch\nSP,64,-8,0.5,20\nmuP,64,-7,,20\nmuP,64,-7,0.4,3\n")
    maps = {"width": "n", "peak_lr": "2 ** log2_lr", "loss": "final", "parametrization": "scheme", "optimizer": "sgd"}
    rows = read_sweep(path, maps=maps, where="epoch = 20")
    assert rows.to_dicts() == [
        {"width": 64.0, "peak_lr": 2.0**-8, "loss": 0.5, "parametrization": "standard", "optimizer": "sgd"},
        {"width": 64.0, "peak_lr": 2.0**-7, "loss": None, "parametrization": "mup", "optimizer": "sgd"},
    ]


def test_a_table_of_optima_has_a_column_for_each_scheme(tmp_path: Path) -> None:
    path = tmp_path / "optima.csv"
    path.write_text("width,sp,mup\n128,1e-3,1e-3\n256,5e-4,1e-3\n")
    sets = bowls(read_sweep(path, maps={}, optima={"SP": "sp", "mup": "mup"}), by=["parametrization"])
    assert [one.name for one in sets] == ["standard", "mup"]
    assert 2.0 ** sets[0].lowest() == pytest.approx([1e-3, 5e-4])
    assert sets[0].at_edge() == []


def test_a_map_of_what_the_analysis_does_not_know_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    path.write_text("width,lr\n64,1e-3\n")
    with pytest.raises(QueryError, match="--map rate: no column of the analysis"):
        read_sweep(path, maps={"rate": "lr"})
    with pytest.raises(DataError, match=r"sweep.csv has no column peak_lr; map one"):
        read_sweep(path, maps={})


def test_the_command_refuses_a_width_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "width-table", str(tmp_path / "x.csv"), "--predict", "0"]) != 0
    assert capsys.readouterr().err == "hplaw: --predict 0: give a width from 1 to 1e+09\n"


def test_simulated_runs_have_the_design_and_the_planted_slope() -> None:
    one = labeled("standard")
    made = simulate(one, drawn(one, 0.0, wander=0.0), -1.0, rng=np.random.default_rng(0))
    assert (made.place == one.place).all()
    assert (made.log2_rate == one.log2_rate).all()
    assert np.polyfit(made.log2_size, made.lowest(), 1)[0] == pytest.approx(-1.0, abs=0.35)


def test_a_new_model_is_less_sure_than_any_that_was_measured() -> None:
    sizes = np.array([64.0, 512.0])
    slopes = [Measured("a", "mup", "adam", 0.1, 0.02, sizes), Measured("b", "mup", "adam", -0.1, 0.02, sizes)]
    apart = new_model(slopes, draws=4000)
    assert np.mean(apart.slopes["mup", "adam"]) == pytest.approx(0.0, abs=0.03)
    assert np.std(apart.slopes["mup", "adam"]) > 0.08
    alike = new_model([slopes[0], slopes[0]._replace(model="b")], draws=4000)
    assert np.median(alike.between["others"]) < np.median(apart.between["others"])


def results_of(slopes: dict[tuple[str, str], float]) -> Results:
    sets = []
    for (scheme, optimizer), slope in slopes.items():
        for kind in (OWN, OUTSIDE):
            one = labeled(scheme, optimizer)
            draws = drawn(one, slope)
            checks = [HeldOut(predict(draws, one, 512.0), 3, 2.0**-7, 1.0, 1.1)]
            sets.append(Result(kind, "width", one, draws, slope_of(one, draws), checks, [], []))
    return Results(sets, pl.DataFrame({"key": ["k"]}), [], "0" * 64)


SLOPES = {
    ("standard", "adam"): -0.9,
    ("mup", "adam"): 0.0,
    ("ntk", "adam"): 0.0,
    ("mean_field", "adam"): 0.0,
    ("standard", "sgd"): -0.4,
    ("mup", "sgd"): 0.0,
}


def test_the_law_is_the_base_rate_at_the_base_and_less_sure_further_away(tmp_path: Path) -> None:
    law = read_law(write_law(tmp_path, results_of(SLOPES)).parent)
    asked = {"base_peak_lr": 3e-3, "base_width": 64, "parametrization": "standard", "optimizer": "adam"}
    base, near, far = (evaluate(law, {**asked, "width": width}).outputs["peak_lr"] for width in (64, 256, 1024))
    assert base.value == pytest.approx(3e-3)
    assert near.value == pytest.approx(3e-3 * 4**-0.9, rel=0.15)
    assert far.high / far.low > near.high / near.low > 1.05
    stays = evaluate(law, {**asked, "width": 1024, "parametrization": "mup"}).outputs["peak_lr"]
    assert stays.value == pytest.approx(3e-3, rel=0.15)


def test_no_law_is_written_of_schemes_that_were_not_measured(tmp_path: Path) -> None:
    known = {key: slope for key, slope in SLOPES.items() if key != ("mup", "sgd")}
    with pytest.raises(DataError, match="no slope of mup with sgd was measured"):
        write_law(tmp_path, results_of(known))


def test_seeds_that_choose_and_seeds_that_score_are_apart() -> None:
    spec = read_study("width-transfer")
    assert not set(spec.tuning_seeds) & set(spec.test_seeds)
    for sweep_spec in spec.specs():
        assert set(sweep_spec.seeds) & set(spec.tuning_seeds)
        assert set(sweep_spec.seeds) & set(spec.test_seeds)


@pytest.mark.slow
def test_planted_slopes_are_found_and_intervals_hold_them() -> None:
    one = bowls(sweep(-0.5, sd=0.1), by=["parametrization"])[0]
    draws = posterior([one])[0]
    assert slope_of(one, draws).low < -0.5 < slope_of(one, draws).high
    planted = (0.0, -1.0)
    for slope, found in zip(planted, recover([(one, draws)], planted, studies=20)[0], strict=True):
        assert found.found == pytest.approx(slope, abs=0.15)
        assert found.covered >= 0.8
    # a slope of the size of theory is distinguished from none
    assert found.apart >= 0.8


@pytest.mark.slow
def test_wider_nets_of_the_outside_table_are_predicted_from_narrower_ones(data: Path) -> None:
    maps = {"peak_lr": "2 ** log2_lr", "loss": "train_loss", "optimizer": "sgd"}
    rows = read_sweep(data / "mup_mlp_cifar10_lr_sweep.csv", maps=maps, where="epoch = 20 or train_loss is null")
    sets = {one.labels["parametrization"]: one for one in bowls(rows, by=["optimizer", "parametrization"])}
    assert set(sets) == {"standard", "mup"}
    found = dict(zip(sets, analyze(list(sets.values())), strict=True))
    for checks in (checks for _, checks in found.values()):
        assert checks[-1].prediction.size == 2048
        assert checks[-1].cost <= 2.0
    standard = slope_of(sets["standard"], found["standard"][0])
    assert standard.low <= -0.7 <= standard.high


@pytest.mark.slow
def test_the_command_prints_what_a_table_of_optima_says(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["study", "width-table", str(data / "megatron_mup_opt_lr.csv"), "--map", "optimizer=adam", "--json"]
    assert main([*words, "--optimum", "standard=sp_opt_lr", "mup=mup_opt_lr", "--predict", "4096"]) == 0
    standard, mup = json.loads(capsys.readouterr().out)
    assert standard["slope"]["low"] <= -1.0 <= standard["slope"]["high"]
    assert mup["slope"]["low"] <= 0.2 <= mup["slope"]["high"]
    assert standard["predicted"][0]["peak_lr"] == pytest.approx(3.05e-5, rel=0.2)


def shipped_slopes() -> dict[str, np.ndarray]:
    law = read_law(Path(str(files("hplaw_laws") / "calibrated" / "width-transfer")))
    draws = read_arrays(law)
    schemes = law.namespace.scope.indices["parametrization"]
    return dict(zip(schemes, draws["slope_adam"].T, strict=True))


def test_the_shipped_law_has_the_rate_fall_in_the_standard_parametrization_and_stay_in_mup() -> None:
    slopes = shipped_slopes()
    assert np.median(slopes["standard"]) <= -0.6
    assert abs(np.median(slopes["mup"])) <= 0.2


def test_a_wider_model_is_answered_from_a_tuned_base(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["recommend", "--tuned-base", "width=256,lr=3e-3", "--width", "4096", "--json"]
    assert main([*words, "--scheme", "mup"]) == 0
    stays = json.loads(capsys.readouterr().out)["answers"]["peak_lr"]
    assert main([*words, "--scheme", "standard"]) == 0
    falls = json.loads(capsys.readouterr().out)["answers"]["peak_lr"]
    for found in (stays, falls):
        assert found["law"].startswith("width-transfer@")
        assert found["low"] < found["value"] < found["high"]
    assert falls["value"] < 3e-3 / 4
    assert stays["low"] < 3e-3 < stays["high"]
