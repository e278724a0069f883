"""Who may ask, how often, and what is counted."""

import httpx2
import pytest

from hplaw.errors import QueryError
from hplaw_api import Settings, settings_from
from hplaw_api.rate_limit import RateLimit


KEY = "correct horse"
OPEN = ["/health/live", "/health/ready", "/schema", "/schema/openapi.json", "/schema/docs.js"]
GUARDED = ["/v1/laws", "/v1/quantities", "/metrics", "/v1/recommendations?n_params=1e9", "/", "/v2"]


@pytest.fixture(scope="module")
def locked(start_service):
    service = start_service(HPLAW_API_KEY=KEY)
    with httpx2.Client(base_url=service.url, timeout=30, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("path", OPEN)
def test_health_and_documentation_need_no_key(locked, path):
    assert locked.get(path).status_code == 200


@pytest.mark.parametrize("path", [*GUARDED, "//v1/laws", "/schema/../v1/laws", "/health"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": KEY},
        {"authorization": f"Basic {KEY}"},
        {"x-api-key": ""},
        {"x-api-key": KEY + " "},
    ],
)
def test_all_else_is_refused_without_the_key(locked, problem, path, headers):
    if headers == {"x-api-key": KEY + " "}:
        headers = {"x-api-key": KEY + "x"}
    reply = locked.get(path, headers=headers)
    problem(reply, 401)
    assert reply.headers["www-authenticate"] == "Bearer"


def test_a_method_that_does_nothing_is_refused_without_the_key(locked, problem):
    problem(locked.delete("/v1/laws"), 401)
    problem(locked.delete("/v1/laws", headers={"x-api-key": KEY}), 405)


@pytest.mark.parametrize("headers", [{"authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}])
def test_key_opens(locked, headers):
    assert locked.get("/v1/laws", headers=headers).status_code == 200


def test_replies_behind_a_key_are_for_the_caller_only(locked):
    reply = locked.get("/v1/laws", headers={"x-api-key": KEY})
    assert reply.headers["cache-control"].startswith("private")


def test_schema_says_that_a_key_is_needed(locked):
    api = locked.get("/schema/openapi.json").json()
    laws = api["paths"]["/v1/laws"]["get"]
    assert laws["security"]
    assert "401" in laws["responses"]
    assert "security" not in api["paths"]["/health/live"]["get"]


def test_too_many_requests_are_told_when_to_come_back(start_service, problem):
    service = start_service(HPLAW_RATE_LIMIT="5")
    with httpx2.Client(base_url=service.url, timeout=30, trust_env=False) as http:
        replies = [http.get("/v1/laws") for _ in range(6)]
        assert [reply.status_code for reply in replies] == [200] * 5 + [429]
        problem(replies[-1], 429)
        assert 0 < int(replies[-1].headers["retry-after"]) <= 12
        problem(http.get("/nowhere"), 429)
        assert http.get("/health/ready").status_code == 200


def test_bucket_fills_and_clients_do_not_share_one():
    limit = RateLimit(60)
    assert all(limit.wait("a", now=0.0) == 0 for _ in range(60))
    assert limit.wait("a", now=0.0) == 1
    assert limit.wait("b", now=0.0) == 0
    assert limit.wait("a", now=1.0) == 0
    assert limit.wait("a", now=1.0) == 1


def test_buckets_are_bounded():
    limit = RateLimit(1)
    for k in range(20_000):
        limit.wait(str(k), now=0.0)
    assert limit.wait("19999", now=0.0) > 0
    assert limit.wait("0", now=0.0) == 0


def test_settings_come_from_the_environment():
    given = {
        "HPLAW_HOST": "0.0.0.0",
        "HPLAW_PORT": "9000",
        "HPLAW_API_KEY": "k",
        "HPLAW_RATE_LIMIT": "60",
        "HPLAW_RELOAD_S": "1.5",
    }
    settings = settings_from(given)
    assert settings == Settings(host="0.0.0.0", port=9000, api_key="k", rate_limit=60, reload_s=1.5)
    assert settings_from({}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HPLAW_PORT", "http"),
        ("HPLAW_PORT", "70000"),
        ("HPLAW_RATE_LIMIT", "0"),
        ("HPLAW_RATE_LIMIT", "1.5"),
        ("HPLAW_RELOAD_S", "nan"),
        ("HPLAW_RELOAD_S", "-1"),
    ],
)
def test_wrong_setting_names_its_variable(name, value):
    with pytest.raises(QueryError, match=f"{name}={value}"):
        settings_from({name: value})


@pytest.mark.parametrize(
    ("host", "exposed"),
    [("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True), ("10.0.0.7", True)],
)
def test_address_that_others_reach_is_exposed_unless_there_is_a_key(host, exposed):
    assert Settings(host=host).exposed is exposed
    assert not Settings(host=host, api_key="k").exposed


def test_metrics_count_requests_by_route(start_service):
    service = start_service()
    with httpx2.Client(base_url=service.url, timeout=30, trust_env=False) as http:
        for _ in range(3):
            http.post("/v1/recommendations", json={"n_params": 1e9, "want": ["peak_lr"]})
        http.get("/v1/laws/step-law-2025")
        http.get("/v1/laws/no-such-law")
        http.get("/nowhere/at/all")
        http.request("BREW", "/v1/laws")
        reply = http.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    lines = reply.text.splitlines()
    for expected in (
        'hplaw_requests_total{method="POST",route="/v1/recommendations",status="200"} 3.0',
        'hplaw_requests_total{method="GET",route="/v1/laws/{address}",status="200"} 1.0',
        'hplaw_requests_total{method="GET",route="/v1/laws/{address}",status="404"} 1.0',
        'hplaw_requests_total{method="GET",route="unknown",status="404"} 1.0',
        'hplaw_requests_total{method="other",route="unknown",status="405"} 1.0',
        'hplaw_reply_cache_total{outcome="hit"} 2.0',
        'hplaw_reply_cache_total{outcome="miss"} 1.0',
        'hplaw_request_seconds_count{route="/v1/recommendations"} 3.0',
        "hplaw_law_problems 0.0",
    ):
        assert expected in lines
    assert any(line.startswith("hplaw_laws ") and float(line.split()[1]) > 10 for line in lines)


@pytest.mark.parametrize(
    "path", ["/health/live", "/v1/laws", "/v1/recommendations?n_params=1e9&tokens=1e11", "/schema"]
)
def test_head_says_what_get_says_without_the_body(service, path):
    with httpx2.Client(base_url=service.url, timeout=30, trust_env=False) as client:
        head, whole = client.head(path), client.get(path, headers={"accept-encoding": "identity"})
    assert head.status_code == whole.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == whole.headers["content-type"]


def test_head_of_what_cannot_be_got_is_refused(service):
    with httpx2.Client(base_url=service.url, timeout=30, trust_env=False) as client:
        assert client.head("/v1/transfer").status_code == 405


def test_long_replies_are_compressed_for_who_takes_it(service):
    query = {"n_params": 1e9, "tokens": 1e11}
    with httpx2.Client(base_url=service.url, timeout=30, trust_env=False) as client:
        plain = client.post("/v1/recommendations", json=query, headers={"accept-encoding": "identity"})
        packed = client.post("/v1/recommendations", json=query, headers={"accept-encoding": "gzip"})
        short = client.get("/health/live", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in short.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()
    assert int(packed.headers.get("content-length", 0)) < len(plain.content) / 2


def test_pages_of_named_origins_alone_may_call(start_service):
    page = "https://example.org"
    service = start_service(HPLAW_CORS_ORIGINS=f"{page}, https://example.com")
    with httpx2.Client(base_url=service.url, timeout=30, trust_env=False) as client:
        named = client.get("/v1/quantities", headers={"origin": page})
        other = client.get("/v1/quantities", headers={"origin": "https://example.net"})
    assert named.headers["access-control-allow-origin"] == page
    assert "access-control-allow-origin" not in other.headers


def test_a_page_may_ask_without_the_key_whether_it_may_call(start_service):
    page = "https://example.org"
    service = start_service(HPLAW_CORS_ORIGINS=page, HPLAW_API_KEY=KEY)
    headers = {"origin": page, "access-control-request-method": "POST"}
    with httpx2.Client(base_url=service.url, timeout=30, trust_env=False) as client:
        asked = client.options("/v1/recommendations", headers=headers)
        assert client.post("/v1/recommendations", json={}, headers={"origin": page}).status_code == 401
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == page


def test_no_page_may_call_where_none_is_named(service):
    with httpx2.Client(base_url=service.url, timeout=30, trust_env=False) as client:
        found = client.get("/v1/quantities", headers={"origin": "https://example.org"})
    assert "access-control-allow-origin" not in found.headers
