"""Reading runs: what is read, what is refused, and in which words."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hplaw.errors import DataError, LawError, QueryError
from hplaw.fit.data.runs import group_ids, keep_runs, kept, read_runs
from hplaw.law import Law, read_law
from hplaw.law.read import parse_law


SURFACE = Path(__file__).parents[2] / "law" / "fixtures" / "expert-surface.toml"


def write(folder: Path, text: str) -> Path:
    file = folder / "runs.csv"
    file.write_text(text)
    return file


def test_a_column_is_renamed_computed_and_a_comment_skipped(tmp_path: Path, toy: Law) -> None:
    file = write(tmp_path, "# a comment\nnb,tokens,smooth loss\n2,1000000000,3.5\n")
    frame = read_runs(file, law=toy, maps={"n_params": "nb * 1e9", "loss": "smooth loss"})
    assert frame.to_dicts() == [{"n_params": 2e9, "tokens": 1e9, "loss": 3.5}]


def test_products_of_counts_do_not_overflow(tmp_path: Path, toy: Law) -> None:
    file = write(tmp_path, "n,d,loss\n9000000000,9000000000,3\n")
    frame = read_runs(file, law=toy, maps={"n_params": "n", "tokens": "n * d"})
    assert frame["tokens"].to_list() == [8.1e19]


def test_parquet_and_a_condition_in_sql(tmp_path: Path, toy: Law) -> None:
    file = tmp_path / "runs.parquet"
    pl.DataFrame({"n_params": [1, 2], "tokens": [5, 6], "loss": [2.0, 3.0], "kind": ["a", "b"]}).write_parquet(file)
    frame = read_runs(file, law=toy, where="kind = 'b'")
    assert frame["loss"].to_list() == [3.0]


def test_active_parameters_are_all_of_them_unless_told(tmp_path: Path) -> None:
    law = read_law(SURFACE)
    file = write(tmp_path, "n_params,tokens,peak_lr,batch_tokens,loss\n1e9,1e10,1e-3,1e6,2.5\n")
    assert read_runs(file, law=law)["n_active_params"].to_list() == [1e9]
    file = write(tmp_path, "n_params,n_active_params,tokens,peak_lr,batch_tokens,loss\n1e9,,1e10,1e-3,1e6,2.5\n")
    assert read_runs(file, law=law)["n_active_params"].to_list() == [1e9]


def test_a_category_is_read_from_a_column(tmp_path: Path) -> None:
    law = read_law(SURFACE)
    file = write(tmp_path, "n_params,tokens,peak_lr,batch_tokens,loss,family\n1e9,1e10,1e-3,1e6,2.5,moe\n")
    assert read_runs(file, law=law, maps={"architecture": "family"})["architecture"].to_list() == ["moe"]


@pytest.mark.parametrize(
    ("text", "maps", "where", "kind", "words"),
    [
        ("n_params,tokens\n1,2\n", {}, "", DataError, "no column 'loss', which toy needs"),
        ("n_params,tokens,loss\n1,2,3\n", {"lss": "loss"}, "", QueryError, "did you mean 'loss'?"),
        ("n_params,tokens,loss\n1,2,3\n", {"loss": "los"}, "", QueryError, "did you mean 'loss'?"),
        ("n_params,tokens,loss\n1,2,3\n", {"loss": "loss +"}, "", QueryError, "ends too soon"),
        ("n_params,tokens,loss\n1,2,x\n", {}, "", DataError, "row 1: loss='x' is not a number"),
        ("n_params,tokens,loss\n1,2,3\n1,2,-3\n", {}, "", DataError, "row 2: loss=-3 is not positive"),
        ("n_params,tokens,loss\n1,2,NaN\n", {}, "", DataError, "row 1: loss=nan is not finite"),
        ("n_params,tokens,loss\n1,2,3\n1,2,\n", {}, "", DataError, "row 2: loss is empty"),
        ("n_params,tokens,loss\n1,2,3\n", {}, "loss > 5", DataError, "no rows that --where lets through"),
        ("n_params,tokens,loss\n1,2,3\n", {}, "lss > 5", QueryError, "--where lss > 5"),
        ("n_params,tokens,loss\n", {}, "", DataError, "no rows"),
        ("", {}, "", DataError, "is no table"),
    ],
)
def test_wrong_tables_are_refused_in_one_sentence(
    tmp_path: Path, toy: Law, text: str, maps: dict[str, str], where: str, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind) as caught:
        read_runs(write(tmp_path, text), law=toy, maps=maps, where=where)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_groups_are_counted_in_order() -> None:
    ids, members = group_ids(pl.DataFrame({"a": [3.0, 1.0, 3.0], "b": ["x", "x", "y"]}), ["a", "b"])
    assert ids.tolist() == [0, 1, 2]
    assert members.height == 3


@pytest.mark.parametrize(
    ("keep", "wanted"),
    [
        ("loss < 1.5 * min_by(cell, loss)", [True, False, True, True]),
        ("count_by(cell, loss) > 2", [True, True, True, False]),
        ("loss < mean_by(cell, loss) or loss == max_by(cell, loss)", [True, True, True, True]),
        ("tokens > 15", [False, True, True, True]),
    ],
)
def test_keep_compares_within_groups(toy: Law, keep: str, wanted: list[bool]) -> None:
    text = toy.text.decode().replace('scale = "s"', f"scale = \"s\"\nkeep = '{keep}'")
    frame = pl.DataFrame(
        {"n_params": [1.0, 1.0, 1.0, 2.0], "tokens": [10.0, 20.0, 30.0, 40.0], "loss": [2.0, 4.0, 2.5, 9.0]}
    )
    assert kept(frame, parse_law(text.encode())).tolist() == wanted


def test_keep_that_keeps_nothing_or_names_no_effect_is_refused(toy: Law) -> None:
    frame = pl.DataFrame({"n_params": [1.0], "tokens": [10.0], "loss": [2.0]})
    text = toy.text.decode()
    nothing = parse_law(text.replace('scale = "s"', 'scale = "s"\nkeep = "loss < 1"').encode())
    with pytest.raises(DataError, match="none of 1 runs satisfies keep"):
        keep_runs(frame, nothing)


def test_a_best_setting_needs_no_loss(tmp_path: Path) -> None:
    law = read_law(SURFACE)
    file = write(tmp_path, "n_params,tokens,peak_lr,batch_tokens,loss\n1e9,1e10,1e-3,1e6,2.5\n1e9,1e10,1e-3,,\n")
    frame = read_runs(file, law=law)
    assert frame["loss"].null_count() == 1
    assert np.isfinite(frame["peak_lr"].to_numpy()).all()
    file = write(tmp_path, "n_params,tokens,peak_lr,batch_tokens,loss\n1e9,1e10,,1e6,2.5\n")
    with pytest.raises(DataError, match="row 1: peak_lr is empty"):
        read_runs(file, law=law)


def test_errors_of_keep_name_table_and_key(toy: Law) -> None:
    text = toy.text.decode().replace('scale = "s"', 'scale = "s"\nkeep = "loss < min_by(box, loss)"')
    with pytest.raises(LawError, match=r"'box' is no effect|fit\.keep"):
        kept(pl.DataFrame({"n_params": [1.0], "tokens": [1.0], "loss": [1.0]}), parse_law(text.encode()))
