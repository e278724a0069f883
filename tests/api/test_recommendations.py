"""Questions over a real socket: one by body, one by address, many at once."""

import concurrent.futures as cf
import contextlib
import socket
import time
from urllib.parse import urlsplit

import pytest

from hplaw.catalogue.catalogue import load_catalogue
from hplaw.cli.query_options import OPTIONS, Asked
from hplaw.messages.decode import decode
from hplaw.messages.query import Query
from hplaw.messages.recommendation import BriefRecommendation, Recommendation
from hplaw.messages.record import encode
from hplaw.recommendation.record import recommend
from hplaw_api.query_string import PARAMETERS
from tests.helpers import LLAMA_3_8B


SEVEN_B = {"n_params": 7e9, "tokens": 1.4e12}
LEAN = {**SEVEN_B, "want": ["peak_lr", "batch_tokens", "loss"]}


def test_answer_has_law_alternatives_and_a_warning_outside_the_domain(http):
    reply = http.post("/v1/recommendations", json=SEVEN_B)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    answer = decode(reply.content, Recommendation)
    rate = answer.answers["peak_lr"]
    assert rate.value is not None
    assert rate.law
    assert rate.alternatives
    assert "outside-domain" in {warning.code for warning in answer.warnings}


def test_answer_is_the_library_s_byte_for_byte(http):
    body = encode(Query(**LEAN))
    local = recommend(decode(body, Query), load_catalogue())
    assert http.post("/v1/recommendations", content=body).content == encode(local)


def test_same_question_has_the_same_answer_when_kept(http):
    first, second = (http.post("/v1/recommendations", json=LEAN).content for _ in range(2))
    assert first == second


def test_query_string_asks_the_same_question(http):
    by_body = http.post("/v1/recommendations", json=LEAN).json()
    address = "/v1/recommendations?n_params=7e9&tokens=1.4e12&want=peak_lr&want=batch_tokens&want=loss"
    reply = http.get(address)
    assert reply.status_code == 200
    assert reply.json() == by_body


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("n_params=7B&tokens=1.4T", {"n_params": 7e9, "tokens": 1.4e12}),
        ("n_params=7e9&tokens=1400000M&want=peak_lr", {"n_params": 7e9, "tokens": 1.4e12, "want": ["peak_lr"]}),
        (
            "n_params=1B&tokens=20B&devices=64&hardware=h100-sxm&days=14&country=FR",
            {
                "n_params": 1e9,
                "tokens": 2e10,
                "devices": 64.0,
                "hardware": "h100-sxm",
                "given": {"duration_s": 14 * 86400.0, "country": "FR"},
            },
        ),
        (
            "n_params=1B&tokens=20B&given=weight_decay=0.1&given=schedule=cosine&given=seq_len=4k",
            {"n_params": 1e9, "tokens": 2e10, "given": {"weight_decay": 0.1, "schedule": "cosine", "seq_len": 4000.0}},
        ),
        (
            "n_params=10B&tokens=1T&n_experts=64&n_active_experts=4&granularity=8",
            {
                "n_params": 1e10,
                "tokens": 1e12,
                "given": {"n_experts": 64.0, "n_active_experts": 4.0, "granularity": 8.0},
            },
        ),
        ("tokens=20B&given=n_params=1B", {"n_params": 1e9, "tokens": 2e10}),
        (
            "n_params=1B&tokens=20B&bound=batch_tokens=1M..4M&bound=peak_lr=..1e-3",
            {
                "n_params": 1e9,
                "tokens": 2e10,
                "bounds": {"batch_tokens": {"low": 1e6, "high": 4e6}, "peak_lr": {"high": 1e-3}},
            },
        ),
    ],
)
def test_query_string_takes_what_the_command_line_takes(http, address, body):
    reply = http.get(f"/v1/recommendations?{address}")
    assert reply.status_code == 200
    assert reply.json() == http.post("/v1/recommendations", json=body).json()


def test_parameters_of_the_query_string_are_those_of_the_command_line():
    options = {OPTIONS.get(name, name) for name in PARAMETERS} - {"laws"} | {"law"}
    assert options == set(Asked.__struct_fields__) - {
        "compare",  # an endpoint of its own
        "model",
        "laws",
        "source",
        "target",
        "json",
        "explain",
        "show",
        "all",
    }


def test_plus_in_a_query_string_is_a_plus(http):
    law = http.get("/v1/laws/step-law-2025").json()["summary"]["address"]
    assert "+" in law
    reply = http.get(f"/v1/recommendations?n_params=7e+9&tokens=1.4e12&laws={law}&want=peak_lr")
    assert reply.status_code == 200
    assert reply.json()["answers"]["peak_lr"]["law"] == law


def test_batch_answers_in_order_and_a_bad_row_stops_no_other(http):
    queries = [{**LEAN, "n_params": n} for n in (1e9, 2e9, 4e9)]
    queries.insert(1, {**LEAN, "optimizer": "no-such-rule"})
    reply = http.post("/v1/recommendations/batch", json={"queries": queries})
    assert reply.status_code == 200
    rows = [decode(encode(row), BriefRecommendation) for row in reply.json()["results"]]
    assert [row.error is None for row in rows] == [True, False, True, True]
    rates = [row.answers["peak_lr"].value for row in rows if row.error is None]
    assert rates == sorted(rates, reverse=True)


def test_every_kind_of_bad_row_has_an_error_of_its_own(http):
    bad = [
        {"tokens": -1},
        {"n_params": "7B"},
        {"n_param": 7e9},
        {"hardware": "rtx-9999"},
        {"devices": 2.5},
        {**LEAN, "laws": ["step-law"]},
        {"want": "peak_lr"},
    ]
    told = [
        "is needed here that is > 0",
        "not a text",
        "'n_params'",
        "GET /v1/hardware",
        "whole number",
        "GET /v1/laws",
        "a list",
    ]
    rows = http.post("/v1/recommendations/batch", json={"queries": [LEAN, *bad, LEAN]}).json()["results"]
    assert len(rows) == len(bad) + 2
    assert rows[0] == rows[-1]
    assert rows[0].get("error") is None
    for row, says in zip(rows[1:-1], told, strict=True):
        assert says in row["error"]
        assert row["answers"] == {}


def test_names_in_any_case_have_the_same_answer(http):
    one = http.get("/v1/recommendations?n_params=7B&tokens=1T&hardware=h100-sxm&precision=fp8&country=US")
    other = http.get(
        "/v1/recommendations?n_params=7b&tokens=1,000,000,000,000&hardware=H100-SXM&precision=FP8&country=us"
    )
    assert one.json()["answers"] == other.json()["answers"]
    assert one.json()["answers"]["carbon_kg"]["value"] > 0


def test_batch_gives_the_values_of_single_questions(http):
    queries = [{**LEAN, "n_params": 1e8 * 3**k, "tokens": 1e10 * 2**k} for k in range(6)]
    rows = http.post("/v1/recommendations/batch", json={"queries": queries}).json()["results"]
    for query, row in zip(queries, rows, strict=True):
        single = http.post("/v1/recommendations", json=query).json()
        for name, brief in row["answers"].items():
            assert brief["value"] == pytest.approx(single["answers"][name]["value"], rel=1e-9)
            assert brief["law"] == single["answers"][name]["law"]


def test_ten_thousand_queries_are_one_batch(http):
    queries = [{**LEAN, "n_params": 1e9 + k} for k in range(10_000)]
    reply = http.post("/v1/recommendations/batch", json={"queries": queries})
    assert reply.status_code == 200
    assert len(reply.json()["results"]) == 10_000


def test_single_questions_are_answered_while_a_batch_is(http):
    queries = [{**LEAN, "n_params": 1e9 + k} for k in range(10_000)]
    with cf.ThreadPoolExecutor(1) as pool:
        batch = pool.submit(http.post, "/v1/recommendations/batch", json={"queries": queries})
        answered = 0
        while not batch.done():
            assert http.post("/v1/recommendations", json=LEAN).status_code == 200
            answered += 1
    assert batch.result().status_code == 200
    assert answered > 0


def test_many_callers_at_once_get_their_own_answers(http):
    def ask(k: int) -> bool:
        n_params = 1e9 * (1 + k)
        reply = http.post("/v1/recommendations", json={**LEAN, "n_params": n_params})
        return reply.json()["query"]["n_params"] == n_params

    with cf.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(200)))


@pytest.mark.parametrize("n_params", [5e-324, 1e-300, 1e18])
@pytest.mark.parametrize("tokens", [5e-324, 1e-300, 1e22])
def test_extremes_are_answered_or_refused_as_models_that_no_law_covers(http, n_params, tokens):
    query = {"n_params": n_params, "tokens": tokens}
    held = n_params >= 1e5 and tokens >= 1
    assert http.post("/v1/recommendations", json=query).status_code in ((200,) if held else (409, 422))
    rows = http.post("/v1/recommendations/batch", json={"queries": [query] * 20})
    assert rows.status_code == 200
    assert all((row["error"] is None) == held for row in rows.json()["results"])


def test_more_batches_than_there_is_room_for_are_told_to_come_back(http, service, problem):
    place = urlsplit(service.url)
    head = b"POST /v1/recommendations/batch HTTP/1.1\r\nhost: x\r\ncontent-length: 15\r\n\r\n"
    with contextlib.ExitStack() as stack:
        lines = [
            stack.enter_context(socket.create_connection((place.hostname, place.port), timeout=20)) for _ in range(32)
        ]
        for line in lines:
            line.sendall(head)
        deadline = time.monotonic() + 10
        while (reply := ask_nothing(http)).status_code == 200 and time.monotonic() < deadline:
            time.sleep(0.02)
        problem(reply, 503)
        assert reply.headers["retry-after"] == "1"
        assert http.post("/v1/recommendations", json=LEAN).status_code == 200
        for line in lines:
            line.sendall(b'{"queries": []}')
            assert line.recv(65_536).startswith(b"HTTP/1.1 200")
    assert ask_nothing(http).status_code == 200


def ask_nothing(http):
    return http.post("/v1/recommendations/batch", json={"queries": []})


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("compute_flop=1e22", {"given": {"compute_flop": 1e22}}),
        ("given=training_flop=1e22", {"given": {"training_flop": 1e22}}),
        (
            "devices=64&hardware=h100-sxm&days=14",
            {"devices": 64, "hardware": "h100-sxm", "given": {"duration_s": 1209600}},
        ),
        ("n_params=1B&target_loss=2.4", {"n_params": 1e9, "target_loss": 2.4}),
    ],
)
def test_a_budget_or_a_target_chooses_size_and_data(http, address, body):
    asked = http.get(f"/v1/recommendations?{address}").raise_for_status().json()
    assert asked == http.post("/v1/recommendations", json=body).raise_for_status().json()
    answers = asked["answers"]
    assert answers["tokens"]["value"] > 0
    row = http.post("/v1/recommendations/batch", json={"queries": [body]}).raise_for_status().json()["results"][0]
    assert {name: found["value"] for name, found in row["answers"].items()} == {
        name: found["value"] for name, found in answers.items()
    }
    if "devices" in body:
        assert answers["accelerator_hours"]["value"] == pytest.approx(64 * 14 * 24)
        frontier = {"hardware": "h100-sxm", "devices": 64, "duration_s": 1209600, "points": 5}
        best = http.post("/v1/frontier", json=frontier).raise_for_status().json()["best"]
        assert best["n_params"] == pytest.approx(answers["n_params"]["value"])
        assert best["loss"] == pytest.approx(answers["loss"]["value"])


def test_a_run_over_its_budget_is_warned_of(http):
    body = {**SEVEN_B, "devices": 64, "hardware": "h100-sxm", "given": {"duration_s": 1209600}}
    warnings = http.post("/v1/recommendations", json=body).raise_for_status().json()["warnings"]
    assert "over-budget" in {warning["code"] for warning in warnings}


def test_a_row_that_says_too_little_has_an_error(http):
    rows = http.post("/v1/recommendations/batch", json={"queries": [{}, SEVEN_B]}).raise_for_status().json()["results"]
    assert "give n_params and tokens" in rows[0]["error"]
    assert rows[1]["error"] is None


@pytest.mark.parametrize(
    ("asked", "law"),
    [
        ("batch_tokens=1024&given=base_batch_tokens=256&given=base_peak_lr=1e-3", "batch-rule-adam@"),
        ("width=1024&parametrization=mup&given=base_width=256&given=base_peak_lr=3e-3", "width-transfer@"),
    ],
)
def test_a_tuned_setting_is_answered_over_http_as_in_process(http, asked, law):
    reply = http.get(f"/v1/recommendations?{asked}")
    assert reply.status_code == 200
    rate = decode(reply.content, Recommendation).answers["peak_lr"]
    assert rate.law.startswith(law)
    assert rate.low < rate.value < rate.high


def test_fine_tuning_is_answered(http):
    reply = http.post("/v1/recommendations", json={"model": LLAMA_3_8B, "given": {"finetune": "lora"}})
    assert reply.status_code == 200
    assert abs(reply.json()["answers"]["peak_lr"]["value"] / 2.856e-4 - 1) < 3e-4
    by_address = http.get("/v1/recommendations?finetune=lora&given=base_family=llama&given=d_model=4096&want=peak_lr")
    assert by_address.json()["answers"]["peak_lr"]["value"] == reply.json()["answers"]["peak_lr"]["value"]


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"n_params": 1e9, "tokens": 2e10, "given": {"task": "rl"}}, "task", "is not covered"),
        ({"model": {"model_type": "mamba", "hidden_size": 768}, "tokens": 1e9}, "model", "is not covered"),
        ({"given": {"finetune": "half"}}, "given.finetune", "give lora, full"),
    ],
)
def test_what_is_not_covered_is_a_problem_of_one_sentence(http, problem, body, field, says):
    found = problem(http.post("/v1/recommendations", json=body), 422)
    assert found["field"] == field
    assert says in found["detail"]


def test_fine_tuning_without_a_base_model_is_a_conflict(http, problem):
    found = problem(http.post("/v1/recommendations", json={"given": {"finetune": "lora"}}), 409)
    assert (found["field"], "config.json" in found["detail"]) == ("model", True)
