"""`hplaw sweep run --watch`: a live table in a terminal, lines elsewhere."""

import datetime as dt
import io
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hplaw.cli.watch import EVERY_S, Watch
from hplaw.metering.meter import Energy
from hplaw.runs import Store
from hplaw_experiments.launch.job import Job
from hplaw_experiments.launch.record import Provenance, make_record
from hplaw_experiments.sweep.live import Live
from hplaw_experiments.sweep.plan import make_packs
from hplaw_experiments.sweep.walkers import next_trials
from hplaw_experiments.trial import Outcome, Seen, SweepSpec, Trial
from tests.cli.test_sweep_and_runs import SWEEP


SPEC = SweepSpec(
    name="watched",
    model={"family": "mlp"},
    data={"source": "digits"},
    training={"tokens": 3200, "batch_tokens": 32},
    space={"width": [8, 16], "peak_lr": [1e-3, 1e-2, 10.0]},
)
WHERE = Provenance(code_version="0", jax_version="0", driver="", hardware="toy", platform="cpu", host="here")


def put(store: Store, trial: Trial, loss: float | None, energy_j: float) -> None:
    outcome = Outcome(loss=loss, diverged=loss is None, steps_done=100, seconds=1.0, n_params=1e3, training_flop=1e6)
    energy = Energy(energy_j=energy_j, basis="rapl", seconds=1.0)
    started = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    store.put(make_record(trial, outcome, sweep="watched", where=WHERE, energy=energy, started=started))


def frame(height: int, tmp_path: Path) -> list[str]:
    """Return the last frame of a sweep of six trials: one pack stored, another in training."""
    now = 0.0
    store = Store(tmp_path)
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=height, color_system=None)
    watch = Watch(store, console=console, clock=lambda: now)
    live = Live("watched", watch, lambda: now)
    trials = next_trials(SPEC, {})
    packs = make_packs(trials)
    jobs = [Job(store=str(tmp_path), sweep="watched", trials=tuple(pack)) for pack in packs]
    live.begins(trials, {}, jobs)
    for trial, loss in zip(packs[0], (0.25, 0.125, None), strict=True):
        put(store, trial, loss, 7.0)
    live.told(jobs[0], 0.0, [])
    now = 20.0
    live.ended(jobs[0])
    now = 21.0
    live.told(jobs[1], 0.0, [])
    now = 22.0
    live.told(jobs[1], 0.25, [Seen(packs[1][0], 0.5, 0.75), Seen(packs[1][1], 0.25, None, True)])
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue().rpartition("watched: ")[2]
    watch.end()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", "watched: " + text).splitlines()


def test_each_trial_has_its_share_loss_and_joules(tmp_path: Path) -> None:
    lines = [line.rstrip() for line in frame(30, tmp_path)]
    assert re.fullmatch(r"watched: 3 of 6 trials, \d+%, \d+ s left, 21 J", lines[0])
    assert [line.split() for line in lines[2:] if line] == [
        ["width", "peak_lr", "done", "loss", "J"],
        ["16", "0.001", "50%", "0.75"],
        ["16", "0.01", "25%", "diverged"],
        ["8", "0.01", "100%", "0.125", "7"],
        ["8", "0.001", "100%", "0.25", "7"],
        ["8", "10", "100%", "diverged", "7"],
        ["1", "waiting,", "1", "diverged"],
    ]
    assert max(map(len, lines)) <= 80


def test_a_small_terminal_shows_who_trains_and_the_best(tmp_path: Path) -> None:
    lines = [line.split() for line in frame(9, tmp_path)[2:]]
    assert [line[2] for line in lines[1:-1]] == ["50%", "100%", "100%"]
    assert lines[-1] == ["1", "more", "training,", "1", "more", "done,", "1", "waiting,", "1", "diverged"]


def test_the_table_is_drawn_seldom(tmp_path: Path) -> None:
    """A trainer that tells often costs no more."""
    now = 0.0
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24, color_system=None)
    watch = Watch(Store(tmp_path), console=console, clock=lambda: now)
    live = Live("watched", watch, lambda: now)
    trials = next_trials(SPEC, {})
    job = Job(store=str(tmp_path), sweep="watched", trials=tuple(trials[:1]))
    live.begins(trials, {}, [job])
    for _ in range(1000):
        now += EVERY_S / 100
        live.told(job, 0.0, [Seen(trials[0], 0.5, 1.0)])
    assert isinstance(console.file, io.StringIO)
    assert 5 <= console.file.getvalue().count("watched: ") <= 15


def test_without_a_terminal_there_are_lines(run: Any, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SWEEP)
    done = run("sweep", "run", tmp_path / "small.toml", "--to", tmp_path / "mine", "--watch")
    assert done.status == 0
    assert "\x1b" not in done.out + done.err
    assert "2 of 2 trials done" in done.out


@pytest.mark.slow
def test_a_terminal_shows_the_table(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SWEEP.replace("[1e-3, 1e-2]", "[1e-3, 1e5]"))
    parent, child = pty.openpty()
    environ = os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "hplaw", "sweep", "run", "small.toml", "--watch"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdin=child, stdout=child, stderr=child)
    os.close(child)
    body, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([parent], [], [], 0.2)[0]:
            try:
                body += os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
    os.close(parent)
    assert process.wait(10) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", body.decode())
    assert re.search(r"peak_lr +done +loss", text)
    assert re.search(r"0\.001 +100% +\d\.\d+", text)
    assert "small: 2 of 2 trials, 100%" in text
    assert "next: hplaw sweep export" in text
