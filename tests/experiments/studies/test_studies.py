"""Studies by name: files and presets that hold together, and commands that say what is wrong in a sentence."""

from pathlib import Path
from typing import Any

import pytest

from hplaw.cli import main
from hplaw.errors import DataError, QueryError
from hplaw_experiments.studies.study import SMALL, STUDIES, StudySpec, find_study, merged, read_study


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("preset", [SMALL, "gpu"])
def test_every_study_declares_sweeps_that_can_be_trained(name: str, preset: str) -> None:
    spec = read_study(name, preset)
    assert spec.name == name
    assert find_study(name)
    assert not set(spec.tuning_seeds) & set(spec.test_seeds)
    for sweep in spec.specs():  # each is checked as a sweep file is
        assert sweep.name.startswith(f"{name}-")


def test_a_preset_changes_tables_and_replaces_grids() -> None:
    table = {"space": {"peak_lr": {"log_grid": [1, 2, 3]}, "width": [1]}, "seeds": [0]}
    found = merged(table, {"space": {"peak_lr": {"log_grid": [4, 5, 6]}}, "seeds": [1]})
    assert found == {"space": {"peak_lr": {"log_grid": [4, 5, 6]}, "width": [1]}, "seeds": [1]}
    gpu, small = read_study("batch-rule", "gpu"), read_study("batch-rule")
    assert gpu.sweeps["mlp-sgd"]["model"]["width"] > small.sweeps["mlp-sgd"]["model"]["width"]
    assert gpu.sweeps["mlp-sgd"]["space"] == small.sweeps["mlp-sgd"]["space"]


def test_what_is_no_study_gets_a_sentence(capsys: Any, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="did you mean 'pruning'"):
        read_study("prunning")
    with pytest.raises(QueryError, match="give one of small, gpu"):
        read_study("pruning", "tpu")
    with pytest.raises(DataError, match="study x, sweep y: 'optimiser' is no field"):
        StudySpec(name="x", title="", sweeps={"y": {"training": {"optimiser": "sgd"}}}).specs()
    for words, status in (
        (["study", "run", "batch-rules"], 2),
        (["study", "run", "batch-rule", "--budget", "5kWh"], 2),
        (["study", "report", "batch-rule", "--runs", str(tmp_path / "none")], 1),
        (["study", "report", "precision-energy", "--runs", str(tmp_path)], 1),
    ):
        assert main(words) == status, words
        err = capsys.readouterr().err
        assert err.startswith("hplaw: ")
        assert "give" in err or "hplaw study run" in err
    assert main(["study", "list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in STUDIES)
