"""Parametrizations, regimes and schedules over HTTP: statuses of wrong requests, and long ones."""

import json

import pytest


def test_a_table_is_answered_with_its_source(http):
    asked = {"width": 2048, "base_width": 256, "peak_lr": 1e-3}
    reply = http.post("/v1/parametrize", json=asked)
    assert reply.status_code == 200
    table = reply.json()
    hidden = next(row for row in table["layers"] if row["kind"] == "hidden")
    assert hidden["peak_lr"] == 1.25e-4
    assert table["law"].startswith("parametrization-mup@1+")
    assert "2203.03466" in table["citation"]["bibtex"]


def test_a_rate_of_adamw_is_taken_to_muon(http):
    tuned = {"peak_lr": 3e-4, "optimizer": "muon", "from_optimizer": "adamw"}
    table = http.post("/v1/parametrize", json={**tuned, "width": 4096, "base_width": 4096}).json()
    rates = {row["kind"]: row["peak_lr"] for row in table["layers"]}
    assert rates["hidden"] == pytest.approx(0.00384)
    assert rates["embedding"] == 3e-4
    reply = http.post("/v1/transfer", json={**tuned, "given": {"d_model": 4096}})
    assert reply.status_code == 200
    assert reply.json()["conversion"]["peak_lr"] == pytest.approx(0.00384)
    question = {"n_params": 7e9, "tokens": 1.4e12, "optimizer": "muon", "given": {"muon_scale": "match_rms_adamw"}}
    answers = http.post("/v1/recommendations", json=question).json()["answers"]
    assert answers["adam_lr"]["value"] == pytest.approx(6.01e-4, rel=0.01)


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("parametrize", {"width": 8, "base_width": 4, "from_optimizer": "lion"}, 422, "from_optimizer"),
        ("parametrize", {"width": 8, "base_width": 4, "muon_scale": "match_rms_adamw"}, 409, "muon_scale"),
        ("parametrize", {"width": 8, "base_width": 4, "muon_scale": "spectral"}, 400, "muon_scale"),
        ("transfer", {"peak_lr": 1e-3, "optimizer": "muon", "from_optimizer": "adamw"}, 409, "given.d_model"),
        ("transfer", {"peak_lr": 1e-3, "batch_tokens": 64}, 409, "to_batch_tokens"),
        ("parametrize", {"scheme": "mupp", "width": 8, "base_width": 4}, 422, "parametrization"),
        ("parametrize", {"width": 8, "base_width": 0}, 400, "base_width"),
        ("parametrize", {"width": 8}, 409, "base_width"),
        ("parametrize", {"width": 1e9, "base_width": 1e-6}, 409, "width"),
        ("parametrize", {"config": {"model_type": "bert"}, "base_width": 2}, 409, "config"),
        ("classify", {"a": {}, "b": {}}, 422, "a"),
        ("classify", {"a": 1}, 400, "a"),
        ("schedule", {"schedule": "cosin", "total_steps": 10}, 422, "schedule"),
        ("schedule/compare", {"total_steps": 10, "schedules": ["cosin"]}, 422, "schedule"),
        ("schedule/compare", {"total_steps": 0}, 400, "total_steps"),
        ("schedule/compare", {"total_steps": 24000, "law": "step-law-2025"}, 422, "law"),
        ("schedule/compare", {"total_steps": 24000, "given": {"final_lr": 1.0}}, 409, "given"),
        ("schedule", {"schedule": "cosine", "total_steps": 0}, 400, "total_steps"),
        ("schedule", {"schedule": "cosine", "total_steps": 9, "given": {"warmup_steps": 9}}, 409, "given"),
    ],
)
def test_wrong_requests_are_problems(http, problem, path, body, status, field):
    told = problem(http.post(f"/v1/{path}", json=body), status)
    assert told["field"] == field


def test_a_body_too_long_is_refused(http, problem):
    body = json.dumps({"schedule": "cosine", "total_steps": 9, "given": {"x" * 70_000: 1}})
    headers = {"content-type": "application/json"}
    problem(http.post("/v1/schedule", content=body, headers=headers), 413)
