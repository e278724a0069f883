"""What the service keeps: memory that stays the same under a mixed load, whatever is asked."""

import collections
import itertools as it
import logging
import statistics
import threading
import time

import pytest

from tests.api import mixed_load
from tests.api.resident import readable, resident_mb


MINUTES = 15
"""How long the load goes on."""

SATURATION_S = 20.0
"""Seconds in which the service is asked as much as it can answer."""

SHARE = 0.8
"""The load that is kept up, over that."""

GROWTH = 1.05
"""What the service may hold at any later minute, over what it held after the first."""

READ_S = 30.0
"""Seconds before a full minute whose median is what the service holds at that minute, whatever is under way for a while:
on a busy machine the largest batch takes ten seconds."""

_log = logging.getLogger(__name__)


class Watch:
    """Readings of the memory of a process, every half second while in use."""

    def __init__(self, process_id: int) -> None:
        self._process_id = process_id
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._readings: list[tuple[float, float]] = []

    def __enter__(self) -> "Watch":
        self._start = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._stop.wait(0.5):
            self._readings.append((time.monotonic() - self._start, resident_mb(self._process_id)))

    def at(self, minute: int) -> float:
        """Return the memory at a full minute, in MB."""
        return statistics.median(mb for when, mb in self._readings if minute * 60 - READ_S <= when <= minute * 60)


@pytest.mark.slow
@readable
def test_memory_stays_the_same_under_a_mixed_load(start_service):
    service = start_service()
    fastest = mixed_load.load(service.url, mixed_load.mixed(1), seconds=SATURATION_S)
    with Watch(service.process.pid) as watch:
        seen = mixed_load.load(service.url, mixed_load.mixed(2), seconds=MINUTES * 60, rate=SHARE * fastest.rate)
    held = {minute: round(watch.at(minute), 1) for minute in range(1, MINUTES + 1)}
    _log.info("%.0f requests/s, then %.0f: MB by minute %s", fastest.rate, seen.rate, held)
    for kind, status in sorted(seen.counts):
        _log.info("%s %d: %d", kind, status, seen.counts[kind, status])

    statuses: dict[str, set[int]] = collections.defaultdict(set)
    for kind, status in it.chain(fastest.counts, seen.counts):
        statuses[kind].add(status)
    assert statuses.keys() == set(mixed_load.KINDS)
    assert all(400 <= status < 500 for status in statuses.pop("wrong"))
    assert all(status == 200 for kind in statuses.values() for status in kind), statuses
    assert max(held.values()) < GROWTH * held[1], held


@pytest.mark.slow
@readable
def test_what_large_batches_took_is_given_back(start_service):
    service = start_service()
    before = resident_mb(service.process.pid)
    seen = mixed_load.load(service.url, mixed_load.large(3), seconds=1.0)
    assert seen.counts == {("batch", 200): seen.counts.total()}
    time.sleep(3.0)
    assert resident_mb(service.process.pid) < before + 60
