"""`hplaw fit` from the command line: what it writes, and how it refuses."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from hplaw.catalogue.catalogue import load_catalogue
from hplaw.cli import main
from hplaw.fit.check.verdict import Verdict
from hplaw.fit.infer.fitting import Fitted
from hplaw.fit.output.law_folder import write_folder
from hplaw.law import read_law


def refused(words: Sequence[str | Path], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = main([str(word) for word in words])
    err = capsys.readouterr().err.strip()
    assert "\n" not in err
    return status, err


@pytest.mark.parametrize(
    ("law", "words", "status", "say"),
    [
        ("no-such-law", [], 1, "no law is called 'no-such-law'"),
        ("step-law-2025", [], 2, "step-law-2025 has no [fit]"),
        ("step-law-2025", [], 2, "give a law that has, as device-energy, layout-throughput, pretrain-loss, "),
        ("TOY", [], 1, "no column 'loss', which toy needs"),
        ("TOY", ["--map", "loss=fnal"], 2, "did you mean 'final'?"),
        ("TOY", ["--map", "lss=final"], 2, "did you mean 'loss'?"),
        ("TOY", ["--map", "final"], 2, "give name=value"),
        ("TOY", ["--map", "loss=final", "--where", "final > 1e9"], 1, "no rows that --where lets through"),
        ("TOY", ["--map", "loss=-final"], 1, "row 1: loss="),
        ("TOY", ["--map", "loss=final", "--chains", "0"], 2, "give 1 to 64 chains"),
        ("TOY", ["--data", "nowhere.csv"], 1, "nowhere.csv: there is no such file"),
        ("TOY", ["--data", "."], 1, "a folder without a fitted law; give a table of runs"),
        ("TOY", ["--seed", "-3"], 2, "--seed -3: give a whole number from 0 to"),
        ("TOY", ["--seed", "99999999999"], 2, "give a whole number from 0 to 4294967295"),
        ("TOY", ["--seed", "x"], 2, "invalid value for --seed"),
        ("TOY", ["--map", "loss=final", "--where", "final ==== 1"], 2, "give a condition over the columns"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence(
    law: str,
    words: list[str],
    status: int,
    say: str,
    toy_file: Path,
    runs_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data: list[str | Path] = [] if "--data" in words else ["--data", runs_file]
    name = toy_file if law == "TOY" else law
    found = refused(["fit", name, *data, "--to", tmp_path / "out", *words], capsys)
    assert found[0] == status, found
    assert say in found[1]
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_fit_writes_a_folder_that_answers(toy_file: Path, runs_file: Path, tmp_path: Path) -> None:
    to = tmp_path / "mine"
    words = ["fit", toy_file, "--data", runs_file, "--map", "loss=final", "--method", "map", "--to", to]
    done = subprocess.run(
        [sys.executable, "-m", "hplaw", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "96 of 96 runs in 12 groups" in done.stdout
    assert re.search(
        r"replicates above the data in the tail of the noise, share: 0\.\d+, passed \(0\.005 to", done.stdout
    )
    assert re.search(r"held-out runs inside their 90% intervals: \d+%, passed \(at least 70%\)", done.stdout)
    assert "check_" not in done.stdout
    assert sorted(item.name for item in to.iterdir()) == [
        "card.md",
        "law.toml",
        "moments.npz",
        "plots",
        "posterior.npz",
    ]
    law = read_law(to)
    assert law.spec.evidence is not None
    assert law.spec.evidence.failed == []
    card = (to / "card.md").read_text()
    assert "96 of 96 runs in 12 groups; all are used." in card
    for plot in (to / "plots").iterdir():
        assert f"plots/{plot.name}" in card
        assert plot.read_text().startswith("<svg")
    asked = subprocess.run(
        [sys.executable, "-m", "hplaw", "evaluate", "toy", "--laws", str(to), "--set", "n_params=1e9", "tokens=1e10"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr


@pytest.mark.slow
def test_a_robust_fit_says_whose_names_its_constants_have(toy_file: Path, runs_file: Path, tmp_path: Path) -> None:
    words = ["fit", toy_file, "--data", runs_file, "--map", "loss=final", "--method", "huber", "--bootstrap", "20"]
    done = subprocess.run(
        [sys.executable, "-m", "hplaw", *map(str, words), "--to", str(tmp_path / "mine")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    head, *constants = done.stdout.split("Parameters, by their names in law.toml\n")[1].splitlines()
    assert head.split() == ["value", "standard", "error"]
    assert re.match(r"  \w+ +-?[\d.e-]+ +[\d.e-]+$", constants[0])
    assert constants[-1].startswith("next: ")


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_fit_that_is_stopped_leaves_nothing_and_says_so(
    sent: signal.Signals, toy_file: Path, runs_file: Path, tmp_path: Path
) -> None:
    """Stop a real process once its bar says how long sampling will take."""
    words = ["fit", toy_file, "--data", runs_file, "--map", "loss=final", "--draws", "100000"]
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "hplaw", *map(str, words), "--to", str(tmp_path / "fits" / "mine")],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    shown = b""
    while not re.search(rb"sampling, \d+ s left", shown):
        shown += os.read(ours, 4096)
    process.send_signal(sent)
    with contextlib.suppress(OSError):  # what a terminal says when its other end is closed
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == (130 if sent is signal.SIGINT else -sent)
    assert b"Traceback" not in shown
    assert out == b""
    assert list(tmp_path.rglob("*")) == []


def test_what_was_accepted_all_the_same_is_said_in_every_answer(
    fitted: Fitted, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    verdict = Verdict(failed=["its noise is unlike the data"])
    write_folder(tmp_path / "toy", fitted, verdict, data="runs.csv", sha256="", accept=True)
    laws = ["--laws", str(tmp_path)]
    asked = ["--params", "1e9", "--tokens", "1e10", "--want", "loss", "--law", "toy", *laws]
    for words in (
        ["evaluate", "toy", "--set", "n_params=1e9", "tokens=1e10", *laws],
        ["recommend", *asked],
        ["recommend", *asked, "--json"],
    ):
        assert main(words) == 0, words
        said = " ".join(capfd.readouterr().out.split())
        assert "its noise is unlike the data" in said, words


def test_what_a_killed_write_leaves_behind_is_no_law(fitted: Fitted, tmp_path: Path) -> None:
    """A folder under its temporary name, as a kill in the midst of writing leaves it, is not looked into."""
    write_folder(tmp_path / "toy", fitted, Verdict(), data="runs.csv", sha256="")
    (tmp_path / "toy").rename(tmp_path / ".toy-x1y2z3")
    found = load_catalogue([tmp_path])
    assert "toy" not in [law.id for law in found.laws]
    assert found.problems == ()
