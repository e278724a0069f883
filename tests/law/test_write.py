"""Law files as they are written: like those that people write, and reading back to the same."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from hplaw.law.format import CovarianceSpec, EvidenceSpec, ParameterSpec, SourceSpec
from hplaw.law.read import decode_spec
from hplaw.law.write import write_law
from tests.helpers import fixture_law


def written(**changes: object) -> str:
    spec = msgspec.structs.replace(fixture_law("step-law").spec, **changes)
    text = write_law(spec)
    assert decode_spec(text.encode()) == spec
    return text


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (8.0, "8"),
        (0.0, "0"),
        (-0.0, "-0.0"),
        (-3.0, "-3"),
        (65536.0, "65536"),
        (131072.0, "131072"),
        (2.1e8, "2.1e8"),
        (1e5, "1e5"),
        (1e21, "1e21"),
        (1e16, "1e16"),
        (1e-6, "1e-6"),
        (0.0001, "0.0001"),
        (1.5e300, "1.5e300"),
        (0.1, "0.1"),
        (2.63185e-5, "2.63185e-5"),
    ],
)
def test_a_number_is_written_as_people_write_it(value: float, says: str) -> None:
    assert f"\nc = {says}\n" in written(constants={"c": value})


@settings(max_examples=300, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_reads_back_to_the_last_digit(value: float) -> None:
    spec = msgspec.structs.replace(fixture_law("step-law").spec, constants={"c": value})
    assert repr(decode_spec(write_law(spec).encode()).constants["c"]) == repr(value)


def test_a_matrix_has_a_line_for_each_row() -> None:
    row = [0.123456, -0.0444792, 0.00585973, 0.00584999, 0.000634971]
    text = written(covariance=[CovarianceSpec(of=["a", "b", "c", "d", "e"], matrix=[row] * 5)])
    line = "  [0.123456, -0.0444792, 0.00585973, 0.00584999, 0.000634971],\n"
    assert f"matrix = [\n{line * 5}]\n" in text


def test_a_wide_matrix_is_indented_at_every_level() -> None:
    text = written(covariance=[CovarianceSpec(of=["a"], matrix=[[1.23456789] * 20, [0.5] * 3])])
    assert "matrix = [\n  [\n    1.23456789, 1.23456789, " in text
    assert "\n  ],\n  [0.5, 0.5, 0.5],\n]\n" in text


def test_a_list_of_many_numbers_fills_its_lines() -> None:
    text = written(parameters={"w": ParameterSpec(value=[0.123456] * 30, over="part", prior="normal(0, 1)")})
    lines = text.split("w.value = [\n")[1].split("]\n")[0].splitlines()
    assert len(lines) == 3
    assert all(line.startswith("  0.123456, ") and len(line) <= 120 for line in lines)


def test_a_wide_table_has_a_line_for_each_entry_in_their_order() -> None:
    parameters = {
        "a": ParameterSpec(value=1.0),
        "w": ParameterSpec(value=[0.123456] * 20, prior="normal(0, 1)", over="part"),
        "b": ParameterSpec(value=2.0),
    }
    text = written(parameters=parameters)
    assert list(decode_spec(text.encode()).parameters) == ["a", "w", "b"]
    assert '\nw.prior = "normal(0, 1)"\nw.over = "part"\nb = { value = 2 }\n' in text


def test_only_texts_are_wider_than_a_line() -> None:
    scores = {f"coverage_of_something_{i}": 0.5 for i in range(20)}
    source = SourceSpec(title="An example")
    text = written(evidence=EvidenceSpec(held_out=scores), source=source)
    assert "\nheld_out.coverage_of_something_0 = 0.5\n" in text
    assert all(len(line) <= 120 or '"' in line for line in text.splitlines())


def test_keys_that_are_no_words_are_quoted() -> None:
    scores = {f"a key, with words {i}": 0.5 for i in range(20)}
    assert '\nheld_out."a key, with words 0" = 0.5\n' in written(evidence=EvidenceSpec(held_out=scores))
