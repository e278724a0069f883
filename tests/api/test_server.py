"""The process: it starts on what it has, says what is unsafe, and stops when given, finishing what is in flight."""

import signal
import subprocess
import sys
import threading
import time

import httpx2
import pytest

from hplaw_api import Settings, create_app


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_the_service_cleanly(start_service, stop):
    service = start_service()
    service.process.send_signal(stop)
    # uvicorn raises the signal again when it is done, as a program should that was stopped by one
    assert service.process.wait(20) in {0, -stop}
    assert "Traceback" not in service.log.read_text()


def test_question_in_flight_is_answered_before_the_stop(start_service):
    service = start_service()
    queries = [{"n_params": 1e9 + k, "tokens": 1e11} for k in range(10_000)]
    replies = []

    def ask():
        with httpx2.Client(base_url=service.url, timeout=60, trust_env=False) as http:
            replies.append(http.post("/v1/recommendations/batch", json={"queries": queries}))

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.3)
    service.process.send_signal(signal.SIGTERM)
    asking.join(60)
    assert replies[0].status_code == 200
    assert len(replies[0].json()["results"]) == 10_000


def test_service_bound_to_others_without_a_key_warns(start_service):
    service = start_service(HPLAW_HOST="127.0.0.1")
    assert "without a key" not in service.log.read_text()
    assert Settings(host="0.0.0.0").exposed


def test_law_folder_that_is_not_there_is_refused_at_the_start():
    with pytest.raises(LookupError, match="/no/such/folder"):
        create_app(Settings(laws=("/no/such/folder",)))


def test_two_applications_in_one_process_share_nothing():
    first, second = create_app(Settings()), create_app(Settings(api_key="k"))
    assert first.state["context"] is not second.state["context"]
    assert first.state["context"].metrics is not second.state["context"].metrics


def test_serving_loads_neither_jax_nor_polars_nor_scipy():
    code = "import sys, hplaw_api; hplaw_api.create_app(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "litestar" in loaded
    assert not loaded & {"jax", "polars", "scipy", "sklearn", "pandas", "httpx2", "rich"}
