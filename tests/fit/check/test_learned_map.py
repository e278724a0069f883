"""Maps learned from cells: a planted boundary is found, folds see nothing of what they predict, the folder reads back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hplaw.errors import DataError
from hplaw.fit.check.advice_sign import advice_right
from hplaw.fit.check.learned_map import learn
from hplaw.fit.data.cells import Cells, CellTable, read_cells
from hplaw.fit.infer.classes import block_folds, candidates, choose, floored, held_out, inner_folds, reliability, score
from hplaw.fit.output.map_folder import write_learned
from hplaw.pruning.regime_map import find_map
from hplaw.vocabulary.names import REGIMES
from tests.helpers import is_one_sentence, shipped


CLASSES = tuple(REGIMES)
QUICK = [each for each in candidates() if each.name in ("logistic, linear, C=100", "nested logistic, linear, C=100")]
DENSITIES, EPOCHS = np.geomspace(0.05, 0.8, 9), np.arange(10.0, 161.0, 10.0)


def planted() -> CellTable:
    """Cells with straight boundaries: unconnected where cool and sparse, alike where cool and dense."""
    first, second = (part.ravel() for part in np.meshgrid(DENSITIES, EPOCHS, indexing="ij"))
    cool, dense = second > 85, np.log(first / 0.05) * 100 > second - 40
    label = np.where(~cool, 1, np.where(dense, 2, 0)).astype(np.intp)
    error = 0.1 + np.where(label == 0, (second - 85) * 1e-3, np.where(label == 1, (85 - second) * 1e-3, 0.0))
    return CellTable(cells=Cells(first=first, second=second, label=label, classes=CLASSES), error=error)


def test_a_planted_boundary_is_found_at_densities_held_out() -> None:
    table = planted()
    found = learn(table, tried=QUICK, told=lambda _: None)
    assert found.choice.mean.inner.accuracy >= 0.9
    assert found.nested.accuracy >= 0.85
    assert found.advice[0] >= 0.85
    assert np.allclose(found.probabilities.sum(axis=2), 1)
    assert found.probabilities.min() > 0


def test_probabilities_of_a_fold_do_not_depend_on_its_classes() -> None:
    cells = planted().cells
    fold = inner_folds(cells)[1]
    other = np.where(fold, (cells.label + 1) % 3, cells.label)
    before, after = (
        held_out(QUICK[0], Cells(first=cells.first, second=cells.second, label=label, classes=CLASSES), [fold])
        for label in (cells.label, other)
    )
    assert np.array_equal(before, after, equal_nan=True)
    assert np.isnan(before[~fold]).all()


def test_folds_are_inner_values_and_blocks_without_the_ends() -> None:
    cells = planted().cells
    folds = inner_folds(cells)
    assert len(folds) == 7
    assert not any((cells.first[fold] == edge).any() for fold in folds for edge in DENSITIES[[0, -1]])
    blocks = np.asarray(block_folds(cells))
    assert (blocks.sum(axis=0) <= 1).all()
    assert not blocks[:, (cells.second == EPOCHS[0]) | (cells.second == EPOCHS[-1])].any()
    few = Cells(first=np.array([0.1, 0.2]), second=np.ones(2), label=np.zeros(2, dtype=np.intp), classes=CLASSES)
    with pytest.raises(DataError) as caught:
        inner_folds(few)
    assert is_one_sentence(caught.value)


def test_scores_have_their_textbook_values() -> None:
    cells = Cells(first=np.ones(4), second=np.ones(4), label=np.array([0, 0, 1, 2], dtype=np.intp), classes=CLASSES)
    p = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0.2, 0.8, 0], [0.6, 0.2, 0.2]])
    found = score(p, cells, np.ones(4, dtype=np.bool_), reject=0.6)
    assert found.accuracy == 0.75
    assert found.brier == pytest.approx((0 + 0.5 + 0.08 + (0.36 + 0.04 + 0.64)) / 4)
    assert found.log_loss == pytest.approx(-np.log([1, 0.5, 0.8, 0.2]).mean())
    assert found.answered == 0.75
    assert sum(each.cells for each in reliability(p, cells, np.ones(4, dtype=np.bool_))) == 4
    assert floored(np.array([[1.0, 0.0, 0.0]])).min() == pytest.approx(1e-3)


def test_the_mean_of_a_quarter_of_the_candidates_is_taken() -> None:
    cells = planted().cells
    many = [each for each in candidates() if each.name.startswith("logistic, linear")]
    found = choose(cells, many, reject=0.6)
    assert len(found.chosen) == len(many) // 4
    assert [item.loss for item in found.compared] == sorted(item.loss for item in found.compared)


def test_advice_is_counted_where_the_error_can_fall() -> None:
    cells = Cells(
        first=np.full(3, 0.1),
        second=np.array([10.0, 20, 30]),
        label=np.array([1, 1, 0], dtype=np.intp),
        classes=CLASSES,
    )
    error, rows = np.array([0.12, 0.1, 0.11]), np.ones(3, dtype=np.bool_)
    assert advice_right(np.eye(3)[[1, 1, 0]], cells, error, rows) == (1.0, 2)
    assert advice_right(np.eye(3)[[0, 1, 0]], cells, error, rows) == (0.5, 2)


def test_a_learned_map_is_written_and_answers(tmp_path: Path) -> None:
    law = find_map("pruning-preresnet20-cifar10", shipped())
    found = learn(planted(), tried=QUICK, told=lambda _: None)
    written = write_learned(tmp_path / law.id, law.spec, found, data="x.csv", sha256="0" * 64, command="hplaw fit ...")
    assert written.spec.evidence is not None
    assert written.spec.evidence.held_out["accuracy_inner"] == pytest.approx(found.choice.mean.inner.accuracy, rel=1e-3)
    assert written.spec.domain["density"] == [0.05, 0.8]
    assert {file.name for file in (tmp_path / law.id).iterdir()} == {"law.toml", "map.npz", "card.md", "plots"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("density,dense_epochs\n0.1,10\n", "no column 'pruning_regime'"),
        ("density,dense_epochs,pruning_regime\n0.1,10,III\n", "III"),
        ("density,dense_epochs,pruning_regime\n2,10,I\n", "density"),
        ("density,dense_epochs,pruning_regime\n0.1,,I\n", "dense_epochs is empty"),
    ],
)
def test_a_table_that_is_none_of_cells_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "cells.csv"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        read_cells(file, find_map("pruning-preresnet20-cifar10", shipped()))
    assert is_one_sentence(caught.value)
    assert says in str(caught.value)


def test_regimes_are_read_as_papers_number_them(tmp_path: Path) -> None:
    file = tmp_path / "cells.csv"
    file.write_text("d,dense_epochs,drawn\n0.1,10,II-A\n0.2,20,I\n0.2,30,connected_alike\n")
    law = find_map("pruning-preresnet20-cifar10", shipped())
    found = read_cells(file, law, maps={"density": "d", "pruning_regime": "drawn"})
    assert found.cells.label.tolist() == [1, 0, 2]
    assert found.error is None
