"""Energy over HTTP: settings of one GPU, fronts, metered probes; what is wrong has its status and names the field."""

from typing import Any

import pytest


PATH = "/v1/device-energy"
PROBES: list[dict[str, Any]] = [
    {"batch_samples": 16, "power_limit_w": 300, "energy_per_sample_j": 0.925, "time_per_sample_s": 0.00384},
    {"batch_samples": 256, "power_limit_w": 300, "energy_per_sample_j": 0.706, "time_per_sample_s": 0.003},
    {"batch_samples": 256, "power_limit_w": 125, "energy_per_sample_j": 0.946, "time_per_sample_s": 0.00753},
]


def test_a_limit_between_the_probes_takes_least_energy(http):
    found = http.post(PATH, json={"probes": PROBES}).raise_for_status().json()
    best = found["least_energy"]
    assert 125 < best["power_limit_w"] < 300
    assert best["saving_low"] < best["saving"] < best["saving_high"]
    assert found["front"][-1] == best


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, ""),
        ({"probes": []}, 400, "probes"),
        ({"probes": PROBES[:2]}, 422, "probes"),
        ({"probes": [*PROBES, PROBES[2]]}, 422, "probes"),
        ({"probes": [PROBES[0], PROBES[0], PROBES[2]]}, 409, "probes"),
        ({"probes": [*PROBES[:2], {**PROBES[2], "batch_samples": 16}]}, 409, "probes"),
        ({"probes": [*PROBES[:2], {**PROBES[2], "time_per_sample_s": "fast"}]}, 400, "probes[2].time_per_sample_s"),
        ({"probes": PROBES, "limits": [500]}, 409, "limits"),
        ({"probes": PROBES, "batches": [0]}, 400, "batches[0]"),
    ],
)
def test_wrong_probes_are_problems(http, problem, body, status, field):
    told = problem(http.post(PATH, json=body), status)
    assert told.get("field", "") == field


FRONT: dict[str, Any] = {"hardware": ["h100-sxm"], "axis": "energy_kwh", "low": 1e4, "high": 1e4}


def test_a_front_has_runs_and_what_its_energy_covers(http):
    found = http.post("/v1/pareto", json=FRONT).raise_for_status().json()
    (point,) = found["front"]
    assert (point["hardware"], point["precision"], point["energy_kwh"]) == ("h100-sxm", "bf16", 1e4)
    assert found["energy_scope"] == "gpu_x_pue"


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"hardware": []}, 400, "hardware"),
        ({"axis": "loss"}, 400, "axis"),
        ({"low": 2e4}, 409, "low"),
        ({"axis": "cost"}, 409, "prices"),
        ({"points": 101, "low": 1, "precision": ["bf16", "fp16", "fp8"]}, 409, "points"),
        ({"hardware": ["h100x"]}, 422, "hardware"),
    ],
)
def test_wrong_fronts_are_problems(http, problem, change, status, field):
    told = problem(http.post("/v1/pareto", json={**FRONT, **change}), status)
    assert told.get("field", "") == field


RUN: dict[str, Any] = {"n_params": 7e9, "tokens": 2e12, "hardware": ["h100-sxm"]}
METERED = {"seconds": 100, "joules": 480000, "meter": "nvml", "n_params": 7e9, "tokens": 8e6, "hardware": "h100-sxm"}
METERED |= {"devices": 8, "metered_devices": 8, "tokens_per_device_s": 10000}


def test_a_probe_and_prices_are_taken_over_http(http):
    body = {**RUN, "probe": METERED, "prices": {"h100-sxm": 2.5}}
    (case,) = http.post("/v1/energy", json=body).raise_for_status().json()["cases"]
    assert case["answers"]["power_w"]["value"] == pytest.approx(600)
    assert case["answers"]["cost"]["value"] == pytest.approx(2.5 * case["answers"]["accelerator_hours"]["value"])
    assert case["energy_scope"] == "gpu_x_pue"


def test_a_probe_of_another_model_is_a_conflict(http, problem):
    told = problem(http.post("/v1/energy", json={**RUN, "n_params": 8e9, "probe": METERED}), 409)
    assert told["field"] == "probe"
    told = problem(http.post("/v1/energy", json={**RUN, "probe": {**METERED, "meter": "guess"}}), 400)
    assert told["field"] == "probe.meter"
