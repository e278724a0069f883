"""Energy of a stretch of time: by the NVML counter, by integrated power, by RAPL, or not at all.

The NVML counter ticks about every 100 ms, so that its plain difference is off by 1% in four seconds. Here a
thread notes when it ticks, and the energy at any moment lies on the line between two ticks. A number is never made
up: where nothing can be read, the energy is None, and the note says why.
"""

from __future__ import annotations

import abc
import itertools as it
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from hplaw.errors import DeviceError


PERIOD_S = 0.01
"""Time between two looks at the counters, s: a tenth of a tick."""

TICK_WAIT_S = 0.5
"""Longest wait for the tick after the end of a stretch, s."""

MOST_SAMPLES, ENDS = 20_000, 4_000
"""Samples of a device that are kept, and those at either end of them that are never thinned: a run of weeks takes no more
memory than one of minutes, and the ticks at its ends are as sharp."""

DISAGREE = 0.2
"""Relative difference of counter and integrated power that is worth a note; the power readings of A100 and H100
sample a quarter of the time."""


class Energy(msgspec.Struct, frozen=True, kw_only=True):
    """What a stretch of time drew.

    **Arguments:**

    - `energy_j`: joules of all devices together, or None where nothing was read.
    - `basis`: `nvml_counter`, `nvml_power`, `rapl` or `none`.
    - `check_j`: joules by integrated power, where both are read.
    - `seconds`: length of the stretch, s.
    - `idle_power_w`: power before the work, W; `temperature_c` the highest seen; `clock_mhz` the mean.
    - `devices`: the devices that were read.
    - `note`: why nothing was read, or why the number is in doubt.
    """

    energy_j: float | None
    basis: str
    seconds: float
    check_j: float | None = None
    idle_power_w: float | None = None
    temperature_c: float | None = None
    clock_mhz: float | None = None
    devices: int = 0
    note: str = ""


class Sample(msgspec.Struct, frozen=True):
    """What a device said at a moment: s, J since some start, W, degrees Celsius, MHz."""

    at: float
    energy_j: float | None
    power_w: float | None
    temperature_c: float | None = None
    clock_mhz: float | None = None


@runtime_checkable
class Device(Protocol):
    """What a meter reads of one device; None is what the device does not say."""

    @property
    def basis(self) -> str:
        """Return the name of its readings: nvml_counter, nvml_power or rapl."""
        ...

    def read(self) -> tuple[float | None, float | None, float | None, float | None]:
        """Return energy since some start in J, power in W, temperature in degrees Celsius, clock in MHz."""
        ...


class AbstractMeter(abc.ABC):
    """Meters one stretch of time after another."""

    @abc.abstractmethod
    def start(self) -> None:
        """Begin a stretch."""

    @abc.abstractmethod
    def stop(self) -> Energy:
        """End the stretch and return what it drew.

        **Raises:** `DeviceError` where none was begun.
        """

    @abc.abstractmethod
    def idle(self, seconds: float) -> float | None:
        """Return the mean power of the devices, in W, over so many seconds in which nothing is to run."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of the devices."""


class NoMeter(AbstractMeter):
    """Times a stretch and says that its energy is not known, and why."""

    def __init__(self, why: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.why, self._clock, self._start = why, clock, -1.0

    def start(self) -> None:
        self._start = self._clock()

    def stop(self) -> Energy:
        if self._start < 0:
            raise _not_begun()
        seconds, self._start = self._clock() - self._start, -1.0
        return Energy(energy_j=None, basis="none", seconds=seconds, note=self.why)

    def idle(self, seconds: float) -> float | None:
        return None

    def close(self) -> None:
        pass


class SampledMeter(AbstractMeter):
    """Adds up the energy of devices that are read by a thread of its own."""

    def __init__(
        self, devices: Sequence[Device], *, clock: Callable[[], float] = time.monotonic, period_s: float = PERIOD_S
    ) -> None:
        if not devices:
            message = "no device is given to meter; give one or more"
            raise DeviceError(message)
        self._devices, self._clock, self._period = tuple(devices), clock, period_s
        self._samples: list[list[Sample]] = [[] for _ in devices]
        self._start = -1.0
        self._idle: float | None = None
        self._fault = ""
        self._over = threading.Event()
        self._look()
        self._thread = threading.Thread(target=self._watch, name="meter", daemon=True)
        self._thread.start()

    def start(self) -> None:
        for samples in self._samples:
            # the tick before the start may be some samples back
            del samples[: max(0, _last_tick(samples) - 1)]
        self._start = self._clock()

    def stop(self) -> Energy:
        if self._start < 0:
            raise _not_begun()
        start, end, self._start = self._start, self._clock(), -1.0
        while not self._fault and self._clock() < end + TICK_WAIT_S and not self._ticked(end):
            time.sleep(self._period)
        if self._fault:
            return Energy(energy_j=None, basis="none", seconds=end - start, note=self._fault)
        tracks = [list(samples) for samples in self._samples]
        counted = [energy_between(track, start, end) for track in tracks]
        powered = [integrated_power(track, start, end) for track in tracks]
        check, energy, basis = _sum(powered), _sum(counted), self._devices[0].basis
        if energy is None:
            energy, check, basis = check, None, "nvml_power" if check is not None else "none"
        note = "" if energy is not None else "the devices say neither energy nor power"
        if energy and check and abs(check / energy - 1) > DISAGREE:
            note = f"integrated power says {check:.4g} J where the counter says {energy:.4g} J"
        inside = [s for track in tracks for s in track if start <= s.at <= end] or [track[-1] for track in tracks]
        heat = [s.temperature_c for s in inside if s.temperature_c is not None]
        clocks = [s.clock_mhz for s in inside if s.clock_mhz is not None]
        return Energy(
            energy_j=energy,
            basis=basis,
            seconds=end - start,
            check_j=check,
            idle_power_w=self._idle,
            temperature_c=max(heat, default=None),
            note=note,
            clock_mhz=sum(clocks) / len(clocks) if clocks else None,
            devices=len(self._devices),
        )

    def idle(self, seconds: float) -> float | None:
        self.start()
        time.sleep(seconds)
        found = self.stop()
        self._idle = None if found.energy_j is None else found.energy_j / found.seconds
        return self._idle

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._period):
            try:
                self._look()
            except Exception as error:  # the thread must not die in silence
                self._fault = f"the device ceased to answer: {error}"
                return

    def _look(self) -> None:
        for device, samples in zip(self._devices, self._samples, strict=True):
            samples.append(Sample(self._clock(), *device.read()))
            if len(samples) > MOST_SAMPLES:
                thin(samples)

    def _ticked(self, end: float) -> bool:
        return all(
            samples[-1].at > end and (samples[-1].energy_j is None or _tick_after(samples, end))
            for samples in self._samples
        )


# Energy from samples


def thin(samples: list[Sample]) -> None:
    """Drop every second sample between the ends.

    >>> samples = [Sample(float(t), float(t), None) for t in range(ENDS * 2 + 4)]
    >>> thin(samples)
    >>> len(samples) - 2 * ENDS
    2
    """
    # one slice at a time, since another thread may read them
    samples[ENDS:-ENDS] = samples[ENDS:-ENDS:2]


def ticks_of(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """Return when the counter was seen to change, and to what: the first sample, then each change.

    >>> ticks_of([Sample(0.0, 1.0, None), Sample(0.1, 1.0, None), Sample(0.2, 3.0, None)])
    [(0.0, 1.0), (0.2, 3.0)]
    """
    found: list[tuple[float, float]] = []
    for sample in samples:
        if sample.energy_j is not None and (not found or sample.energy_j != found[-1][1]):
            found.append((sample.at, sample.energy_j))
    return found


def energy_between(samples: Sequence[Sample], start: float, end: float) -> float | None:
    """Return the joules that a counter says for a stretch, its ends on the lines between ticks; None without ticks.

    >>> counter = [Sample(t / 10, 5.0 * (t // 2), None) for t in range(20)]
    >>> round(energy_between(counter, 0.3, 1.3), 9)
    25.0
    """
    ticks = ticks_of(samples)
    if len(ticks) < 2:
        return None
    # the first sample is no tick: when the counter changed to it is not known
    ticks = ticks[1:] if len(ticks) > 2 else ticks
    return _on_line(ticks, end) - _on_line(ticks, start)


def integrated_power(samples: Sequence[Sample], start: float, end: float) -> float | None:
    """Return the joules of a stretch by the mean of neighboring power readings times the time between them.

    >>> integrated_power([Sample(float(t), None, 10.0) for t in range(5)], 0.5, 3.5)
    30.0
    """
    read = [(s.at, s.power_w) for s in samples if s.power_w is not None]
    if not read:
        return None
    if len(read) == 1:
        return read[0][1] * (end - start)
    inside = [(at, power) for at, power in read if start < at < end]
    points = [(start, _on_line(read, start)), *inside, (end, _on_line(read, end))]
    return sum(0.5 * (p0 + p1) * (t1 - t0) for (t0, p0), (t1, p1) in it.pairwise(points))


def _on_line(points: Sequence[tuple[float, float]], at: float) -> float:
    """Return the value at a moment on the lines between points, the first and last line going on."""
    after = next((n for n, (t, _) in enumerate(points) if t >= at), len(points) - 1)
    after = max(1, after)
    (t0, v0), (t1, v1) = points[after - 1], points[after]
    return v0 + (v1 - v0) * (at - t0) / (t1 - t0)


def _last_tick(samples: Sequence[Sample]) -> int:
    """Return where the samples of the last tick but one begin; earlier samples add nothing."""
    changes = [n for n in range(1, len(samples)) if samples[n].energy_j != samples[n - 1].energy_j]
    return changes[-2] if len(changes) > 1 else 0


def _tick_after(samples: Sequence[Sample], at: float) -> bool:
    later = [s.energy_j for s in samples if s.at > at]
    before = [s.energy_j for s in samples if s.at <= at]
    return bool(later) and (not before or later[-1] != before[-1])


def _sum(parts: Sequence[float | None]) -> float | None:
    return sum(part for part in parts if part is not None) if None not in parts else None


def _not_begun() -> DeviceError:
    message = "no stretch was begun; call start() first"
    return DeviceError(message)
