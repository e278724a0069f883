"""The store of runs: whole or not at all, once, and nothing at fault is read in silence."""

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, strategies as st

from hplaw.errors import DataError, StoreError
from hplaw.runs import Store, compact, make_row, verify
from hplaw.runs.schema import MARK, frame_of
from hplaw.runs.store import file_name


def run(number: int, **more: object) -> dict[str, object]:
    return {
        "key": f"k{number:03d}",
        "sweep": "s",
        "peak_lr": 1e-3 * (number + 1),
        "loss": 2.0 + number,
        "seed": number,
        "diverged": False,
        "curve_steps": [0, 10],
        "curve_losses": [3.0, 2.5],
        "energy_basis": "none",
        "started": dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC),
        **more,
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "runs")
    for number in range(5):
        assert store.put(run(number))
    return store


def test_what_is_put_is_read(store: Store) -> None:
    runs = store.read()
    assert not runs.problems
    assert runs.table["peak_lr"].to_list() == [1e-3 * (n + 1) for n in range(5)]
    assert runs.table["curve_losses"][0].to_list() == [3.0, 2.5]
    assert runs.table["started"][0] == run(0)["started"]
    assert runs.table["n_params"].null_count() == 5
    assert store.keys() == {f"k{n:03d}" for n in range(5)}
    assert not list(store.folder.glob(".*"))


def test_the_same_run_is_stored_once(store: Store) -> None:
    assert not store.put(run(1, loss=9.0))
    assert store.read().table["loss"].to_list() == [2.0, 3.0, 4.0, 5.0, 6.0]


@pytest.mark.parametrize(
    "row",
    [{"peak_lr": 1.0}, {"key": "k", "peak_lrr": 1.0}, {"key": "k", "loss": float("nan")}, {"key": "k", "tokens": -1}],
)
def test_a_run_that_says_what_is_not_allowed_is_refused(tmp_path: Path, row: dict[str, object]) -> None:
    with pytest.raises(DataError):
        Store(tmp_path).put(row)


def file_of(store: Store, key: str) -> Path:
    (path,) = store.folder.glob(f"{key}-*.parquet")
    return path


def foreign(folder: Path, table: pl.DataFrame, **metadata: str) -> Path:
    """Write another's parquet under a name that looks like ours."""
    import io

    buffer = io.BytesIO()
    table.write_parquet(buffer, metadata={name.replace("_", "."): v for name, v in metadata.items()})
    path = folder / file_name("k777", buffer.getvalue())
    path.write_bytes(buffer.getvalue())
    return path


def test_torn_foreign_and_changed_files_are_named_and_left_out(store: Store) -> None:
    torn, empty, changed = (file_of(store, f"k00{n}") for n in range(3))
    whole = torn.read_bytes()
    torn.write_bytes(whole[: len(whole) // 2])
    empty.write_bytes(b"")
    frame_of([make_row(run(2, loss=1.0))]).write_parquet(changed, metadata={MARK: "1"})
    other = store.folder / "foreign.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(other)
    strange = [
        foreign(store.folder, pl.DataFrame({"a": [1]})),
        foreign(store.folder, pl.DataFrame({"key": ["k"]}), hplaw_runs="99"),
        foreign(store.folder, pl.DataFrame({"key": ["k"], "loss": ["low"]}), hplaw_runs="1"),
        foreign(store.folder, pl.DataFrame({"loss": [1.0]}), hplaw_runs="1"),
    ]
    (store.folder / ".k009.parquet.77.ab.part").write_bytes(whole[:100])
    (store.folder / "notes.txt").write_text("mine")
    runs = store.read()
    assert runs.table["key"].to_list() == ["k003", "k004"]
    named = {problem.path: problem.text for problem in runs.problems}
    assert set(named) == {torn, empty, changed, other, *strange}
    assert "torn or was changed" in named[torn]
    assert "torn or was changed" in named[changed]
    assert "schema 99" in named[strange[1]]
    assert "'loss' of type String" in named[strange[2]]
    checked = verify(store)
    assert {problem.path for problem in checked.problems} == set(named)
    assert checked.runs == 2
    assert len(checked.leftovers) == 1
    assert store.keys() == set(store.scan().collect()["key"]) == {"k003", "k004"}
    # a torn run is made again
    assert store.put(run(0))
    assert store.keys() == {"k000", "k003", "k004"}


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_is_noticed_before_the_file_is_parsed(place: int, flip: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        store.put(run(0))
        file = file_of(store, "k000")
        body = bytearray(file.read_bytes())
        body[place % len(body)] ^= flip
        file.write_bytes(bytes(body))
        runs = store.read()
        assert not len(runs.table)
        assert [problem.path for problem in runs.problems] == [file]


def test_compacting_keeps_every_run_and_can_be_done_again(store: Store) -> None:
    before = store.read().table
    first = compact(store)
    assert (first.runs, first.replaced) == (5, 5)
    assert len(list(store.folder.iterdir())) == 1
    assert store.read().table.equals(before)
    assert compact(store).replaced == 0
    store.put(run(7))
    assert not store.put(run(7))
    second = compact(store)
    assert (second.runs, second.replaced) == (6, 2)
    assert len(store.read().table) == 6
    assert verify(store).runs == 6


def test_cut_off_between_compacting_and_removing_counts_once(store: Store, tmp_path: Path) -> None:
    saved = {file.name: file.read_bytes() for file in store.folder.iterdir()}
    compact(store)
    for name, body in saved.items():
        (store.folder / name).write_bytes(body)
    assert len(store.read().table) == len(store.scan().collect()) == 5


def test_compacting_leaves_what_is_at_fault(store: Store) -> None:
    torn = file_of(store, "k004")
    torn.write_bytes(torn.read_bytes()[:50])
    found = compact(store)
    assert found.runs == 4
    assert [problem.path for problem in found.problems] == [torn]
    assert torn.exists()


def test_a_scan_has_all_columns_even_of_nothing(tmp_path: Path) -> None:
    assert "peak_lr" in Store(tmp_path / "none").scan().collect().columns
    assert Store(tmp_path / "none").keys() == set()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Store(tmp_path / "file").put(run(0))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from hplaw.runs import Store; from hplaw.errors import StoreError\n"
        "store = Store(sys.argv[1]); store.put({'key': 'a', 'loss': 1.0})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "try: store.put({'key': 'b', 'loss': 1.0})\n"
        "except StoreError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert "b-" in done.stdout
    assert [file.name[:2] for file in tmp_path.iterdir()] == ["a-"]


WRITER = """
import sys
from hplaw.runs import Store
store, who = Store(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
for number in range(100_000):
    store.put({"key": f"{who}-{number}", "loss": 1.0 + number})
"""


def test_writers_killed_at_any_moment_leave_whole_runs_only(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, str(who)], stdout=subprocess.PIPE) for who in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
    time.sleep(0.3)
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate()
    runs = Store(tmp_path).read()
    assert not runs.problems
    for who in "01":
        mine = runs.table.filter(pl.col("key").str.starts_with(who))["loss"].to_list()
        assert sorted(mine) == [1.0 + n for n in range(len(mine))]
    assert len(runs.table)
