"""The store of runs: whole or not at all, once, and nothing at fault is read in silence."""

import datetime as dt
import io
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
from hplaw.runs.compact import LEFT_ALONE_S
from hplaw.runs.schema import frame_of
from hplaw.runs.store import file_name, file_of


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
def store(root: str) -> Store:
    store = Store(f"{root}/runs")
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
    assert store.place.leftovers() == []


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


def name_of(store: Store, key: str) -> str:
    (name,) = store.place.names(start=f"{key}-")
    return name


def body_of(store: Store, name: str) -> bytes:
    body = store.place.read(name)
    assert isinstance(body, bytes)
    return body


def foreign(store: Store, table: pl.DataFrame, **metadata: str) -> str:
    """Write another's parquet under a name that looks like ours."""
    buffer = io.BytesIO()
    table.write_parquet(buffer, metadata={name.replace("_", "."): v for name, v in metadata.items()})
    name = file_name("k777", buffer.getvalue())
    store.place.write(name, buffer.getvalue())
    return name


def test_torn_foreign_and_changed_files_are_named_and_left_out(store: Store) -> None:
    place = store.place
    torn, empty, changed = (name_of(store, f"k00{n}") for n in range(3))
    whole = body_of(store, torn)
    place.write(torn, whole[: len(whole) // 2])
    place.write(empty, b"")
    place.write(changed, file_of("k002", frame_of([make_row(run(2, loss=1.0))]))[1])
    other = "foreign.parquet"
    place.write(other, whole)
    strange = [
        foreign(store, pl.DataFrame({"a": [1]})),
        foreign(store, pl.DataFrame({"key": ["k"]}), hplaw_runs="99"),
        foreign(store, pl.DataFrame({"key": ["k"], "loss": ["low"]}), hplaw_runs="1"),
        foreign(store, pl.DataFrame({"loss": [1.0]}), hplaw_runs="1"),
    ]
    place.write("notes.txt", b"mine")
    runs = store.read()
    assert runs.table["key"].to_list() == ["k003", "k004"]
    named = {problem.path: problem.text for problem in runs.problems}
    torn, empty, changed, other, *strange = map(place.label, (torn, empty, changed, other, *strange))
    assert set(named) == {torn, empty, changed, other, *strange}
    assert "torn or was changed" in named[torn]
    assert "torn or was changed" in named[changed]
    assert "schema 99" in named[strange[1]]
    assert "'loss' of type String" in named[strange[2]]
    checked = verify(store)
    assert {problem.path for problem in checked.problems} == set(named)
    assert checked.runs == 2
    assert store.keys() == set(store.scan().collect()["key"]) == {"k003", "k004"}
    # a torn run is made again
    assert store.put(run(0))
    assert store.keys() == {"k000", "k003", "k004"}


def test_half_written_files_are_counted_and_go_when_they_are_old(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(run(0))
    left = tmp_path / ".k009.parquet.77.ab.part"
    left.write_bytes(b"PAR1")
    assert verify(store).leftovers == (str(left),)
    compact(store)
    assert left.exists()
    os.utime(left, (time.time() - 2 * LEFT_ALONE_S,) * 2)
    compact(store)
    assert not left.exists()


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_is_noticed_before_the_file_is_parsed(place: int, flip: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        store.put(run(0))
        name = name_of(store, "k000")
        body = bytearray(body_of(store, name))
        body[place % len(body)] ^= flip
        store.place.write(name, bytes(body))
        runs = store.read()
        assert not len(runs.table)
        assert [problem.path for problem in runs.problems] == [store.place.label(name)]


def test_compacting_keeps_every_run_and_can_be_done_again(store: Store) -> None:
    before = store.read().table
    first = compact(store)
    assert (first.runs, first.replaced) == (5, 5)
    assert len(store.place.names()) == 1
    assert store.read().table.equals(before)
    assert compact(store).replaced == 0
    store.put(run(7))
    assert not store.put(run(7))
    second = compact(store)
    assert (second.runs, second.replaced) == (6, 2)
    assert len(store.read().table) == 6
    assert verify(store).runs == 6


def test_cut_off_between_compacting_and_removing_counts_once(store: Store) -> None:
    saved = {name: body_of(store, name) for name in store.place.names()}
    compact(store)
    for name, body in saved.items():
        store.place.write(name, body)
    assert len(store.read().table) == len(store.scan().collect()) == 5


def test_compacting_leaves_what_is_at_fault(store: Store) -> None:
    torn = name_of(store, "k004")
    store.place.write(torn, body_of(store, torn)[:50])
    found = compact(store)
    assert found.runs == 4
    assert [problem.path for problem in found.problems] == [store.place.label(torn)]
    assert torn in store.place.names()


def test_a_scan_has_all_columns_even_of_nothing(root: str) -> None:
    assert "peak_lr" in Store(f"{root}/none").scan().collect().columns
    assert Store(f"{root}/none").keys() == set()


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


def test_writers_killed_at_any_moment_leave_whole_runs_only(root: str) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, root, str(who)], stdout=subprocess.PIPE) for who in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
    time.sleep(0.3)
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate()
    runs = Store(root).read()
    assert not runs.problems
    for who in "01":
        mine = runs.table.filter(pl.col("key").str.starts_with(who))["loss"].to_list()
        assert sorted(mine) == [1.0 + n for n in range(len(mine))]
    assert len(runs.table)
