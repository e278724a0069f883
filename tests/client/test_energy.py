"""Energy, accelerators, frontiers and the settings of one GPU by every client: the same records and errors."""

from typing import Any

import pytest

import hplaw
from hplaw.energy.frontier import frontier
from hplaw.energy.pareto import pareto
from hplaw.energy.training import energy, hardware_records
from hplaw.errors import QueryError
from hplaw.messages.device import DeviceEnergy
from hplaw.messages.energy import EnergyRequest, FrontierRequest
from hplaw.messages.pareto import ParetoRequest
from tests.helpers import LLAMA_3_8B, MIXTRAL_8X7B, is_one_sentence, shipped


ASKED = {
    "n_params": 7e10,
    "tokens": 1.5e13,
    "hardware": ["h100-sxm"],
    "precision": ["bf16", "fp8"],
    "devices": 2048.0,
    "country": "US",
}
PROBES: list[dict[str, Any]] = [
    {"batch_samples": 16, "power_limit_w": 300, "energy_per_sample_j": 0.925, "time_per_sample_s": 0.00384},
    {"batch_samples": 256, "power_limit_w": 300, "energy_per_sample_j": 0.706, "time_per_sample_s": 0.003},
    {"batch_samples": 256, "power_limit_w": 125, "energy_per_sample_j": 0.946, "time_per_sample_s": 0.00753},
]


def test_energy_is_that_of_the_library(client):
    assert client.energy(**ASKED) == energy(EnergyRequest(**ASKED), shipped())


def test_accelerators_are_those_of_the_library(client):
    assert client.hardware() == hardware_records(shipped())


def test_a_frontier_is_that_of_the_library(client):
    asked = {"hardware": "h100-sxm", "energy_kwh": 1e4, "points": 5}
    assert client.frontier(**asked) == frontier(FrontierRequest(**asked), shipped())


def test_a_front_is_that_of_the_library(client):
    asked = {"hardware": ["h100-sxm"], "axis": "energy_kwh", "low": 1e4, "high": 1e4}
    assert client.pareto(**asked) == pareto(ParetoRequest(**asked), shipped())


def test_settings_of_one_gpu_are_those_of_the_library(client):
    found = client.device_energy(probes=PROBES, limits=[150, 200.0])
    assert isinstance(found, DeviceEnergy)
    assert found == hplaw.device_energy(probes=PROBES, limits=[150, 200.0])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, ""),
        ({"probes": PROBES[:2]}, "probes"),
        ({"probes": [PROBES[0], PROBES[0], PROBES[2]]}, "probes"),
        ({"probes": [*PROBES[:2], {**PROBES[2], "time_per_sample_s": 0}]}, "probes[2].time_per_sample_s"),
        ({"probes": PROBES, "limits": [500]}, "limits"),
        ({"probes": PROBES, "limit": [200]}, "limit"),
    ],
)
def test_wrong_probes_raise_the_same_error(client, fields, field):
    errors = []
    for who in (client, hplaw):
        with pytest.raises(QueryError) as caught:
            who.device_energy(**fields)
        assert is_one_sentence(caught.value)
        errors.append((caught.value.text, caught.value.field, type(caught.value)))
    assert errors[0] == errors[1]
    assert errors[0][1] == field


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hardware": ["tpu-v3"], "precision": ["fp32"]}, "no entry for fp32"),
        ({"model": {"_class_name": "UNet2DConditionModel"}}, "diffusion"),
        ({"n_params": -1}, "n_params"),
        ({"power": 3}, "power"),
    ],
)
def test_what_cannot_be_told_is_refused_alike(client, change, said):
    with pytest.raises(QueryError, match=said):
        client.energy(**{**ASKED, **change})


@pytest.mark.parametrize("model", [None, LLAMA_3_8B])
def test_layouts_are_those_of_the_library(client, model):
    asked = {"devices": 64, "hardware": "h100-sxm", **({"n_params": 7e10} if model is None else {"model": model})}
    assert client.layouts(**asked) == hplaw.layouts(**asked)


def test_a_model_without_layouts_is_refused_alike(client):
    with pytest.raises(QueryError) as caught:
        client.layouts(model=MIXTRAL_8X7B, devices=64, hardware="h100-sxm")
    assert caught.value.field == "model"
    assert "mixture of experts" in str(caught.value)
