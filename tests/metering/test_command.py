"""Commands run as if they had been started by themselves."""

import os
import pty
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from hplaw.metering.command import run_metered
from hplaw.metering.devices import RecordedDevice
from hplaw.metering.meter import NoMeter, SampledMeter
from tests.metering.test_meter import recording


COUNTS = """
import signal, sys, time
seen = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda n, frame: seen.append(n))
print("ready", flush=True)
end = time.monotonic() + 10
while not seen and time.monotonic() < end:
    time.sleep(0.01)
time.sleep(0.2)
print("seen", *map(int, seen), flush=True)
sys.exit(7)
"""
"""A program that says which signals it got, and that has an exit status of its own."""


def metered(*words: str, **options: object) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "hplaw", "meter", "--", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **options)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_meter_reaches_the_command_once(number: int) -> None:
    process = metered(sys.executable, "-c", COUNTS)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert out == f"seen {int(number)}\n".encode()
    assert process.returncode == 7
    assert b"Metered: " in err


def test_the_keys_of_a_terminal_reach_the_command_once() -> None:
    with warnings.catch_warnings():
        # JAX, where another test loaded it, warns of forks; this one becomes another program at once
        warnings.simplefilter("ignore", RuntimeWarning)
        child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-m", "hplaw", "meter", "--", sys.executable, "-c", COUNTS])
    said = b""
    try:
        while b"ready" not in said:
            said += os.read(terminal, 1024)
        os.write(terminal, b"\x03")
        while True:
            try:
                more = os.read(terminal, 1024)
            except OSError:
                break
            if not more:
                break
            said += more
    finally:
        _, status = os.waitpid(child, 0)
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 7
    assert b"seen 2\r\n" in said


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, 137)])
def test_a_killed_command_has_the_status_that_shells_give(number: int, status: int) -> None:
    found, energy = run_metered(["sh", "-c", f"kill -{int(number)} $$"], NoMeter("none"))
    assert found == status
    assert energy.energy_j is None


def test_signals_are_handled_as_before_when_the_command_has_ended() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert run_metered(["true"], NoMeter("none"))[0] == 0
    with pytest.raises(FileNotFoundError):
        run_metered(["/no/such/command"], NoMeter("none"))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_what_the_meter_ignores_the_command_ignores() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        status, _ = run_metered(["sh", "-c", "kill -HUP $$; exit 5"], NoMeter("none"))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert status == 5


def test_the_command_has_the_files_that_were_open(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    status, _ = run_metered([sys.executable, "-c", f"import os; os.write({writing}, b'hello')"], NoMeter("none"))
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert (status, pipe.read()) == (0, "hello")


def test_seconds_are_those_of_the_command() -> None:
    started = time.monotonic()
    _, energy = run_metered([sys.executable, "-c", "import time; time.sleep(0.3)"], NoMeter("none"))
    assert 0.3 <= energy.seconds <= time.monotonic() - started


def test_joules_are_those_of_all_devices_while_the_command_ran() -> None:
    clock = time.monotonic
    meter = SampledMeter([RecordedDevice(recording(power), clock=clock) for power in (200.0, 100.0)], clock=clock)
    time.sleep(0.3)
    status, energy = run_metered(["sleep", "0.5"], meter)
    meter.close()
    assert (status, energy.devices, energy.basis) == (0, 2, "nvml_counter")
    assert energy.energy_j == pytest.approx(300 * energy.seconds, rel=0.1)
