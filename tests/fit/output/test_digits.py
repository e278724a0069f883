"""Digits of what a fit writes: few where draws is beside, enough where a value is the answer."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest

from hplaw.fit.output.digits import ALONE, EXAMPLES, MEDIANS, expected, rounded, with_digits
from hplaw.law.format import CovarianceSpec, EvidenceSpec, ExampleSpec, ParameterSpec
from hplaw.law.rules import check_covariance
from tests.helpers import fixture_law


ROOT = Path(__file__).parents[3]
FITTED = sorted(
    [*Path(str(files("hplaw_laws"))).glob("calibrated/*/law.toml"), *ROOT.glob("experiments/laws/*/law.toml")]
)


def test_values_with_draws_have_six_digits_and_others_nine() -> None:
    parameters = {
        "a": ParameterSpec(value=1.234567890123, sd=0.1234567890123),
        "b": ParameterSpec(value=[1.234567890123], over="part"),
        "c": ParameterSpec(prior="normal(0, 1)"),
    }
    spec = msgspec.structs.replace(fixture_law("step-law").spec, parameters=parameters)
    found = with_digits(spec, {"a"}).parameters
    assert found["a"] == ParameterSpec(value=1.23457, sd=0.123457)
    assert found["b"] == ParameterSpec(value=[1.23456789], over="part")
    assert found["c"] == parameters["c"]


def test_scores_have_four_digits_and_numbers_of_a_sampler_five() -> None:
    evidence = EvidenceSpec(r_hat=1.00123456, ess=1234.567, held_out={"x": 0.123456})
    spec = msgspec.structs.replace(fixture_law("step-law").spec, evidence=evidence)
    assert with_digits(spec, ()).evidence == EvidenceSpec(r_hat=1.0012, ess=1234.6, held_out={"x": 0.1235})


def test_a_covariance_stays_one_however_near_its_names_lie() -> None:
    # a correlation of 1 - 1e-8: six digits could turn it above one
    for k in range(50):
        a, b = 0.0123456789 * (1 + k / 7), 0.987654321 * (1 + k / 11)
        rho = 1 - 1e-8
        matrix = [[a * a, rho * a * b], [rho * a * b, b * b]]
        block = CovarianceSpec(of=["x", "y"], matrix=matrix)
        spec = msgspec.structs.replace(fixture_law("step-law").spec, covariance=[block])
        check_covariance(with_digits(spec, ()).covariance[0].matrix, 2, "covariance")


def test_an_example_keeps_more_digits_than_its_tolerance_tells_apart() -> None:
    example = ExampleSpec(given={"x": 1.23456789012}, expect={"y": 1.23456789012, "word": "hot", "n": 3}, rtol=1e-6)
    found = expected(example)
    assert found.given == example.given
    assert found.expect == {"y": 1.2345679, "word": "hot", "n": 3}


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 0.0])
def test_what_has_no_digits_stays(value: float) -> None:
    assert repr(rounded(value, 6)) == repr(value)


@pytest.mark.parametrize("path", FITTED, ids=lambda path: path.parent.name)
def test_a_fitted_law_is_written_with_no_digits_to_spare(path: Path) -> None:
    """All but the tables and constants that people gave it."""
    text = re.sub(r"(?ms)^\[(tables\.|constants).*?(?=^\[)", "", path.read_text())
    numbers = re.findall(r"(?<![\w.@])-?(\d+\.\d+)(?:e-?\d+)?\b", re.sub(r'"[^"]*"', "", text))
    assert numbers
    assert max(len(number.replace(".", "").lstrip("0")) for number in numbers) <= max(MEDIANS, ALONE, EXAMPLES)
