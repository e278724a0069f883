"""The devices whose energy is read: NVIDIA GPUs by NVML, processors by RAPL, and readings that were recorded."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hplaw.errors import DeviceError, install
from hplaw.metering.meter import PERIOD_S, AbstractMeter, NoMeter, Sample, SampledMeter


RAPL_FOLDER = Path("/sys/class/powercap")
"""Where Linux shows the counters of processors."""

Reading = tuple[float | None, float | None, float | None, float | None]


class NvmlDevice:
    """One GPU by NVML, by its index or UUID.

    **Arguments:**

    - `nvml`: the module pynvml of nvidia-ml-py, or what answers like it.

    **Raises:** `DeviceError` where there is no such GPU, or where it is cut into MIG slices.
    """

    def __init__(self, which: str, *, nvml: Any = None) -> None:
        self._nvml = nvml = _load_nvml() if nvml is None else nvml
        try:
            nvml.nvmlInit()
            self._handle = (
                nvml.nvmlDeviceGetHandleByIndex(int(which))
                if which.isdigit()
                else nvml.nvmlDeviceGetHandleByUUID(which)
            )
        except nvml.NVMLError as error:
            message = f"GPU {which} cannot be metered: {error}; is the NVIDIA driver installed?"
            raise DeviceError(message) from None
        if self._optional("nvmlDeviceGetMigMode", place=0) == nvml.NVML_DEVICE_MIG_ENABLE:
            message = (
                f"GPU {which} is cut into MIG slices, whose energy is not measured separately; meter on a whole GPU"
            )
            raise DeviceError(message)
        self.name = str(nvml.nvmlDeviceGetName(self._handle))
        self.driver = str(nvml.nvmlSystemGetDriverVersion())

    @property
    def basis(self) -> str:
        counts = self._optional("nvmlDeviceGetTotalEnergyConsumption") is not None
        return "nvml_counter" if counts else "nvml_power"

    def read(self) -> Reading:
        energy = self._optional("nvmlDeviceGetTotalEnergyConsumption")
        power = self._optional("nvmlDeviceGetPowerUsage")
        heat = self._optional("nvmlDeviceGetTemperature", self._nvml.NVML_TEMPERATURE_GPU)
        clock = self._optional("nvmlDeviceGetClockInfo", self._nvml.NVML_CLOCK_SM)
        return (None if energy is None else energy / 1e3, None if power is None else power / 1e3, heat, clock)

    def _optional(self, call: str, *arguments: Any, place: int | None = None) -> Any:
        """Return what a call answers, or None where this GPU does not have it."""
        try:
            found = getattr(self._nvml, call)(self._handle, *arguments)
        except self._nvml.NVMLError_NotSupported:
            return None
        except self._nvml.NVMLError as error:
            message = f"{call}: {error}"
            raise DeviceError(message) from None
        return found if place is None else found[place]


class RaplDevice:
    """One processor package by RAPL; its counter begins again when it is full.

    **Arguments:**

    - `folder`: of the package, with `energy_uj` and `max_energy_range_uj`.

    **Raises:** `DeviceError` where the counter cannot be read.
    """

    basis = "rapl"

    def __init__(self, folder: Path) -> None:
        self._file = folder / "energy_uj"
        try:
            self._range = int((folder / "max_energy_range_uj").read_text())
            self._last = int(self._file.read_text())
        except (OSError, ValueError) as error:
            message = f"{self._file} cannot be read: {error}; it is open to root alone unless its mode is changed"
            raise DeviceError(message) from None
        self._rounds = 0

    def read(self) -> Reading:
        now = int(self._file.read_text())
        self._rounds += now < self._last
        self._last = now
        return (now + self._rounds * self._range) / 1e6, None, None, None


class RecordedDevice:
    """A device that says again what was recorded, each reading from its time on.

    **Arguments:**

    - `samples`: in the order of their times, which count from when the device is made.
    - `clock`: the same as the meter's.
    """

    def __init__(self, samples: Sequence[Sample], *, clock: Callable[[], float], basis: str = "nvml_counter") -> None:
        self._samples, self._clock, self._basis, self._made = samples, clock, basis, clock()

    @property
    def basis(self) -> str:
        return self._basis

    def read(self) -> Reading:
        now = self._clock() - self._made
        place = bisect_right(self._samples, now, key=lambda sample: sample.at)
        sample = self._samples[max(0, place - 1)]
        return sample.energy_j, sample.power_w, sample.temperature_c, sample.clock_mhz


def find_any_meter(
    gpus: Sequence[str] = (),
    *,
    visible: str | None = None,
    rapl: Path = RAPL_FOLDER,
    nvml: Any = None,
    period_s: float = PERIOD_S,
) -> AbstractMeter:
    """Return the meter of a whole program: of GPUs where there are any, else of processors; else one that says why not.

    **Arguments:**

    - `gpus`: indices or UUIDs; those that `CUDA_VISIBLE_DEVICES` lists by default, or all. Where some are named, nothing
      else is metered in their place.
    """
    listed = ",".join(gpus) if gpus else visible
    meter = find_meter("gpu", visible=listed, rapl=rapl, nvml=nvml, period_s=period_s)
    if gpus or not isinstance(meter, NoMeter):
        return meter
    other = find_meter("cpu", rapl=rapl, period_s=period_s)
    return NoMeter(f"{meter.why}; {other.why}") if isinstance(other, NoMeter) else other


def find_meter(
    platform: str, *, visible: str | None = None, rapl: Path = RAPL_FOLDER, nvml: Any = None, period_s: float = PERIOD_S
) -> AbstractMeter:
    """Return the meter of the devices that a process computes on; one that says why where there is none.

    **Arguments:**

    - `platform`: `gpu` or `cpu`, as JAX names it.
    - `visible`: the GPUs, as `CUDA_VISIBLE_DEVICES` lists them; that variable itself by default.
    - `period_s`: time between two readings, s.
    """
    try:
        if platform in ("gpu", "cuda"):
            names = _visible(visible, nvml)
            if not names:
                return NoMeter("no GPU is visible")
            return SampledMeter([NvmlDevice(which, nvml=nvml) for which in names], period_s=period_s)
        packages = [folder for folder in sorted(rapl.glob("intel-rapl:[0-9]*")) if _is_package(folder)]
        if not packages:
            return NoMeter(f"no counter of this processor is shown under {rapl}")
        return SampledMeter([RaplDevice(folder) for folder in packages], period_s=period_s)
    except DeviceError as error:
        return NoMeter(error.text)


def _is_package(folder: Path) -> bool:
    """Return whether a counter is that of a whole package, neither of a part nor of the platform around it."""
    name = folder / "name"
    return folder.name.count(":") == 1 and not (name.is_file() and name.read_text().strip() == "psys")


def _visible(given: str | None, nvml: Any) -> list[str]:
    names = os.environ.get("CUDA_VISIBLE_DEVICES") if given is None else given
    if names is None:
        nvml = _load_nvml() if nvml is None else nvml
        try:
            nvml.nvmlInit()
            return [str(number) for number in range(nvml.nvmlDeviceGetCount())]
        except nvml.NVMLError as error:
            message = f"no GPU can be metered: {error}"
            raise DeviceError(message) from None
    listed = [name.strip() for name in names.split(",") if name.strip()]
    for name in listed:
        if name.startswith("MIG-"):
            message = f"{name} is a MIG slice, whose energy is not measured separately; meter on a whole GPU"
            raise DeviceError(message)
    return listed


def _load_nvml() -> Any:
    try:
        import pynvml  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        message = f"GPUs are metered through nvidia-ml-py, which is not installed; {install('meter')}"
        raise DeviceError(message) from None
    return pynvml
