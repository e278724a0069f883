"""Simulated data recover the truth: ranks of the truth among the draws are uniform, and shipped laws are good fits."""

import numpy as np
import pytest
from scipy import stats

from hplaw.answer.check import check_law
from hplaw.catalogue.catalogue import load_catalogue
from hplaw.fit.infer.fitting import fit_law
from hplaw.law import Law
from tests.fit.conftest import simulate


SHIPPED = ("pretrain-surface", "pretrain-surface-moe")


@pytest.mark.slow
def test_ranks_of_the_truth_are_uniform(toy: Law) -> None:
    rng = np.random.default_rng(5)
    ranks: dict[str, list[float]] = {name: [] for name in "abts"}
    for seed in range(20):
        truth = {
            "a": rng.normal(1, 0.5),
            "b": rng.normal(0, 0.5),
            "t": np.exp(rng.normal(np.log(0.1), 0.5)),
            "s": np.exp(rng.normal(np.log(0.03), 0.5)),
        }
        found = fit_law(toy, simulate(seed, cells=8, runs=4, **truth), chains=2, draws=250)
        for name, draws in found.parameters().items():
            ranks[name].append(float(np.mean(draws < truth[name])))
    for name, shares in ranks.items():
        assert stats.kstest(shares, "uniform").pvalue > 1e-3, name


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_surfaces_passed_their_checks_and_hold_their_examples(name: str) -> None:
    law = load_catalogue().get(name)
    evidence = law.spec.evidence
    assert evidence is not None
    assert evidence.failed == []
    assert evidence.r_hat is not None
    assert evidence.r_hat <= 1.01
    assert evidence.ess is not None
    assert evidence.ess >= 400
    assert evidence.divergences == 0
    assert check_law(law) == []
    assert law.path is not None
    card = (law.path.parent / "card.md").read_text()
    assert "hplaw fit" in card
