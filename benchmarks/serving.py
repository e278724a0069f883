"""How fast the service answers, over a bare echo of the same messages by the same server on the same machine.

Both services run at once and take turns, each alone under load, so that a busy machine slows them alike; every
question of a round is new to the service, but where repeated ones are measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.rows import row


ROUNDS = 5
"""Turns that each service takes; medians are compared."""

CONNECTIONS = 16

LEAN = ("peak_lr", "batch_tokens", "loss")

BATCH = 10_000

ASK = "/v1/recommendations"

AT_LEAST = {"lean": 0.5, "full": 0.25, "repeated": 0.8, "batch": 20.0}
"""What the ratios must reach."""

P99_MOST = 3.0
"""The 99th percentile of the time of a lean question may be this many times the echo's."""


@contextlib.contextmanager
def running(*words: str, **environ: str) -> Iterator[str]:
    """Run a Python module that serves on a free port; yield its address."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen([sys.executable, "-m", *words], stdout=out, stderr=out, env=os.environ | environ)
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"running on (http://[\w.:]+)", log.read_text()):
            return found[1]
        time.sleep(0.02)
    raise RuntimeError(log.read_text())


def load(url: str, path: str, bodies: Sequence[bytes], connections: int = CONNECTIONS) -> dict[str, float]:
    """Send all bodies from a process of its own; return rate, seconds, p50 and p99."""
    place = urlsplit(url)
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(b"\n".join(bodies))
        file.flush()
        words = [str(place.hostname), str(place.port), path, str(connections), file.name]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load", *words],
            stdout=subprocess.PIPE,
            check=True,
            cwd=Path(__file__).parent.parent,
        )
    return json.loads(done.stdout)


def post(url: str, body: bytes) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with opener.open(request, timeout=300) as reply:
        return reply.read()


def questions(count: int, *, want: Sequence[str] = (), seed: int) -> list[bytes]:
    """Return questions about models of 100 million to 100 billion parameters, all different."""
    draw = random.Random(seed)
    asked = [
        {"n_params": 10 ** draw.uniform(8, 11), "tokens": 10 ** draw.uniform(10, 13), "want": want}
        for _ in range(count)
    ]
    return [json.dumps(query).encode() for query in asked]


def run(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Return a row for each measure: its name, its value, what it must hold, and whether it does."""
    with running("hplaw_api", HPLAW_PORT="0") as service:
        lean = len(post(service + ASK, questions(1, want=LEAN, seed=0)[0]))
        full = len(post(service + ASK, questions(1, seed=0)[0]))
        with running("benchmarks.echo", str(lean), str(full)) as echo:
            rows = [
                *_compared("lean", service, echo, lean, rounds, lambda turn: questions(2000, want=LEAN, seed=turn)),
                *_compared("full", service, echo, full, rounds, lambda turn: questions(1000, seed=100 + turn)),
                *_compared("repeated", service, echo, lean, rounds, lambda _: questions(1, want=LEAN, seed=1) * 4000),
            ]
        return rows + _batch(service)


def _compared(
    name: str, service: str, echo: str, size: int, rounds: int, bodies: Callable[[int], list[bytes]]
) -> list[dict[str, Any]]:
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for turn in range(rounds + 1):
        asked = bodies(turn)
        pair = load(service, ASK, asked), load(echo, f"/{size}", asked)
        if turn:  # the first turn warms both
            ours.append(pair[0])
            theirs.append(pair[1])
    rate, echoed = (statistics.median(x["rate"] for x in seen) for seen in (ours, theirs))
    late, echo_late = (statistics.median(x["p99"] for x in seen) for seen in (ours, theirs))
    rows = [
        row(f"{name}: rate over echo", rate / echoed, "1", least=AT_LEAST[name]),
        row(f"{name}: p99 over echo", late / echo_late, "1", most=P99_MOST if name == "lean" else None),
        row(f"{name}: rate", rate, "requests/s"),
        row(f"{name}: rate of echo", echoed, "requests/s"),
        row(f"{name}: p99", late * 1e3, "ms"),
        row(f"{name}: reply", size, "bytes"),
    ]
    return rows


def _batch(service: str) -> list[dict[str, Any]]:
    """Compare one call of many queries with as many calls, one after the other, of which a part is made."""
    url = f"{service}{ASK}/batch"
    together: list[float] = []
    for turn in range(4):
        body = b'{"queries":[' + b",".join(questions(BATCH, want=LEAN, seed=200 + turn)) + b"]}"
        begun = time.perf_counter()
        post(url, body)
        together.append(time.perf_counter() - begun)
    seen = load(service, ASK, questions(1000, want=LEAN, seed=300), connections=1)
    alone = BATCH / seen["rate"]
    batch = statistics.median(together[1:])
    return [
        row(f"batch of {BATCH} over one by one", alone / batch, "1", least=AT_LEAST["batch"]),
        row(f"batch of {BATCH}", batch, "s"),
        row(f"{BATCH} one by one", alone, "s"),
    ]


if __name__ == "__main__":
    for line in run():
        print(line)
