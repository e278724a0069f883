"""How often one client may ask."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import final


_MOST_CLIENTS = 10_000
"""Clients remembered at once; the one heard of longest ago is forgotten first."""


@final
class RateLimit:
    """A bucket of tokens for each client, which fills in a minute.

    >>> limit = RateLimit(1)
    >>> limit.wait("a", now=0.0), limit.wait("a", now=15.0)
    (0, 45)
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = float(per_minute)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str, *, now: float) -> int:
        """Take one token; return 0, or the whole seconds until there is one again.

        **Arguments:**

        - `client`: who asks.
        - `now`: a clock's reading, in seconds.
        """
        rate = self._per_minute / 60.0
        left, then = self._buckets.get(client, (self._per_minute, now))
        left = min(self._per_minute, left + (now - then) * rate)
        granted = left >= 1.0
        self._buckets[client] = (left - 1.0 if granted else left, now)
        self._buckets.move_to_end(client)
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0 if granted else math.ceil((1.0 - left) / rate)
