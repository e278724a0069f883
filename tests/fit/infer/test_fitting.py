"""Fitting, judging and writing: the truth is found, the folder is whole, a bad fit is not served."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from hplaw.answer.check import check_law
from hplaw.catalogue.catalogue import load_catalogue
from hplaw.errors import DataError, FitError
from hplaw.fit.check.judge import Left, estimate_discrepancy, judge
from hplaw.fit.check.verdict import Verdict
from hplaw.fit.data.smooth import smooth
from hplaw.fit.infer.fitting import Diagnostics, Fitted, fit_law
from hplaw.fit.output.law_folder import write_folder
from hplaw.law import Law, read_law
from hplaw.law.read import parse_law
from tests.fit.conftest import TEXT, TRUTH, simulate


def test_the_mode_recovers_the_truth(fitted: Fitted) -> None:
    for name, draws in fitted.parameters().items():
        assert abs(draws.mean() - TRUTH[name]) < 4 * draws.std(), name
    assert fitted.groups == 12


@pytest.mark.slow
def test_chains_agree_and_recover_the_truth(toy: Law) -> None:
    found = fit_law(toy, simulate(), chains=4, draws=500)
    assert found.diagnostics.failed() == []
    assert "NUTS, 4 chains of 500 draws" in found.sampler
    for name, draws in found.parameters().items():
        low, high = np.quantile(draws, [0.005, 0.995])
        assert low < TRUTH[name] < high, name


def test_a_seed_makes_the_same_fit(toy: Law, fitted: Fitted) -> None:
    again = fit_law(toy, simulate(), method="map", chains=2, draws=200)
    assert np.array_equal(again.flat, fitted.flat)


def test_judging_leaves_groups_out(fitted: Fitted) -> None:
    found = judge(fitted)
    assert len(found.left) == 12
    assert found.verdict.held_out["coverage_runs"] > 0.75
    assert found.verdict.failed == []
    assert 0 < found.verdict.checks["check_noise"] < 1


def test_too_few_runs_are_refused(toy: Law) -> None:
    with pytest.raises(FitError, match="4 runs are left of 4; toy is fitted to 5 or more"):
        fit_law(toy, simulate(cells=2, runs=2), method="map")


def test_a_folder_reads_back_and_its_examples_hold(tmp_path: Path, fitted: Fitted) -> None:
    to = tmp_path / "toy"
    law = write_folder(to, fitted, Verdict(held_out={"coverage_runs": 0.9}), data="runs.csv", sha256="0" * 64)
    assert check_law(law) == []
    assert law.spec.evidence is not None
    assert law.spec.evidence.runs == 96
    assert law.spec.parameters["a"].value == pytest.approx(np.median(fitted.parameters()["a"]), abs=0.01)
    assert sorted(item.name for item in to.iterdir()) == ["law.toml", "moments.npz", "posterior.npz"]
    assert load_catalogue([to]).get("toy").digest == law.digest
    again = fit_law(law, simulate(), method="map", chains=1, draws=50)  # from its own file
    assert again.parameters()["a"].mean() == pytest.approx(fitted.parameters()["a"].mean(), abs=0.05)


def test_a_failed_fit_is_not_served_unless_accepted(tmp_path: Path, fitted: Fitted) -> None:
    verdict = Verdict(failed=["it is wrong"])
    write_folder(tmp_path / "a", fitted, verdict, data="runs.csv", sha256="")
    found = load_catalogue([tmp_path])
    assert "toy" not in [law.id for law in found.laws]
    assert any("it is wrong" in problem.text and "--accept" in problem.text for problem in found.problems)
    law = write_folder(tmp_path / "a", fitted, verdict, data="runs.csv", sha256="", accept=True)
    assert load_catalogue([tmp_path]).get("toy").digest == law.digest
    assert law.spec.evidence is not None
    assert law.spec.evidence.accepted_with == ["it is wrong"]


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path, fitted: Fitted) -> None:
    def stop(law: Law, folder: Path) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "new", fitted, Verdict(), data="", sha256="", card=stop)
    assert list(tmp_path.iterdir()) == []
    before = write_folder(tmp_path / "new", fitted, Verdict(), data="", sha256="").digest
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "new", fitted, Verdict(), data="x", sha256="", card=stop)
    assert [item.name for item in tmp_path.iterdir()] == ["new"]
    assert read_law(tmp_path / "new").digest == before


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, fitted: Fitted) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"holds other things than a fitted law \(notes.txt\)"):
        write_folder(tmp_path, fitted, Verdict(), data="", sha256="")


def test_the_smooth_surface_finds_the_bottom_of_a_bowl() -> None:
    rng = np.random.default_rng(0)
    x = np.stack(
        [axis.ravel() for axis in np.meshgrid(np.linspace(-2, 2, 9), np.linspace(-2, 2, 7), indexing="ij")], axis=1
    )
    z = 1 + 0.02 * (x[:, 0] - 0.4) ** 2 + 0.01 * (x[:, 1] + 0.3) ** 2 + 1e-4 * rng.normal(size=len(x))
    found = smooth(x, z)
    assert found is not None
    assert found.inside
    assert np.allclose(found.best, [0.4, -0.3], atol=0.15)
    assert found.excess(found.best) == 0
    assert smooth(x[:5], z[:5]) is None


def left_out(error: np.ndarray, foretold: np.ndarray) -> Left:
    return Left(name="", runs=1, error=0.0, covered=1.0, predicted=np.zeros(2), covariance=foretold, measured=error)


def test_the_discrepancy_is_what_errors_have_beyond_their_foretold_spread() -> None:
    rng = np.random.default_rng(1)
    true = np.array([[0.04, 0.03], [0.03, 0.05]])
    foretold = np.diag([0.01, 0.02])
    errors = rng.multivariate_normal([0, 0], true + foretold, size=4000)
    left = [left_out(error, foretold) for error in errors]
    assert np.allclose(estimate_discrepancy(left), true, atol=0.005)
    assert estimate_discrepancy(left[:3]) is None
    exact = [msgspec.structs.replace(item, measured=np.zeros(2)) for item in left[:9]]
    assert np.linalg.eigvalsh(estimate_discrepancy(exact)).min() >= 0


def test_intervals_of_a_scatter_known_from_few_groups_hold_nine_in_ten() -> None:
    rng = np.random.default_rng(4)
    root = np.linalg.cholesky([[0.03, 0.02], [0.02, 0.05]])
    held = []
    for _ in range(2000):
        errors = rng.standard_normal((9, 2)) @ root.T
        left = [left_out(error, np.zeros((2, 2))) for error in errors[1:]]
        width = 1.645 * np.sqrt(np.diag(estimate_discrepancy(left)))
        held.append(np.abs(errors[0]) <= width)
    assert np.mean(held, axis=0) == pytest.approx([0.9, 0.9], abs=0.02)


def test_a_scale_that_few_runs_tell_is_sampled_without_a_funnel() -> None:
    wide = parse_law(TEXT.replace("lognormal(log(0.1), 0.5)", "lognormal(log(0.02), 2)").encode())
    frame = simulate(seed=3, cells=8, runs=2, t=0.02, s=0.06)
    assert fit_law(wide, frame, draws=400).diagnostics.failed() == []


def test_shorter_steps_are_tried_only_where_divergences_are_all_that_is_wrong() -> None:
    assert Diagnostics(r_hat=1.002, ess=900.0, divergences=2).only_diverged
    assert not Diagnostics(r_hat=1.002, ess=190.0, divergences=2).only_diverged
    assert not Diagnostics(r_hat=1.002, ess=900.0, divergences=0).only_diverged
