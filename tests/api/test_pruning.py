"""Pruning over HTTP: a map whole, one case and many, and the status of what is wrong."""

from typing import Any

import pytest


PATH = "/v1/prune-advice"
MAP = "pruning-preresnet20-cifar10"


def test_one_case_and_many_have_the_same_advice(http: Any) -> None:
    case = {"density": 0.05, "epochs": 150}
    one = http.post(PATH, json=case).raise_for_status().json()
    many = http.post(PATH, json={"cases": [case, {"density": 3, "epochs": 1}]}).raise_for_status().json()
    assert (one["regime"], one["action"]) == ("I", "hotter")
    assert one["p_I"] + one["p_IIA"] + one["p_IIB"] == pytest.approx(1)
    assert many["rows"][0]["advice"] == one
    assert many["rows"][1]["advice"] is None
    assert "density=3" in many["rows"][1]["error"]
    assert many["choice"] is None


def test_a_map_is_read_whole_and_kept(http: Any) -> None:
    found = http.get(f"/v1/regimes/{MAP}").raise_for_status()
    assert found.json()["classes"] == ["I", "II-A", "II-B"]
    assert http.get(f"/v1/regimes/{MAP}", headers={"if-none-match": found.headers["etag"]}).status_code == 304
    whole = http.get(f"/v1/regimes/{found.json()['law'].replace('+', '%2B')}")
    assert "immutable" in whole.headers["cache-control"]


@pytest.mark.parametrize("address", ["step-law-2025", "nosuch", f"{MAP}@7"])
def test_what_is_no_map_is_not_found(http: Any, problem: Any, address: str) -> None:
    told = problem(http.get(f"/v1/regimes/{address}"), 404)
    assert MAP in told["detail"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "density"),
        ({"density": 1.5, "epochs": 80}, 422, "density"),
        ({"density": 0.1}, 422, "epochs"),
        ({"density": "x", "epochs": 80}, 400, "density"),
        ({"density": 0.1, "epochs": 80, "map": "nosuch"}, 422, "map"),
        ({"cka": 0.9}, 422, "lmc"),
        ({"sparsity": 0.9}, 400, "sparsity"),
        ({"density": 0.1, "cases": [{"density": 0.1, "epochs": 80}]}, 409, "cases"),
    ],
)
def test_wrong_cases_are_problems(http: Any, problem: Any, body: dict[str, Any], status: int, field: str) -> None:
    assert problem(http.post(PATH, json=body), status).get("field", "") == field
