"""A load on an HTTP service from a process of its own: raw sockets that stay open, so that the caller costs little."""

import asyncio
import json
import sys
import time
from pathlib import Path


class Line(asyncio.Protocol):
    """One connection that sends the next request when the last is answered."""

    def __init__(self, requests, done, seconds) -> None:
        self._requests, self._done, self._seconds = requests, done, seconds
        self._buffer, self._missing, self._start = b"", -1, 0.0

    def connection_made(self, transport) -> None:
        self._transport = transport
        self._next()

    def data_received(self, data) -> None:
        if self._missing < 0:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            if not head.startswith(b"http/1.1 200"):
                self._done.set_exception(RuntimeError(self._buffer[:1000].decode(errors="replace")))
                return
            length = int(head.split(b"content-length: ", 1)[1].split(b"\r", 1)[0])
            self._missing = length - (len(self._buffer) - end - 4)
        else:
            self._missing -= len(data)
        if self._missing == 0:
            self._seconds.append(time.perf_counter() - self._start)
            self._next()

    def connection_lost(self, error) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionError("the service hung up"))

    def _next(self) -> None:
        self._buffer, self._missing = b"", -1
        request = next(self._requests, None)
        if request is None:
            if not self._done.done():
                self._done.set_result(None)
            return
        self._start = time.perf_counter()
        self._transport.write(request)


async def load(host, port, requests, connections):
    """Send all requests over some connections; return the seconds in all and of each."""
    loop = asyncio.get_running_loop()
    seconds: list[float] = []
    left = iter(requests)
    waits = [loop.create_future() for _ in range(connections)]
    start = time.perf_counter()
    lines = [await loop.create_connection(lambda done=done: Line(left, done, seconds), host, port) for done in waits]
    await asyncio.gather(*waits)
    total = time.perf_counter() - start
    for transport, _ in lines:
        transport.abort()
    return total, seconds


def main() -> None:
    """Read host, port, path, connections and a file of bodies, one a line; print what was seen as JSON."""
    host, port, path, connections, file = sys.argv[1:6]
    bodies = Path(file).read_bytes().splitlines()
    head = f"POST {path} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\ncontent-length: "
    requests = [head.encode() + b"%d\r\n\r\n" % len(body) + body for body in bodies]
    total, seconds = asyncio.run(load(host, int(port), requests, int(connections)))
    seconds.sort()
    seen = {
        "rate": len(seconds) / total,
        "seconds": total,
        "p50": seconds[len(seconds) // 2],
        "p99": seconds[int(len(seconds) * 0.99)],
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
