"""Published rules on the cells of Step Law's own runs: what the library answers is what the formulas say."""

import csv
import math
from pathlib import Path
from typing import NamedTuple

import pytest

from hplaw.messages.query import Query
from hplaw.recommendation.many import recommend_many
from tests.helpers import shipped


class Cell(NamedTuple):
    """One model and data size at which runs were made."""

    family: str
    n_params: float
    n_active: float
    tokens: float


@pytest.fixture(scope="module")
def cells(data: Path) -> list[Cell]:
    with (data / "steplaw_runs.csv").open() as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        found = {
            row["cell_id"]: Cell(row["family"], float(row["n_params"]), float(row["n_active"]), float(row["tokens"]))
            for row in rows
        }
    return list(found.values())


def ask(cells: list[Cell], law: str) -> list[dict[str, float]]:
    queries = [
        Query(
            n_params=c.n_params,
            n_active_params=c.n_active,
            tokens=c.tokens,
            laws=[law],
            want=["peak_lr", "batch_tokens"],
        )
        for c in cells
    ]
    rows = recommend_many(queries, shipped())
    assert [row.error for row in rows] == [None] * len(rows)
    return [{name: e.value for name, e in row.answers.items()} for row in rows]  # type: ignore[misc]


def test_there_are_ten_dense_cells_and_eight_of_experts(cells: list[Cell]) -> None:
    assert len(cells) == 18
    assert [sum(c.family == f for c in cells) for f in sorted({c.family for c in cells})] == [10, 8]


def test_the_step_law_is_its_formula_on_all_cells(cells: list[Cell]) -> None:
    for cell, found in zip(cells, ask(cells, "step-law-2025"), strict=True):
        rate = 1.79 * cell.n_params**-0.713 * cell.tokens**0.307
        batch = 0.58 * cell.tokens**0.571
        assert found["peak_lr"] == pytest.approx(rate, rel=1e-9)
        assert found["batch_tokens"] == pytest.approx(batch, rel=1e-9)


def test_the_step_law_lies_near_the_best_runs(data: Path, cells: list[Cell]) -> None:
    best: dict[tuple[float, float], tuple[float, float, float]] = {}
    with (data / "steplaw_runs.csv").open() as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            key = (float(row["n_params"]), float(row["tokens"]))
            run = (float(row["smooth_loss"]), float(row["peak_lr"]), float(row["batch_tokens"]))
            best[key] = min(best.get(key, run), run)
    for cell, found in zip(cells, ask(cells, "step-law-2025"), strict=True):
        _, rate, batch = best[cell.n_params, cell.tokens]
        assert abs(math.log(found["peak_lr"] / rate)) < 0.9
        assert abs(math.log(found["batch_tokens"] / batch)) < 1.2


def test_its_intervals_cover_most_best_runs(data: Path, cells: list[Cell]) -> None:
    queries = [Query(n_params=c.n_params, tokens=c.tokens, laws=["step-law-2025"], want=["peak_lr"]) for c in cells]
    for row in recommend_many(queries, shipped()):
        found = row.answers["peak_lr"]
        assert isinstance(found.value, float)
        assert found.low is not None and found.high is not None  # noqa: PT018
        assert found.low < found.value < found.high
        assert 1.3 < found.high / found.low < 4


@pytest.mark.parametrize(
    ("law", "rate"),
    [
        ("kaplan-lr-2020", lambda c: 0.003239 - 0.0001395 * math.log(c.n_params)),
        ("porian-2024", lambda c: 3.7 * c.n_params**-0.36),
    ],
)
def test_other_published_rules_are_their_formulas(cells: list[Cell], law: str, rate) -> None:
    dense = [c for c in cells if c.n_active == c.n_params]
    queries = [Query(n_params=c.n_params, tokens=c.tokens, laws=[law], want=["peak_lr"]) for c in dense]
    for cell, row in zip(dense, recommend_many(queries, shipped()), strict=True):
        assert row.answers["peak_lr"].law.split("@")[0] == law  # type: ignore[union-attr]
        assert row.answers["peak_lr"].value == pytest.approx(rate(cell), rel=1e-6)
