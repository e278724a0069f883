"""Runs of other makers, and questions to a store."""

from pathlib import Path

import pytest

from hplaw.errors import DataError, QueryError
from hplaw.runs import Store, export, import_runs, query, summary, verify


CSV = """\
# exported
Name,State,lr,bs,params_m,val_loss,seed
a,finished,0.001,64,10,3.5,0
b,finished,0.002,64,10,3.25,1
c,crashed,0.1,64,10,,1
"""
MAPS = {"peak_lr": "lr", "batch_tokens": "bs * 1024", "n_params": "params_m * 1e6", "loss": "val_loss"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "wandb.csv"
    path.write_text(CSV)
    return path


def test_a_mapped_table_becomes_runs_once(file: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    first = import_runs(file, store, maps=MAPS, sweep="mine")
    assert (first.rows, first.added, first.unfinished) == (2, 2, 1)
    assert import_runs(file, store, maps=MAPS, sweep="mine").added == 0
    table = store.read().table.sort("peak_lr")
    assert table["batch_tokens"].to_list() == [65536.0, 65536.0]
    assert table["n_params"].to_list() == [1e7, 1e7]
    assert table["seed"].to_list() == [0, 1]
    assert table["source"][0].startswith("wandb.csv sha256:")
    assert verify(store).problems == ()


def test_equal_rows_are_two_runs(tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_text("peak_lr,loss\n0.1,2\n0.1,2\n")
    assert import_runs(path, Store(tmp_path / "runs")).added == 2
    assert import_runs(path, Store(tmp_path / "runs")).added == 0


@pytest.mark.parametrize(
    ("maps", "says"),
    [
        ({"peek_lr": "lr"}, "peak_lr"),
        ({"peak_lr": "learning"}, "learning"),
        ({"peak_lr": "0 - lr"}, "row 1"),
        ({}, "no column bears"),
    ],
)
def test_a_wrong_map_is_named(file: Path, tmp_path: Path, maps: dict[str, str], says: str) -> None:
    if not maps:
        file.write_text("a,b\n1,2\n")
    with pytest.raises((DataError, QueryError), match=says):
        import_runs(file, Store(tmp_path / "runs"), maps=maps)


def test_sql_over_runs(file: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    import_runs(file, store, maps=MAPS, sweep="mine")
    runs = store.read().table
    assert query(runs, "select loss from runs order by loss limit 1").rows() == [(3.25,)]
    assert len(query(runs, "peak_lr > 0.0015")) == 1
    assert summary(runs)["runs"].to_list() == [2]
    with pytest.raises(QueryError, match="nothing"):
        query(runs, "select nothing from runs")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_tables_go_out(file: Path, tmp_path: Path, ending: str) -> None:
    store = Store(tmp_path / "runs")
    import_runs(file, store, maps=MAPS)
    store.put({"key": "z", "loss": 1.0, "curve_losses": [2.0, 1.0]})
    target = tmp_path / f"out.{ending}"
    export(store.read().table, target)
    assert target.stat().st_size > 50
    with pytest.raises(DataError, match=r"\.csv"):
        export(store.read().table, tmp_path / "out.xls")
