"""The multi-power law against the curves that it was published with, and the laws made of it."""

import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from hplaw.evaluation.point import point
from hplaw.law import Law, read_law
from tools import fit_schedule_loss as tool


CURVES = "schedule_loss_curves.csv"
MEAN_ERROR = 0.005


def shipped(place: str) -> Law:
    return read_law(Path(str(files("hplaw_laws") / place)))


@pytest.fixture(scope="module")
def published() -> Law:
    return shipped("published/multi-power-2025.toml")


@pytest.fixture(scope="module")
def across_sizes() -> Law:
    return shipped("calibrated/schedule-loss")


@pytest.fixture(scope="module")
def factor() -> Law:
    return shipped("calibrated/schedule-factor")


def parameters(law: Law) -> dict[str, object]:
    return {name: item.value for name, item in law.spec.parameters.items()}


@pytest.mark.parametrize("model", ["25M", "100M"])
def test_the_mean_error_on_nine_schedules_is_small(data: Path, published: Law, across_sizes: Law, model: str) -> None:
    for law in (published, across_sizes):
        errors: list[np.ndarray] = []
        for (name, schedule), points in tool.read_curves(data / CURVES).items():
            if name == model:
                rates = tool.rates_of(schedule)
                runs = [
                    {"n_params": tool.SIZES[model], **tool.run_up_to(rates, step, span=8)} for step, _ in points[::8]
                ]
                seen = np.array([loss for _, loss in points[::8]])
                errors.append(np.abs(tool.losses(law, parameters(law), runs) - seen))
        assert len(errors) == 9
        assert np.concatenate(errors).mean() <= MEAN_ERROR, law.id


def test_without_the_rise_of_the_rate_the_loss_would_be_off(published: Law) -> None:
    rates = tool.rates_of("constant_24000")
    run = tool.run_up_to(rates, 23_999)
    loss = tool.losses(published, {}, [{"n_params": 1e8, **run}])[0]
    total = float((run["learning_rate"] * run["entry_steps"]).sum())
    alone = 2.6514477 + 0.60115152 * total**-0.45295811  # nothing but the power law of the sum
    assert 0.11 <= loss - alone <= 0.16


@pytest.mark.slow
def test_the_shipped_parameters_are_those_of_a_new_fit(data: Path, across_sizes: Law) -> None:
    fitted = tool.fit(across_sizes, data / CURVES)
    for name, value in parameters(across_sizes).items():
        assert fitted[name] == pytest.approx(value, rel=1e-2, abs=2e-3), name


def test_at_400m_it_is_near_the_constants_published_for_that_size(published: Law, across_sizes: Law) -> None:
    for schedule in ("cosine_24000", "cosine_72000", "constant_24000", "wsd_20000_24000", "wsdcon_9"):
        rates = tool.rates_of(schedule)
        runs = [{"n_params": 4e8, **tool.run_up_to(rates, step, span=8)} for step in range(2_200, len(rates), 2_000)]
        apart = tool.losses(across_sizes, parameters(across_sizes), runs) - tool.losses(published, {}, runs)
        assert np.abs(apart).mean() < 0.016


def test_the_factor_has_the_constants_of_the_loss(across_sizes: Law, factor: Law) -> None:
    assert parameters(factor) == parameters(across_sizes)


@pytest.mark.parametrize("steps", [3_000.0, 24_000.0, 500_000.0])
def test_the_factor_is_the_quotient_of_two_losses(across_sizes: Law, factor: Law, steps: float) -> None:
    run = {"peak_lr": 3e-4, "final_lr": 3e-5, "warmup_steps": 0.01 * steps, "steps": steps, "n_params": 5e7}
    losses = {s: point(across_sizes, {**run, "schedule": s}).output("scheduled_loss") for s in ("cosine", "wsd")}
    found = point(factor, {"n_params": 5e7, "steps": steps, "schedule": "wsd"}).output("schedule_loss_factor")
    assert found == pytest.approx(losses["wsd"] / losses["cosine"], rel=1e-12)


def test_the_factor_is_one_for_a_cosine_and_larger_sizes_count_as_the_largest(factor: Law) -> None:
    def at(n: float, schedule: str) -> float:
        return point(factor, {"n_params": n, "steps": 3e5, "schedule": schedule}).output("schedule_loss_factor")

    assert at(7e9, "cosine") == 1.0
    assert at(7e9, "wsd") == at(1e8, "wsd") < 1.0 < at(1e8, "constant")


def test_the_factor_is_near_what_was_measured(data: Path, factor: Law) -> None:
    ends = {key: points[-1][1] for key, points in tool.read_curves(data / CURVES).items() if key[0] == "100M"}
    measured = ends["100M", "constant_24000"] / ends["100M", "cosine_24000"]
    known = {"n_params": 1e8, "steps": 24e3}
    assert point(factor, {**known, "schedule": "constant"}).output("schedule_loss_factor") == pytest.approx(
        measured, abs=6e-3
    )
    measured = ends["100M", "wsdld_20000_24000"] / ends["100M", "cosine_24000"]
    found = point(factor, {**known, "schedule": "wsd", "decay_steps": 4_000.0}).output("schedule_loss_factor")
    assert found == pytest.approx(measured, abs=7e-3)
    assert found < 1.0


def test_constants_at_the_given_sizes_are_the_published_ones(published: Law) -> None:
    given = (3.04045406, 0.52468604, 0.50786857, 363.78751622, 2.06560812, 0.58279013, 0.64142257)
    names = ("level", "scale", "alpha", "gain", "speed", "beta", "gamma")
    assert tuple(published.spec.tables[name]["y"][0] for name in names) == given
    assert re.search(r"commit [0-9a-f]{7}", published.spec.source.where)
