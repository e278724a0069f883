"""The report of a check: every number with its time, every gap with its reason."""

from pathlib import Path

import msgspec
import pytest

from hplaw.errors import DataError
from hplaw_experiments.launch.record import Provenance
from hplaw_experiments.studies.check_report import Found, Measurement, Report, machine_of, run_part, write_check


WHERE = Provenance(
    code_version="1.2", jax_version="0", driver="cuda 13", hardware="NVIDIA H200", platform="gpu", host="nobody"
)


def ticking() -> float:
    ticking.now += 2.5
    return ticking.now


ticking.now = 0.0


def fails() -> Found:
    message = "the device is gone"
    raise OSError(message)


def report() -> Report:
    found = Found(
        measurements=[
            Measurement(name="ratio", value=2.5, unit="1", limit=">= 3", ok=False),
            Measurement(name="loss", value=3.2996, unit="nat/token"),
            Measurement(name="rate", value=314159.0, unit="tokens/s"),
        ],
        notes=["bf16 takes less"],
        left_out=["energy: no counter"],
    )
    parts = [run_part("Speed", lambda: found, clock=ticking), run_part("Memory", fails, clock=ticking)]
    return Report(
        title="Check", began="2026-01-01T00:00:00Z", machine=machine_of(WHERE), parts=parts, tables=["runs.csv"]
    )


def test_a_part_that_fails_ends_alone(capsys: pytest.CaptureFixture[str]) -> None:
    found = report()
    assert [part.error for part in found.parts] == ["", "OSError: the device is gone"]
    assert "Traceback" in capsys.readouterr().err
    assert [part.seconds for part in found.parts] == [2.5, 2.5]
    assert found.seconds == 5.0
    assert not found.ok
    assert msgspec.structs.replace(found, parts=found.parts[:1]).ok


def test_the_page_has_numbers_units_targets_and_reasons(tmp_path: Path) -> None:
    lines = write_check(report(), tmp_path / "new").read_text().splitlines()
    for line in (
        "NVIDIA H200 (gpu), 2026-01-01T00:00:00Z, 5 s in all.",
        "| Speed | 2.5 s | 1 missed; 1 omitted |",
        "| Memory | 2.5 s | failed: OSError: the device is gone |",
        "| ratio | 2.5 | >= 3, missed |",
        "| loss | 3.300 nat/token |  |",
        "| rate | 314k tokens/s |  |",
        "* bf16 takes less",
        "* Omitted: energy: no counter",
        "* driver: cuda 13",
        "Beside this report: `runs.csv`.",
    ):
        assert line in lines
    assert "nobody" not in "".join(lines)


def test_the_json_is_the_whole_report(tmp_path: Path) -> None:
    found = report()
    write_check(found, tmp_path)
    again = msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=Report)
    assert msgspec.json.encode(again) == msgspec.json.encode(found)
    assert again.machine.packages["jax"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="give a folder that can be written"):
        write_check(report(), tmp_path / "file")
