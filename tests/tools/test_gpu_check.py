"""The check of a GPU in its small form, on a CPU, as it is called."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from hplaw.metering.meter import NoMeter
from hplaw.runs import Store
from hplaw_experiments.launch import Here, Place
from hplaw_experiments.launch.record import provenance
from hplaw_experiments.studies.check_report import Report
from hplaw_experiments.studies.study import STUDIES, AbstractStudy, Ran, StudySpec, run_sweeps
from tools.gpu_check import precision_grid, study_runs


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


class Digits(AbstractStudy):
    """A study of two sweeps."""

    def run(self, spec: StudySpec, folder: Path, **options: Any) -> Ran:
        return run_sweeps(spec, folder, **options)

    def report(self, spec: StudySpec, folder: Path, page: Path, **options: Any) -> list[Path]:
        return []


@pytest.mark.slow
def test_a_study_trains_for_its_share_of_the_time_and_says_what_is_missing(tmp_path: Path) -> None:
    training = {"tokens": 6400, "batch_tokens": 64}
    sweep = {"model": {"width": 8}, "data": {"source": "digits"}, "training": training}
    rates, widths = {"peak_lr": [1e-3, 1e-2]}, {"peak_lr": [1e-3], "width": [16, 24]}
    sweeps = {"one": {**sweep, "space": rates}, "two": {**sweep, "space": widths}}
    spec = StudySpec(name="digits", title="Digits", sweeps=sweeps)
    store, launcher = Store(tmp_path), Here()
    first = study_runs(Digits(), spec, store, launcher, 0.0)
    assert first.left_out == ["sweeps after the first 2 trials: 0 s were over"]
    only = msgspec.structs.replace(spec, sweeps={"two": sweeps["two"]})
    second = study_runs(Digits(), only, store, launcher, 0.0)
    assert second.left_out == ["1 of 2 trials: 0 s were over"]
    whole = study_runs(Digits(), spec, store, launcher, 600.0)
    launcher.close()
    assert whole.left_out == []
    assert [each.name for each in whole.measurements] == ["4 trials, with compilation"]
    assert len(store.keys()) == 4


@pytest.mark.slow
def test_a_grid_without_time_says_how_many_runs_are_missing(tmp_path: Path) -> None:
    launcher = Here(Place(meter=NoMeter("none here"), where=provenance()))
    found = precision_grid(Store(tmp_path), launcher, 0.0, unmetered="none here", small=True)
    # the first pack of a grid of three formats and two seeds
    assert found.left_out == ["5 of 6 trials: 0 s were over", "energy: none here"]


@pytest.mark.slow
def test_the_small_form_passes_on_a_cpu(tmp_path: Path) -> None:
    done = check("--small", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "report.md").read_text()
    assert page in done.stdout
    report = msgspec.json.decode((tmp_path / "out" / "report.json").read_bytes(), type=Report)
    assert report.ok
    products, packed, formats, quick, *studies = report.parts
    assert 0 < products.found.measurements[-1].value < 2
    assert packed.found.measurements
    # the loop in PyTorch is compared with, or said to be missing
    compared = any("over torch" in each.name for each in packed.found.measurements)
    assert compared != bool(packed.found.left_out)
    losses = [each for each in formats.found.measurements if each.name.startswith("loss")]
    assert [each.name.split(", ")[1] for each in losses] == ["bf16", "fp16", "fp32"]
    assert max(each.value for each in losses) - min(each.value for each in losses) < 0.1
    # the calibration and each study train for their share of the time, and say what is missing then
    assert quick.found.measurements[0].value > 0
    assert quick.found.notes or any("the fit:" in reason for reason in quick.found.left_out)
    assert [part.title for part in studies] == [f"Study {name}" for name in STUDIES if name != "precision-energy"]
    for part in (quick, *studies):
        assert part.found.measurements[0].unit == "trials/s"
    runs = Store(tmp_path / "out" / "runs").read()
    assert not runs.problems
    assert len(runs.table) == len(pl.read_csv(tmp_path / "out" / "runs.csv", infer_schema_length=None))
    assert len(runs.table.filter(sweep="precision-cpu-check")) == 6
    assert all(part.seconds > 0 for part in report.parts)
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) <= 8
