"""`hplaw quantities` and `hplaw doctor`."""

import json
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hplaw.catalogue.catalogue import load_catalogue
from hplaw.cli import doctor
from hplaw.messages.law import quantity_records
from hplaw.messages.record import encode
from hplaw.vocabulary.quantities import vocabulary


def test_the_vocabulary_is_listed_whole(run: Any) -> None:
    done = run("quantities")
    assert (done.status, done.err) == (0, "")
    words = {line.split()[0] for line in done.out.splitlines() if line.startswith("  ") and line.split()}
    assert set(vocabulary()) <= words
    records = quantity_records(vocabulary().values())
    assert run("quantities", "--json").out.encode() == encode(records) + b"\n"


def test_a_quantity_is_explained_with_the_laws_that_use_it(run: Any) -> None:
    text = " ".join(run("quantities", "peak_lr").out.split())
    assert "largest learning rate of the schedule" in text
    assert "allowed more than 0" in text
    assert "step-law-2025" in text
    assert "one of sgd, momentum" in " ".join(run("quantities", "optimizer").out.split())
    assert json.loads(run("quantities", "tokens", "--json").out)["unit"] == "token"


def test_the_doctor_finds_versions_and_laws(run: Any) -> None:
    report = json.loads(run("doctor", "--json").out)
    assert report["python"] == ".".join(map(str, sys.version_info[:3]))
    core = next(part for part in report["extras"] if part["name"] == "core")
    assert None not in core["packages"].values()
    assert sum(report["laws"].values()) == len(load_catalogue().laws)
    done = run("doctor")
    assert (done.status, done.err) == (0, "")
    assert f"Python {report['python']}" in done.out


def test_the_doctor_names_broken_laws(run: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("schema = 2\n")
    done = run("doctor", "--laws", tmp_path)
    assert done.status == 0
    assert f"broken: {tmp_path}/broken.toml" in " ".join(done.out.split())


def test_the_doctor_names_the_command_for_what_is_missing(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements = ["numpy>=2.0", "hplaw[fit]; extra == 'all'", "no-such-package>=1; extra == 'fit'"]
    monkeypatch.setattr(doctor.metadata, "requires", lambda _: requirements)
    done = run("doctor")
    assert (
        'missing no-such-package: in your clone of hplaw, run `make install` or `pip install -e ".[fit]"`'
        in " ".join(done.out.split())
    )


def test_the_doctor_shows_every_package_of_every_extra(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = {name: packages for name, packages in project["optional-dependencies"].items() if name != "all"}
    requirements = [f"{package}; extra == '{name}'" for name, packages in extras.items() for package in packages]
    monkeypatch.setattr(doctor.metadata, "requires", lambda _: requirements)
    found = {part["name"]: set(part["packages"]) for part in json.loads(run("doctor", "--json").out)["extras"]}
    for name, packages in extras.items():
        own = {package.partition(">")[0] for package in packages if not package.startswith("hplaw[")}
        assert found[name] == own
    assert {"obstore", "statsmodels", "ray"} <= set().union(*found.values())


@pytest.mark.skipif(sys.platform == "win32", reason="the substitute for nvidia-smi is a shell script")
@pytest.mark.parametrize(
    ("script", "devices"),
    [
        ("echo 'NVIDIA H100 80GB HBM3, 81559 MiB, 570.86.15'", ["NVIDIA H100 80GB HBM3"]),
        ("echo 'no devices were found' >&2; exit 6", []),
    ],
)
def test_the_doctor_asks_the_driver(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, devices: list[str]
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    report = json.loads(run("doctor", "--json").out)
    assert [device["name"] for device in report["devices"]] == devices
    assert all(name in run("doctor").out for name in devices)
