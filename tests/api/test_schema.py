"""The description of the interface, and the page that shows it."""

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest

import hplaw_api
from hplaw.catalogue.catalogue import load_catalogue
from hplaw.vocabulary.quantities import vocabulary
from hplaw_api import Settings, create_app
from hplaw_api.openapi.description import describe
from hplaw_api.routes.docs import DESCRIBED


MAP = "pruning-preresnet20-cifar10"
ASKED = {
    "/v1/recommendations": {"n_params": "7B", "tokens": "1T"},
    "/v1/layouts": {"n_params": "7B", "devices": "8", "hardware": "h100-sxm"},
}
"""What is asked where an address alone is no question."""


@pytest.fixture
def api(http):
    reply = http.get("/schema/openapi.json")
    assert reply.headers["content-type"] == "application/json"
    return reply.json()


def operations(api):
    return [
        (path, method, operation) for path, methods in api["paths"].items() for method, operation in methods.items()
    ]


def validator(api, schema):
    components = {"components": api["components"]}
    return jsonschema_rs.Draft202012Validator({**schema, **components})


def test_schema_describes_exactly_the_routes(api):
    app = create_app(Settings())
    served = {
        (re.sub(r":\w+}", "}", route.path), method.lower())
        for route in app.routes
        for method in route.methods - {"OPTIONS"}
        if route.path != "/" and not route.path.startswith("/schema")
    }
    described = {(path, method) for path, method, _ in operations(api)}
    # HEAD says what GET says and is not described apart
    assert served == described | {(path, "head") for path, method in described if method == "get"}


def test_little_of_the_description_is_made_by_hand():
    folder = Path(hplaw_api.__file__).parent / "openapi"
    assert sum(len(file.read_text().splitlines()) for file in folder.glob("*.py")) <= 200


def test_a_limit_is_described_where_there_is_one():
    described = json.loads(describe(load_catalogue(), DESCRIBED, settings=Settings(rate_limit=5)))
    assert "429" in described["paths"]["/v1/laws"]["get"]["responses"]
    assert "429" not in described["paths"]["/health/live"]["get"]["responses"]


def test_every_operation_documents_its_errors_as_problems(api):
    for path, _, operation in operations(api):
        assert {"200", "400", "500"} <= set(operation["responses"]), path
        for status, response in operation["responses"].items():
            if int(status) >= 400 and (path, status) != ("/health/ready", "503"):
                assert list(response["content"]) == ["application/problem+json"], (path, status)


def test_units_and_meanings_are_in_the_descriptions(api):
    given = api["components"]["schemas"]["Given"]["properties"]
    assert "training tokens" in given["tokens"]["description"]
    assert given["energy_j"]["description"].endswith("in J")
    assert set(given) >= set(vocabulary()) - {"loss"}
    query = api["paths"]["/v1/recommendations"]["get"]["parameters"]
    assert all(parameter["description"] for parameter in query)


def test_examples_are_valid_and_answered(api, http):
    for path, method, operation in operations(api):
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body:
            assert validator(api, body["schema"]).is_valid(body["example"])
            reply = http.request(
                method, path.format(address="step-law-2025", quantity="tokens", id=MAP), json=body["example"]
            )
            assert reply.status_code == 200, reply.text


def test_path_parameters_have_examples_of_their_own_kind_which_the_page_fills_in(api, http):
    paths = 0
    for path, method, operation in operations(api):
        given = {p["name"]: p for p in operation.get("parameters", ()) if p["in"] == "path"}
        for parameter in given.values():
            assert validator(api, parameter["schema"]).is_valid(parameter["example"])
        if given and method == "get":
            paths += 1
            filled = path.format(**{name: p["example"] for name, p in given.items()})
            assert http.get(filled).status_code == 200, filled
    assert paths >= 3
    script = http.get("/schema/docs.js").text
    assert "parameter.example" in script
    assert not [law.id for law in load_catalogue().laws if f'"{law.id}"' in script]


@pytest.mark.parametrize(
    ("body", "valid"),
    [
        ({"want": ["peak_lr"]}, True),
        ({"n_params": 7e9, "tokens": 1.4e12}, True),
        ({"n_params": None, "want": ["peak_lr"]}, True),
        ({"given": {"compute_flop": 1e22}}, True),
        ({"given": {"seq_len": 2048}, "want": ["steps"]}, True),
        ({"target_loss": 2.5, "bounds": {"batch_tokens": {"high": 4e6}}}, True),
        ({"tokens": 1e9, "model": {"n_layers": 12, "d_model": 768}}, True),
        ({"want": ["loss"], "model": {"model_type": "llama", "hidden_size": 768, "torch_dtype": "bfloat16"}}, True),
        ({"model": {"layers": 12}}, False),
        ({"model": {"hidden_size": "768"}}, False),
        ({"n_params": 0}, False),
        ({"n_params": "7B"}, False),
        ({"want": ["peak_rl"]}, False),
        ({"given": {"loss": 2.0}}, False),
        ({"given": {"schedule": "stairs"}}, False),
        ({"bounds": {"optimizer": {}}}, False),
        ({"optimizer": "adamv"}, False),
        ({"n_parameters": 1}, False),
    ],
)
def test_schema_and_service_agree_on_what_is_allowed(api, http, body, valid):
    described = validator(api, {"$ref": "#/components/schemas/Query"}).is_valid(body)
    answered = http.post("/v1/recommendations", json=body).status_code == 200
    assert (described, answered) == (valid, valid)


def test_replies_conform_to_their_schemas(api, http):
    address = load_catalogue().get("step-law-2025").address
    for path, method, operation in operations(api):
        good = operation["responses"]["200"]["content"]
        if method == "get" and "application/json" in good:
            reply = http.get(path.format(address=address, quantity="tokens", id=MAP), params=ASKED.get(path, {}))
            assert validator(api, good["application/json"]["schema"]).is_valid(reply.json()), path


def test_page_and_its_parts_are_shipped(http):
    page = http.get("/schema")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    parts = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert len(parts) >= 3
    for part in parts:
        assert part == "data:," or http.get(part).status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_page_asks_nothing_of_other_hosts(http):
    for part in ("/schema", "/schema/docs.js", "/schema/docs.css"):
        assert "//" not in re.sub(r"^\s*//.*$", "", http.get(part).text, flags=re.MULTILINE)


def test_root_leads_to_the_page(http):
    reply = http.get("/")
    assert (reply.status_code, reply.headers["location"]) == (307, "/schema")


def test_options_names_the_methods_of_a_path(api, http):
    for path, methods in api["paths"].items():
        reply = http.options(path.format(address="step-law-2025", quantity="tokens", id=MAP))
        allowed = {method.lower() for method in re.findall(r"\w+", reply.headers["allow"])}
        assert allowed - {"options"} == set(methods) | ({"head"} if "get" in methods else set()), path


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("given", "seq_len=4096", True),
        ("given", "seq_len=4k", True),
        ("given", "weight_decay=0.1", True),
        ("given", "peak_lr=3e-4", True),
        ("given", "unique_tokens=1.4T", True),
        ("given", "unique_tokens=1e12", True),
        ("given", "schedule=cosine", True),
        ("given", "country=FR", True),
        ("given", "seq_len=0.5", False),
        ("given", "beta2=1.5", False),
        ("given", "schedule=stairs", False),
        ("given", "loss=2", False),
        ("given", "weight_dekay=1", False),
        ("bound", "batch_tokens=1M..4M", True),
        ("bound", "peak_lr=..1e-3", True),
        ("bound", "batch_tokens=1M", False),
        ("bound", "optimizer=adamw..sgd", False),
    ],
)
def test_pairs_of_a_query_string_are_described_and_what_is_described_is_taken(api, http, name, value, valid):
    parameters = api["paths"]["/v1/recommendations"]["get"]["parameters"]
    schema = next(parameter["schema"] for parameter in parameters if parameter["name"] == name)
    assert validator(api, schema).is_valid([value]) is valid
    if valid:
        reply = http.get("/v1/recommendations", params={"n_params": "7B", "tokens": "1.4T", name: value})
        assert reply.status_code == 200
