"""Advice before pruning: regimes, actions and what they change; which of several models to prune; what is refused."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hplaw.errors import LawNotFound, QueryError
from hplaw.messages.pruning import PUBLISHED_MAP, PruneAdvice, PruneCase, PruneReply, PruneRequest
from hplaw.pruning.advice import prune_advice
from hplaw.pruning.regime_map import regime_map
from hplaw.pruning.regimes import ACTIONS, MEANS
from tests.helpers import is_one_sentence, shipped


def advice(**fields: float | str) -> PruneAdvice:
    found = prune_advice(PruneRequest(**fields), shipped())
    assert isinstance(found, PruneAdvice)
    return found


def many(*cases: PruneCase) -> PruneReply:
    found = prune_advice(PruneRequest(cases=list(cases)), shipped())
    assert isinstance(found, PruneReply)
    return found


@pytest.mark.parametrize(
    ("density", "epochs", "regime", "action"),
    [(0.05, 150, "I", "hotter"), (0.1, 40, "II-A", "cooler"), (0.2, 150, "II-B", "keep")],
)
def test_each_regime_has_its_action_and_says_what_to_do(
    density: float, epochs: float, regime: str, action: str
) -> None:
    found = advice(density=density, epochs=epochs)
    assert (found.regime, found.action, found.means) == (regime, action, MEANS[action])
    assert ACTIONS[regime] == action
    assert found.turn["epochs"] == {"hotter": "lower", "cooler": "raise", "keep": "keep"}[action]
    assert found.turn["sam_rho"] == {"hotter": "raise", "cooler": "lower", "keep": "keep"}[action]


@given(st.floats(0.01, 1), st.floats(1, 300))
def test_probabilities_are_numbers_that_sum_to_one_also_where_no_regime_is_certain(
    density: float, epochs: float
) -> None:
    found = advice(density=density, epochs=epochs)
    parts = [found.p_I, found.p_IIA, found.p_IIB]
    assert math.isclose(sum(parts), 1, abs_tol=1e-9)
    assert min(parts) >= 0
    assert (found.regime == "uncertain") == (max(parts) < 0.6)
    assert found.error_change is not None
    assert found.error_change.low is not None
    assert found.error_change.high is not None
    assert found.error_change.low <= found.error_change.value <= found.error_change.high


def test_where_no_class_is_likely_the_regime_is_uncertain_and_the_action_follows_the_error() -> None:
    axis = np.linspace(80, 130, 101)
    found = [advice(density=0.1, epochs=float(epochs)) for epochs in axis]
    uncertain = [each for each in found if each.regime == "uncertain"]
    assert uncertain
    for each in uncertain:
        change = each.error_change
        assert change is not None
        expected = (
            "keep" if change.value > -0.002 else ("hotter" if change.to_epochs < change.from_epochs else "cooler")
        )
        assert each.action == expected
        assert "uncertain" in {warning.code for warning in each.warnings}


def test_hotter_training_lowers_the_error_where_networks_are_not_connected() -> None:
    change = advice(density=0.05, epochs=150).error_change
    assert change is not None
    assert change.to_epochs < 150
    assert change.high is not None
    assert change.high < 0
    assert advice(density=0.05, epochs=150, to_epochs=140).error_change.value > change.value  # type: ignore[union-attr]


def test_at_large_density_small_changes_are_no_reason_to_act() -> None:
    found = advice(density=0.8, epochs=100)
    assert found.action == "keep"
    assert "no_action" in {warning.code for warning in found.warnings}
    assert "no_action" not in {warning.code for warning in advice(density=0.2, epochs=150).warnings}


def test_outside_of_the_map_its_edge_answers_with_a_warning() -> None:
    found = advice(density=0.01, epochs=80)
    (warning,) = [each for each in found.warnings if each.code == "extrapolation"]
    assert warning.quantity == "density"
    assert warning.efolds == pytest.approx(math.log(5), rel=1e-3)
    assert found.p_I == advice(density=0.05, epochs=80).p_I


@pytest.mark.parametrize(
    ("lmc", "cka", "regime", "action"),
    [
        (-0.3, 0.99, "I", "hotter"),
        (-0.13, None, "I", "hotter"),
        (-0.01, 0.95, "II-A", "cooler"),
        (0.0, 0.995, "II-B", "keep"),
    ],
)
def test_measured_connectivity_decides_by_the_thresholds(
    lmc: float, cka: float | None, regime: str, action: str
) -> None:
    found = prune_advice(PruneRequest(lmc=lmc, cka=cka), shipped())
    assert isinstance(found, PruneAdvice)
    assert (found.regime, found.action, found.basis) == (regime, action, "thresholds")
    assert math.isclose(found.p_I + found.p_IIA + found.p_IIB, 1)
    assert found.error_change is None
    assert found.reason


def test_connected_without_similarity_is_one_of_two_regimes_and_calls_for_cooler() -> None:
    found = advice(lmc=-0.02)
    assert (found.regime, found.action) == ("uncertain", "cooler")
    assert found.p_IIA == pytest.approx(found.p_IIB)


def test_a_path_better_than_its_ends_is_flagged() -> None:
    assert "undertrained" in {warning.code for warning in advice(lmc=0.05, cka=0.95).warnings}
    assert "undertrained" not in {warning.code for warning in advice(lmc=0.01, cka=0.95).warnings}


def test_measured_values_decide_beside_the_error_of_the_map() -> None:
    found = advice(density=0.1, epochs=60, lmc=-0.4, cka=0.9)
    assert (found.basis, found.regime, found.action) == ("measured", "I", "hotter")
    assert found.error_change is not None


def test_the_most_alike_of_the_connected_models_is_chosen() -> None:
    cases = [("a", -0.3, 0.999), ("b", -0.01, 0.95), ("c", -0.05, 0.97), ("d", 0.0, 0.96)]
    choice = many(*[PruneCase(model=name, lmc=lmc, cka=cka) for name, lmc, cka in cases]).choice
    assert choice is not None
    assert (choice.model, choice.rejected, choice.lmc_below) == ("c", ["a"], -0.12)
    none = many(*[PruneCase(model=name, lmc=-0.5, cka=0.9) for name in "ab"]).choice
    assert none is not None
    assert (none.model, none.rejected) == (None, ["a", "b"])
    assert many(PruneCase(density=0.1, epochs=80), PruneCase(density=0.2, epochs=80)).choice is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"density": 0.0, "epochs": 80}, "density"),
        ({"density": 1.5, "epochs": 80}, "density"),
        ({"density": 0.1, "epochs": 0.0}, "epochs"),
        ({"density": 0.1}, "epochs"),
        ({"epochs": 80.0}, "density"),
        ({}, "density"),
        ({"cka": 0.9}, "lmc"),
        ({"lmc": -2.0}, "lmc"),
        ({"lmc": -0.1, "cka": 0.9, "retrains": 1.0}, "retrains"),
        ({"density": 0.1, "epochs": 80, "map": "step-law-2025"}, "map"),
        ({"density": 0.1, "epochs": 80, "map": "pruning-preresnet20-cifar1"}, "map"),
        ({"density": 0.1, "epochs": 80, "cases": [PruneCase(density=0.1, epochs=80)]}, "cases"),
    ],
)
def test_what_tells_no_regime_is_refused_in_a_sentence(fields: dict, field: str) -> None:
    with pytest.raises(QueryError) as caught:
        prune_advice(PruneRequest(**fields), shipped())
    assert caught.value.field == field
    assert is_one_sentence(caught.value)


def test_one_wrong_case_of_many_stops_no_other() -> None:
    rows = many(PruneCase(density=2, epochs=80), PruneCase(density=0.1, epochs=80)).rows
    assert rows[0].advice is None
    assert rows[0].error is not None
    assert "density=2" in rows[0].error
    assert rows[1].error is None
    assert rows[1].advice == advice(density=0.1, epochs=80)


def test_a_map_is_shown_whole() -> None:
    found = regime_map(PUBLISHED_MAP, shipped())
    assert list(found.axes) == ["density", "dense_epochs"]
    assert found.classes == ["I", "II-A", "II-B"]
    probabilities = np.asarray(found.probabilities)
    assert probabilities.shape == (len(found.axes["density"]), len(found.axes["dense_epochs"]), 3)
    assert np.allclose(probabilities.sum(axis=2), 1, atol=1e-5)
    case = advice(density=found.axes["density"][3], epochs=found.axes["dense_epochs"][7])
    assert probabilities[3, 7] == pytest.approx([case.p_I, case.p_IIA, case.p_IIB], abs=1e-6)
    for wrong in ("step-law-2025", "pruning-preresnet20", "x"):
        with pytest.raises(LawNotFound) as caught:
            regime_map(wrong, shipped())
        assert is_one_sentence(caught.value)


def test_the_shipped_map_was_right_on_densities_that_it_did_not_see() -> None:
    """What the law's evidence says of it, as `hplaw fit` measured it."""
    seen = regime_map(PUBLISHED_MAP, shipped()).held_out
    assert seen["accuracy_inner"] >= 0.92
    assert seen["calibration_inner"] <= 0.08
    assert seen["brier_inner"] <= 0.15
    assert seen["advice_right_inner"] >= 0.85


def test_the_change_of_error_has_the_sign_of_the_published_table(data: Path) -> None:
    """All pairs of epochs at a density whose errors differ by more than 0.002; fitted to these rows, not held out."""
    lines = [
        line for line in (data / "pruning_preresnet20_cifar10.csv").read_text().splitlines() if not line.startswith("#")
    ]
    rows = [(float(r["density"]), float(r["epochs_dense"]), float(r["test_error"])) for r in csv.DictReader(lines)]
    right: list[bool] = []
    for density in sorted({row[0] for row in rows}):
        here = [row for row in rows if row[0] == density][::3]
        for _, a, error_a in here:
            for _, b, error_b in here:
                if a < b and abs(error_b - error_a) > 0.002:
                    change = advice(density=density, epochs=a, to_epochs=b).error_change
                    assert change is not None
                    right.append((change.value > 0) == (error_b > error_a))
    assert len(right) > 40
    assert np.mean(right) >= 0.85


def test_the_error_decides_where_it_surely_rises_by_what_the_regime_asks_for() -> None:
    """On digits with noisy labels cooler training raises the error, whatever the regime asks for."""
    found = advice(map="pruning-digits-mlp", density=0.03, epochs=8)
    assert found.regime == "II-A"
    assert found.action == "hotter"
    assert "error_decides" in {warning.code for warning in found.warnings}
    change = found.error_change
    assert change is not None
    assert change.high is not None
    assert change.value < change.high < 0
    assert change.to_epochs < 8


def test_epochs_far_outside_are_held_at_the_edge_of_the_map() -> None:
    found = advice(density=0.1, epochs=80, to_epochs=1e9)
    assert found.error_change is not None
    assert found.error_change.value == advice(density=0.1, epochs=80, to_epochs=160).error_change.value  # type: ignore[union-attr]
    assert "extrapolation" in {warning.code for warning in found.warnings}
    assert advice(density=1e-9, epochs=1e-3).error_change is not None
