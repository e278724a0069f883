"""Energy of cases side by side, what budgets buy, and energy in recommendations."""

import math
from typing import Any

import pytest

from hplaw.energy.frontier import chart, frontier
from hplaw.energy.training import energy, hardware_records
from hplaw.errors import ConflictingQuery, QueryError
from hplaw.messages.energy import EnergyRequest, FrontierRequest
from hplaw.messages.query import Query
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.question import DEFAULT_WANT
from hplaw.recommendation.record import recommend
from tests.helpers import shipped


SIZE: dict[str, Any] = {"n_params": 7e10, "tokens": 1.5e13}


def value(answers: Any, name: str) -> float:
    found = answers[name].value
    assert isinstance(found, float)
    return found


def case(**fields: Any) -> Any:
    return energy(EnergyRequest(**{**SIZE, "hardware": ["h100-sxm"], **fields}), shipped()).cases[0]


def test_an_answer_has_energy_where_an_accelerator_is_named_and_not_elsewhere() -> None:
    plain = recommend(Query(**SIZE), shipped())
    assert tuple(plain.answers) == DEFAULT_WANT
    named = recommend(Query(**SIZE, hardware="h100-sxm", devices=2048, given={"country": "US"}), shipped())
    more = set(named.answers) - set(plain.answers)
    assert more == {"accelerator_hours", "energy_j", "energy_kwh", "duration_s", "carbon_kg"}
    for name in DEFAULT_WANT:
        assert named.answers[name].value == plain.answers[name].value
        assert named.answers[name].law == plain.answers[name].law


def test_a_mistyped_accelerator_is_refused_with_the_nearest() -> None:
    with pytest.raises(QueryError, match="did you mean 'h200-sxm'"):
        recommend(Query(**SIZE, hardware="h200x"), shipped())


def test_case_does_not_matter_in_accelerators_precisions_and_countries() -> None:
    words = (
        {"hardware": ["h100-sxm"], "precision": ["fp8"], "country": "US"},
        {"hardware": ["H100-SXM"], "precision": ["FP8"], "country": "us"},
    )
    one, other = (energy(EnergyRequest(**SIZE, **fields), shipped()) for fields in words)
    assert one == other


def test_llama_3_70b_took_what_the_intervals_say() -> None:
    answers = case(devices=2048, country="US", given={"seq_len": 8192}).answers
    hours = answers["accelerator_hours"]
    assert hours.low < 6.4e6 < hours.high


def test_kilowatt_hours_joules_power_and_carbon_are_one_energy() -> None:
    answers = case(given={"carbon_g_per_kwh": 100, "energy_scope": "gpu"}).answers
    assert math.isclose(value(answers, "energy_j"), 3.6e6 * value(answers, "energy_kwh"))
    assert math.isclose(value(answers, "energy_kwh"), value(answers, "board_energy_kwh"))
    assert math.isclose(value(answers, "carbon_kg"), 0.1 * value(answers, "energy_kwh"), rel_tol=0.1)
    board, system, site = (value(answers, f"{w}_energy_kwh") for w in ("board", "system", "site"))
    assert board < system < site


def test_a_measured_probe_narrows_the_interval() -> None:
    guessed, probed = (
        case(given=given).answers["energy_kwh"] for given in ({}, {"tokens_per_device_s": 700, "measured_board_w": 600})
    )
    assert math.log(probed.high / probed.low) < 0.4  # restarts, waits and PUE are left
    assert math.log(probed.high / probed.low) < 0.7 * math.log(guessed.high / guessed.low)


def test_a_width_and_a_sequence_that_are_told_make_a_small_model_surer() -> None:
    guessed, told = (
        case(n_params=2e7, tokens=1e12, given=given).answers["energy_kwh"]
        for given in ({}, {"d_model": 600, "seq_len": 2048})
    )
    assert math.log(told.high / told.low) < 0.9 * math.log(guessed.high / guessed.low)


def test_nothing_jumps_where_a_dense_model_is_a_little_larger() -> None:
    given = {"n_params": 7e10, "hardware": "h100-sxm", "tokens": 1.5e13}
    slopes = recommend(Query(**given, given={"country": "US"}), shipped()).answers["energy_kwh"].elasticities
    assert 0.9 < slopes["n_params"] < 1.1


def test_a_moderate_power_limit_saves_energy_and_takes_time() -> None:
    free, limited, low = (case(given={"power_limit_ratio": x}).answers for x in (1.3, 0.7, 0.45))
    assert 0.7 < value(limited, "energy_kwh") / value(free, "energy_kwh") < 0.85
    assert 1.1 < value(limited, "accelerator_hours") / value(free, "accelerator_hours") < 1.5
    assert value(low, "energy_kwh") > value(limited, "energy_kwh")


def test_energy_grows_with_size_and_data() -> None:
    small, larger, longer = (
        value(case(**more).answers, "energy_kwh") for more in ({}, {"n_params": 1.4e11}, {"tokens": 3e13})
    )
    assert small < larger
    assert math.isclose(longer, 2 * small, rel_tol=1e-9)


def test_an_accelerator_of_ones_own_is_given_by_its_figures() -> None:
    given = {
        "peak_flop_per_s": 9.894e14,
        "memory_bytes_per_s": 3.35e12,
        "board_power_w": 700,
        "accelerator_generation": "hopper",
    }
    own = case(hardware=[], given=given, precision=["bf16"])
    assert own.hardware is None
    assert value(own.answers, "energy_kwh") == value(case().answers, "energy_kwh")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"hardware": ["tpu-v3"], "precision": ["fp32"]}, "no entry for fp32"),
        ({"hardware": ["h1000"]}, "h100-sxm"),
        ({"hardware": []}, "name an accelerator"),
        ({"model": {"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.6"}}, "diffusion"),
        ({"n_params": None}, "n_params"),
    ],
)
def test_what_the_data_cannot_support_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(QueryError, match=said):
        case(**fields)


def test_hours_are_told_where_no_power_is_published() -> None:
    tpu = case(hardware=["tpu-v6e"])
    assert tpu.reason is None
    assert value(tpu.answers, "accelerator_hours") > 0
    assert tpu.answers["energy_kwh"].value is None
    assert "No board power" in str(tpu.answers["energy_kwh"].reason)


def test_vendors_are_faster_than_first_tries() -> None:
    vendor, typical, first = (
        value(case(given={"effort": effort}).answers, "accelerator_hours")
        for effort in ("vendor", "typical", "first-try")
    )
    assert 1.3 < typical / vendor < 2.2
    assert first > 1.3 * typical


def test_adapters_take_two_thirds_of_the_flop() -> None:
    lora, full = (
        value(case(given={"finetune": kind, "base_family": "llama", "d_model": 8192}).answers, "accelerator_hours")
        for kind in ("lora", "full")
    )
    assert 0.6 < lora / full < 0.8


def test_a_goodput_takes_the_place_of_reported_restarts() -> None:
    steps, half = (
        value(case(given=given).answers, "accelerator_hours") for given in ({"hours_basis": "steps"}, {"goodput": 0.5})
    )
    assert half == pytest.approx(2 * steps)


def test_one_case_that_cannot_be_told_does_not_stop_the_others() -> None:
    asked = EnergyRequest(**SIZE, hardware=["tpu-v3"], precision=["bf16", "fp32"])
    good, bad = energy(asked, shipped()).cases
    assert good.reason is None
    assert "fp32" in str(bad.reason)


def test_hardware_is_listed_with_how_far_it_was_checked() -> None:
    listed = {item.name: item for item in hardware_records(shipped())}
    assert listed["h100-sxm"].checked == "looked up"
    assert listed["tpu-v4"].board_power_w is None
    assert "h100-sxm5-80gb" in listed["h100-sxm"].aliases


@pytest.mark.parametrize("hardware", ["h100-sxm", "A100-SXM4-80GB", "tpu-v5p"])
def test_rows_of_a_table_have_the_energies_of_single_questions(hardware: str) -> None:
    queries = [Query(n_params=1e9 * 1.5**i, tokens=1e12, hardware=hardware) for i in range(16)]
    for query, row in list(zip(queries, recommend_many(queries, shipped()), strict=True))[::5]:
        alone = recommend(query, shipped()).answers["energy_kwh"]
        found = row.answers["energy_kwh"]
        assert row.error is None
        assert (found.value is None) == (alone.value is None)
        if isinstance(found.value, float):
            assert math.isclose(found.value, float(str(alone.value)), rel_tol=1e-6)
            assert math.isclose(float(str(found.low)), float(str(alone.low)), rel_tol=1e-6)


def budget_of(**fields: Any) -> Any:
    return frontier(FrontierRequest(hardware="h100-sxm", **fields), shipped())


def test_more_energy_buys_a_larger_model_and_less_loss() -> None:
    small, large = (
        frontier(FrontierRequest(hardware="h100-sxm", energy_kwh=budget, law="pretrain-loss"), shipped())
        for budget in (1e3, 1e5)
    )
    assert large.best.n_params > small.best.n_params
    assert large.best.loss < small.best.loss
    for found, budget in ((small, 1e3), (large, 1e5)):
        assert all(math.isclose(float(str(p.energy_kwh)), budget, rel_tol=1e-6) for p in found.points)
        assert found.best.loss <= min(point.loss for point in found.points)
        assert found.near[0] <= found.best.n_params <= found.near[1]


def test_hours_money_and_time_are_budgets_alike() -> None:
    hours, money, time, compute = (
        budget_of(**kind).best.accelerator_hours
        for kind in (
            {"accelerator_hours": 5e4},
            {"cost": 1e5, "price_per_hour": 2.0},
            {"duration_s": 3600.0 * 5e4 / 512, "devices": 512.0},
            {"compute_flop": 4e22},
        )
    )
    assert math.isclose(hours, 5e4, rel_tol=1e-6)
    assert math.isclose(money, hours, rel_tol=1e-6)
    assert math.isclose(time, hours, rel_tol=1e-3)
    assert 0.5 < compute / hours < 1.5


def test_a_frontier_of_compute_counts_it() -> None:
    found = budget_of(compute_flop=1e22)
    assert all(math.isclose(6 * p.n_params * p.tokens, 1e22, rel_tol=1e-6) for p in (*found.points, found.best))


def test_a_speed_measured_at_one_size_has_no_frontier() -> None:
    with pytest.raises(ConflictingQuery, match="measured at one size"):
        budget_of(accelerator_hours=1e4, given={"tokens_per_device_s": 9e3})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"energy_kwh": 1e4, "compute_flop": 1e22},
        {"energy_kwh": 1e4, "accelerator_hours": 1e4},
        {"cost": 1e5},
        {"duration_s": 1e5},
        {"energy_kwh": 1e18},
    ],
)
def test_a_budget_of_no_kind_or_of_several_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(QueryError):
        budget_of(**fields)


def test_the_axis_of_a_frontier_is_as_wide_as_its_curve_and_writes_10B() -> None:
    import vl_convert

    found = frontier(FrontierRequest(hardware="h100-sxm", energy_kwh=1e5), shipped())
    drawn: str = vl_convert.vegalite_to_svg(chart(found, "100MWh of h100-sxm"))
    assert ">10B<" in drawn
    assert ">100B<" in drawn
    assert "000,000" not in drawn


def test_the_law_of_time_has_the_formulas_of_that_of_energy() -> None:
    """It takes the draws of that law, so that a formula changed in one file alone would give other hours."""
    time, whole = (shipped().get(name).spec for name in ("training-time", "training-energy"))
    assert time.let.items() <= whole.let.items()
    assert time.parameters.items() <= whole.parameters.items()
    assert time.constants == whole.constants
    assert time.tables.items() <= whole.tables.items()
    assert time.effects.items() <= whole.effects.items()
