"""The real trainer killed at random moments: the table ends as if nothing had happened."""

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


def table(folder: Path) -> pl.DataFrame:
    runs = Store(folder).read()
    assert not runs.problems
    return runs.table.drop(*TIMING, "code_version")


def start(spec: Path, folder: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "hplaw", "sweep", "run", spec, "--to", folder, "--pack", "2"]
    return subprocess.Popen(
        words, stdout=subprocess.DEVNULL, env={**os.environ, "JAX_PLATFORMS": "cpu"}, start_new_session=True
    )


def first_run_s(spec: Path, folder: Path) -> float:
    """Run a sweep to its end; return the seconds after which its first run was stored."""
    began = time.monotonic()
    process = start(spec, folder)
    while not Store(folder).keys() and process.poll() is None:
        time.sleep(0.02)
    found = time.monotonic() - began
    assert process.wait() == 0
    return found


@pytest.mark.slow
def test_the_real_trainer_killed_at_fifty_random_moments(tmp_path: Path) -> None:
    spec = tmp_path / "killed.toml"
    spec.write_text(SPEC)
    least = first_run_s(spec, tmp_path / "calm")
    undisturbed = table(tmp_path / "calm")
    assert len(undisturbed) == 36
    moments, killed, sweeps = random.Random(0), 0, 0
    while killed < KILLS:
        folder = tmp_path / f"shot-{sweeps}"
        sweeps += 1
        while True:
            process = start(spec, folder)
            if killed < KILLS:
                # half of the kills fall into the work, half also into what comes before it
                time.sleep(moments.uniform(moments.choice((0.2, 0.9)) * least, least + LONGEST_S))
                os.killpg(process.pid, signal.SIGKILL)
            if process.wait() == 0:
                break
            killed += 1
        assert table(folder).equals(undisturbed)
        assert not begun(folder)
