"""One question for several values of a quantity, over a real socket, and what cannot be asked."""

import pytest

from hplaw.catalogue.catalogue import load_catalogue
from hplaw.messages.compare import AnswerComparison, CompareRequest
from hplaw.messages.decode import decode
from hplaw.messages.record import encode
from hplaw.recommendation.compare import compare


SEVEN_B = {"n_params": 7e9, "tokens": 1.4e12, "want": ["loss"]}


def test_the_reply_is_the_librarys_byte_for_byte(http):
    body = {"query": {**SEVEN_B, "hardware": "b200-sxm"}, "compare": {"precision": ["bf16", "fp8", "fp4"]}}
    reply = http.post("/v1/compare", json=body)
    assert reply.status_code == 200
    local = compare(decode(encode(body), CompareRequest), load_catalogue(), by="http")
    assert reply.content == encode(local)
    assert decode(reply.content, AnswerComparison).best == {"loss": "bf16"}


def test_a_wrong_value_is_told_in_its_option(http):
    body = {"query": SEVEN_B, "compare": {"precision": ["bf16", "fp9"]}}
    first, second = http.post("/v1/compare", json=body).json()["options"]
    assert first["answer"]["answers"]["loss"]["value"] > 0
    assert second["error"].startswith("precision='fp9' is not known")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"query": SEVEN_B, "compare": {}}, 409, "0 quantities"),
        ({"query": SEVEN_B, "compare": {"precision": ["bf16"]}}, 409, "1 different"),
        (
            {"query": {**SEVEN_B, "precision": "fp8"}, "compare": {"precision": ["bf16", "fp8"]}},
            409,
            "given and compared",
        ),
        ({"query": SEVEN_B, "compare": {"prcision": ["bf16", "fp8"]}}, 422, "did you mean 'precision'"),
        ({"query": SEVEN_B}, 400, "compare"),
        ({"compare": {"precision": ["bf16", "fp8"]}}, 400, "query"),
    ],
)
def test_what_cannot_be_compared_is_refused(http, body, status, said):
    reply = http.post("/v1/compare", json=body)
    assert reply.status_code == status
    assert said in reply.json()["detail"]


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("epochs=0", 422, "epochs=0 is not positive"),
        ("epochs=2&unique_tokens=1B", 409, "give two of the three"),
        ("serve_precision=int3", 422, "serve_precision='int3' is not known"),
        ("precision=fp9", 422, "precision='fp9' is not known"),
        ("minimize=time", 422, "minimize='time' is not known"),
        ("serve_tokens=-1", 422, "serve_tokens=-1 is not positive"),
    ],
)
def test_wrong_values_of_the_query_string_are_refused(http, address, status, said):
    reply = http.get(f"/v1/recommendations?n_params=7B&tokens=1.4T&{address}")
    assert reply.status_code == status
    assert said in reply.json()["detail"]


def test_the_query_string_takes_what_the_command_line_does(http):
    address = "n_params=1B&unique_tokens=10B&epochs=4&serve_tokens=1T&serve_precision=int4&precision=fp8"
    reply = http.get(
        f"/v1/recommendations?{address}&want=loss&want=serve_loss&want=lifetime_flop&want=effective_tokens"
    )
    given = {"unique_tokens": 1e10, "epochs": 4.0, "serve_tokens": 1e12, "serve_precision": "int4"}
    want = ["loss", "serve_loss", "lifetime_flop", "effective_tokens"]
    body = {"n_params": 1e9, "precision": "fp8", "given": given, "want": want}
    assert reply.json()["answers"] == http.post("/v1/recommendations", json=body).json()["answers"]
    assert all(estimate["value"] > 0 for estimate in reply.json()["answers"].values())
