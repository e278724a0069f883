"""The real trainer, into a folder and into a bucket, killed at random moments: the table ends as if nothing had
happened, and is the same in both."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from hplaw.runs import Store
from hplaw.runs.schema import TIMING
from hplaw_experiments.launch.job import begun


SPEC = """
name = "killed"
seeds = [0, 1]

[model]
family = "mlp"
n_layers = 1

[data]
source = "digits"

[training]
optimizer = "adam"
tokens = 65536
batch_tokens = 32

[space]
width = [8, 16, 24]
peak_lr = { log_grid = [1e-3, 1e-1, 6] }
"""

KILLS = 50
"""Kills in all; a sweep that ends before them is compared, and begun again."""

LONGEST_S = 1.5
"""Seconds beyond an undisturbed start within which a process is killed: several packs are done in them."""


def table(address: str) -> pl.DataFrame:
    runs = Store(address).read()
    assert not runs.problems
    return runs.table.drop(*TIMING, "code_version")


def start(spec: Path, address: str, *launch: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "hplaw", "sweep", "run", spec, "--to", address, "--pack", "2", *launch]
    return subprocess.Popen(
        words, stdout=subprocess.DEVNULL, env={**os.environ, "JAX_PLATFORMS": "cpu"}, start_new_session=True
    )


def first_run_s(spec: Path, address: str) -> float:
    """Run a sweep to its end; return the seconds after which its first run was stored."""
    began = time.monotonic()
    process = start(spec, address)
    while not Store(address).keys() and process.poll() is None:
        time.sleep(0.02)
    found = time.monotonic() - began
    assert process.wait() == 0
    return found


@pytest.mark.slow
@pytest.mark.parametrize("launch", [(), ("--launch", "local", "--workers", "2"), ("--launch", "ray")])
def test_a_sweep_into_a_bucket_leaves_the_table_of_one_into_a_folder(
    bucket: str, tmp_path: Path, launch: tuple[str, ...]
) -> None:
    spec = tmp_path / "killed.toml"
    spec.write_text(SPEC)
    assert start(spec, str(tmp_path / "runs")).wait() == 0
    assert start(spec, f"{bucket}/runs", *launch).wait() == 0
    # in all columns but those of time, energy and host
    assert table(f"{bucket}/runs").equals(table(str(tmp_path / "runs")))
    assert len(table(f"{bucket}/runs")) == 36
    assert not begun(Store(f"{bucket}/runs").place)


@pytest.mark.slow
def test_the_real_trainer_killed_at_fifty_random_moments(root: str, tmp_path: Path) -> None:
    spec = tmp_path / "killed.toml"
    spec.write_text(SPEC)
    least = first_run_s(spec, f"{root}/calm")
    undisturbed = table(f"{root}/calm")
    assert len(undisturbed) == 36
    moments, killed, sweeps = random.Random(0), 0, 0
    while killed < KILLS:
        address = f"{root}/shot-{sweeps}"
        sweeps += 1
        while True:
            process = start(spec, address)
            if killed < KILLS:
                # half of the kills fall into the work, half also into what comes before it
                time.sleep(moments.uniform(moments.choice((0.2, 0.9)) * least, least + LONGEST_S))
                os.killpg(process.pid, signal.SIGKILL)
            if process.wait() == 0:
                break
            killed += 1
        assert table(address).equals(undisturbed)
        assert not begun(Store(address).place)
