"""`hplaw meter` with real commands: what it passes on, what it says, what it writes."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hplaw.energy.measured import grid_of, valued
from hplaw.errors import QueryError
from hplaw.messages.metering import MeteredRun
from hplaw.metering.meter import Energy
from hplaw.metering.metered_run import metered_run
from tests.helpers import shipped


SLEEPS = "import sys, time; time.sleep(0.5); print('its output'); print('its error', file=sys.stderr); sys.exit(3)"


def metered(*words: str, given: bytes = b"", before: str = "pass") -> "subprocess.CompletedProcess[bytes]":
    """Run `hplaw meter` as a process of its own, after some Python."""
    start = f"import sys; {before}; from hplaw.cli import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", start, "meter", *words], input=given, capture_output=True, check=False)


def check(run: MeteredRun) -> None:
    """Assert that energy is measured or said to be unavailable, and never nothing in the place of unknown."""
    if run.joules is None:
        assert (run.meter, run.basis, run.metered_devices) == ("none", "none", 0)
        assert run.note
        assert (run.kwh, run.mean_power_w, run.carbon_kg) == (None, None, None)
    else:
        assert run.meter in ("nvml", "rapl")
        assert run.joules > 0
        assert run.mean_power_w == pytest.approx(run.joules / run.seconds)


def test_status_and_streams_are_the_commands_and_seconds_are_right(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    started = time.monotonic()
    words = ("--country", "US", "--price", "2", "--tokens", "1000", "--devices", "2", "--json", str(target))
    done = metered(*words, "--", sys.executable, "-c", SLEEPS)
    lasted = time.monotonic() - started
    assert (done.returncode, done.stdout) == (3, b"its output\n")
    said = done.stderr.decode()
    assert said.startswith("its error\nMetered: ")
    run = msgspec.json.decode(target.read_bytes(), type=MeteredRun)
    assert 0.5 <= run.seconds <= lasted
    assert (run.exit_status, run.command) == (3, [sys.executable, "-c", SLEEPS])
    assert run.tokens_per_device_s == pytest.approx(500 / run.seconds)
    assert run.cost == pytest.approx(2 * 2 * run.seconds / 3600)
    check(run)
    assert ("Energy is unavailable: " in said) == (run.joules is None)


def test_a_command_reads_what_it_is_sent() -> None:
    done = metered("--", "cat", given=b"sent\x00\n")
    assert (done.returncode, done.stdout) == (0, b"sent\x00\n")


def test_without_nvidia_ml_py_the_time_is_measured_all_the_same() -> None:
    done = metered("--gpus", "0", "--json", "--", "true", before="sys.modules['pynvml'] = None")
    assert (done.returncode, done.stdout) == (0, b"")
    run = msgspec.json.decode(done.stderr, type=MeteredRun)
    assert run.joules is None
    assert "nvidia-ml-py, which is not installed" in run.note
    assert json.loads(done.stderr)["joules"] is None


@pytest.mark.parametrize(("command", "status"), [("no-such-command", 127), ("/", 126)])
def test_a_command_that_cannot_be_run_is_one_sentence(command: str, status: int) -> None:
    done = metered("--", command)
    assert (done.returncode, done.stdout) == (status, b"")
    assert done.stderr.startswith(f"hplaw: {command}".encode())
    assert done.stderr.count(b"\n") == 1


def test_words_behind_the_command_are_its_own() -> None:
    done = metered("--", "echo", "--params", "7B", "--", "--json")
    assert done.stdout == b"--params 7B -- --json\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("python train.py --params 7B", "meter needs -- and a command behind it"),
        ("--", "there is no command behind --"),
        ("--json a.json b.json -- true", "--json a.json b.json: give one file"),
        ("--json no/such/folder/run.json -- true", "give a file in a folder that is there"),
        ("--params 7B --tokens 1B --hardware rtx-9999 -- true", "did you mean 'rtx-5090'?"),
        ("--country XX -- true", "country='XX' is not known"),
        ("--params seven -- true", "--params 'seven' is not a number"),
    ],
)
def test_what_is_wrong_is_refused_before_the_command_runs(run: Any, words: str, says: str) -> None:
    run("meter", *words.split()).check_misused(says)


def test_the_prediction_stands_beside_the_measurement(run: Any) -> None:
    words = "meter --params 125M --tokens 1M --hardware h100-sxm --devices 1 -- true"
    done = run(*words.split())
    assert (done.status, done.out) == (0, "")
    assert "Predicted for such a run" in done.err
    for name in ("duration_s", "accelerator_hours", "power_w", "board_energy_kwh"):
        assert f"  {name} " in done.err
    assert all(len(line) <= 80 for line in done.err.splitlines()), done.err


COUNTED = Energy(energy_j=7.2e6, basis="nvml_counter", seconds=3600.0, devices=2)


def test_energy_that_was_counted_has_carbon_and_power() -> None:
    run = metered_run(COUNTED, tokens=1e6)
    grid = grid_of("fr", shipped())
    found = valued(run, grid=grid, price_per_hour=3.0, pue=1.5)
    assert (found.meter, found.devices, found.kwh, found.mean_power_w) == ("nvml", 2, 2.0, 2000.0)
    assert found.tokens_per_device_s == pytest.approx(1e6 / 2 / 3600)
    assert found.carbon_kg == pytest.approx(2.0 * 1.5 * grid.value / 1000)
    assert found.carbon_low_kg is not None
    assert found.carbon_high_kg is not None
    assert found.carbon_low_kg < found.carbon_kg < found.carbon_high_kg
    assert found.cost == pytest.approx(6.0)
    assert not found.note


def test_gpus_of_other_machines_are_said_to_be_missing() -> None:
    found = valued(metered_run(COUNTED, devices=16))
    assert found.note == "2 GPUs were metered here, and the run used 16; joules are theirs alone"


def test_a_country_that_is_not_known_is_refused() -> None:
    with pytest.raises(QueryError, match="country='XX' is not known"):
        grid_of("XX", shipped())
