"""A mixed load on a service over open connections: what callers ask in all its kinds, at full speed or at a steady rate."""

import asyncio
import collections
import itertools as it
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit


CONNECTIONS = 8
"""Callers at once; more than there are processors, so that the service is never idle when it is asked all it can."""

LARGE = 10_000
"""Questions of the largest batch."""

LARGE_EVERY = 2_000
"""Requests from one of these to the next."""

LEAN = ["peak_lr", "batch_tokens", "loss"]
ACCELERATORS = ["h100-sxm", "a100-sxm-40gb", "h200-sxm"]
TOPICS = ["peak_lr", "batch_tokens", "weight_decay", "loss"]
PROBES = [
    {"batch_samples": 16, "power_limit_w": 300, "energy_per_sample_j": 0.925, "time_per_sample_s": 0.00384},
    {"batch_samples": 256, "power_limit_w": 300, "energy_per_sample_j": 0.706, "time_per_sample_s": 0.003},
    {"batch_samples": 256, "power_limit_w": 125, "energy_per_sample_j": 0.946, "time_per_sample_s": 0.00753},
]


class Asked(NamedTuple):
    """One request, and the kind that it is counted as."""

    kind: str
    method: str
    path: str
    body: bytes = b""


class Seen(NamedTuple):
    """What came of a load: its replies by kind and status, and the seconds that it took."""

    counts: collections.Counter[tuple[str, int]]
    seconds: float

    @property
    def rate(self) -> float:
        """Return the replies of a second."""
        return self.counts.total() / self.seconds


def mixed(seed: int) -> Iterator[Asked]:
    """Yield requests without end: the kinds in fixed shares, their numbers drawn."""
    draw = random.Random(seed)
    kinds = list(KINDS)
    shares = [share for share, _ in KINDS.values()]
    for turn in it.count():
        if turn % LARGE_EVERY == LARGE_EVERY // 20:  # in the first seconds too, so that later ones are no news
            yield _batch(draw, LARGE)
        kind = draw.choices(kinds, shares)[0]
        yield KINDS[kind][1](draw)


def large(seed: int) -> Iterator[Asked]:
    """Yield batches of the largest size without end."""
    draw = random.Random(seed)
    while True:
        yield _batch(draw, LARGE)


def load(url: str, requests: Iterator[Asked], *, seconds: float, rate: float | None = None) -> Seen:
    """Send requests for some seconds: each connection the next as soon as it is answered, or all together at `rate`."""
    return asyncio.run(_load(url, requests, seconds, rate))


async def _load(url: str, requests: Iterator[Asked], seconds: float, rate: float | None) -> Seen:
    counts: collections.Counter[tuple[str, int]] = collections.Counter()
    start = time.monotonic()
    due = start

    async def call() -> None:
        nonlocal due
        host, port = urlsplit(url).hostname, urlsplit(url).port
        reader, writer = await asyncio.open_connection(host, port, limit=2**20)
        while time.monotonic() < start + seconds:
            if rate is not None:
                # what a busy machine delayed is not caught up with: the load is steady, not a flood after a pause
                due = max(due + 1 / rate, time.monotonic() - 1.0)
                await asyncio.sleep(due - time.monotonic())
            asked = next(requests)
            counts[asked.kind, await _exchange(reader, writer, asked)] += 1
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(call() for _ in range(CONNECTIONS)))
    return Seen(counts, time.monotonic() - start)


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked) -> int:
    """Return the status of the reply to one request, read to its end."""
    head = f"{asked.method} {asked.path} HTTP/1.1\r\nhost: service\r\ncontent-length: {len(asked.body)}\r\n\r\n"
    writer.write(head.encode() + asked.body)
    status, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
    length = next(int(line.removeprefix("content-length:")) for line in headers if line.startswith("content-length:"))
    await reader.readexactly(length)
    return int(status.split()[1])


def _post(kind: str, path: str, body: Any) -> Asked:
    return Asked(kind, "POST", f"/v1/{path}", json.dumps(body).encode())


def _size(draw: random.Random) -> dict[str, Any]:
    return {"n_params": 10 ** draw.uniform(8, 11), "tokens": 10 ** draw.uniform(10, 13)}


def _single(draw: random.Random) -> Asked:
    size = _size(draw)
    if draw.random() < 0.1:
        return Asked("single", "GET", f"/v1/recommendations?n_params={size['n_params']}&tokens={size['tokens']}")
    given = {name: draw.uniform(0.01, 0.1) for name in ("weight_decay", "beta2") if draw.random() < 0.2}
    want = draw.choice([LEAN, [], draw.sample([*LEAN, "training_flop", "steps", "weight_decay"], 3)])
    return _post("single", "recommendations", {**size, "given": given, "want": want})


def _repeated(draw: random.Random) -> Asked:
    return _post("repeated", "recommendations", {"n_params": 1e9 * draw.randint(1, 20), "tokens": 1e12})


def _batch(draw: random.Random, count: int | None = None) -> Asked:
    count = count or round(10 ** draw.uniform(0, 3))
    rows = [{**_size(draw), "want": LEAN} for _ in range(count)]
    return _post("batch", "recommendations/batch", {"queries": rows})


def _bounded(draw: random.Random) -> Asked:
    low = 10 ** draw.uniform(5, 6)
    bounds = {"batch_tokens": {"low": low, "high": low * draw.uniform(1, 10)}}
    return _post("bounded", "recommendations", {**_size(draw), "bounds": bounds})


def _energy(draw: random.Random) -> Asked:
    accelerator = draw.choice(ACCELERATORS)
    return draw.choice(
        [
            _post("energy", "energy", {**_size(draw), "hardware": ACCELERATORS, "precision": ["bf16", "fp8"]}),
            _post("energy", "recommendations", {**_size(draw), "hardware": accelerator, "devices": 64}),
            _post("energy", "frontier", {"hardware": accelerator, "accelerator_hours": 10 ** draw.uniform(3, 5)}),
            _post("energy", "device-energy", {"probes": PROBES, "batches": [draw.randint(16, 256)]}),
            Asked("energy", "GET", "/v1/hardware"),
        ]
    )


def _theory(draw: random.Random) -> Asked:
    width, steps = draw.randint(512, 8192), draw.randint(1000, 100_000)
    return draw.choice(
        [
            Asked("theory", "GET", f"/v1/theory/{draw.choice(TOPICS)}"),
            Asked("theory", "GET", "/v1/laws"),
            Asked("theory", "GET", "/schema/openapi.json"),
            _post("theory", "parametrize", {"width": width, "base_width": 256, "peak_lr": 1e-3}),
            _post("theory", "schedule", {"schedule": "cosine", "total_steps": steps}),
            _post("theory", "transfer", {"peak_lr": 1e-3, "batch_tokens": 1e5, "to_batch_tokens": 100 * width}),
        ]
    )


def _wrong(draw: random.Random) -> Asked:
    odd = draw.randbytes(round(10 ** draw.uniform(0.5, 4.3))).hex()
    return draw.choice(
        [
            _post("wrong", "recommendations", {**_size(draw), odd: 1}),
            _post("wrong", "recommendations", {**_size(draw), "optimizer": odd}),
            _post("wrong", "recommendations", {**_size(draw), "want": [odd]}),
            _post("wrong", "recommendations", {**_size(draw), "tokens": -draw.random()}),
            _post("wrong", "recommendations/batch", {"queries": [_size(draw), odd]}),
            _post("wrong", "energy", {**_size(draw), "precision": [odd]}),
            _post("wrong", "transfer", {"peak_lr": odd}),
            Asked("wrong", "GET", f"/v1/laws/{odd}"),
            Asked("wrong", "GET", f"/v1/theory/{odd}"),
            Asked("wrong", "GET", f"/{odd}"),
            Asked("wrong", "GET", f"/v1/recommendations?{odd}=1"),
            Asked("wrong", "DELETE", "/v1/recommendations"),
            Asked("wrong", "POST", "/v1/recommendations", odd.encode()),
        ]
    )


KINDS: dict[str, tuple[float, Callable[[random.Random], Asked]]] = {
    "single": (40, _single),
    "repeated": (20, _repeated),
    "batch": (5, _batch),
    "bounded": (10, _bounded),
    "energy": (8, _energy),
    "theory": (7, _theory),
    "wrong": (10, _wrong),
}
"""The share of each kind, in percent, and what makes one of it."""
