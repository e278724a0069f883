"""`hplaw evaluate`: one law at one point."""

import json
from pathlib import Path
from typing import Any

import pytest

from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.catalogue import load_catalogue
from hplaw.messages.record import encode


LAYERS = """
schema = 1
id = "layers"
version = 1
title = "A rate for each layer, in fractions"
status = "theory"
checked = "derived"
exact = true
inputs = [{ quantity = "abc_a", over = "role" }]

[source]
title = "None"

[quantities.abc_a]
unit = "1"
meaning = "exponent"

[quantities.abc_r]
unit = "1"
meaning = "exponent"

[index]
role = ["input", "output"]

[outputs]
abc_r = { formula = "1 - 2 * abc_a", over = "role" }

[[examples]]
given = { abc_a = { input = "1/2", output = 0 } }
expect = { abc_r = { input = 0, output = 1 } }
"""


def test_json_is_the_record_of_the_library_byte_for_byte(run: Any) -> None:
    catalogue = load_catalogue()
    law = catalogue.get("step-law-2025")
    done = run("evaluate", "step-law-2025", "--set", "n_params=1B", "tokens=100B", "--json")
    expected = encode(evaluate(law, {"n_params": 1e9, "tokens": 1e11}, catalogue))
    assert done == (0, expected.decode() + "\n", "")


def test_the_page_has_values_and_intervals(run: Any) -> None:
    done = run("evaluate", "step-law-2025", "--set", "n_params=1e9", "--set", "tokens=1e11")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("step-law-2025@1 at n_params 1B, tokens 100B\n")
    row = next(line for line in done.out.splitlines() if line.startswith("  peak_lr"))
    assert row.split()[1] == "0.00163"
    assert " to " in row


def test_a_table_by_category_takes_fractions(run: Any, tmp_path: Path) -> None:
    (tmp_path / "layers.toml").write_text(LAYERS)
    words = ("evaluate", "layers", "--laws", tmp_path, "--set", "abc_a.input=1/4", "abc_a.output=-1/2")
    done = run(*words)
    assert (done.status, done.err) == (0, "")
    rows = [line.split()[:2] for line in done.out.splitlines() if line.startswith("  abc_r")]
    assert rows == [["abc_r.input", "0.5"], ["abc_r.output", "2"]]
    assert json.loads(run(*words, "--json").out)["tables"]["abc_r"]["output"]["value"] == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("n_params=1e9", "step-law-2025 needs tokens"),
        ("n_params=1e9 tokens=1e11 lr=3", "'lr' is not a"),
        ("n_params=-1 tokens=1e11", "n_params=-1 is not positive"),
        ("n_params=big tokens=1e11", "n_params='big' is not a number"),
        ("n_params.a=1 n_params=1", "not both"),
        ("n_params=1 n_params.a=1", "not both"),
        ("n_params.=1", "not both"),
        ("n_params=1 n_params=2", "n_params is given twice"),
        ("n_params.a=1 tokens=1", "n_params is one value"),
    ],
)
def test_wrong_inputs_are_one_sentence(run: Any, words: str, says: str) -> None:
    done = run("evaluate", "step-law-2025", "--set", *words.split())
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("hplaw: ")
    assert done.err.count("\n") == 1
    assert says in done.err


def test_a_law_that_refuses_says_why_and_gives_no_number(run: Any, tmp_path: Path) -> None:
    case = '[[cases]]\nwhen = "abc_a[input] < 0"\nstatus = "refused"\nsay = "Not below zero."\n\n[outputs]'
    (tmp_path / "layers.toml").write_text(LAYERS.replace("[outputs]", case))
    done = run("evaluate", "layers", "--laws", tmp_path, "--set", "abc_a.input=-1", "abc_a.output=0")
    assert done.status == 1
    assert "Not below zero." in done.out
    assert "refused: Not below zero." in done.out
