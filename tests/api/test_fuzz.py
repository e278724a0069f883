"""The whole interface fuzzed from its own description, by a program that knows nothing else of it."""

import subprocess
import sys
from pathlib import Path

import pytest


def fuzz(service, folder: Path, *options: str) -> None:
    """Run schemathesis with all its default checks; fail with its report when it finds anything."""
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "run",
        f"{service.url}/schema/openapi.json",
    ]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, check=False, cwd=folder
    )
    report = "\n".join(line[:500] for line in done.stdout.splitlines()[-200:])
    assert done.returncode == 0, f"{report}\n{done.stderr[-2000:]}"
    assert "Traceback" not in service.log.read_text()


def test_fuzzing_finds_nothing(service, tmp_path):
    # the phase left out tries every boundary of every quantity there is: half a minute becomes ten
    phases = "--phases=examples,fuzzing,stateful"
    fuzz(service, tmp_path, phases, "--max-examples=10", "--seed=1")


@pytest.mark.slow
def test_long_fuzzing_finds_nothing(service, tmp_path):
    fuzz(service, tmp_path, "--max-examples=300")
