"""Tables read and written: what goes in comes out, and a table that is none says so."""

import io
import sys
from pathlib import Path

import pytest

from hplaw.cli.tables import Table, read_table, refuse_same_file, write_table
from hplaw.errors import DataError, QueryError


def written(tmp_path: Path, text: str, name: str = "in.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def round_trip(path: Path, name: str = "out.csv") -> str:
    target = path.parent / name
    write_table(read_table(path), target)
    return target.read_text(encoding="utf-8")


def test_a_table_comes_out_as_it_went_in(tmp_path: Path) -> None:
    text = (
        "# measured on two machines\n"
        "cell_id,n_params,note\n"
        'a,1e9,"says ""hello"", twice"\n'
        "b,007,\n"
        'c,1.10,"two\nlines"\n'
    )
    assert round_trip(written(tmp_path, text)) == text


def test_comments_are_no_rows_and_cells_that_look_like_them_are_no_comments(tmp_path: Path) -> None:
    path = written(tmp_path, '# one\na,b\n# two\n"#3",4\n"x\n# inside",5\n')
    table = read_table(path)
    assert table.comments == ("# one",)
    assert table.columns == {"a": ["#3", "x\n# inside"], "b": ["4", "5"]}
    again = written(tmp_path, round_trip(path), "again.csv")
    assert read_table(again).columns == table.columns


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_byte_order_mark_and_line_endings_do_not_matter(tmp_path: Path, newline: str) -> None:
    path = written(tmp_path, "\ufeffn_params, tokens" + newline + "1,2" + newline + newline)
    assert read_table(path).columns == {"n_params": ["1"], "tokens": ["2"]}


def test_empty_cells_are_none(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, "a,b\n1,\n ,2\n")).columns == {"a": ["1", None], "b": [None, "2"]}


def test_a_row_of_another_length_is_a_problem_of_that_row(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "a,b\n1,2\n1\n1,2,3\n"))
    assert table.rows == 3
    assert table.problems == {
        1: "the row has 1 cells where the header has 2",
        2: "the row has 3 cells where the header has 2",
    }


def test_a_table_without_rows_stays_one(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n")
    assert read_table(path).rows == 0
    assert round_trip(path) == "a,b\n"


@pytest.mark.parametrize(
    ("text", "says"), [("", "no header"), ("# only this\n", "no header"), ("a,a\n1,2\n", "two columns are named 'a'")]
)
def test_a_table_without_sound_header_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_table(written(tmp_path, text))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv: No such file"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="the ending names no table"):
        read_table(tmp_path / "table.xls")
    latin = tmp_path / "latin.csv"
    latin.write_bytes(b"a\n\xe9\n")
    with pytest.raises(DataError, match="not UTF-8"):
        read_table(latin)
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    with pytest.raises(DataError, match="Is a directory"):
        read_table(folder)


def test_json_lines_keep_their_types(tmp_path: Path) -> None:
    text = '{"a":1,"b":"x","c":[1,2]}\n{"a":2.5,"b":null,"c":true}\n'
    path = written(tmp_path, text, "in.jsonl")
    assert read_table(path).columns == {"a": [1, 2.5], "b": ["x", None], "c": [[1, 2], True]}
    assert round_trip(path, "out.jsonl") == text


def test_json_lines_need_not_name_every_column_in_every_row(tmp_path: Path) -> None:
    path = written(tmp_path, '{"a":1}\n\n{"b":2}\n', "in.ndjson")
    assert read_table(path).columns == {"a": [1, None], "b": [None, 2]}
    with pytest.raises(DataError, match="line 2 is no JSON object"):
        read_table(written(tmp_path, '{"a":1}\n[2]\n', "bad.jsonl"))


def test_numbers_of_a_csv_are_numbers_in_json(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b,c\n1,2.5,x\n,3,7\n")
    assert round_trip(path, "out.jsonl") == '{"a":1,"b":2.5,"c":"x"}\n{"a":null,"b":3.0,"c":"7"}\n'


def test_a_failed_write_leaves_the_old_table_and_nothing_else(tmp_path: Path) -> None:
    target = written(tmp_path, "old\n", "out.csv")
    broken = Table(columns={"a": [object()], "b": [1, 2]}, rows=1)
    with pytest.raises(ValueError, match="zip"):
        write_table(broken, target)
    assert target.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [target]


def test_a_device_is_written_to_and_not_replaced() -> None:
    write_table(Table(columns={"a": ["1"]}, rows=1), "/dev/null")
    assert not Path("/dev/null").is_file()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        write_table(Table(columns={"a": ["1"]}, rows=1), tmp_path / "absent" / "out.csv")


def test_the_table_that_is_read_is_not_replaced(tmp_path: Path) -> None:
    path = written(tmp_path, "a\n1\n")
    with pytest.raises(QueryError, match="would replace the table that is read"):
        refuse_same_file(path, tmp_path / "." / "in.csv")
    refuse_same_file(path, tmp_path / "out.csv")


def test_a_hyphen_is_standard_input_and_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a,b\n1,2\n")))
    write_table(read_table("-"), "-")
    assert capsys.readouterr().out == "a,b\n1,2\n"


def test_parquet_without_polars_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(DataError, match=r'pip install -e "\.\[fit\]"'):
        read_table(tmp_path / "table.parquet")


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars", reason="polars is not installed")
    source = tmp_path / "in.parquet"
    pl.DataFrame({"a": [1, 2], "b": [0.5, None], "c": ["x", "y"]}).write_parquet(source)
    write_table(read_table(source), tmp_path / "out.parquet")
    assert pl.read_parquet(tmp_path / "out.parquet").equals(pl.read_parquet(source))
    write_table(read_table(source), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "a,b,c\n1,0.5,x\n2,,y\n"
    write_table(read_table(tmp_path / "out.csv"), tmp_path / "back.parquet")
    assert pl.read_parquet(tmp_path / "back.parquet").equals(pl.read_parquet(source))


@pytest.mark.parametrize("separator", [";", "\t"])
def test_semicolons_and_tabs_part_cells_and_come_out_again(tmp_path: Path, separator: str) -> None:
    text = f"# one, two\nn_params{separator}tokens{separator}note\n7b{separator}1T{separator}a, b\n"
    path = written(tmp_path, text)
    assert read_table(path).columns == {"n_params": ["7b"], "tokens": ["1T"], "note": ["a, b"]}
    assert round_trip(path) == text
    assert round_trip(path, "out.tsv") == text


def test_runs_are_read_with_semicolons_too(tmp_path: Path) -> None:
    pytest.importorskip("polars", reason="polars is not installed")
    from hplaw.runs.table import read_table as read_runs

    rows = {"n_params": [10.0, 20.0], "loss": [3.5, 3.25]}
    for separator in ",;\t":
        lines = [
            "# a note; with, all",
            *(separator.join(row) for row in (("n_params", "loss"), ("10.0", "3.5"), ("20.0", "3.25"))),
        ]
        assert read_runs(written(tmp_path, "\n".join(lines))).to_dict(as_series=False) == rows
