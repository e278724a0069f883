"""Where trials run: workers on this machine and on a Ray cluster, killed in the middle."""

import os
import sys
from pathlib import Path

import pytest

from hplaw.errors import DeviceError
from hplaw.runs import Store
from hplaw_experiments.launch import Job, Local, Pin, Ray, pins
from hplaw_experiments.launch.job import begun
from hplaw_experiments.sweep.run import run_sweep
from hplaw_experiments.trial import SweepSpec, Trial


FOLDER = Path(__file__).parents[1]
TRAINER = "toy:train_pack"


def spec(**options: object) -> SweepSpec:
    return SweepSpec(
        name="launched",
        seeds=(0, 1, 2),
        data={"source": "digits", "options": options},
        training={"tokens": 3200, "batch_tokens": 32},
        space={"peak_lr": [1e-3, 1e-2], "width": [8, 16]},
    )


def with_toy() -> dict[str, str]:
    """Return the environment of workers that find the toy beside what this process imports."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER), os.environ.get("PYTHONPATH", "")])}


def test_workers_share_the_cores_or_take_a_gpu_each() -> None:
    two = pins(2)
    assert not set(two[0].cores) & set(two[1].cores)
    assert two[0].environment()["JAX_PLATFORMS"] == "cpu"
    on_gpus = pins(2, gpus=["0", "GPU-ab"])
    assert [pin.environment() for pin in on_gpus] == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "GPU-ab"}]
    with pytest.raises(DeviceError, match="3 workers for 2 GPUs"):
        pins(3, gpus=["0", "1"])


def test_a_pack_has_one_name(tmp_path: Path) -> None:
    trial = Trial(tokens=100, batch_tokens=10, peak_lr=0.1)
    job = Job(store=str(tmp_path), sweep="s", trials=(trial,))
    assert job.name == Job(store="elsewhere", sweep="t", trials=(trial,)).name


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_and_its_pack_run_again(root: str, tmp_path: Path) -> None:
    launcher = Local([Pin(), Pin()], environment=with_toy())
    store = Store(f"{root}/runs")
    sweep = spec(pause_s=0.1, die_once=str(tmp_path / "died"))
    found = run_sweep(sweep, store, launcher=launcher, width=2, trainer=TRAINER)
    launcher.close()
    assert (tmp_path / "died").exists()
    assert found.complete
    assert len(store.read().table) == found.asked == 12
    assert not store.read().problems
    assert not begun(store.place)


@pytest.mark.slow
@pytest.mark.parametrize(("options", "says"), [({"die": True}, "died 3 times"), ({"fail": True}, "the toy is broken")])
def test_what_cannot_run_ends_the_sweep_with_its_reason(tmp_path: Path, options: dict[str, object], says: str) -> None:
    launcher = Local([Pin()], environment=with_toy())
    with pytest.raises(DeviceError, match=says):
        run_sweep(spec(**options), Store(tmp_path), launcher=launcher, width=12, trainer=TRAINER)
    launcher.close()


@pytest.mark.skipif("ray" in sys.modules, reason="ray is loaded")
def test_without_ray_the_command_to_install_it_is_named() -> None:
    try:
        import ray  # noqa: F401
    except ImportError:
        with pytest.raises(DeviceError, match=r"\[ray\]"):
            Ray()
    else:
        pytest.skip("ray is installed")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_ray_cluster_of_several_processes_survives_a_killed_worker(root: str, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    # no Ray of pip's environment is packed and sent: the workers have this one
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        runtime_env={"env_vars": {"PYTHONPATH": with_toy()["PYTHONPATH"], "JAX_PLATFORMS": "cpu"}},
    )
    try:
        store = Store(f"{root}/runs")
        launcher = Ray()
        sweep = spec(pause_s=0.1, die_once=str(tmp_path / "died"))
        found = run_sweep(sweep, store, launcher=launcher, width=2, trainer=TRAINER)
        assert (tmp_path / "died").exists()
        assert found.complete
        assert len(store.read().table) == 12
        assert not store.read().problems
        with pytest.raises(DeviceError, match="the toy is broken"):
            run_sweep(spec(fail=True), store, launcher=launcher, width=12, trainer=TRAINER)
        with pytest.raises(DeviceError, match="lost 3 times"):
            run_sweep(spec(die=True), store, launcher=launcher, width=12, trainer=TRAINER)
    finally:
        ray.shutdown()
