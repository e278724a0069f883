"""The grid of number formats: replicates of all cells alike, an end when the time is over, means by cell."""

import time
from pathlib import Path

import msgspec
import pytest

from hplaw.metering.devices import RecordedDevice
from hplaw.metering.meter import NoMeter, Sample, SampledMeter
from hplaw.runs import Store
from hplaw_experiments.launch import Here, Place
from hplaw_experiments.studies.precision_energy import study
from hplaw_experiments.studies.precision_grid import measurements, run_grid
from hplaw_experiments.trial import SweepSpec, Walker
from tests.experiments import toy


TRAINER = "tests.experiments.toy:train_pack"
SPEC = msgspec.structs.replace(
    toy.spec("grid", seeds=(0, 1, 2)),
    space={"precision": ["fp32", "bf16"], "batch_tokens": [32, 64], "peak_lr": [1e-2]},
    training={"tokens": 3200},
    walker=Walker(),
    metered=True,
)


class Clock:
    """A clock that a grid's packs advance: each look takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def trained(folder: Path, budget_s: float, spec: SweepSpec = SPEC) -> tuple[int, int]:
    found = run_grid(
        spec,
        Store(folder),
        launcher=Here(Place(meter=NoMeter("a toy"), where=toy.WHERE)),
        budget_s=budget_s,
        trainer=TRAINER,
        clock=Clock(),
    )
    return found.done, found.asked


def test_time_is_spent_seed_by_seed(tmp_path: Path) -> None:
    assert trained(tmp_path / "all", 100.0) == (12, 12)
    # a seed takes 6 looks: a second one fits into 14 seconds, a third does not
    assert trained(tmp_path / "some", 14.0) == (8, 8)
    done, asked = trained(tmp_path / "cut", 4.0)
    assert 0 < done < asked == 4


def test_what_is_stored_is_not_trained_again(tmp_path: Path) -> None:
    trained(tmp_path, 14.0)
    first = {row["key"]: row["started"] for row in Store(tmp_path).read().table.iter_rows(named=True)}
    assert trained(tmp_path, 100.0) == (12, 12)
    again = {row["key"]: row["started"] for row in Store(tmp_path).read().table.iter_rows(named=True)}
    assert first.items() <= again.items()


def test_metered_runs_give_energy_and_a_study(tmp_path: Path) -> None:
    samples = [Sample(0.002 * n, 0.5 * n, 250.0) for n in range(30_000)]
    meter = SampledMeter([RecordedDevice(samples, clock=time.monotonic)])
    launcher = Here(Place(meter=meter, where=toy.WHERE))
    run_grid(SPEC, Store(tmp_path), launcher=launcher, budget_s=60.0, trainer=TRAINER)
    launcher.close()
    runs = Store(tmp_path).read().table
    found = list(measurements(runs))
    names = [each.name for each in found]
    assert names[:3] == [
        "loss, bf16, batch_tokens 32, 3 runs",
        "throughput, bf16, batch_tokens 32, 3 runs",
        "energy, bf16, batch_tokens 32, 3 runs",
    ]
    assert len(found) == 12
    cell = [row for row in runs.iter_rows(named=True) if row["precision"] == "bf16" and row["batch_tokens"] == 32]
    assert found[1].value == pytest.approx(3200 / 0.01)
    assert found[2].value == pytest.approx(sum(row["energy_j"] for row in cell) / 3 / 3200 * 1e6)
    assert study(runs)[0].overall.keys() == {"bf16"}


def test_nothing_unmeasured_is_reported(tmp_path: Path) -> None:
    trained(tmp_path, 100.0)
    assert not [each for each in measurements(Store(tmp_path).read().table) if each.name.startswith("energy")]
