"""Energy, accelerators and frontiers by every client: the same records and errors."""

import pytest

from hplaw.energy import energy, hardware_records
from hplaw.energy_messages import EnergyRequest, FrontierRequest
from hplaw.errors import QueryError
from hplaw.frontier import frontier
from tests.helpers import shipped


ASKED = {"n_params": 7e10, "tokens": 1.5e13, "hardware": ["h100-sxm"], "precision": ["bf16", "fp8"], "devices": 2048.0, "country": "US"}  # fmt: skip


def test_energy_is_that_of_the_library(client):
    assert client.energy(**ASKED) == energy(EnergyRequest(**ASKED), shipped())


def test_accelerators_are_those_of_the_library(client):
    assert client.hardware() == hardware_records(shipped())


def test_a_frontier_is_that_of_the_library(client):
    asked = {"hardware": "h100-sxm", "energy_kwh": 1e4, "points": 5}
    assert client.frontier(**asked) == frontier(FrontierRequest(**asked), shipped())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hardware": ["v100-sxm"], "precision": ["fp8"]}, "no entry for fp8"),
        ({"hardware": ["tpu-v5p"], "precision": []}, "No board power"),
        ({"model": {"_class_name": "UNet2DConditionModel"}}, "diffusion"),
        ({"n_params": -1}, "n_params"),
        ({"power": 3}, "power"),
    ],
)
def test_what_cannot_be_told_is_refused_alike(client, change, said):
    with pytest.raises(QueryError, match=said):
        client.energy(**{**ASKED, **change})
