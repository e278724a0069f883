"""`hplaw doctor`: what is installed, found and missing, and what to do about it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING

from hplaw.cli.exit_status import OK
from hplaw.cli.options import Json, LawFolders
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue
from hplaw.errors import install
from hplaw.formatting import plural
from hplaw.messages.record import Record, encode


if TYPE_CHECKING:
    from hplaw.catalogue.catalogue import Catalogue


PURPOSES = {
    "": "to answer",
    "api": "to serve: hplaw serve",
    "fit": "to fit laws, and to read and write parquet tables",
    "sweep": "to train sweeps, and to keep runs in object stores",
    "meter": "to meter GPUs: hplaw meter",
    "ray": "to train sweeps on a Ray cluster",
}
"""What the extras of hplaw are for; the empty name means what every installation has."""

NVIDIA_SMI_TIMEOUT_S = 10
"""Seconds to wait for the driver's answer."""


class Extra(Record, frozen=True):
    """One part of an installation: its packages with their versions, null for those that are missing."""

    name: str
    purpose: str
    packages: dict[str, str | None]
    install: str | None


class Device(Record, frozen=True):
    """An accelerator, as its driver names it."""

    name: str
    memory: str
    driver: str


class Report(Record, frozen=True):
    """What `hplaw doctor` found."""

    hplaw: str
    python: str
    system: str
    cpus: int
    devices: list[Device]
    extras: list[Extra]
    laws: dict[str, int]
    problems: list[str]


def doctor(*, laws: LawFolders = None, json: Json = False) -> int:
    """Show what is installed, which device and which laws are found, and what is missing for what."""
    report = examine(open_catalogue(laws))
    if json:
        write_json(encode(report))
    else:
        write(_page(report))
    return OK


def examine(catalogue: Catalogue) -> Report:
    """Return what this machine has for hplaw."""
    return Report(
        hplaw=metadata.version("hplaw"),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cpus=_cpus(),
        devices=_devices(),
        extras=_extras(metadata.requires("hplaw") or ()),
        laws=dict(Counter(catalogue.shelf(law) for law in catalogue.laws)),
        problems=[problem.text for problem in catalogue.problems],
    )


def _cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))  # those that this process may use
    except AttributeError:
        return os.cpu_count() or 1


def _devices() -> list[Device]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            [program, *query], capture_output=True, text=True, timeout=NVIDIA_SMI_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines()]
    return [Device(name=r[0], memory=r[1], driver=r[2]) for r in rows if len(r) == 3]


def _extras(requirements: Sequence[str]) -> list[Extra]:
    """Return the parts of an installation, read from the distribution's own requirements."""
    packages: dict[str, dict[str, str | None]] = {name: {} for name in PURPOSES}
    for line in requirements:
        name = re.match(r"[\w.-]+", line)
        extra = re.search(r"""extra\s*==\s*["'](\w+)["']""", line)
        part = packages.get(extra[1] if extra else "")
        if name is not None and part is not None and name[0] != "hplaw":
            part[name[0]] = _version(name[0])
    return [
        Extra(
            name=name or "core",
            purpose=PURPOSES[name],
            packages=dict(sorted(found.items())),
            install=install(name) if name and None in found.values() else None,
        )
        for name, found in packages.items()
        if found
    ]


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _page(report: Report) -> str:
    page = Page()
    page.heading(f"hplaw {report.hplaw}")
    page.text(f"Python {report.python} on {report.system}, {plural(report.cpus, 'processor')}")
    if not report.devices:
        page.text("no NVIDIA driver answers; needed only to train sweeps on a GPU")
    for device in report.devices:
        page.text(f"{device.name}, {device.memory}, driver {device.driver}")
    for extra in report.extras:
        page.heading(f"{extra.name}: {extra.purpose}")
        present = [f"{name} {version}" for name, version in extra.packages.items() if version]
        missing = [name for name, version in extra.packages.items() if not version]
        if present:
            page.text(", ".join(present))
        if missing:
            page.text(f"missing {', '.join(missing)}: {extra.install} in the clone of hplaw, or `make install` there")
    page.heading("Laws")
    page.table([(str(count), shelf) for shelf, count in report.laws.items()])
    for problem in report.problems:
        page.text(f"broken: {problem}")
    if not report.laws:
        page.text("none found; give a folder with --laws DIR or HPLAW_LAWS")
    return str(page)
