"""A short metered run narrows the forecast of a long one of the same model, and of no other."""

import math
from typing import Any

import msgspec
import pytest

from hplaw.energy.training import energy
from hplaw.errors import ConflictingQuery
from hplaw.messages.energy import EnergyReply, EnergyRequest
from hplaw.messages.metering import MeteredRun
from hplaw.messages.recommendation import Estimate
from tests.helpers import LLAMA_3_8B, is_one_sentence, shipped


PROBE = MeteredRun(
    seconds=100.0,
    joules=480_000.0,
    meter="nvml",
    basis="nvml_counter",
    n_params=7e9,
    tokens=8e6,
    hardware="h100-sxm",
    precision="bf16",
    devices=8.0,
    metered_devices=8,
    tokens_per_device_s=10_000.0,
)


def asked(probe: MeteredRun | None = PROBE, **fields: Any) -> EnergyReply:
    return energy(EnergyRequest(**{"n_params": 7e9, "tokens": 2e12, "probe": probe, **fields}), shipped())


def test_a_probe_is_its_throughput_and_its_power() -> None:
    given = {"tokens_per_device_s": 10_000.0, "measured_board_w": 600.0}
    plain = asked(None, hardware=["h100-sxm"], precision=["bf16"], given=given)
    assert asked() == plain
    assert asked(hardware=["H100-SXM"], precision=["bf16"]) == plain


def wide(found: Estimate) -> float:
    assert found.low is not None
    assert found.high is not None
    return math.log(found.high / found.low)


def test_a_probe_narrows_the_forecast() -> None:
    before, after = (asked(probe, hardware=["h100-sxm"]).cases[0].answers for probe in (None, PROBE))
    for name, narrower in (("accelerator_hours", 3), ("energy_kwh", 1.5)):
        assert wide(before[name]) > narrower * wide(after[name])


def test_size_and_accelerator_are_taken_from_the_probe() -> None:
    found = energy(EnergyRequest(tokens=2e12, probe=PROBE), shipped())
    assert found == asked()
    assert (found.cases[0].hardware, found.cases[0].precision) == ("h100-sxm", "bf16")


def test_boards_are_metered_by_nvml_alone() -> None:
    by_rapl = msgspec.structs.replace(PROBE, meter="rapl", basis="rapl")
    found = asked(by_rapl).cases[0].answers["power_w"]
    assert found.value != pytest.approx(600)
    part = msgspec.structs.replace(PROBE, metered_devices=4, joules=240_000.0)
    assert asked(part).cases[0].answers["power_w"].value == pytest.approx(600)


def test_more_devices_than_the_probe_had_are_warned_of() -> None:
    (case,) = asked(devices=512.0).cases
    assert [w.code for w in case.warnings if w.code == "probe-devices"] == ["probe-devices"]
    assert not [w for w in asked(devices=8.0).cases[0].warnings if w.code == "probe-devices"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"n_params": 8e9}, "the probe is of 7B parameters, and 8B are asked for"),
        ({"n_params": None, "model": LLAMA_3_8B}, "and 6.98B are asked for"),
        ({"hardware": ["a100-sxm"]}, "measured with accelerator h100-sxm, and a100-sxm is asked for"),
        ({"hardware": ["h100-sxm", "a100-sxm"]}, "and a100-sxm is asked for"),
        ({"precision": ["fp8"]}, "measured with precision bf16, and fp8 is asked for"),
        ({"given": {"tokens_per_device_s": 100.0}}, "tokens_per_device_s is given and measured by the probe"),
        ({"probe": msgspec.structs.replace(PROBE, hardware=None, n_params=None)}, "with --params, --hardware"),
        ({"probe": msgspec.structs.replace(PROBE, tokens=None, tokens_per_device_s=None)}, "with --tokens"),
        ({"probe": msgspec.structs.replace(PROBE, seconds=1e-6)}, "by the probe, measured_board_w="),
    ],
)
def test_a_probe_of_something_else_is_refused(fields: dict[str, Any], said: str) -> None:
    if fields.get("model"):
        fields = {**fields, "probe": msgspec.structs.replace(PROBE, n_params=6.5e9)}
        said = "the probe is of 6.5B parameters, and 6.98B are asked for"
    with pytest.raises(ConflictingQuery, match="probe") as caught:
        asked(**{"probe": PROBE, **fields})
    assert said in caught.value.text
    assert is_one_sentence(caught.value.text)
