"""The whole interface fuzzed from its own description, by a program that knows little else of it: see `fuzz_hooks`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


LONGEST_S = 3600
"""Seconds in which a run must end: six minutes on two quiet cores, more where they are shared."""


def fuzz(service, folder: Path, *options: str) -> None:
    """Run schemathesis with all its default checks; fail with its report when it finds anything."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/schema/openapi.json"]
    done = subprocess.run(
        [*command, *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        timeout=LONGEST_S,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.api.fuzz_hooks", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    report = "\n".join(line[:500] for line in done.stdout.splitlines()[-200:])
    assert done.returncode == 0, f"{report}\n{done.stderr[-2000:]}"
    assert "Traceback" not in service.log.read_text()


def test_fuzzing_finds_nothing(service, tmp_path):
    # the phase omitted, coverage, is a test of its own below
    phases = "--phases=examples,fuzzing,stateful"
    fuzz(service, tmp_path, phases, "--max-examples=10", "--seed=1")


@pytest.mark.slow
def test_no_boundary_of_any_value_finds_anything(service, tmp_path):
    # a case for every boundary of every field, of which limits of quantities have most: 25,000 cases. A loaded
    # machine may take long for one of them, which is no fault of the service
    fuzz(service, tmp_path, "--phases=coverage", "--request-timeout=60", "--continue-on-failure")


@pytest.mark.slow
def test_long_fuzzing_finds_nothing(service, tmp_path):
    fuzz(
        service,
        tmp_path,
        "--phases=fuzzing,stateful",
        "--max-examples=300",
        "--request-timeout=60",
        "--continue-on-failure",
    )
