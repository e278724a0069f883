"""Sweeps: run once, resumed after any death, and the same in the end."""

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import msgspec
import polars as pl
import pytest

from hplaw.errors import DataError, QueryError
from hplaw.metering.meter import Energy, NoMeter, SampledMeter
from hplaw.runs import Store
from hplaw.runs.schema import TIMING
from hplaw_experiments.launch.job import BEGUN, begun, shares_of, train_metered
from hplaw_experiments.sweep.plan import make_packs
from hplaw_experiments.sweep.run import SWEEPS, run_sweep, saved_specs, standing
from hplaw_experiments.trial import key


FOLDER = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def toy() -> ModuleType:
    """Return the toy trainer, under the name by which workers load it."""
    found = importlib.util.spec_from_file_location("toy", FOLDER / "toy.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["toy"] = module
    found.loader.exec_module(module)
    return module


def table(store: Store) -> pl.DataFrame:
    """Return the rows of a store without what differs from one time to the next."""
    runs = store.read()
    assert not runs.problems
    return runs.table.drop(*TIMING, "code_version")


def sweep(toy: ModuleType, folder: Path | str, **options: object) -> Store:
    store = Store(folder)
    launcher = toy.here()
    found = run_sweep(toy.spec(**options), store, launcher=launcher, width=4, trainer=toy.TRAINER)
    launcher.close()
    assert found.complete
    return store


def test_running_twice_does_nothing_and_a_seed_adds_its_trials(toy: ModuleType, tmp_path: Path) -> None:
    store = sweep(toy, tmp_path)
    first = table(store)
    # 12 points by 2 seeds, then half of them with twice the tokens, twice
    assert len(first) == 24 + 12 + 6
    times = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.parquet")}
    sweep(toy, tmp_path)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.parquet")} == times
    sweep(toy, tmp_path, seeds=(0, 1, 2))
    assert len(table(store)) > len(first)
    assert set(first["key"]) < store.keys()


def test_rows_say_what_was_asked_and_found(toy: ModuleType, tmp_path: Path) -> None:
    rows = sweep(toy, tmp_path).read().table
    full = rows.filter(tokens=3200.0, seed=0)
    assert full["steps"].unique().to_list() == [100.0]
    assert full["n_params"].to_list() == [100 * width for width in full["width"]]
    assert rows.filter("diverged")["loss"].null_count() == len(rows.filter("diverged")) > 0
    assert rows["energy_j"].null_count() == len(rows)
    assert rows["energy_basis"].unique().to_list() == ["none"]
    assert [spec.name for spec in saved_specs(Store(tmp_path))] == ["toy"]


@pytest.mark.slow
def test_a_sweep_into_a_bucket_leaves_the_table_of_one_into_a_folder(
    toy: ModuleType, tmp_path: Path, bucket: str
) -> None:
    in_folder, in_bucket = sweep(toy, tmp_path / "runs"), sweep(toy, f"{bucket}/runs")
    assert table(in_bucket).equals(table(in_folder))
    # the files have the same names but for the digest of what differs: the times of the runs
    keys = [[name.partition("-")[0] for name in store.place.names()] for store in (in_folder, in_bucket)]
    assert keys[0] == keys[1]
    assert saved_specs(in_bucket) == saved_specs(in_folder)
    names = in_bucket.place.names()
    sweep(toy, f"{bucket}/runs")
    assert in_bucket.place.names() == names


def test_the_files_of_a_folder_copied_to_a_bucket_are_a_store(toy: ModuleType, tmp_path: Path, bucket: str) -> None:
    whole, copy = sweep(toy, tmp_path / "runs"), Store(f"{bucket}/runs")
    for path in (tmp_path / "runs").rglob("*"):
        if path.is_file():
            copy.place.write(path.relative_to(tmp_path / "runs").as_posix(), path.read_bytes())
    assert copy.read().table.equals(whole.read().table)
    assert standing(saved_specs(copy)[0], copy).complete


def test_a_sweep_that_is_no_sweep_is_named(root: str) -> None:
    store = Store(root)
    store.place.write(f"{SWEEPS}/odd.json", b"{}")
    with pytest.raises(DataError, match=r"odd\.json is no sweep: .*; run the sweep from its file"):
        saved_specs(store)


def kill_at_random(toy: ModuleType, folder: str, kind: str, *, kills: int, seed: int) -> int:
    """Run the toy's sweep and kill it at random moments; return how often it was killed before its end."""
    moments = random.Random(seed)
    path = os.pathsep.join([str(FOLDER), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    killed = 0
    while True:
        process = subprocess.Popen(
            [sys.executable, FOLDER / "toy.py", folder, kind],
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        if killed < kills:
            time.sleep(moments.uniform(0, 0.12))
            os.killpg(process.pid, signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        process.communicate()
        if process.returncode == 0:
            return killed


def test_killed_at_random_moments_the_table_ends_the_same(toy: ModuleType, tmp_path: Path) -> None:
    undisturbed = table(sweep(toy, tmp_path / "calm", pause_s=0.02))
    assert kill_at_random(toy, str(tmp_path / "shot"), "here", kills=5, seed=4) >= 3
    assert table(Store(tmp_path / "shot")).equals(undisturbed)
    assert not begun(Store(tmp_path / "shot").place)


@pytest.mark.slow
@pytest.mark.parametrize("round_", range(10))
def test_killed_at_fifty_random_moments(toy: ModuleType, root: str, round_: int) -> None:
    undisturbed = table(sweep(toy, f"{root}/calm", pause_s=0.02))
    assert kill_at_random(toy, f"{root}/shot", "here", kills=5, seed=round_) >= 1
    assert table(Store(f"{root}/shot")).equals(undisturbed)


@pytest.mark.slow
def test_workers_of_a_killed_sweep_leave_the_same_table(toy: ModuleType, root: str) -> None:
    undisturbed = table(sweep(toy, f"{root}/calm", pause_s=0.02))
    kill_at_random(toy, f"{root}/shot", "local", kills=5, seed=1)
    same = table(Store(f"{root}/shot")).drop("hardware", "driver", "jax_version", "platform")
    assert same.equals(undisturbed.drop("hardware", "driver", "jax_version", "platform"))


def test_a_pack_that_was_cut_off_is_run_again_in_the_same_company(toy: ModuleType, tmp_path: Path) -> None:
    calm = sweep(toy, tmp_path / "calm")
    shot = Store(tmp_path / "shot")
    run_sweep(toy.spec(), shot, launcher=toy.here(), width=4, trainer=toy.TRAINER, within=lambda: False)
    # the first pack ended: play that it was interrupted after its first run
    (pack,) = [p for p in make_packs(_asked(toy), width=4) if key(p[0]) in shot.keys()]  # noqa: SIM118
    for trial in pack[1:]:
        for name in shot.place.names(start=f"{key(trial)}-"):
            shot.place.delete(name)
    shot.place.write(f"{BEGUN}/cut.json", msgspec.json.encode(pack))
    assert standing(toy.spec(), shot).begun == 1
    run_sweep(toy.spec(), shot, launcher=toy.here(), width=4, trainer=toy.TRAINER)
    assert table(shot).equals(table(calm))


def test_torn_files_are_named_and_their_runs_made_again(toy: ModuleType, tmp_path: Path) -> None:
    store = sweep(toy, tmp_path)
    before = table(store)
    file = next(tmp_path.glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:1000])
    found = standing(toy.spec(), store)
    assert not found.complete
    assert [problem.path for problem in found.problems] == [str(file)]
    run_sweep(toy.spec(), store, launcher=toy.here(), width=4, trainer=toy.TRAINER)
    assert standing(toy.spec(), store).complete
    assert set(store.keys()) == set(before["key"])


def test_a_sweep_must_name_a_file(toy: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match=r"\.\./up"):
        run_sweep(toy.spec("../up"), Store(tmp_path), launcher=toy.here(), trainer=toy.TRAINER)


def test_energy_is_of_the_steps_and_shared_by_compute(toy: ModuleType) -> None:
    class Steady:
        basis = "rapl"

        def read(self) -> tuple[float, float, None, None]:
            now = time.monotonic()
            return 100.0 * now, 100.0, None, None

    meter = SampledMeter([Steady()])
    trials = [trial for trial in _asked(toy) if trial.seed == 0][:2]

    def train(pack: object, *, progress: object) -> object:
        time.sleep(0.3)  # compiling
        return toy.train_pack(pack, progress=progress)

    outcomes, energy = train_metered(trials, train, meter)  # type: ignore[arg-type]
    meter.close()
    assert energy.energy_j is not None
    assert energy.energy_j < 10  # compiling would be 30 J
    weighted = shares_of(outcomes, Energy(energy_j=9.0, basis="rapl", seconds=1.0))
    assert sum(share.energy_j or 0 for share in weighted) == pytest.approx(9)
    assert weighted[1].energy_j == pytest.approx(9 * trials[1].width / sum(t.width for t in trials))


def test_no_meter_still_times(toy: ModuleType) -> None:
    _, energy = train_metered(_asked(toy)[:1], toy.train_pack, NoMeter("none"))
    assert energy.energy_j is None


def _asked(toy: ModuleType) -> list:
    from hplaw_experiments.sweep.walkers import next_trials

    return next_trials(toy.spec(), {})
