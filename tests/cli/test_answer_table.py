"""`hplaw recommend --from FILE --to FILE`: every row answered, or its error said, and nothing lost."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hplaw.catalogue.catalogue import load_catalogue
from hplaw.cli.answer_table import PARTS
from hplaw.cli.tables import Table, read_table, write_table
from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend


Rows = list[dict[str, str]]


def answered(run: Any, tmp_path: Path, text: str, *words: str, status: int = 0) -> Rows:
    """Return the rows of the answered table."""
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(text)
    done = run("recommend", "--from", source, "--to", target, *words)
    assert done.status == status, done.err
    return read(target.read_text())


def read(text: str) -> Rows:
    return list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#")))


def test_a_row_is_answered_as_the_library_answers_it(run: Any, tmp_path: Path) -> None:
    rows = answered(run, tmp_path, "n_params,tokens\n1e9,1e11\n7B,1.4T\n", "--law", "step-law-2025")
    catalogue = load_catalogue()
    for row, (n, d) in zip(rows, [(1e9, 1e11), (7e9, 1.4e12)], strict=True):
        whole = recommend(Query(n_params=n, tokens=d, laws=["step-law-2025"]), catalogue)
        for name, estimate in whole.answers.items():
            for part in PARTS:
                value = getattr(estimate, part[1:] or "value")
                cell = row[f"{name}{part}"]
                if isinstance(value, float):
                    assert float(cell) == pytest.approx(value, rel=1e-9), (name, part)
                else:
                    assert cell == (value or ""), (name, part)
        assert set(row["warnings"].split(";")) - {""} == {w.code for w in whole.warnings}
        assert row["error"] == ""


def test_other_columns_and_comments_pass_through(run: Any, tmp_path: Path) -> None:
    text = (
        "# from elsewhere\n"
        "cell_id,arch,n_params,n_active,tokens,note\n"
        'a,dense,1e9,1000000000,1e11,"one, ""two"""\n'
        "007,moe,2e9,4e8,1e10,\n"
    )
    rows = answered(run, tmp_path, text, "--want", "peak_lr")
    assert list(rows[0])[:7] == ["cell_id", "arch", "n_params", "n_active", "tokens", "note", "peak_lr"]
    assert list(rows[0])[7:] == [
        "peak_lr_low",
        "peak_lr_high",
        "peak_lr_same_recipe_low",
        "peak_lr_same_recipe_high",
        "peak_lr_law",
        "ignored",
        "warnings",
        "error",
    ]
    assert [row["note"] for row in rows] == ['one, "two"', ""]
    assert [row["cell_id"] for row in rows] == ["a", "007"]
    assert [row["n_params"] for row in rows] == ["1e9", "2e9"]
    assert (tmp_path / "out.csv").read_text().startswith("# from elsewhere\ncell_id,")


def test_a_bad_row_says_why_and_stops_no_other(run: Any, tmp_path: Path) -> None:
    cells = ["1e9", "seven", "-1", "0", "nan", "inf", "1e30", "", "1e9"]
    text = "name,n_params,tokens\n" + "".join(f"x,{cell},1e11\n" for cell in cells) + "x,1e9\n"
    rows = answered(run, tmp_path, text, "--law", "step-law-2025", "--want", "peak_lr", status=3)
    errors = [row["error"] for row in rows]
    assert [bool(error) for error in errors] == [False, *[True] * 7, False, True]
    assert [bool(row["peak_lr"]) for row in rows] == [not error for error in errors]
    assert "n_params='seven' is not a number" in errors[1]
    assert "n_params=-1 is not positive" in errors[2]
    assert "n_params" in errors[7]
    assert errors[9] == "the row has 2 cells where the header has 3"


def test_the_failed_rows_are_counted_on_stderr(run: Any, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("n_params,tokens\n1e9,1e11\nx,1e11\n")
    done = run("recommend", "--from", source, "--to", target)
    assert done == (3, "", f"hplaw: 1 of 2 rows failed; the column error of {target} says why\n")
    source.write_text("n_params,tokens\n1e9,1e11\n")
    done = run("recommend", "--from", source, "--to", target)
    assert done == (0, f"1 row answered in {target}\n", "")


def test_a_column_named_like_an_answer_is_given_and_not_answered(run: Any, tmp_path: Path) -> None:
    text = "n_params,tokens,batch_tokens,peak_lr_low\n1e9,1e11,1e6,mine\n1e9,1e11,,theirs\n"
    rows = answered(run, tmp_path, text, "--want", "peak_lr", "steps", "batch_tokens")
    assert [row["batch_tokens"] for row in rows] == ["1e6", ""]
    assert "batch_tokens_law" not in rows[0]
    assert float(rows[0]["steps"]) == pytest.approx(1e5)
    # an answer of an earlier run makes room for that of this one
    assert "mine" not in rows[0].values()


def test_the_answers_of_an_answered_table_can_be_asked_for_again(run: Any, tmp_path: Path) -> None:
    rows = answered(run, tmp_path, "n_params,tokens\n1e9,1e11\n", "--want", "peak_lr")
    again = answered(run, tmp_path, (tmp_path / "out.csv").read_text(), "--want", "weight_decay")
    assert again[0]["peak_lr"] == rows[0]["peak_lr"]
    assert again[0]["peak_lr_law"] == rows[0]["peak_lr_law"]
    assert again[0]["weight_decay"]
    assert list(again[0]).count("error") == 1


def test_options_fill_what_a_row_leaves_empty(run: Any, tmp_path: Path) -> None:
    text = "n_params,tokens\n1e9,1e11\n1e9,\n"
    words = ("--tokens", "2e11", "--batch-tokens", "1M", "--want", "steps")
    rows = answered(run, tmp_path, text, *words)
    assert [float(row["steps"]) for row in rows] == pytest.approx([1e5, 2e5])


@pytest.mark.parametrize(
    ("text", "words", "status", "says"),
    [
        ("n_params,tokens,loss\n1,1,1\n", "", 2, "name the loss to reach target_loss"),
        ("n_params,tokens,steps\n1,1,1\n", "--want steps", 2, "the table gives steps already"),
        ("n_params,tokens\n1e9,1e11\n", "--law step-law-2026", 1, "did you mean 'step-law-2025'?"),
        ("n_params,tokens\n1e9,1e11\n", "--want peak_rl", 2, "did you mean 'peak_lr'?"),
        ("n_params\n1e9\n", "--tokens -1", 2, "tokens=-1 is not positive"),
        ("", "", 1, "no header"),
        ("a,a\n", "", 1, "two columns are named 'a'"),
    ],
)
def test_what_no_row_can_answer_is_refused_once(
    run: Any, tmp_path: Path, text: str, words: str, status: int, says: str
) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(text)
    done = run("recommend", "--from", source, "--to", target, *words.split())
    assert (done.status, done.out) == (status, "")
    assert done.err.startswith("hplaw: ")
    assert done.err.count("\n") == 1
    assert says in done.err
    assert not target.exists()


def test_the_input_is_never_overwritten(run: Any, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("n_params,tokens\n1e9,1e11\n")
    link = tmp_path / "link.csv"
    link.symlink_to(source)
    for target in (source, link):
        done = run("recommend", "--from", source, "--to", target)
        assert done.status == 2
        assert "would replace the table that is read" in done.err
    assert source.read_text() == "n_params,tokens\n1e9,1e11\n"


def test_a_hyphen_reads_and_writes_the_streams(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"n_params,tokens\n1e9,1e11\nx,1\n")))
    done = run("recommend", "--from", "-", "--want", "peak_lr")
    assert (done.status, done.err) == (3, "hplaw: 1 of 2 rows failed; the column error says why\n")
    assert [bool(row["error"]) for row in read(done.out)] == [False, True]


def test_json_lines_are_answered_in_their_types(run: Any, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(
        '{"id": 1, "n_params": 1e9, "tokens": 100000000000, "run": 3, "tags": ["a"]}\n'
        '{"id": 2, "n_params": "1B", "tokens": null}\n'
        '{"id": 3, "n_params": true, "tokens": 1}\n'
    )
    done = run("recommend", "--from", source, "--to", target, "--want", "peak_lr")
    assert done.status == 3
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert rows[0]["id"] == 1
    assert rows[0]["tags"] == ["a"]
    assert isinstance(rows[0]["peak_lr"], float)
    assert rows[0]["error"] is None
    assert "n_params=True is not a number" in rows[2]["error"]


def test_parquet_is_answered(run: Any, tmp_path: Path) -> None:
    pl = pytest.importorskip("polars", reason="polars is not installed")
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pl.DataFrame({"n_params": [10**9, None], "tokens": [1e11, 1e11], "x": ["a", "b"]}).write_parquet(source)
    words = ("--law", "step-law-2025", "--want", "peak_lr")
    assert run("recommend", "--from", source, "--to", target, *words).status == 3
    frame = pl.read_parquet(target)
    assert frame["n_params"].dtype == pl.Int64
    assert frame["peak_lr"].dtype == pl.Float64
    assert frame["peak_lr"].null_count() == 1


def test_ten_thousand_rows_take_a_moment(tmp_path: Path) -> None:
    rows = 10_000
    columns: dict[str, list[Any]] = {
        "n_params": [1e8 * (1 + i / 100) for i in range(rows)],
        "tokens": [1e10 * (1 + i / 50) for i in range(rows)],
    }
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    write_table(Table(columns=columns, rows=rows), source)
    # a process of its own, as users have it: without the type checks of the tests, which take most of the time
    command = [sys.executable, "-m", "hplaw", "recommend", "--from", str(source), "--to", str(target)]
    done = subprocess.run(command, timeout=20, check=False)  # it takes about two seconds
    assert done.returncode == 0
    assert read_table(target).rows == rows


def test_columns_that_look_like_quantities_are_named(run: Any, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("params,toks,lr,batch_size,note,loss_law,error\n7e9,1e12,1e-3,512,x,y,\n")
    done = run("recommend", "--from", source, "--to", "-", "--want", "peak_lr")
    assert done.status == 3
    for column, meant in (
        ("params", "n_params"),
        ("toks", "tokens"),
        ("lr", "peak_lr"),
        ("batch_size", "batch_tokens"),
    ):
        assert f"the column {column} is no quantity and not read; did you mean '{meant}'?" in done.err
    assert "note" not in done.err
    assert "loss_law" not in done.err


def test_a_column_beside_the_quantity_that_it_stands_for_is_not_named(run: Any, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("params,n_params,tokens\n7B,7e9,1e12\n")
    assert run("recommend", "--from", source, "--to", "-", "--want", "peak_lr").err == ""


def test_one_bad_row_stops_no_other_and_names_commands(run: Any, tmp_path: Path) -> None:
    text = "n_params;tokens;hardware;devices\n7b;1t;H100-SXM;8\n7b;1t;rtx-9999;8\n7b;1,4;H100;8\n7b;1t;H100;2.5\n7e9;1e12;h100-sxm;8\n"
    source = tmp_path / "in.csv"
    source.write_text(text)
    done = run("recommend", "--from", source, "--to", "-", "--want", "energy_kwh")
    assert done.status == 3
    rows = list(csv.DictReader(io.StringIO(done.out), delimiter=";"))
    assert [row["error"] == "" for row in rows] == [True, False, False, False, True]
    assert rows[0]["energy_kwh"] == rows[-1]["energy_kwh"] != ""
    assert "did you mean 'rtx-5090'?" in rows[1]["error"]
    assert "`hplaw hardware` lists them" in rows[1]["error"]
    assert "has a comma; between semicolons write a point" in rows[2]["error"]
    assert "devices=2.5 is not a whole number" in rows[3]["error"]
