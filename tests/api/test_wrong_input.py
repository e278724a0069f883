"""Wrong input: each one clear sentence, the right status, and the field at fault; never a 500."""

import json
import socket
from urllib.parse import urlsplit

import pytest


ASK = "/v1/recommendations"
GOOD = {"n_params": 7e9, "tokens": 1.4e12}
DEEP = 10_000

BODIES = [
    ("unknown quantity wanted", {**GOOD, "want": ["peak_rl"]}, 422, "want", "peak_lr"),
    ("unknown quantity given", {**GOOD, "given": {"seq_length": 1}}, 422, "given", "seq_len"),
    ("unknown quantity bounded", {**GOOD, "bounds": {"peak_rl": {"low": 1}}}, 422, "bounds", "peak_lr"),
    ("unknown law", {**GOOD, "laws": ["step-law"]}, 404, "", "step-law-2025"),
    ("unknown optimizer", {**GOOD, "optimizer": "adamv"}, 422, "optimizer", "adamw"),
    ("negative", {**GOOD, "tokens": -3}, 400, "tokens", ""),
    ("zero", {**GOOD, "n_params": 0}, 400, "n_params", ""),
    ("too large", {**GOOD, "n_params": 1e30}, 400, "n_params", ""),
    ("negative given", {**GOOD, "given": {"peak_lr": -1}}, 422, "peak_lr", ""),
    ("string for number", {**GOOD, "n_params": "7B"}, 400, "n_params", ""),
    ("number for string", {**GOOD, "optimizer": 3}, 400, "optimizer", ""),
    ("true for number", {**GOOD, "n_params": True}, 400, "n_params", ""),
    ("list for number", {**GOOD, "n_params": [7e9]}, 400, "n_params", ""),
    ("unknown field", {**GOOD, "n_parameters": 1}, 400, "n_parameters", ""),
    ("unknown accelerator", {**GOOD, "hardware": "rtx-9999"}, 422, "hardware", "'rtx-5090'"),
    ("unknown country", {**GOOD, "given": {"country": "usa"}}, 422, "country", "'US'"),
    ("half a device", {**GOOD, "devices": 2.5}, 400, "devices", "whole number"),
    ("half a layer", {**GOOD, "given": {"n_layers": 2.5}}, 422, "n_layers", "whole number"),
    ("a quantity as a field", {**GOOD, "lr": 3e-4}, 400, "lr", 'given={"peak_lr": 0.0003}'),
    ("another name of a field", {"params": 7e9}, 400, "params", "n_params"),
    ("loss given", {**GOOD, "given": {"loss": 2.0}}, 422, "loss", "target_loss"),
    ("nothing", {}, 422, "n_params", "give n_params and tokens"),
    ("no data", {"n_params": 7e9}, 422, "tokens", "give n_params and tokens"),
    ("too small", {**GOOD, "n_params": 9e4}, 422, "n_params", "100000"),
    ("batch above the data", {**GOOD, "batch_tokens": 2e12}, 422, "batch_tokens", "less than one step"),
    ("less than one step", {**GOOD, "given": {"steps": 0.5}}, 422, "steps", "less than one step"),
    ("loss above that of guessing", {**GOOD, "target_loss": 11}, 422, "target_loss", "10.8"),
    ("loss out of reach", {"n_params": 1e9, "target_loss": 0.3}, 409, "target_loss", "out of reach"),
    ("not an object", [1, 2], 400, "", ""),
    ("a string", "tokens", 400, "", ""),
    ("null", None, 400, "", ""),
]

RAW = [
    ("empty", b"", ""),
    ("cut off", b'{"n_params": 7e9', ""),
    ("not json", b"n_params=7e9", ""),
    ("nan", b'{"n_params": NaN}', ""),
    ("infinity", b'{"n_params": Infinity}', ""),
    ("overflow", b'{"n_params": 1e999}', ""),
    ("repeated", b'{"n_params": 7e9, "n_params": 8e9}', "n_params"),
    ("repeated inside", b'{"given": {"peak_lr": 1, "peak_lr": 2}}', "peak_lr"),
    ("not utf-8", b'{"optimizer": "\xff"}', ""),
    ("utf-16", '{"n_params": 7e9}'.encode("utf-16"), ""),
    ("two objects", b"{} {}", ""),
    ("nested lists", b"[" * DEEP + b"]" * DEEP, ""),
    ("nested model", b'{"model": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}", ""),
    ("nested lists in model", b'{"model": {"a": ' + b"[" * DEEP + b"]" * DEEP + b"}}", ""),
    ("huge integer", b'{"model": {"hidden_size": ' + b"9" * 5000 + b"}}", ""),
    ("huge number", b'{"n_params": ' + b"9" * 5000 + b"}", ""),
    ("lone surrogate", b'{"optimizer": "\\ud800"}', ""),
    ("zero byte", b'{"optimizer": "\\u0000"}', ""),
]

QUERIES = [
    ("n_params=7e9&tokens=nan", "tokens"),
    ("n_params=7e9&tokens=inf", "tokens"),
    ("n_params=7e9&tokens=-Infinity", "tokens"),
    ("n_params=7e9&tokens=1e999", "tokens"),
    ("n_params=7X", "n_params"),
    ("n_params=B", "n_params"),
    ("n_params=", "n_params"),
    ("n_params=1_000", "n_params"),
    ("n_params=7%20e9", "n_params"),
    ("n_params=-1", "n_params"),
    ("n_params=0", "n_params"),
    ("n_params=7e9&n_params=8e9", "n_params"),
    ("optimizer=adam&optimizer=sgd", "optimizer"),
    ("n_param=7e9", "n_param"),
    ("n_params[]=7e9", "n_params[]"),
    ("given=1", "1"),
    ("given==1", ""),
    ("given=weight_decay=small", "weight_decay"),
    ("given=weight_decay=-1", "weight_decay"),
    ("given=weight_dekay=1", "given"),
    ("given=loss=2", "loss"),
    ("bound=batch_tokens", "batch_tokens"),
    ("bound=batch_tokens=1M", "batch_tokens"),
    ("bound=batch_tokens=..", "batch_tokens"),
    ("bound=batch_tokens=1M..4X", "batch_tokens"),
    ("bound=batch_token=1M..4M", "bounds"),
    ("bounds=batch_tokens=1M..4M", "bounds"),
    ("days=soon", "days"),
    ("days=1&days=2", "days"),
    ("days=-1", "duration_s"),
    ("country=FR&country=DE", "country"),
    ("model=llama", "model"),
    ("n_params=7B&devices=2.5", "devices"),
    ("n_params=7B&country=usa", "country"),
    ("n_params=7B&hardware=rtx-9999", "hardware"),
    ("n_params=7B&peak_lr=1e-3", "peak_lr"),
    ("want=nonsense", "want"),
    ("want=", "want"),
    ("optimizer=%FF", ""),
    ("optimizer=", "optimizer"),
    ("&".join(f"want=loss&x{k}=1" for k in range(200)), ""),
]


@pytest.mark.parametrize(
    ("body", "status", "field", "hint"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES]
)
def test_wrong_question_is_refused_naming_the_field(http, problem, body, status, field, hint):
    told = problem(http.post(ASK, json=body), status)
    assert field in str(told.get("field", ""))
    assert hint in told["detail"]


@pytest.mark.parametrize(("body", "field"), [row[1:] for row in RAW], ids=[row[0] for row in RAW])
@pytest.mark.parametrize("path", [ASK, f"{ASK}/batch", "/v1/laws/step-law-2025/evaluate"])
def test_wrong_body_is_refused(http, problem, path, body, field):
    told = problem(http.post(path, content=body), 400, 422)
    if path == ASK:
        assert field in str(told.get("field", ""))


@pytest.mark.parametrize(("query", "field"), QUERIES)
def test_wrong_query_string_is_refused_naming_the_parameter(http, problem, query, field):
    told = problem(http.get(f"{ASK}?{query}"), 400, 422)
    assert field in str(told.get("field", ""))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("n_params=7B&given=n_params=8B", "n_params"),
        ("given=weight_decay=0.1&given=weight_decay=0.2", "weight_decay"),
        ("days=2&given=duration_s=3600", "duration_s"),
        ("country=FR&given=country=DE", "country"),
        ("bound=batch_tokens=1M..&bound=batch_tokens=..4M", "batch_tokens"),
        ("n_params=7B&tokens=1T&bound=batch_tokens=4M..1M", "batch_tokens"),
    ],
)
def test_query_string_that_contradicts_itself_is_refused(http, problem, query, field):
    reply = problem(http.get(f"{ASK}?{query}"), 409)
    assert field in str(reply["field"]) + str(reply["detail"])


@pytest.mark.parametrize(("low", "high"), [(2e6, 1e6), (None, None)], ids=["upside down", "bounded and given"])
def test_values_that_contradict_are_refused(http, problem, low, high):
    given = {"batch_tokens": 1e6} if low is None else {}
    body = {**GOOD, **given, "bounds": {"batch_tokens": {"low": low, "high": high}}}
    assert "batch_tokens" in problem(http.post(ASK, json=body), 409)["detail"]


def test_more_active_parameters_than_parameters_are_refused(http, problem):
    told = problem(http.post(ASK, json={**GOOD, "n_active_params": 8e9}), 409)
    assert told["field"] == "n_active_params"


def test_body_too_large_is_refused(http, problem):
    body = json.dumps({**GOOD, "model": {"a": "x" * 300_000}}).encode()
    told = problem(http.post(ASK, content=body), 413)
    assert f"than the 262,144 bytes that {ASK} takes" in told["detail"]


def test_body_too_large_is_refused_when_it_comes_in_chunks(http, problem):
    chunks = (b"x" * 65_536 for _ in range(20))
    problem(http.post(ASK, content=chunks), 413)


def test_batch_too_large_is_refused(http, problem):
    body = b'{"queries": [' + b",".join([b'{"optimizer": "' + b"a" * 980 + b'"}'] * 9_000) + b"]}"
    assert len(body) > 8_000_000
    problem(http.post(f"{ASK}/batch", content=body), 413)


def test_batch_of_too_many_queries_is_refused(http, problem):
    told = problem(http.post(f"{ASK}/batch", json={"queries": [{}] * 10_001}), 413)
    assert "10001" in told["detail"]
    assert "10000" in told["detail"]


def test_batch_names_the_row_that_is_no_object(http, problem):
    told = problem(http.post(f"{ASK}/batch", json={"queries": [GOOD, [7e9]]}), 400)
    assert told["field"] == "queries[1]"


def test_empty_batch_has_an_empty_answer(http):
    reply = http.post(f"{ASK}/batch", json={"queries": []})
    assert reply.json() == {"results": []}


def test_unknown_path_is_a_problem(http, problem):
    assert "/v2" in problem(http.get("/v2"), 404)["detail"]


def test_method_that_does_nothing_is_a_problem_that_lists_those_that_do(http, problem):
    reply = http.delete(ASK)
    problem(reply, 405)
    assert {"GET", "POST"} <= set(reply.headers["allow"].replace(" ", "").split(","))


def test_garbage_on_the_socket_does_not_stop_the_service(service, http):
    host, port = urlsplit(service.url).hostname, urlsplit(service.url).port
    for garbage in (b"\x00\xff\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST " + b"a" * 100_000):
        with socket.create_connection((host, port), timeout=10) as line:
            line.sendall(garbage)
            line.shutdown(socket.SHUT_WR)
            while line.recv(65_536):
                pass
    assert http.get("/health/live").status_code == 200


def test_caller_who_leaves_in_the_middle_does_not_stop_the_service(service, http):
    host, port = urlsplit(service.url).hostname, urlsplit(service.url).port
    before = len(service.log.read_text())
    with socket.create_connection((host, port), timeout=10) as line:
        line.sendall(b"POST /v1/recommendations HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    assert http.get("/health/live").status_code == 200
    assert "Traceback" not in service.log.read_text()[before:]


def test_a_parameter_where_none_is_taken_is_refused(http, problem):
    told = problem(http.get("/v1/quantities?unit=J"), 400)
    assert told["detail"] == "unit: unknown parameter; this path takes none"


@pytest.mark.parametrize(
    ("method", "path", "body", "names"),
    [
        ("POST", ASK, {**GOOD, "given": {"lr": 1e-3}}, "GET /v1/quantities"),
        ("POST", ASK, {**GOOD, "hardware": "rtx-9999"}, "GET /v1/hardware"),
        ("POST", ASK, {**GOOD, "laws": ["step-law"]}, "GET /v1/laws"),
        ("POST", "/v1/energy", {**GOOD, "hardware": ["rtx-9999"]}, "GET /v1/hardware"),
        ("POST", "/v1/frontier", {"hardware": "rtx-9999", "energy_kwh": 1e3}, "GET /v1/hardware"),
        ("POST", "/v1/laws/step-law-2025/evaluate", {"given": {"lr": 1}}, "GET /v1/quantities"),
        (
            "POST",
            "/v1/transfer",
            {"peak_lr": 1e-3, "batch_tokens": 1, "to_batch_tokens": 2, "given": {"x": 1}},
            "GET /v1/quantities",
        ),
        ("GET", "/v1/theory/lr", None, "GET /v1/quantities"),
        ("GET", "/v1/laws?quantity=lr", None, "GET /v1/quantities"),
        ("GET", "/v1/laws/step-law", None, "GET /v1/laws"),
    ],
)
def test_messages_name_endpoints_and_no_commands(http, method, path, body, names):
    detail = http.request(method, path, json=body).json()["detail"]
    assert detail.endswith(f"; {names} lists them")
    assert "`hplaw" not in detail
    assert "'hplaw" not in detail


def test_quantities_that_are_parameters_of_no_query_string_are_given(http):
    detail = http.get(f"{ASK}?n_params=7B&lr=1e-3").json()["detail"]
    assert "given=peak_lr=VALUE" in detail
