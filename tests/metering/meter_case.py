"""The contract that every meter must keep."""

from __future__ import annotations

from collections.abc import Callable

from hplaw.errors import DeviceError
from hplaw.metering.meter import AbstractMeter, Energy


BASES = ("nvml_counter", "nvml_power", "rapl", "none")


def check_meter(meter: AbstractMeter, work: Callable[[], object]) -> tuple[Energy, Energy]:
    """Hold a meter to its contract over two stretches of work, and return what it said of them.

    **Raises:** `AssertionError` where it breaks the contract.
    """
    try:
        meter.stop()
    except DeviceError:
        pass
    else:
        message = "a stretch that was not begun must not be ended"
        raise AssertionError(message)
    idle = meter.idle(0.05)
    assert idle is None or idle >= 0
    found: list[Energy] = []
    for _ in range(2):
        meter.start()
        work()
        energy = meter.stop()
        assert energy.basis in BASES
        assert energy.seconds > 0
        assert (energy.energy_j is None) == (energy.basis == "none")
        assert energy.energy_j is None or energy.energy_j >= 0
        assert energy.energy_j is not None or energy.note, "no number without a reason"
        found.append(energy)
    meter.close()
    return found[0], found[1]
