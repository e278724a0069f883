"""`hplaw prune-advice`: the record of the library, tables of cases, the choice between models, what is refused."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from hplaw.messages.pruning import PruneRequest
from hplaw.messages.record import encode
from hplaw.pruning.advice import prune_advice
from tests.helpers import shipped


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_command_prints_the_record_of_the_library(run: Any) -> None:
    done = run("prune-advice", "--density", "0.1", "--epochs", "80", "--json")
    assert done.status == 0
    assert json.loads(done.out) == json.loads(encode(prune_advice(PruneRequest(density=0.1, epochs=80), shipped())))
    page = run("prune-advice", "--density", "0.1", "--epochs", "80").out
    for words in ("regime", "p_IIA", "train cooler", "90% interval"):
        assert words in page


def test_a_table_is_answered_row_by_row(run: Any, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("density,epochs,note\n0.05,150,a\n2,80,b\nx,80,c\n0.2,150,d\n")
    done = run("prune-advice", "--from", source, "--to", target)
    assert done.status == 3
    found = rows(target.read_text())
    assert [row["regime"] for row in found] == ["I", "", "", "II-B"]
    assert [row["note"] for row in found] == ["a", "b", "c", "d"]
    assert "out of range" in found[1]["error"]
    assert "not a number" in found[2]["error"]
    assert sum(float(found[0][name]) for name in ("p_I", "p_IIA", "p_IIB")) == pytest.approx(1)
    assert (
        float(found[0]["error_change_low"]) <= float(found[0]["error_change"]) <= float(found[0]["error_change_high"])
    )
    again = run("prune-advice", "--from", target, "--to", tmp_path / "again.csv")
    assert again.status == 3
    assert list(rows((tmp_path / "again.csv").read_text())[0]) == list(found[0])


def test_a_table_of_models_names_the_one_to_prune(run: Any, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("model,lmc,cka\na,-0.3,0.99\nb,-0.01,0.95\nc,-0.02,0.97\n")
    done = run("prune-advice", "--from", source)
    assert done.status == 0
    assert {row["model"]: row["chosen"] for row in rows(done.out)} == {"a": "no", "b": "no", "c": "yes"}
    assert "prune c" in done.err
    assert json.loads(run("prune-advice", "--from", source, "--json").out)["choice"]["model"] == "c"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--density", "1.2", "--epochs", "80"], "density=1.2 is out of range"),
        (["--density", "0.1"], "epochs is missing"),
        ([], "density is missing"),
        (["--density", "0.1", "--epochs", "80", "--map", "nosuch"], "no map 'nosuch'"),
        (["--density", "x", "--epochs", "80"], "--density"),
        (["--from", "{none}"], "give density and epochs, or lmc and cka"),
        (["--from", "{none}", "--density", "0.1"], "exclude each other"),
        (["--density", "0.1", "--epochs", "80", "--to", "x.csv"], "--to needs --from"),
    ],
)
def test_what_cannot_be_asked_is_refused(run: Any, tmp_path: Path, words: list[str], says: str) -> None:
    none = tmp_path / "none.csv"
    none.write_text("sparsity,epochs\n0.9,80\n")
    run("prune-advice", *(word.format(none=none) for word in words)).check_misused(says)
