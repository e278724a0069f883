"""What the tests of the service share: a connection that shows every reply as it came."""

from collections.abc import Iterator

import httpx2
import pytest


@pytest.fixture
def http(service) -> Iterator[httpx2.Client]:
    """Return a connection to the shared service."""
    with httpx2.Client(base_url=service.url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def problem():
    """Return a function that checks that a reply is a problem of a status, and gives its fields."""

    def check(reply: httpx2.Response, *statuses: int) -> dict[str, object]:
        assert reply.status_code in statuses, reply.text
        assert reply.headers["content-type"] == "application/problem+json"
        told = reply.json()
        assert told["status"] == reply.status_code
        assert told["title"]
        assert told["detail"]
        assert "Traceback" not in reply.text
        return told

    return check
