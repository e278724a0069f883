"""The command as a whole: exit statuses, one sentence for every mistake, streams, and what a start loads."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import hplaw.cli.app as app
from hplaw.cli import main


ASK = ("recommend", "--params", "7B", "--tokens", "1.4T")


def spawn(words: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "COLUMNS": "80"}
    return subprocess.Popen(
        [sys.executable, "-m", "hplaw", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        **options,
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("recomend", "'recomend' is no command of hplaw; did you mean 'recommend'?"),
        ("laws lst", "'lst' is no command of hplaw laws; did you mean 'list'?"),
        ("recommend --param 7B", "--param is no option of hplaw recommend; did you mean '--params'?"),
        ("recommend 7B", "'7B' is unexpected after hplaw recommend"),
        ("recommend --params", "--params needs a value"),
        ("recommend --params 7B --params 8B", "--params is given twice"),
        ("recommend --json=7", 'invalid value for --json: unable to convert "7" into bool'),
        ("laws show", "ID is missing"),
        ("laws show a b", "'b' is unexpected after hplaw laws show"),
        ("laws check", "nothing to check"),
        ("evaluate step-law-2025 --set n_params", "--set n_params: give name=value"),
        ("quantities lr", "lr is no quantity; did you mean 'peak_lr'?"),
        ("recommend --lr 3e-4", "--lr is no option of hplaw recommend; write --given peak_lr=VALUE"),
        ("recommend --weight-decay 0.1", "write --given weight_decay=VALUE"),
        ("recommend --n-params 7B", "did you mean '--params'?"),
        ("recommend --params 7B --devices 2.5", "devices=2.5 is not a whole number"),
        ("recommend --params 7B --hardware rtx-9999", "did you mean 'rtx-5090'?"),
        (
            "recommend --params 7B --country usa",
            "did you mean 'US'?; give two letters, such as US; `hplaw quantities country` lists them",
        ),
        ("energy --params 7B --tokens 1T --hardware rtx-9999", "`hplaw hardware` lists them"),
        ("evaluate accelerators --set hardware=rtx-9999", "is not known to accelerators; did you mean 'rtx-5090'?"),
        ("quantities tokns", "tokns is no quantity; did you mean 'tokens'?"),
        ("serve --port 70000", "--port 70000 is no port"),
        ("serve --port -1", "--port -1 is no port"),
        ("laws new My_Law", "'My_Law' is no id"),
        ("laws list --quantity peak_rl", "did you mean 'peak_lr'?"),
        ("laws list --status fitted", "give calibrated, published, theory"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_2(run: Any, words: str, says: str) -> None:
    run(*words.split()).check_misused(says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("laws show step-lw-2025", "did you mean 'step-law-2025'?"),
        ("laws show step-law-2025@99", "no law has the address 'step-law-2025@99'"),
        ("laws show absent.toml", "absent.toml: cannot be read"),
        ("laws list --laws /nowhere", "'/nowhere' does not exist"),
        ("recommend --params 7B --tokens 1T --laws /nowhere", "'/nowhere' does not exist"),
        ("recommend --params 7B --tokens 1T --model absent.json", "absent.json: No such file"),
        ("recommend --from absent.csv --to -", "absent.csv: No such file"),
    ],
)
def test_a_law_or_file_at_fault_is_one_sentence_and_status_1(run: Any, words: str, says: str) -> None:
    done = run(*words.split())
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("hplaw: ")
    assert done.err.count("\n") == 1
    assert says in done.err


@pytest.mark.parametrize("words", [[], ["laws"], *([*words.split(), "--help"] for words, *_ in app.COMMANDS)])
def test_every_command_has_help(run: Any, words: list[str]) -> None:
    done = run(*words)
    assert (done.status, done.err) == (0, "")
    assert "Usage: hplaw" in done.out


@pytest.mark.parametrize("words", [words for words, *_ in app.COMMANDS])
def test_every_command_shows_an_example(run: Any, words: str) -> None:
    text = " ".join(run(*words.split(), "--help").out.split())
    assert f"Example: hplaw {words}" in text


def test_help_lists_commands_by_what_they_are_for_in_one_order(run: Any) -> None:
    text = run("--help").out
    places = [text.index(f" {title} ─") for title in app.GROUPS]
    assert places == sorted(places)
    firsts = list(dict.fromkeys(words.split()[0] for words, *_ in app.COMMANDS))
    assert [
        word
        for line in text.splitlines()
        if line.startswith("│")
        if (word := line.strip("│ ").partition(" ")[0]) in firsts
    ] == firsts
    within = run("laws", "--help").out
    places = [within.index(f"│ {words.split()[1]} ") for words, *_ in app.GROUPS["Laws"]]
    assert places == sorted(places)
    assert "--install-completion" in text


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", ".local/share/bash-completion/completions/hplaw"),
        ("zsh", ".zsh/completions/_hplaw"),
        ("fish", ".config/fish/completions/hplaw.fish"),
    ],
)
def test_completion_is_installed_for_a_shell(tmp_path: Path, shell: str, file: str) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "SHELL": "/bin/none"}
    words = [sys.executable, "-m", "hplaw", "--install-completion", "--shell", shell]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert str(tmp_path) in done.stdout
    written = [path for path in tmp_path.rglob("*hplaw*") if path.is_file()]
    assert [path.read_text().count("recommend") > 0 for path in written] == [True]
    assert "--target-loss" in written[0].read_text() or "target-loss" in written[0].read_text()


def test_the_version_is_that_of_the_distribution(run: Any) -> None:
    assert run("--version") == (0, f"{version('hplaw')}\n", "")


def test_a_defect_is_one_sentence_too(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        message = "deep\ninside"
        raise RuntimeError(message)

    monkeypatch.setattr(app, "create_app", lambda: lambda *_, **__: broken())
    done = run("doctor")
    assert done.status == 1
    assert done.err == ("hplaw: a defect of hplaw: RuntimeError: deep inside; set HPLAW_TRACEBACK=1 to see where\n")
    monkeypatch.setenv("HPLAW_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        main(["doctor"])


def test_the_installed_command_and_the_module_answer_alike() -> None:
    module = spawn(ASK)
    out, err = module.communicate(timeout=60)
    assert (module.returncode, err) == (0, b"")
    script = Path(sys.executable).with_name("hplaw")
    if not script.exists():
        pytest.skip("the hplaw script is not installed beside this Python")
    done = subprocess.run([script, *ASK], capture_output=True, check=False, env={**os.environ, "COLUMNS": "80"})
    assert (done.returncode, done.stdout, done.stderr) == (0, out, b"")


def test_a_closed_pipe_is_silent() -> None:
    with spawn(["quantities", "--json"]) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hplaw", "laws", "cite", "step-law-2025"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"hplaw: the output: No space left on device\n")


def test_a_closed_output_is_one_sentence(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as closed:
        closed.setattr(sys, "stdout", None)
        done = run("laws", "list")
    assert done == (1, "", "hplaw: standard output is closed; there is nowhere to answer\n")


def unread(pipe: int) -> int:
    """Return the bytes written to a pipe that nobody has read yet."""
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is a signal only on POSIX")
def test_ctrl_c_ends_with_status_130() -> None:
    process = spawn(["recommend", "--from", "-"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"n_params,tokens\n")  # and no end: it waits for more
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while unread(process.stdin.fileno()) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"")


def test_output_is_utf_8_or_question_marks() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "hplaw", "laws", "show", "deepseek-llm-2024"],
        capture_output=True,
        check=False,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


def test_an_answer_loads_neither_rich_nor_anything_heavier() -> None:
    code = f"""
import sys
from hplaw.cli import main
main({list(ASK)!r})
print(*sorted({{name.partition(".")[0] for name in sys.modules}}), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "msgspec" in loaded
    assert not loaded & {"rich", "httpx2", "polars", "scipy", "jax", "litestar", "uvicorn"}


def test_only_a_process_of_its_own_answers_without_collecting_garbage(run: Any) -> None:
    before = gc.get_freeze_count()
    assert run(*ASK).status == 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == before
    script = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 0)); from hplaw.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", script, *ASK], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("True\n")
