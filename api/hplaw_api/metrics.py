"""What the service counts of itself, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from hplaw.messages.law import Health


if TYPE_CHECKING:
    from litestar.types import Message, Scope


_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})


@final
class Metrics:
    """Counters in a registry of their own, so that two services in one process do not mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("route", "method", "status")
        self._requests = Counter("hplaw_requests", "Requests answered", labels, registry=self._registry)
        self._seconds = Histogram(
            "hplaw_request_seconds",
            "Time from a request's first byte handled to its reply's last",
            ("route",),
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self._cache = Counter(
            "hplaw_reply_cache", "Questions by whether a kept reply served", ("outcome",), registry=self._registry
        )
        self._laws = Gauge("hplaw_laws", "Laws served", registry=self._registry)
        self._problems = Gauge("hplaw_law_problems", "Law files that cannot be read", registry=self._registry)
        self.hit = self._cache.labels("hit").inc
        self.miss = self._cache.labels("miss").inc
        # looking up a labeled counter costs more than counting
        self._known: dict[tuple[str, str, int], Counter] = {}
        self._timed: dict[str, Histogram] = {}

    async def count(self, message: Message, scope: Scope) -> None:
        """Count a request when its reply begins; Litestar calls it for all, those that no route takes among them."""
        if message["type"] != "http.response.start" or scope["type"] != "http":
            return
        method = scope["method"]
        key = (scope.get("path_template", "unknown"), method if method in _METHODS else "other", message["status"])
        counter = self._known.get(key)
        if counter is None:
            counter = self._known[key] = self._requests.labels(*key)
        counter.inc()

    def time(self, *, route: str, seconds: float) -> None:
        """Note how long one request took."""
        timed = self._timed.get(route)
        if timed is None:
            timed = self._timed[route] = self._seconds.labels(route)
        timed.observe(seconds)

    def text(self, health: Health) -> bytes:
        """Return all counters in the text format of Prometheus."""
        self._laws.set(health.laws)
        self._problems.set(len(health.problems))
        return generate_latest(self._registry)
