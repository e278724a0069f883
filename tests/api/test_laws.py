"""Laws over HTTP: lists and their filters, single laws, citations, values, and how long each reply keeps."""

import msgspec
import pytest

from hplaw.catalogue.catalogue import load_catalogue
from hplaw.messages.decode import decode
from hplaw.messages.law import LawRecord, LawSummary, QuantityRecord
from hplaw.messages.recommendation import Evaluation
from hplaw.messages.theory import Theory
from hplaw.theory.rules import theory
from hplaw.vocabulary.quantities import vocabulary


def whole_address(http) -> str:
    return http.get("/v1/laws/step-law-2025").json()["summary"]["address"]


def test_laws_are_listed(http):
    laws = msgspec.json.decode(http.get("/v1/laws").content, type=list[LawSummary])
    assert {law.id for law in laws} >= {"step-law-2025", "hoffmann-2022", "compute-6nd"}
    assert [law.id for law in laws] == sorted(law.id for law in laws)


@pytest.mark.parametrize(
    ("filters", "holds"),
    [
        ("quantity=peak_lr", lambda law: "peak_lr" in law.outputs),
        ("status=theory", lambda law: law.status == "theory"),
        ("quantity=loss&status=published", lambda law: "loss" in law.outputs and law.status == "published"),
    ],
)
def test_list_is_filtered(http, filters, holds):
    laws = msgspec.json.decode(http.get("/v1/laws").content, type=list[LawSummary])
    kept = msgspec.json.decode(http.get(f"/v1/laws?{filters}").content, type=list[LawSummary])
    assert kept == [law for law in laws if holds(law)]
    assert 0 < len(kept) < len(laws)


@pytest.mark.parametrize(
    ("query", "status", "hint"),
    [
        ("quantity=peak_rl", 422, "peak_lr"),
        ("status=new", 422, "published"),
        ("colour=red", 400, "quantity"),
        ("status=theory&status=theory", 400, "twice"),
    ],
)
def test_wrong_filter_is_refused(http, problem, query, status, hint):
    assert hint in problem(http.get(f"/v1/laws?{query}"), status)["detail"]


@pytest.mark.parametrize("cut", ["@", "+", ""], ids=["id", "id and version", "whole"])
def test_law_is_read_at_each_form_of_its_address(http, cut):
    address = whole_address(http)
    law = decode(http.get(f"/v1/laws/{address.split(cut)[0] if cut else address}").content, LawRecord)
    assert law.summary.address == address
    assert law.formulas["peak_lr"]
    assert law.citation.arxiv == "2503.04715"
    assert "[outputs]" in law.text


@pytest.mark.parametrize(
    "address", ["step-law", "step-law-2025@99", "step-law-2025@1+000000000000", "..", "%2e%2e%2fetc", "a%00b", "%F0%9F"]
)
@pytest.mark.parametrize("part", ["", "/bibtex"])
def test_unknown_law_is_not_found(http, problem, address, part):
    problem(http.get(f"/v1/laws/{address}{part}"), 404)


def test_nearest_law_is_offered(http, problem):
    assert "step-law-2025" in problem(http.get("/v1/laws/step-law-2024"), 404)["detail"]


def test_citation_is_bibtex(http):
    reply = http.get("/v1/laws/step-law-2025/bibtex")
    assert reply.headers["content-type"] == "application/x-bibtex"
    assert reply.text.startswith("@")
    assert "2503.04715" in reply.text


@pytest.mark.parametrize("part", ["", "/bibtex"])
def test_address_with_digest_keeps_for_good(http, part):
    reply = http.get(f"/v1/laws/{whole_address(http)}{part}")
    assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert reply.headers["etag"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/laws",
        "/v1/laws/step-law-2025",
        "/v1/quantities",
        "/v1/theory/tokens",
        "/v1/recommendations?n_params=1e9&tokens=2e10",
        "/schema",
    ],
)
def test_other_addresses_keep_briefly(http, path):
    reply = http.get(path)
    assert reply.headers["cache-control"] == "public, max-age=60"
    assert reply.headers["etag"]


@pytest.mark.parametrize("path", ["/v1/laws", "/v1/laws/step-law-2025", "/schema/openapi.json"])
def test_caller_with_the_right_copy_is_sent_nothing(http, path):
    tag = http.get(path).headers["etag"]
    for asked in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        reply = http.get(path, headers={"if-none-match": asked})
        assert (reply.status_code, reply.content, reply.headers["etag"]) == (304, b"", tag)
    assert http.get(path, headers={"if-none-match": '"other"'}).status_code == 200


def test_law_is_evaluated(http):
    given = {"given": {"n_params": 1e9, "tokens": 1e11}}
    reply = http.post("/v1/laws/step-law-2025/evaluate", json=given)
    assert reply.status_code == 200
    found = decode(reply.content, Evaluation)
    assert found.outputs["peak_lr"].value == pytest.approx(1.632499e-3, rel=1e-6)


@pytest.mark.parametrize(
    ("given", "status", "hint"),
    [
        ({"n_params": 1e9}, 409, "tokens"),
        ({"n_params": 1e9, "tokens": 1e11, "loss": 2.0}, 409, "loss"),
        ({"n_params": 1e9, "tokens": {"a": 1.0}}, 409, "tokens"),
        ({"n_parms": 1e9}, 422, "n_params"),
        ({"n_params": -1.0, "tokens": 1e11}, 422, "n_params"),
        ({"n_params": "1e9", "tokens": 1e11}, 422, "n_params"),
        ({"n_params": None}, 400, "n_params"),
    ],
)
def test_wrong_inputs_of_a_law_are_refused(http, problem, given, status, hint):
    reply = http.post("/v1/laws/step-law-2025/evaluate", json={"given": given})
    assert hint in problem(reply, status)["detail"]


def test_evaluating_an_unknown_law_is_not_found(http, problem):
    problem(http.post("/v1/laws/no-law/evaluate", json={"given": {}}), 404)


def test_vocabulary_is_listed(http):
    words = msgspec.json.decode(http.get("/v1/quantities").content, type=list[QuantityRecord])
    assert [word.name for word in words][: len(vocabulary())] == list(vocabulary())
    tokens = next(word for word in words if word.name == "tokens")
    assert (tokens.symbol, tokens.unit) == ("D", "token")


def test_theory_of_a_quantity_is_that_of_the_library(http, problem):
    found = decode(http.get("/v1/theory/peak_lr").content, Theory)
    assert found == theory(load_catalogue(), "peak_lr")
    assert "peak_lr" in problem(http.get("/v1/theory/peak_rl"), 422)["detail"]
    assert "colour" in problem(http.get("/v1/theory/peak_lr?colour=red"), 400)["detail"]
