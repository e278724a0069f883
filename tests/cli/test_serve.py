"""`hplaw serve`: what it tells the service, and what it says when it cannot start."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

import hplaw_api


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Catch the settings that the service would start with."""
    caught: list[Any] = []
    monkeypatch.setattr(hplaw_api, "serve", caught.append)
    return caught


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_options_go_before_the_environment(
    run: Any, served: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, other = free_port(), free_port()
    monkeypatch.setenv("HPLAW_PORT", str(one))
    monkeypatch.setenv("HPLAW_RATE_LIMIT", "60")
    assert run("serve").status == 0
    assert run("serve", "--port", other, "--host", "127.0.0.1", "--laws", tmp_path).status == 0
    assert [settings.port for settings in served] == [one, other]
    assert [settings.rate_limit for settings in served] == [60, 60]
    assert [settings.laws for settings in served] == [(), (str(tmp_path),)]


def test_a_taken_port_is_one_sentence(run: Any, served: list[Any]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("serve", "--port", taken.getsockname()[1])
    assert (done.status, done.out, served) == (1, "", [])
    assert "Address already in use; give another --host or --port" in done.err


def test_without_its_packages_the_command_to_install_them_is_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hplaw_api", None)
    done = run("serve")
    assert (done.status, done.out) == (1, "")
    assert (
        done.err
        == 'hplaw: the service needs hplaw_api; in your clone of hplaw, run `make install` or `pip install -e ".[api]"`\n'
    )
