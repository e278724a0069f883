"""Layouts over HTTP: asked by query string, answered as by the library, refused with a status and a field."""

import msgspec
import pytest

import hplaw
from hplaw.messages.layout import shape_fields
from tests.helpers import LLAMA_3_8B


PATH = "/v1/layouts"
PLAIN = {"n_params": "70B", "devices": "64", "hardware": "h100-sxm"}


def test_a_question_is_answered_as_by_the_library(http):
    found = http.get(PATH, params=PLAIN).raise_for_status()
    assert found.json() == msgspec.to_builtins(hplaw.layouts(n_params=7e10, devices=64, hardware="h100-sxm"))
    assert http.get(PATH, params=PLAIN, headers={"if-none-match": found.headers["etag"]}).status_code == 304


def test_a_model_goes_as_the_words_of_its_shape(http):
    asked = {"devices": 8, "hardware": "h100-sxm", **shape_fields(LLAMA_3_8B)}
    found = http.get(PATH, params=asked).raise_for_status().json()
    assert found == msgspec.to_builtins(hplaw.layouts(model=LLAMA_3_8B, devices=8, hardware="h100-sxm"))


@pytest.mark.parametrize(
    ("changed", "status", "field"),
    [
        ({"devices": "8"}, 409, "devices"),
        ({"devices": "many"}, 400, "devices"),
        ({"devices": "0"}, 400, "devices"),
        ({"hardware": "abacus"}, 422, "hardware"),
        ({"n_params": ""}, 400, "n_params"),
        ({"batch": "4M"}, 400, "batch"),
        ({"n_experts": "8"}, 409, "model"),
        ({"optimizer": "soap"}, 409, "optimizer"),
    ],
)
def test_wrong_questions_are_problems(http, problem, changed, status, field):
    told = problem(http.get(PATH, params={**PLAIN, **changed}), status)
    assert told["field"] == field


@pytest.mark.parametrize("missing", ["devices", "hardware"])
def test_accelerators_and_their_number_are_needed(http, problem, missing):
    told = problem(http.get(PATH, params={name: word for name, word in PLAIN.items() if name != missing}), 400)
    assert told["field"] == missing
