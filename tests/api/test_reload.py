"""Law folders that change under a running service: it takes what is good, and serves the last good set over what is not."""

import time

import httpx2
import pytest

from tests.api.resident import readable, resident_mb


LAW = """
schema = 1
id = "my-rule"
version = 1
title = "A rule of the house"
status = "published"
checked = "primary"
inputs = ["n_params"]

[outputs]
peak_lr = "{factor} * (n_params / 1e9) ** -0.3"

[domain]
n_params = [1e8, 1e10]

[[examples]]
given = {{ n_params = 1e9 }}
expect = {{ peak_lr = {factor} }}
rtol = 1e-6

[source]
title = "Ours"
"""


@pytest.fixture
def folder(tmp_path):
    laws = tmp_path / "laws"
    laws.mkdir()
    (laws / "mine.toml").write_text(LAW.format(factor=2.0))
    return laws


@pytest.fixture
def http(start_service, folder):
    service = start_service(HPLAW_LAWS=str(folder), HPLAW_RELOAD_S="0.05")
    with httpx2.Client(base_url=service.url, timeout=30, trust_env=False) as client:
        yield client


def eventually(holds, *, within_s=10.0):
    """Wait until something holds; say whether it came to."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return False


def rate(http):
    query = {"n_params": 1e9, "laws": ["my-rule"], "want": ["peak_lr"]}
    return http.post("/v1/recommendations", json=query).json()["answers"]["peak_lr"]["value"]


def test_changed_law_is_served_and_kept_replies_are_forgotten(http, folder):
    assert rate(http) == rate(http) == 2.0
    (folder / "mine.toml").write_text(LAW.format(factor=3.0))
    assert eventually(lambda: rate(http) == 3.0)


def test_new_law_is_served(http, folder):
    (folder / "other.toml").write_text(LAW.format(factor=1.0).replace("my-rule", "other-rule"))
    assert eventually(lambda: http.get("/v1/laws/other-rule").status_code == 200)


def test_broken_file_is_named_and_the_last_good_set_serves_on(http, folder):
    (folder / "mine.toml").write_text("schema = ")
    assert eventually(lambda: http.get("/health/ready").json()["status"] == "degraded")
    reply = http.get("/health/ready")
    assert reply.status_code == 200
    assert "mine.toml" in reply.json()["problems"][0]
    assert rate(http) == 2.0
    (folder / "mine.toml").write_text(LAW.format(factor=4.0))
    assert eventually(lambda: rate(http) == 4.0)
    assert http.get("/health/ready").json()["status"] == "ready"


def test_vanished_folder_is_named_and_its_laws_serve_on(http, folder):
    elsewhere = folder.with_name("elsewhere")
    folder.rename(elsewhere)
    assert eventually(lambda: http.get("/health/ready").json()["status"] == "degraded")
    assert str(folder) in http.get("/health/ready").json()["problems"][0]
    assert rate(http) == 2.0
    elsewhere.rename(folder)
    assert eventually(lambda: http.get("/health/ready").json()["status"] == "ready")


def test_file_broken_from_the_start_stops_neither_the_others_nor_later_changes(start_service, folder):
    (folder / "bad.toml").write_text("schema = ")
    service = start_service(HPLAW_LAWS=str(folder), HPLAW_RELOAD_S="0.05")
    with httpx2.Client(base_url=service.url, timeout=30, trust_env=False) as http:
        health = http.get("/health/ready").json()
        assert health["status"] == "degraded"
        assert "bad.toml" in health["problems"][0]
        assert rate(http) == 2.0
        (folder / "mine.toml").write_text(LAW.format(factor=3.0))
        assert eventually(lambda: rate(http) == 3.0)


def test_changes_lose_no_request(http, folder):
    for factor in (3.0, 4.0, 5.0):
        (folder / "mine.toml").write_text(LAW.format(factor=factor))
        # each look asks, and fails where an answer is missing or is neither the old nor the new
        assert eventually(lambda new=factor: {new: True, new - 1.0: False}[rate(http)])


@pytest.mark.slow
@readable
def test_forty_reloads_under_load_leave_no_memory_behind(start_service, folder):
    service = start_service(HPLAW_LAWS=str(folder), HPLAW_RELOAD_S="0.05")
    with httpx2.Client(base_url=service.url, timeout=30, trust_env=False) as client:

        def ask_some(turn):
            for i in range(20):
                query = {"n_params": 1e9 * (1 + i) + turn, "tokens": 1e11, "want": ["peak_lr", "loss"]}
                assert client.post("/v1/recommendations", json=query).status_code == 200

        ask_some(0)
        before = resident_mb(service.process.pid)
        for turn in range(40):
            factor = 3.0 + turn
            (folder / "mine.toml").write_text(LAW.format(factor=factor))
            assert eventually(lambda factor=factor: rate(client) == pytest.approx(factor))
            ask_some(turn)
        assert resident_mb(service.process.pid) - before < 10
