"""Random formulas and mutated law files: only hplaw's own errors, nothing over a second, nothing imported.

The small slices run always; a million formulas and a hundred thousand files with `make test-full`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


ROOT = Path(__file__).resolve().parent.parent.parent


def start(kind: str, seed: int, count: int) -> "subprocess.Popen[str]":
    words = [sys.executable, "-m", "tests.fuzz", kind, "--seed", str(seed), "--count", str(count)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def report(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, err = process.communicate(timeout=3600)
    assert process.returncode == 0, err[-3000:]
    return json.loads(out)


def check(*processes: "subprocess.Popen[str]") -> None:
    for found in map(report, processes):
        assert found["escaped"] == [], found["escaped"][0]["trace"] + found["escaped"][0]["input"]
        assert found["slow"] == []
        assert found["loaded"] == []
        assert found["count"] > 0


@pytest.mark.parametrize(("kind", "count"), [("formulas", 4_000), ("laws", 250)])
def test_a_few_random_inputs_do_no_harm(kind: str, count: int) -> None:
    check(start(kind, 0, count))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("formulas", 500_000), ("laws", 50_000)])
def test_very_many_random_inputs_do_no_harm(kind: str, count: int) -> None:
    check(*(start(kind, seed, count) for seed in (1, 2)))
