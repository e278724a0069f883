"""The settings of one GPU over HTTP: each wrong set of probes has its status and names the field."""

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
