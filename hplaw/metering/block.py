"""A block of Python with its energy metered: `with hplaw.meter_energy() as metered:`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Unpack

from hplaw.errors import DeviceError
from hplaw.messages.metering import MeteredRun
from hplaw.messages.record import encode
from hplaw.metering.devices import find_any_meter
from hplaw.metering.meter import Energy
from hplaw.metering.metered_run import Trained, metered_run


class Metered:
    """What a block drew, once it has ended."""

    def __init__(self) -> None:
        self.found: Energy | None = None

    @property
    def energy(self) -> Energy:
        """Return all that the meter says.

        **Raises:** `DeviceError` while the block runs.
        """
        if self.found is None:
            message = "the block is still metered; read its energy after it has ended"
            raise DeviceError(message)
        return self.found

    @property
    def seconds(self) -> float:
        """Return the length of the block, s."""
        return self.energy.seconds

    @property
    def joules(self) -> float | None:
        """Return the energy, J; None where nothing could be read, for the reason in `energy.note`."""
        return self.energy.energy_j

    def record(self, **trained: Unpack[Trained]) -> MeteredRun:
        """Return the record of the block: `n_params`, `tokens`, `hardware`, `precision`, `devices` say what it trained."""
        return metered_run(self.energy, **trained)

    def save(self, path: str | Path, **trained: Unpack[Trained]) -> None:
        """Write that record to a file, for `hplaw energy --probe`."""
        Path(path).write_bytes(encode(self.record(**trained)) + b"\n")


@contextmanager
def meter_energy(gpus: Sequence[int | str] = ()) -> Generator[Metered]:
    """Meter the energy of a block: GPUs by NVML, else processors by RAPL, else the time alone.

    Work that runs on after it was started, as that of JAX and CUDA does, must be waited for within the block.

    **Arguments:**

    - `gpus`: indices or UUIDs; those that `CUDA_VISIBLE_DEVICES` lists by default, or all.

    >>> with meter_energy() as metered:
    ...     total = sum(range(1000))
    >>> metered.seconds > 0
    True
    """
    meter = find_any_meter([str(gpu) for gpu in gpus])
    metered = Metered()
    try:
        meter.start()
        try:
            yield metered
        finally:
            metered.found = meter.stop()
    finally:
        meter.close()
