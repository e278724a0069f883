"""Which runs decide a fit: slopes of the mode against refits, the same at a question, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from hplaw.answer.influence import FILE, deciders, read_influence
from hplaw.cli import main
from hplaw.errors import DataError
from hplaw.fit.check.verdict import Verdict
from hplaw.fit.infer.fitting import Fitted
from hplaw.fit.infer.influence import find_influence
from hplaw.fit.infer.laplace import fit_normal
from hplaw.fit.model.double_precision import double_precision
from hplaw.fit.output.law_folder import write_folder
from hplaw.law import read_law
from hplaw.runs.table import sha256_of
from tests.fit.conftest import simulate
from tests.helpers import shipped


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, fitted: Fitted) -> Path:
    """The fitted toy in a folder, with its runs beside it."""
    at = tmp_path_factory.mktemp("influence")
    simulate().write_csv(at / "runs.csv")
    write_folder(at / "toy", fitted, Verdict(), data="runs.csv", sha256=sha256_of(at / "runs.csv"))
    return at


@pytest.mark.slow
def test_the_slope_of_the_mode_is_that_of_refits(fitted: Fitted) -> None:
    found = find_influence(fitted, fitted.law)
    assert len(found.groups) == 12
    assert sum(group.runs for group in found.groups) == len(fitted.kept)
    ids = max(fitted.density.model.effects.values(), key=lambda effect: effect.size).ids
    sides = []
    with double_precision():
        for weight in (1.05, 0.95):
            weights = np.where(ids == 3, weight, 1.0)
            mode = fit_normal(fitted.density, weights, start=fitted.normal.mode, rounds=0).mode
            sides.append(fitted.density.constrain(mode[None]))
    for name, slopes in found.slopes.items():
        refitted = (sides[0][name][0] - sides[1][name][0]) / 0.1
        spread = fitted.parameters()[name].std()
        assert np.asarray(slopes)[3] == pytest.approx(refitted, abs=0.02 * spread + 1e-6), name


def test_the_command_writes_what_decides_and_explain_shows_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toy, data = folder / "toy", folder / "runs.csv"
    assert main(["influence", str(toy), "--data", str(data)]) == 0
    assert "12 groups of runs" in capsys.readouterr().out
    law = read_law(toy)
    stored = read_influence(law)
    assert stored is not None
    found = deciders(law, {"n_params": 1e9, "tokens": 1e10}, stored)
    assert list(found) == ["loss"]
    for rows in found.values():
        sizes = [abs(row.slope) for row in rows]
        assert sizes == sorted(sizes, reverse=True)
        assert sum(bool(row.runs) for row in rows) == 12
    asked = [
        "explain",
        "--laws",
        str(toy.parent),
        "--params",
        "1B",
        "--tokens",
        "10B",
        "--want",
        "loss",
        "--law",
        "toy",
    ]
    assert main(asked) == 0
    text = capsys.readouterr().out
    assert "toy@1: percent of change for ten percent more weight" in text
    assert f"{10 * found['loss'][0].slope:+.2f}" in text
    assert main([*asked, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["decided_by"]["loss"][0]["slope"] == pytest.approx(found["loss"][0].slope)
    other = folder / "other.csv"
    other.write_text(data.read_text() + "\n")
    assert main(["influence", str(toy), "--data", str(other)]) == 1
    assert "is not the table that toy was fitted to" in capsys.readouterr().err
    assert main(["influence", str(folder), "--data", str(data)]) == 1
    assert "holds no fitted law" in capsys.readouterr().err
    file = toy / FILE
    stale = json.loads(file.read_text())
    file.write_text(json.dumps({**stale, "law": "toy@1+000000000000"}))
    with pytest.raises(DataError, match="write it again"):
        read_influence(law)
    file.write_text("{}")
    with pytest.raises(DataError, match="cannot be read"):
        read_influence(law)


def test_a_law_that_was_not_fitted_has_nothing_to_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--params", "1B", "--tokens", "100B", "--law", "step-law-2025"]) == 2
    assert "step-law-2025@1 does not say which runs decide it" in capsys.readouterr().err
    assert main(["explain", "--params", "-1", "--tokens", "100B"]) == 2
    assert "n_params" in capsys.readouterr().err


def test_what_is_shipped_belongs_to_the_laws_that_are_shipped() -> None:
    laws = [law for law in shipped().laws if law.path is not None and (law.path.parent / FILE).is_file()]
    assert "pretrain-surface" in {law.id for law in laws}
    for law in laws:
        stored = read_influence(law)
        assert stored is not None
        found = deciders(law, {"n_params": 1e9, "n_active_params": 1e9, "tokens": 1e11}, stored)
        assert set(found) == set(law.chosen)
        assert law.spec.evidence is not None
        assert sum(group.runs for group in stored.groups) == law.spec.evidence.runs


def test_what_lies_beside_the_shipped_laws_is_theirs() -> None:
    found = [law.id for law in shipped().laws if read_influence(law) is not None]
    assert found == ["pretrain-surface", "pretrain-surface-moe"]


def test_the_card_of_a_derived_law_names_the_law_whose_draws_it_has() -> None:
    law, other = shipped().get("compute-optimal"), shipped().get("pretrain-loss")
    assert law.path is not None
    assert f"`{other.address}`" in (law.path.parent / "card.md").read_text()
