"""Meters of energy: right to the tick, and silent where nothing can be read."""

import threading
import time
from pathlib import Path

import pynvml
import pytest
from hypothesis import given, strategies as st

from hplaw.errors import DeviceError
from hplaw.metering.devices import NvmlDevice, RaplDevice, RecordedDevice, find_any_meter, find_meter
from hplaw.metering.meter import (
    ENDS,
    MOST_SAMPLES,
    NoMeter,
    Sample,
    SampledMeter,
    energy_between,
    integrated_power,
    thin,
)
from tests.metering.meter_case import check_meter


TICK = 0.1


def recording(power_w: float, seconds: float = 30.0, *, power_says: float = 1.0) -> list[Sample]:
    """Return what a GPU of constant power says: a counter that ticks every 100 ms, and a power reading."""
    number = int(seconds / TICK)
    return [Sample(n * TICK, power_w * n * TICK, power_w * power_says, 50.0 + n, 1200.0) for n in range(number)]


def work() -> None:
    time.sleep(0.25)


def test_a_recorded_gpu_passes_the_case_and_is_right_between_ticks() -> None:
    clock = time.monotonic
    meter = SampledMeter([RecordedDevice(recording(200.0), clock=clock)], clock=clock)
    time.sleep(0.3)
    for energy in check_meter(meter, work):
        assert energy.basis == "nvml_counter"
        assert energy.energy_j is not None
        assert energy.check_j is not None
        # the counter alone would be off by up to a tick: 20 J of 50
        assert energy.energy_j == pytest.approx(200 * energy.seconds, rel=0.1)
        assert energy.check_j == pytest.approx(200 * energy.seconds, rel=0.02)
        assert energy.idle_power_w == pytest.approx(200, rel=0.5)
        assert energy.clock_mhz == 1200
        assert energy.temperature_c is not None
        assert not energy.note


def test_several_gpus_add_up_and_power_stands_in_for_a_counter() -> None:
    clock = time.monotonic
    without = [Sample(s.at, None, s.power_w) for s in recording(100.0)]
    devices = [RecordedDevice(without, clock=clock, basis="nvml_power") for _ in range(2)]
    energy, _ = check_meter(SampledMeter(devices, clock=clock), work)
    assert energy.basis == "nvml_power"
    assert energy.energy_j == pytest.approx(200 * energy.seconds, rel=0.02)


def test_a_counter_at_odds_with_power_is_said() -> None:
    clock = time.monotonic
    device = RecordedDevice(recording(100.0, power_says=2.0), clock=clock)
    meter = SampledMeter([device], clock=clock)
    time.sleep(0.25)
    energy, _ = check_meter(meter, work)
    assert "integrated power says" in energy.note


def test_a_device_that_falls_silent_gives_no_number() -> None:
    class Silent:
        basis = "nvml_counter"
        left = 20

        def read(self) -> tuple[float, float, None, None]:
            self.left -= 1
            if self.left < 0:
                raise DeviceError("lost")
            return float(self.left), 1.0, None, None

    meter = SampledMeter([Silent()])
    meter.start()
    time.sleep(0.4)
    energy = meter.stop()
    assert energy.energy_j is None
    assert energy.basis == "none"
    assert "lost" in energy.note
    meter.close()
    assert not [t for t in threading.enumerate() if t.name == "meter" and t.is_alive()]


def test_no_meter_passes_the_case() -> None:
    energy, _ = check_meter(NoMeter("nothing here"), work)
    assert energy.energy_j is None
    assert energy.note == "nothing here"


def package(folder: Path, number: int, energy: int) -> Path:
    place = folder / f"intel-rapl:{number}"
    place.mkdir()
    (place / "energy_uj").write_text(f"{energy}\n")
    (place / "max_energy_range_uj").write_text("1000000\n")
    return place


def test_rapl_passes_the_case_and_counts_on_when_it_is_full(tmp_path: Path) -> None:
    places = [package(tmp_path, number, 900_000) for number in range(2)]
    (tmp_path / "intel-rapl:0:0").mkdir()
    device = RaplDevice(places[0])
    first = device.read()[0]
    (places[0] / "energy_uj").write_text("100000")
    second = device.read()[0]
    assert first is not None
    assert second is not None
    assert second - first == pytest.approx(0.2)

    def count() -> None:
        for step in range(1, 6):
            for place in places:
                fresh = place / "fresh"
                fresh.write_text(str(step * 100_000))
                fresh.replace(place / "energy_uj")
            time.sleep(0.05)

    meter = find_meter("cpu", rapl=tmp_path)
    energy, _ = check_meter(meter, count)
    assert energy.basis == "rapl"
    assert energy.energy_j is not None
    assert energy.energy_j > 0.5


def test_a_processor_that_shows_nothing_has_no_meter(tmp_path: Path) -> None:
    assert isinstance(find_meter("cpu", rapl=tmp_path), NoMeter)
    place = package(tmp_path, 0, 1)
    (place / "energy_uj").write_text("secret")
    meter = find_meter("cpu", rapl=tmp_path)
    assert isinstance(meter, NoMeter)
    meter.start()
    assert "energy_uj cannot be read" in meter.stop().note


def test_a_mig_slice_is_refused_with_the_reason() -> None:
    meter = find_meter("gpu", visible="MIG-1234")
    meter.start()
    assert "MIG" in meter.stop().note


def has_driver() -> bool:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    return True


@pytest.mark.skipif(has_driver(), reason="there is a driver here")
def test_without_a_driver_nvml_says_so() -> None:
    with pytest.raises(DeviceError, match="driver"):
        NvmlDevice("0")
    meter = find_meter("gpu")
    assert isinstance(meter, NoMeter)
    meter.start()
    assert "NVML Shared Library Not Found" in meter.stop().note


@pytest.mark.gpu
def test_a_gpu_passes_the_case() -> None:
    energy, _ = check_meter(find_meter("gpu"), lambda: time.sleep(2.0))
    assert energy.basis.startswith("nvml")
    assert energy.energy_j


@given(st.floats(1, 500), st.floats(0.5, 5), st.floats(0.2, 5))
def test_constant_power_is_metered_exactly_wherever_the_ends_lie(power: float, start: float, length: float) -> None:
    samples = [Sample(n * 0.01, power * TICK * (n // 10), power) for n in range(1100)]
    assert energy_between(samples, start, start + length) == pytest.approx(power * length, rel=1e-6)
    assert integrated_power(samples, start, start + length) == pytest.approx(power * length, rel=1e-6)


def test_a_counter_that_never_moves_gives_no_number() -> None:
    assert energy_between([Sample(t / 100, 5.0, None) for t in range(100)], 0.1, 0.9) is None
    assert integrated_power([Sample(0.0, 5.0, None)], 0.1, 0.9) is None


def test_a_long_run_is_metered_as_well_in_bounded_memory() -> None:
    whole = [Sample(n * 0.02, 100.0 * TICK * (n // 5), 100.0) for n in range(6 * MOST_SAMPLES)]
    kept: list[Sample] = []
    for sample in whole:
        kept.append(sample)
        if len(kept) > MOST_SAMPLES:
            thin(kept)
    assert len(kept) <= MOST_SAMPLES
    assert kept[:ENDS] == whole[:ENDS]
    assert kept[-ENDS:] == whole[-ENDS:]
    start, end = 1.0, whole[-1].at - 1.0
    for track in (whole, kept):
        assert energy_between(track, start, end) == pytest.approx(100 * (end - start), rel=1e-6)
        assert integrated_power(track, start, end) == pytest.approx(100 * (end - start), rel=1e-6)


def test_a_program_is_metered_by_what_there_is(tmp_path: Path) -> None:
    package(tmp_path, 0, 1)
    platform = package(tmp_path, 1, 1)
    (platform / "name").write_text("psys\n")
    meter = find_any_meter(visible="", rapl=tmp_path)
    meter.start()
    energy = meter.stop()
    meter.close()
    # the platform around the processor is not counted a second time
    assert energy.devices == 1
    assert isinstance(find_any_meter(visible="", rapl=tmp_path / "none"), NoMeter)


def test_where_gpus_are_named_nothing_is_metered_in_their_place(tmp_path: Path) -> None:
    package(tmp_path, 0, 1)
    meter = find_any_meter(["MIG-1234"], rapl=tmp_path)
    assert isinstance(meter, NoMeter)
    assert "MIG" in meter.why
