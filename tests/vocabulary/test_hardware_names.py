"""Accelerators and grids: facts by name, other names for them, and what is refused."""

import csv
import os
from pathlib import Path

import pytest

from hplaw.answer.evaluate_law import evaluate
from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend
from hplaw.vocabulary.hardware_names import ALIASES, SHORT, canonical
from tests.helpers import shipped


def test_every_name_leads_to_a_row_of_the_table() -> None:
    table = shipped().get("accelerators").spec.tables["peak"]
    assert set(table) == SHORT
    assert {canonical(name.upper()) for name in ALIASES} <= SHORT
    assert canonical("NVIDIA H100-SXM5-80GB") == "h100-sxm"
    assert canonical("my-own-chip") == "my-own-chip"


def test_budgets_and_accelerators_have_the_same_peaks() -> None:
    ours, budget = (shipped().get(name).spec.tables["peak"] for name in ("accelerators", "compute-budget"))
    assert ours == budget


def test_another_name_of_an_accelerator_has_the_same_answer() -> None:
    one, other = (
        recommend(Query(hardware=name, precision="bf16", want=["peak_flop_per_s"]), shipped())
        for name in ("h100-sxm", "H100-SXM5-80GB")
    )
    assert one.answers["peak_flop_per_s"].value == other.answers["peak_flop_per_s"].value == 9.894e14


def test_a_precision_that_an_accelerator_has_not_is_no_answer_but_a_reason() -> None:
    asked = Query(hardware="v100-sxm", precision="fp8", want=["peak_flop_per_s"])
    found = recommend(asked, shipped()).answers["peak_flop_per_s"]
    assert found.value is None
    assert "fp8" in str(found.reason)


@pytest.mark.parametrize("name", ["tpu-v4", "tpu-v5e", "tpu-v5p"])
def test_no_power_is_made_up_for_an_accelerator_without_one(name: str) -> None:
    found = recommend(Query(hardware=name, want=["board_power_w"]), shipped())
    assert found.answers["board_power_w"].value is None
    assert "No board power" in str(found.answers["board_power_w"].reason)


def test_a_figure_from_memory_is_warned_of() -> None:
    found = recommend(Query(hardware="a40", want=["board_power_w"]), shipped())
    assert found.answers["board_power_w"].value == 300.0
    assert any("not verified" in warning.text for warning in found.warnings)
    sure = recommend(Query(hardware="h100-sxm", want=["board_power_w"]), shipped())
    assert not sure.warnings


def test_an_unnamed_country_is_the_middle_of_all_and_as_unsure() -> None:
    grid = shipped().get("grid-carbon")
    world, france = (evaluate(grid, given).outputs for given in ({}, {"country": "FR"}))
    assert float(str(world["carbon_spread"].value)) > 5 * float(str(france["carbon_spread"].value))
    assert float(str(france["carbon_g_per_kwh"].value)) < 100


def test_the_tables_are_the_facts_that_they_were_made_from() -> None:
    folder = os.environ.get("HPLAW_DATA", "")
    if not folder:
        pytest.skip("HPLAW_DATA is not set")
    lines = (Path(folder) / "hardware.csv").read_text().splitlines()
    power = shipped().get("accelerator-power").spec.tables["board_power"]
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        if row["tdp_w"]:
            assert power[canonical(row["name"])] == float(row["tdp_w"])
        else:
            assert canonical(row["name"]) not in power
