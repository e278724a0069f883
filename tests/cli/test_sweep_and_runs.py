"""`hplaw sweep` and `hplaw runs`: from a sweep file to a table, and what is said of mistakes."""

from pathlib import Path
from typing import Any

import pytest

from hplaw.runs import Store


SWEEP = """
name = "small"
[model]
family = "mlp"
width = 8
n_layers = 1
[data]
source = "digits"
[training]
steps = 8
batch_tokens = 16
[space]
peak_lr = [1e-3, 1e-2]
"""
CSV = "lr,bs,val_loss\n0.001,64,3.5\n0.002,64,3.25\n"


@pytest.fixture
def runs(run: Any, root: str, tmp_path: Path) -> str:
    """Return where two runs were imported to."""
    (tmp_path / "mine.csv").write_text(CSV)
    maps = ("--map", "peak_lr=lr", "--map", "loss=val_loss", "--map", "batch_tokens=bs*1024")
    done = run("runs", "import", tmp_path / "mine.csv", "--to", f"{root}/runs", *maps, "--name", "mine")
    assert done.status == 0
    assert f"added 2 of 2 runs to {root}/runs" in done.out
    return f"{root}/runs"


def test_runs_are_imported_listed_asked_compacted_and_verified(run: Any, runs: str, tmp_path: Path) -> None:
    assert "mine" in run("runs", "list", runs).out
    asked = run("runs", "query", runs, "select peak_lr, loss from runs order by loss")
    assert asked.out.splitlines()[1].split() == ["0.002", "3.25"]
    assert run("runs", "query", runs, "loss < 3.3", "--to", tmp_path / "out.csv").status == 0
    assert "batch_tokens" in (tmp_path / "out.csv").read_text()
    assert f"2 runs in {runs}/compact-" in run("runs", "compact", runs).out
    assert "2 runs in 1 file are in order" in run("runs", "verify", runs).out
    Store(runs).place.write("torn.parquet", b"PAR1")
    done = run("runs", "verify", runs)
    assert done.status == 1
    assert "torn.parquet" in done.err
    done = run("runs", "list", runs)
    assert done.status == 0
    assert "omitted" in done.err


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ("sweep run none.toml", 1, "none.toml: No such file"),
        ("sweep resume nowhere", 1, "nowhere is no folder"),
        ("sweep status nowhere", 1, "nowhere is no folder"),
        ("runs list nowhere", 1, "nowhere is no folder"),
        (
            "runs list ftp://host/runs",
            1,
            "ftp://host/runs is no place of runs; give a folder, or an address such as s3",
        ),
        ("calibrate --to s3://bucket/mine", 2, "mine is an address, and a law is kept in a folder; give one, and"),
        ("runs verify nowhere", 1, "nowhere is no folder"),
        ("runs import none.csv", 1, "none.csv"),
        ("sweep run SPEC --workers 2", 2, "--launch local"),
        ("sweep run SPEC --address auto", 2, "--launch ray"),
        ("sweep run SPEC --pack 0", 2, "one trial or more"),
        ("sweep export SPEC --to a.csv", 1, "runs is no folder"),
        ("sweep status . --to runs", 2, "two folders"),
        ("sweep rn SPEC", 2, "did you mean 'run'?"),
    ],
)
def test_mistakes_are_one_sentence(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, status: int, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "SPEC").write_text(SWEEP)
    done = run(*words.split())
    assert done.status == status
    assert says in done.err
    assert done.err.count("\n") == 1


def test_a_place_without_sweeps_says_how_to_start_one(run: Any, runs: str) -> None:
    assert f"hplaw sweep run SPEC --to {runs}" in run("sweep", "status", runs).err


@pytest.mark.slow
def test_a_sweep_in_a_bucket_is_planned_run_resumed_and_exported(run: Any, bucket: str, tmp_path: Path) -> None:
    spec, runs = tmp_path / "small.toml", f"{bucket}/some/runs"
    spec.write_text(SWEEP)
    assert f"next: hplaw sweep run {spec} --to {runs}" in run("sweep", "plan", spec, "--to", runs, "--no-probe").out
    assert "s3://" in run("sweep", "status", runs).err
    assert "2 of 2 trials done" in run("sweep", "run", spec, "--to", runs).out
    assert "2 of 2 trials done" in run("sweep", "resume", runs).out
    assert "2 of 2 trials done" in run("sweep", "status", runs).out
    assert "small" in run("runs", "list", runs).out
    assert "2 runs" in run("sweep", "export", spec, "--runs", runs, "--to", tmp_path / "small.csv").out
    assert "peak_lr" in (tmp_path / "small.csv").read_text()


@pytest.mark.parametrize("words", ["runs list", "runs verify", "sweep resume", "sweep status"])
def test_a_bucket_that_is_not_there_is_one_sentence(run: Any, bucket: str, words: str) -> None:
    done = run(*words.split(), "s3://elsewhere/runs")
    assert done.status == 1
    assert "hplaw: s3://elsewhere/runs: there is no bucket 'elsewhere'" in done.err
    assert done.err.count("\n") == 1


def test_a_file_and_a_folder_name_the_same_sweep(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SWEEP)
    done = run("sweep", "run", "small.toml", "--to", "mine")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == "small: 2 of 2 trials done"
    assert lines[1].startswith("  optimum  loss ")
    assert lines[1].split(" at ")[1] in {"peak_lr 0.001", "peak_lr 0.01"}
    assert "its grid: add" in lines[2]
    assert lines[3] == "  runs     in mine"
    assert lines[-1] == "next: hplaw sweep export small.toml --runs mine --to small.csv"
    assert max(map(len, lines)) <= 80
    assert run(*lines[-1].split()[2:]).out == "wrote small.csv: 2 runs\n"
    assert run("sweep", "export", "mine", "--to", "same.csv").status == 0
    assert (tmp_path / "same.csv").read_text() == (tmp_path / "small.csv").read_text()
    for words in ("run mine", "resume mine", "run small.toml --runs mine", "resume small.toml --to mine"):
        again = run("sweep", *words.split())
        assert again.status == 0
        assert again.out.splitlines()[:4] == lines[:4]
    for words in ("status mine", "status small.toml --to mine", "plan mine", "plan small.toml --to mine"):
        assert "2" in run("sweep", *words.split()).out.splitlines()[0]
    assert run("sweep", "status", "small.toml", "--to", "other").out.splitlines() == [
        "small: 0 of 2 trials done",
        "",
        "next: hplaw sweep resume small.toml --to other",
    ]


def test_a_sweep_that_diverged_says_so(run: Any, tmp_path: Path) -> None:
    wild = SWEEP.replace("[1e-3, 1e-2]", "[1e5]").replace("[training]", '[training]\noptimizer = "sgd"')
    (tmp_path / "small.toml").write_text(wild)
    done = run("sweep", "run", tmp_path / "small.toml", "--to", tmp_path / "mine")
    assert "1 of 1 trials done, 1 of them diverged" in done.out
    assert "none: all trials diverged; lower peak_lr" in done.out
