"""A block of Python with its energy metered, and the record that it leaves."""

import time
from pathlib import Path

import msgspec
import pytest

import hplaw
from hplaw.errors import DeviceError
from hplaw.messages.metering import MeteredRun


def test_a_block_is_metered_and_its_record_is_a_probe(tmp_path: Path) -> None:
    with hplaw.meter_energy() as metered:
        time.sleep(0.2)
    assert metered.seconds == pytest.approx(0.2, abs=0.15)
    assert metered.joules is None or metered.joules > 0
    path = tmp_path / "probe.json"
    metered.save(path, n_params=7e9, tokens=1e5, hardware="h100-sxm", precision="bf16", devices=1)
    run = msgspec.json.decode(path.read_bytes(), type=MeteredRun)
    assert run == metered.record(n_params=7e9, tokens=1e5, hardware="h100-sxm", precision="bf16", devices=1)
    assert run.tokens_per_device_s == pytest.approx(1e5 / metered.seconds)
    assert (run.exit_status, run.command) == (None, None)


def failing() -> None:
    """Meter a block that looks at its energy too early."""
    with hplaw.meter_energy() as metered:
        print(metered.joules)


def test_energy_is_read_after_the_block() -> None:
    with pytest.raises(DeviceError, match="still metered"):
        failing()
