"""Accelerators and grids: facts by name, other names for them, and what is refused."""

import csv
import math
import os
from pathlib import Path

import pytest

from hplaw.answer.evaluate_law import evaluate
from hplaw.errors import QueryError
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


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("NVIDIA Blackwell GPU (B200-SXM-180GB)", "b200-sxm"),
        ("NVIDIA Blackwell GPU (GB200)", "gb200"),
        ("Intel(R) Gaudi(R) 2 AI Accelerator", "gaudi2"),
        ("AMD Instinct MI325X 256GB HBM3E DLC", "mi325x"),
        ("NVIDIA H200-NVL-141GB", "h200-nvl"),
        ("TPU-trillium", "tpu-v6e"),
        ("DGX-GB300", "gb300"),
    ],
)
def test_spellings_of_makers_and_of_benchmarks_are_known(name: str, short: str) -> None:
    assert canonical(name) == short


def test_another_name_of_an_accelerator_has_the_same_answer() -> None:
    one, other = (
        recommend(Query(hardware=name, precision="bf16", want=["peak_flop_per_s"]), shipped())
        for name in ("h100-sxm", "H100-SXM5-80GB")
    )
    assert one.answers["peak_flop_per_s"].value == other.answers["peak_flop_per_s"].value == 9.894e14


@pytest.mark.parametrize(
    ("hardware", "precision", "runs_in", "peak"),
    [
        ("v100-sxm", "fp8", "fp16", 1.25e14),
        ("v100-sxm", "bf16", "fp32", 1.57e13),
        ("tpu-v6e", "fp8", "bf16", 9.18e14),
        ("h100-sxm", "fp4", "fp8", 1.9789e15),
        ("mi355x", "nvfp4", "mxfp8", 5.0332e15),
    ],
)
def test_a_precision_that_an_accelerator_lacks_is_answered_by_the_next_wider(
    hardware: str, precision: str, runs_in: str, peak: float
) -> None:
    asked = Query(hardware=hardware, precision=precision, want=["peak_flop_per_s", "compute_format"])
    found = recommend(asked, shipped())
    assert found.answers["compute_format"].value == runs_in
    assert found.answers["peak_flop_per_s"].value == peak
    assert any("next wider" in warning.text for warning in found.warnings)


def test_an_own_format_of_the_same_width_is_no_wider_one() -> None:
    found = recommend(Query(hardware="mi355x", precision="fp4", want=["compute_format"]), shipped())
    assert found.answers["compute_format"].value == "mxfp4"
    assert not any("next wider" in warning.text for warning in found.warnings)


def test_a_precision_wider_than_all_that_an_accelerator_has_is_a_reason() -> None:
    found = recommend(Query(hardware="tpu-v6e", precision="fp32", want=["peak_flop_per_s"]), shipped())
    assert found.answers["peak_flop_per_s"].value is None
    assert "fp32" in str(found.answers["peak_flop_per_s"].reason)


def test_the_formats_of_the_table_are_those_that_have_a_peak() -> None:
    tables = shipped().get("accelerators").spec.tables
    for name, formats in tables["format"].items():
        assert set(formats.values()) <= set(tables["peak"][name])
        assert all(formats[own] == own for own in tables["peak"][name])


@pytest.mark.parametrize("name", ["tpu-v4", "tpu-v5e", "tpu-v5p", "tpu-v6e"])
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
    # France's mean moved by a quarter in two years: its reactors stood still in 2022
    assert 0.2 < float(str(france["carbon_spread"].value)) < 0.5 * float(str(world["carbon_spread"].value))
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


def test_the_latest_year_of_each_country_is_that_of_the_public_table() -> None:
    folder = os.environ.get("HPLAW_DATA", "")
    if not folder:
        pytest.skip("HPLAW_DATA is not set")
    lines = (Path(folder) / "carbon_intensity.csv").read_text().splitlines()
    tables = shipped().get("grid-carbon").spec.tables
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert len(rows) == len(tables["intensity"]) - 1
    for row in rows:
        grams = float(row["Carbon intensity of electricity (gCO2eq/kWh)"])
        years = tables["intensity"][row["alpha-2"]]
        assert years["latest"] == pytest.approx(grams, rel=1e-3)
        assert tables["found_for"][row["alpha-2"]] == int(row["Year"])
        assert years.get(row["Year"], years["latest"]) == pytest.approx(years["latest"], rel=1e-3)


def test_a_year_of_a_grid_may_be_named_and_is_surer() -> None:
    grid, catalogue = shipped().get("grid-carbon"), shipped()
    found = {
        year: evaluate(grid, {"country": "FR", "carbon_year": year}, catalogue).outputs
        for year in ("latest", "2021", "2022")
    }
    grams = {year: float(str(answers["carbon_g_per_kwh"].value)) for year, answers in found.items()}
    assert grams["2022"] > 1.2 * grams["2021"] > grams["latest"]
    spreads = {year: float(str(answers["carbon_spread"].value)) for year, answers in found.items()}
    assert spreads["2021"] == spreads["2022"] == pytest.approx(0.04)
    assert spreads["latest"] == pytest.approx(math.hypot(0.04, 0.26), rel=0.01)
    with pytest.raises(QueryError, match="carbon_year='1999' is not known"):
        evaluate(grid, {"country": "FR", "carbon_year": "1999"}, catalogue)
    india = evaluate(grid, {"country": "IN"}, catalogue).outputs["carbon_spread"].value
    assert float(str(india)) < 0.05


def test_carbon_is_as_unsure_as_energy_and_grid_together() -> None:
    def wide(**given: str | float) -> float:
        query = Query(n_params=7e9, tokens=1e12, hardware="h100-sxm", given=given, want=["carbon_kg"])
        found = recommend(query, shipped()).answers["carbon_kg"]
        assert found.low is not None
        assert found.high is not None
        return math.log(found.high / found.low)

    assert wide(country="IN") < wide(country="FR") < wide()
    assert wide(country="FR", carbon_year="2022") < wide(country="FR")
