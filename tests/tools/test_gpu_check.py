"""The check of a GPU in its small form, on a CPU, as it is called."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import polars as pl
import pytest

from hplaw.runs import Store
from hplaw_experiments.studies.check_report import Report


ROOT = Path(__file__).parents[2]


def check(*words: str) -> subprocess.CompletedProcess[str]:
    # without what the tests set for their own JAX
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_", "HPLAW_"))}
    return subprocess.run(
        [str(ROOT / "experiments" / "gpu_check.sh"), *words],
        env=clean | {"PYTHON": sys.executable, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.parametrize("words", [(), ("--large", "out"), ("a", "b"), ("--wheels",)])
def test_wrong_arguments_get_the_usage(words: tuple[str, ...]) -> None:
    done = check(*words)
    assert done.returncode == 2
    assert done.stderr == "usage: experiments/gpu_check.sh [--small] [--wheels DIR] OUT\n"


@pytest.mark.slow
def test_the_full_form_needs_a_gpu(tmp_path: Path) -> None:
    done = check(str(tmp_path))
    assert done.returncode == 2
    assert "give --small" in done.stderr


@pytest.mark.slow
def test_the_small_form_passes_on_a_cpu(tmp_path: Path) -> None:
    done = check("--small", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "report.md").read_text()
    assert page in done.stdout
    report = msgspec.json.decode((tmp_path / "out" / "report.json").read_bytes(), type=Report)
    assert report.ok
    products, packed, formats = report.parts
    assert 0 < products.found.measurements[-1].value < 2
    assert packed.found.measurements
    # the loop in PyTorch is compared with, or said to be missing
    compared = any("over torch" in each.name for each in packed.found.measurements)
    assert compared != bool(packed.found.left_out)
    losses = [each for each in formats.found.measurements if each.name.startswith("loss")]
    assert [each.name.split(", ")[1] for each in losses] == ["bf16", "fp16", "fp32"]
    assert max(each.value for each in losses) - min(each.value for each in losses) < 0.1
    runs = Store(tmp_path / "out" / "runs").read()
    assert not runs.problems
    assert len(runs.table) == len(pl.read_csv(tmp_path / "out" / "runs.csv")) == 6
    assert all(part.seconds > 0 for part in report.parts)
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) <= 8
