"""What only a client over HTTP does: it waits so long and no longer, asks again where that helps, and tells what went wrong."""

import http.server
import json
import socket
import subprocess
import sys
import threading
import time

import pytest

from hplaw.client import Client, calls
from hplaw.errors import ClientError, ConflictingQuery, DataError, LawError, LawNotFound, MalformedQuery, QueryError
from hplaw.messages.problem import Problem, plain_problem, to_error, to_problem


LAWS = (200, {}, b"[]")


def trouble(status, **headers):
    """Return a reply that carries a plain problem."""
    body = json.dumps({"title": "t", "status": status, "detail": "d"}).encode()
    return status, {"content-type": "application/problem+json", **headers}, body


class Pretender:
    """A server that gives the replies it was given to, in order, None for a lost connection; notes what it was asked."""

    def __init__(self, replies):
        self.asked = asked = []
        left = iter(replies)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length)
                asked.append((self.command, self.path, dict(self.headers), body))
                reply = next(left)
                if reply is None:
                    self.close_connection = True
                    return
                status, headers, body = reply
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.mark.parametrize("bad", [trouble(429), trouble(502), trouble(503), trouble(504), None])
def test_passing_trouble_is_tried_again_after_growing_pauses(over_http, bad):
    waits = []
    with Pretender([bad, bad, LAWS]) as server, over_http(server.url, waits=waits) as client:
        assert client.laws() == []
        assert len(server.asked) == 3
    assert 0.125 <= waits[0] < 0.25 <= waits[1] < 0.5


def test_question_is_sent_again_whole(over_http):
    reply = trouble(503)
    with Pretender([reply, trouble(400)]) as server, over_http(server.url) as client:
        with pytest.raises(ClientError):
            client.recommend(n_params=7e9)
        assert server.asked[0][:2] == server.asked[1][:2] == ("POST", "/v1/recommendations")
        assert server.asked[0][3] == server.asked[1][3] == b'{"n_params":7000000000.0}'


def test_tries_end(over_http):
    with (
        Pretender([trouble(503)] * 3) as server,
        over_http(server.url, retries=2) as client,
        pytest.raises(ClientError, match="503") as caught,
    ):
        client.laws()
    assert caught.value.status == 503
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 422, 500])
def test_lasting_trouble_is_not_tried_again(over_http, status):
    with (
        Pretender([trouble(status)]) as server,
        over_http(server.url) as client,
        pytest.raises(ClientError, match="d") as caught,
    ):
        client.laws()
    assert caught.value.status == status


def test_service_says_how_long_to_wait(over_http):
    waits = []
    limited = trouble(429, **{"retry-after": "7"})
    with Pretender([limited, LAWS]) as server, over_http(server.url, waits=waits) as client:
        assert client.laws() == []
    assert 7.0 <= waits[0] < 7.5


def test_wait_that_is_too_long_is_told_at_once(over_http):
    waits = []
    limited = trouble(429, **{"retry-after": "3600"})
    with (
        Pretender([limited]) as server,
        over_http(server.url, waits=waits) as client,
        pytest.raises(ClientError) as caught,
    ):
        client.laws()
    assert caught.value.status == 429
    assert waits == []


@pytest.mark.parametrize(
    "reply",
    [
        (200, {}, b"<html>"),
        (200, {}, b"{}"),
        (200, {}, b""),
        (200, {}, b'[{"id": 1}]'),
        (302, {"location": "http://127.0.0.1:1/"}, b""),
        (404, {}, b"<html>"),
        (500, {}, b"\xff\xfe"),
    ],
)
def test_answer_that_is_none_of_hplaw_is_told_as_such(over_http, reply):
    with Pretender([reply]) as server, over_http(server.url) as client, pytest.raises(ClientError) as caught:
        client.laws()
    assert caught.value.status == reply[0]


def test_service_that_is_not_there_is_told_with_its_address(over_http):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with over_http(url) as client, pytest.raises(ClientError, match=url) as caught:
            client.laws()
    assert caught.value.status is None


def test_service_that_does_not_answer_is_waited_for_no_longer_than_said(over_http):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        with over_http(url, timeout=0.2, retries=1) as client, pytest.raises(ClientError):
            client.laws()
    assert 0.4 <= time.monotonic() - begun < 5.0


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://127.0.0.1", "file:///etc"])
def test_address_that_is_none_is_refused(over_http, url):
    with pytest.raises(ClientError, match="http://"):
        over_http(url)


def test_key_is_sent(over_http):
    with Pretender([LAWS]) as server, over_http(server.url, api_key="k") as client:
        client.laws()
    assert server.asked[0][2]["authorization"] == "Bearer k"


def test_key_opens_a_service_that_has_one(start_service, over_http):
    service = start_service(HPLAW_API_KEY="k")
    with over_http(service.url, api_key="k") as client:
        assert client.laws()
    with over_http(service.url) as client, pytest.raises(ClientError) as caught:
        client.laws()
    assert caught.value.status == 401


def test_service_that_is_not_ready_says_why(over_http):
    body = b'{"status":"unavailable","problems":["no laws"]}'
    with Pretender([(503, {}, body)]) as server, over_http(server.url) as client:
        assert client.ready().problems == ["no laws"]


def test_client_is_shared_between_threads(service):
    with Client(service.url) as client:
        found = []
        threads = [
            threading.Thread(target=lambda k=k: found.append(client.recommend(n_params=1e9 + k, tokens=2e10)))
            for k in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {answer.query["n_params"] for answer in found} == {1e9 + k for k in range(8)}


@pytest.mark.parametrize(
    "error",
    [
        QueryError("tokens=-3 is not positive", field="tokens"),
        MalformedQuery("the body is not JSON"),
        ConflictingQuery("given twice", field="tokens"),
        LawNotFound("no law is called 'x'"),
        LawError("a formula has no value", file="x.toml", table="outputs", key="loss"),
        DataError("no such column"),
    ],
)
def test_errors_survive_the_way_over_http(error):
    again = to_error(to_problem(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    if isinstance(error, QueryError):
        assert (again.field, type(again)) == (error.field, type(error))


def test_problem_of_others_is_a_client_error_with_its_status():
    assert to_error(plain_problem(418)).status == 418
    assert to_error(Problem(type="urn:other", title="t", status=422, detail="d")).status == 422


def test_pauses_are_bounded():
    lost = calls.Reply(lost=ClientError("gone"))
    waits = [calls.pause(calls.ready_call(), lost, attempt=k, retries=99, chance=0.999) for k in range(99)]
    assert max(waits) <= 8.0
    assert calls.pause(calls.ready_call(), lost, attempt=3, retries=3, chance=0.0) is None


def test_large_batches_are_cut_where_the_service_would_refuse_them():
    long = {"laws": ["x" * 3000]}
    bodies = list(calls.batch([long] * 5000).bodies())
    assert max(map(len, bodies)) <= 8_000_000
    assert sum(len(json.loads(body)["queries"]) for body in bodies) == 5000


def test_httpx2_is_loaded_when_a_client_is_made():
    code = (
        "import sys, hplaw.client as c; before = 'httpx2' in sys.modules; "
        "c.Client(); print(before, 'httpx2' in sys.modules, 'litestar' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]
