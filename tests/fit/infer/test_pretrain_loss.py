"""Loss from size and data, and the best split of a budget: prediction larger runs, truth recovered, words of the planner."""

import itertools as it
import json

import numpy as np
import polars as pl
import pytest

from hplaw.answer.answer import answer
from hplaw.catalogue.catalogue import load_catalogue
from hplaw.cli import main
from hplaw.errors import FitError
from hplaw.law import read_law
from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend


COUNTED = "loss < 3.446995"
"""The runs that the replication counts."""


@pytest.fixture(scope="module")
def catalogue():
    return load_catalogue()


@pytest.fixture(scope="module")
def law(catalogue):
    return catalogue.get("pretrain-loss")


@pytest.fixture(scope="module")
def best(catalogue):
    return catalogue.get("compute-optimal")


def at(law, n, d):
    found = answer(law, {"n_params_with_embedding": n, "tokens": d})
    return found.values["loss"], found.spreads["loss"]


def test_loss_falls_with_size_and_with_data_towards_a_floor(law):
    sizes = [at(law, n, 2e10)[0] for n in (1e8, 1e9, 1e10, 1e12)]
    data = [at(law, 1e9, d)[0] for d in (2e9, 2e10, 2e11, 2e13)]
    assert sizes == sorted(sizes, reverse=True)
    assert data == sorted(data, reverse=True)
    assert at(law, 1e15, 1e18)[0] > 1.3


def test_intervals_never_narrow_away_from_the_runs(law):
    widths = []
    for flop in (1e20, 1e21, 1e22, 1e23, 1e24, 1e26):
        n = np.sqrt(flop / 120)
        _, spread = at(law, n, 20 * n)
        widths.append(np.log(spread.high / spread.low))
    assert all(b >= a * (1 - 1e-9) for a, b in it.pairwise(widths[2:]))
    assert widths[-1] > 4 * widths[0]


def test_the_range_for_another_recipe_is_wider(law):
    found = answer(law, {"n_params_with_embedding": 1e9, "tokens": 2e10})
    inner, outer = found.spreads["loss"], found.transfers["loss"]
    assert outer.low < 0.95 * inner.low
    assert outer.high > 1.05 * inner.high


@pytest.mark.parametrize("flop", [1e19, 1e21, 1e23])
def test_the_best_size_is_where_the_loss_is_least_for_its_compute(law, best, flop):
    """Compare with a search draw by draw, over the same draws."""
    from hplaw.posterior.arrays import read_arrays

    draws, shared = read_arrays(law), read_arrays(best)
    assert all(np.array_equal(shared[name], draws[name]) for name in shared)
    b0, gN, gD, al, be = (draws[name][:, None] for name in ("b0", "gN", "gD", "al", "be"))
    n = np.linspace(-6, 8, 4001)
    d = np.log(flop / 6 / 1e9 / 2e10) - n
    loss = np.exp(b0) * (1 + gN / al * np.expm1(-al * n) + gD / be * np.expm1(-be * d))
    sizes = 1e9 * np.exp(n[loss.argmin(axis=1)])
    value = answer(best, {"compute_flop": flop}).values
    assert value["n_params_with_embedding"] == pytest.approx(np.median(sizes), rel=0.01)
    assert 6 * value["n_params_with_embedding"] * value["tokens"] == pytest.approx(flop, rel=0.01)
    assert 0.75 < value["n_params"] / value["n_params_with_embedding"] < 1


def test_a_budget_is_answered_by_size_and_data_first(catalogue):
    query = Query(devices=64, hardware="h100-sxm", given={"duration_s": 14 * 86400.0}, laws=["pretrain-loss"])
    found = recommend(query, catalogue).answers
    assert list(found)[:2] == ["n_params", "tokens"]
    # over all recipes; in the recipe of the law the best size is known better
    assert 4e9 < found["n_params"].low < found["n_params"].value < found["n_params"].high < 5e10
    assert found["n_params"].law == found["loss"].law
    assert found["accelerator_hours"].value == pytest.approx(64 * 14 * 24)
    assert found["compute_flop"].value == pytest.approx(6 * found["n_params"].value * found["tokens"].value)
    assert found["peak_lr"].value is not None


@pytest.mark.parametrize(
    ("settled", "wanted", "giver"),
    [({"n_params": 7e9}, "tokens", "tokens-for-compute"), ({"tokens": 1e11}, "n_params", "params-for-compute")],
)
def test_a_budget_with_one_size_settled_pays_for_the_other(catalogue, settled, wanted, giver):
    found = recommend(Query(given={"compute_flop": 4.2e22}, want=[wanted], **settled), catalogue)
    estimate = found.answers[wanted]
    assert estimate.law.startswith(f"{giver}@")
    assert estimate.value == pytest.approx(4.2e22 / 6 / next(iter(settled.values())))


def test_size_and_data_given_count_their_compute_whatever_the_machines(catalogue):
    query = Query(
        n_params=7e9, tokens=1e12, devices=64, hardware="h100-sxm", given={"duration_s": 1e6}, want=["compute_flop"]
    )
    assert recommend(query, catalogue).answers["compute_flop"].value == pytest.approx(4.2e22)


def test_days_are_an_option_of_the_command(capfd):
    assert main(["recommend", "--devices", "64", "--hardware", "h100-sxm", "--days", "14", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)["answers"]
    assert found["n_params"]["value"] * found["tokens"]["value"] > 1e20
    assert main(["recommend", "--devices", "64", "--hardware", "abacus", "--days", "14"]) == 2
    assert "hardware='abacus' is not known" in capfd.readouterr().err
    assert main(["recommend", "--devices", "64", "--hardware", "l4", "--days", "-1"]) == 2
    assert capfd.readouterr().err.count("\n") == 1


# Fitting


def fit(to, data, where, *options):
    words = [
        "fit",
        "pretrain-loss",
        "--data",
        str(data),
        "--map",
        "n_params_with_embedding=n_params",
        "--where",
        where,
        "--to",
        str(to),
        *options,
    ]
    assert main(words) == 0
    return read_law(to)


@pytest.mark.slow
def test_larger_runs_are_foretold_from_smaller_ones(data, tmp_path):
    file = data / "chinchilla_runs.csv"
    small = fit(tmp_path / "small", file, f"{COUNTED} AND flops < 3e20")
    evidence = small.spec.evidence
    assert evidence is not None
    assert evidence.runs == 177
    assert not evidence.failed
    assert (evidence.r_hat or 2) <= 1.01
    larger = pl.read_csv(file, comment_prefix="#").filter((pl.col("loss") < 3.446995) & (pl.col("flops") >= 3e20))
    assert len(larger) == 63
    errors, held, widths = [], 0, []
    for row in larger.iter_rows(named=True):
        value, spread = at(small, row["n_params"], row["tokens"])
        half = 1.96 / 1.645 * np.log(spread.high / spread.low) / 2
        errors.append(abs(row["loss"] / value - 1))
        held += abs(np.log(row["loss"] / value)) <= half
        widths.append(2 * half)
    assert np.mean(errors) <= 0.010
    assert held >= 57
    assert np.mean(widths) <= 0.06


@pytest.mark.slow
def test_the_command_finds_the_golden_constants(data, tmp_path, capfd):
    robust = fit(tmp_path / "robust", data / "chinchilla_runs.csv", COUNTED, "--method", "huber", "--bootstrap", "500")
    constants = {
        words[0]: float(words[1].rstrip(","))
        for line in capfd.readouterr().out.splitlines()
        if len(words := line.split()) > 1 and words[0] in ("A", "B", "E", "al", "be")
    }
    golden = {"A": 477.84, "B": 2143.9, "E": 1.81724, "al": 0.34731, "be": 0.36718}
    assert constants == pytest.approx(golden, rel=5e-4)
    value, spread = at(robust, 1e9, 2e10)
    assert spread.low < value < spread.high


@pytest.mark.slow
def test_simulated_runs_of_the_law_itself_recover_its_constants(law, tmp_path):
    rng = np.random.default_rng(5)
    n, r = np.exp(rng.uniform(18, 23, 150)), np.exp(rng.uniform(1, 5, 150))
    point = [law.spec.parameters[name].value for name in ("b0", "gN", "gD", "al", "be", "ls0")]
    b0, gN, gD, al, be, ls0 = point
    x, y = np.log(n / 1e9), np.log(n * r / 2e10)
    loss = np.exp(b0) * (1 + gN / al * np.expm1(-al * x) + gD / be * np.expm1(-be * y))
    loss = loss * np.exp(np.exp(ls0) * rng.standard_t(4, 150))
    runs = pl.DataFrame({"n_params": n, "tokens": n * r, "loss": loss})
    runs.write_csv(tmp_path / "runs.csv")
    found = fit(tmp_path / "fitted", tmp_path / "runs.csv", "loss > 0", "--draws", "250")
    from hplaw.posterior.arrays import read_arrays

    draws = read_arrays(found)
    for name, truth in zip(("b0", "gN", "gD", "al", "be", "ls0"), point, strict=True):
        low, high = np.quantile(draws[name], [0.005, 0.995])
        assert low <= truth <= high, name


def test_a_derived_law_takes_the_draws_of_the_fitted_one(law, best, tmp_path, capfd):
    words = ["fit", "compute-optimal", "--data", str(law.path.parent), "--to", str(tmp_path / "new")]
    assert main(words) == 0
    again = read_law(tmp_path / "new")
    assert again.spec.parameters == best.spec.parameters
    for mine, shipped in zip(again.spec.examples, best.spec.examples, strict=True):
        assert mine.given == shipped.given
        assert mine.expect == pytest.approx(shipped.expect, rel=1e-9)
    words[1] = "pretrain-surface"
    assert main([*words[:-1], str(tmp_path / "other")]) == 1
    assert "has no draws of" in capfd.readouterr().err


def test_only_a_fitted_law_can_be_followed(best, catalogue, tmp_path):
    from hplaw.fit.output.derived_law import write_derived

    with pytest.raises(FitError, match="has no draws of b0"):
        write_derived(tmp_path / "x", best, catalogue.get("step-law-2025"))
