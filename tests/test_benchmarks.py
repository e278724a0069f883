"""What `make bench` prints and returns; the measuring itself is no test."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest

import benchmarks.__main__ as bench
from benchmarks import quality


def row(*, ok: bool, limit: str | None = ">= 0.5", value: float = 0.61234) -> dict[str, Any]:
    return {"name": "ratio", "value": value, "unit": "1", "limit": limit, "ok": ok}


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that puts benchmarks in place of the real ones, by name and what they do."""

    def put(**runs: Any) -> None:
        for name, run in runs.items():
            module = ModuleType(f"benchmarks.{name}")
            module.run = run  # pyright: ignore[reportAttributeAccessIssue]
            monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(bench, "BENCHMARKS", tuple(runs))

    return put


def fail() -> list[dict[str, Any]]:
    message = "no port is free"
    raise OSError(message)


def test_a_table_says_what_was_measured_and_whether_it_is_enough() -> None:
    rows = [
        {"benchmark": "speed", **row(ok=True)},
        {"benchmark": "speed", **row(ok=False, value=12345.6)},
        {"benchmark": "speed", **row(ok=True, limit=None)},
    ]
    lines = [[cell.strip() for cell in line.split("|")] for line in bench.table(rows).splitlines()]
    assert lines[0][1:-1] == ["benchmark", "what", "measured", "target", "met"]
    assert lines[2][1:-1] == ["speed", "ratio", "0.612", ">= 0.5", "yes"]
    assert lines[3][1:-1] == ["speed", "ratio", "12,346", ">= 0.5", "NO"]
    assert lines[4][1:-1] == ["speed", "ratio", "0.612", "", ""]


def test_a_missed_target_is_told_by_the_status(install: Any, capsys: pytest.CaptureFixture[str]) -> None:
    install(good=lambda: [row(ok=True)], bad=lambda: [row(ok=False)])
    assert bench.main(["--only", "good"]) == 0
    assert bench.main([]) == bench.MISSED
    assert "1 missed: ratio" in capsys.readouterr().out


def test_a_benchmark_that_cannot_be_run_stops_no_other(
    install: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(torn=fail, good=lambda: [row(ok=True)])
    file = tmp_path / "rows.json"
    assert bench.main(["--json", str(file)]) == bench.BROKEN
    assert "OSError: no port is free" in capsys.readouterr().err
    found = json.loads(file.read_text())
    assert [(r["benchmark"], r["value"]) for r in found["rows"]] == [("good", 0.61234)]
    assert found["machine"]["processors"] >= 1


def test_noise_of_runs_alone_gives_a_regret() -> None:
    """A tuned optimum that is known costs nothing where runs have no noise, and the more the more noise they have."""
    axes = np.linspace(-9, -4, 11), np.linspace(11, 15, 9)
    x = np.array([(a, b) for a in axes[0] for b in axes[1]])
    z = 0.9 + 0.012 * ((x[:, 0] + 6.3) ** 2 + (x[:, 1] - 13.2) ** 2)
    cell = quality.surface({"n_params": 4e8, "tokens": 1e10}, x, z)
    means = [quality.scored_by_noise([cell], scale)[0] for scale in (0.0, 0.001, 0.004)]
    assert means[0] < 0.002 < means[1] < means[2] / 2


def expert_runs() -> pl.DataFrame:
    """Return runs of six cells of mixtures, the best of all in the middle of each grid."""
    rows = [
        (2e9, active, tokens, rate, batch, 2.5 * np.exp(0.01 * (np.log(rate / 4e-4) ** 2 + np.log(batch / 2e5) ** 2)))
        for active, tokens in ((2e8, 2e9), (2e8, 4e9), (2e8, 8e9), (6e8, 2e9), (6e8, 8e9), (1.2e9, 2e9))
        for rate in np.geomspace(1e-4, 1.6e-3, 5)
        for batch in np.geomspace(5e4, 8e5, 5)
    ]
    return pl.DataFrame(rows, schema=[*quality.CELL, "peak_lr", "batch_tokens", "loss"], orient="row")


def test_extrapolation_holds_out_the_longest_cells_and_each_share() -> None:
    found = quality.folds(expert_runs())
    assert {name: cells.rows() for name, cells in found.items()} == {
        "most tokens": [(2e9, 2e8, 8e9), (2e9, 6e8, 8e9)],
        "share 0.10": [(2e9, 2e8, 2e9), (2e9, 2e8, 4e9), (2e9, 2e8, 8e9)],
        "share 0.30": [(2e9, 6e8, 2e9), (2e9, 6e8, 8e9)],
        "share 0.60": [(2e9, 1.2e9, 2e9)],
    }


def test_cells_held_out_are_not_among_the_rest() -> None:
    runs = expert_runs()
    rest, cells = quality.apart(runs, quality.folds(runs)["most tokens"])
    assert len(rest) == len(runs) - 50
    assert rest["tokens"].max() == 4e9
    for cell in cells:
        assert cell.known["tokens"] == 8e9
        assert np.exp(cell.best) == pytest.approx([4e-4, 2e5], rel=0.02)
        assert cell.regret(4e-4, 2e5) < 0.01 < cell.regret(1.2e-3, 2e5)


def test_the_largest_cells_are_those_of_most_compute() -> None:
    rest, cells = quality.split(expert_runs(), 2)
    assert [tuple(cell.known.values()) for cell in cells] == [(2e9, 1.2e9, 2e9), (2e9, 6e8, 8e9)]
    assert len(rest) == 4 * 25
