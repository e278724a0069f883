"""The report of a check of a machine: what each part measured, how long it took, and what was omitted and why."""

from __future__ import annotations

import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from hplaw.errors import DataError
from hplaw.formatting import number
from hplaw_experiments.launch.record import Provenance, version_of


PACKAGES = ("jax", "jaxlib", "equinox", "numpyro", "optax", "numpy", "polars", "msgspec", "torch", "nvidia-ml-py")
"""Packages whose versions a report names."""


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """A number with its unit, and the target it has, if any."""

    name: str
    value: float
    unit: str
    limit: str | None = None
    ok: bool = True


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a part of a check found.

    **Arguments:**

    - `notes`: sentences on the numbers.
    - `left_out`: what could not be measured here, each with the reason.
    """

    measurements: Sequence[Measurement] = ()
    notes: Sequence[str] = ()
    left_out: Sequence[str] = ()


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a check: its title, its time in s, and what it found, or the error that ended it."""

    title: str
    seconds: float
    found: Found = Found()
    error: str = ""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured on, and with which versions; None is what is not installed."""

    device: str
    platform: str
    driver: str
    processors: int
    system: str
    python: str
    code_version: str
    packages: Mapping[str, str | None]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A check: its title, when it began (UTC, ISO 8601), its machine, its parts, and the files beside the report."""

    title: str
    began: str
    machine: Machine
    parts: Sequence[Part]
    tables: Sequence[str] = ()

    @property
    def seconds(self) -> float:
        """Return the time of all parts, s."""
        return sum(part.seconds for part in self.parts)

    @property
    def ok(self) -> bool:
        """Return whether every part ran to its end."""
        return not any(part.error for part in self.parts)


def run_part(title: str, work: Callable[[], Found], *, clock: Callable[[], float] = time.perf_counter) -> Part:
    """Run a part and return what came of it; an error ends the part alone, and its traceback goes to stderr."""
    print(f"{title} ...", file=sys.stderr, flush=True)
    began = clock()
    try:
        found, error = work(), ""
    except Exception as fault:  # the other parts still say something
        traceback.print_exc()
        found, error = Found(), f"{type(fault).__name__}: {fault}"
    return Part(title=title, seconds=clock() - began, found=found, error=error)


def machine_of(where: Provenance) -> Machine:
    """Return the machine of this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(
        device=where.hardware,
        platform=where.platform,
        driver=where.driver,
        processors=cores,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        code_version=where.code_version,
        packages={name: version_of(name) for name in PACKAGES},
    )


def write_check(report: Report, to: Path) -> Path:
    """Write report.md and report.json into a folder; return the path of report.md.

    **Raises:** `DataError` where the folder cannot be written.
    """
    path = to / "report.md"
    try:
        to.mkdir(parents=True, exist_ok=True)
        (to / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
        path.write_text("\n".join(_page(report)), encoding="utf-8")
    except OSError as error:
        message = f"{to}: {error.strerror or error}; give a folder that can be written"
        raise DataError(message) from None
    return path


def _page(report: Report) -> Iterator[str]:
    machine = report.machine
    yield from (f"# {report.title}", "")
    yield from (f"{machine.device} ({machine.platform}), {report.began}, {report.seconds:.0f} s in all.", "")
    yield from ("| part | time | outcome |", "| --- | --- | --- |")
    yield from (f"| {part.title} | {part.seconds:.1f} s | {_outcome(part)} |" for part in report.parts)
    yield ""
    for part in report.parts:
        yield from _section(part)
    yield from ("## Machine and versions", "")
    yield f"* {machine.system}, {machine.processors} processors, Python {machine.python}"
    yield f"* hplaw {machine.code_version}"
    if machine.platform != "cpu":
        yield f"* driver: {machine.driver}"
    yield "* " + ", ".join(f"{name} {version or 'not installed'}" for name, version in machine.packages.items())
    yield ""
    if report.tables:
        yield from (f"Beside this report: {', '.join(f'`{name}`' for name in report.tables)}.", "")


def _outcome(part: Part) -> str:
    if part.error:
        return f"failed: {part.error}"
    missed = sum(not each.ok for each in part.found.measurements)
    words = [f"{missed} missed" * bool(missed), f"{len(part.found.left_out)} omitted" * bool(part.found.left_out)]
    return "; ".join(word for word in words if word) or "complete"


def _section(part: Part) -> Iterator[str]:
    yield from (f"## {part.title}", "")
    if part.error:
        yield from (f"Failed: {part.error}", "")
    if part.found.measurements:
        yield from ("| what | measured | target |", "| --- | --- | --- |")
        yield from map(_row, part.found.measurements)
        yield ""
    yield from (f"* {note}" for note in part.found.notes)
    yield from (f"* Omitted: {reason}" for reason in part.found.left_out)
    if part.found.notes or part.found.left_out:
        yield ""


def _row(each: Measurement) -> str:
    value = f"{each.value:#.4g}" if each.unit == "nat/token" else number(each.value)
    value += f" {each.unit}" if each.unit != "1" else ""
    target = "" if each.limit is None else each.limit if each.ok else f"{each.limit}, missed"
    return f"| {each.name} | {value} | {target} |"
