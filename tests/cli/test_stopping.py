"""Ctrl-C in commands that compute for long: one line, the command that goes on, status 130."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hplaw.cli.exit_status import STOPPED


WAITS = """
import sys, time
from hplaw.cli.stopping import stopping
with stopping(lambda: "kept", lambda: print("closed", file=sys.stderr, flush=True)):
    print("ready", flush=True)
    time.sleep(60)
"""
LONG = """
name = "long"
model = { family = "mlp", width = 256 }
data = { source = "digits" }
training = { batch_tokens = 64, tokens = 4e7 }
space = { peak_lr = { log_grid = [1e-3, 1e-1, 8] } }
"""


def test_ctrl_c_says_one_line_and_ends_at_once() -> None:
    process = subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert (process.returncode, said) == (STOPPED, "kept\nclosed\n")


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    """A shell's background jobs ignore it."""
    text = WAITS.replace("time.sleep(60)", "time.sleep(0.3)")
    line = f"trap '' INT; exec {sys.executable} -c \"$0\""
    process = subprocess.Popen(["sh", "-c", line, text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert (process.returncode, said) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "folder"),
    [
        ("sweep run long.toml --to runs", "runs"),
        ("sweep resume long.toml --to runs", "runs"),
        ("sweep run long.toml --to runs --launch local --workers 2", "runs"),
        ("calibrate --spec long.toml --to mine", "mine/runs"),
    ],
)
def test_a_stopped_sweep_says_how_to_go_on(tmp_path: Path, command: str, folder: str) -> None:
    (tmp_path / "long.toml").write_text(LONG)
    process = subprocess.Popen(
        [sys.executable, "-m", "hplaw", *command.split()],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while not list((tmp_path / folder).glob(".begun/*.json")):
        assert time.monotonic() < end
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    asked = time.monotonic()
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - asked < 5
    assert process.returncode == STOPPED
    assert said.splitlines()[-1] == (f"long: stopped, 0 of 8 trials stored in {folder}; to continue: hplaw {command}")
    assert "Traceback" not in said
