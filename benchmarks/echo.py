"""The minimum that a service on the same stack can do: read a question, answer a fixed number of bytes.

`python -m benchmarks.echo 1000 5000` answers 1000 bytes at /1000 and 5000 at /5000.
"""

from __future__ import annotations

import sys

import msgspec
from litestar import Litestar, Response, post
from litestar.handlers import HTTPRouteHandler

from hplaw.messages.query import Query
from hplaw_api.server import listen


def echo(size: int) -> HTTPRouteHandler:
    reply = b'"' + b"x" * (size - 2) + b'"'
    questions = msgspec.json.Decoder(Query)

    @post(f"/{size}", status_code=200, name=f"echo {size}")
    async def answer(body: bytes) -> Response[bytes]:
        questions.decode(body)
        return Response(reply, media_type="application/json")

    return answer


if __name__ == "__main__":
    sizes = {int(word) for word in sys.argv[1:]}
    app = Litestar([echo(size) for size in sizes], openapi_config=None, logging_config=None)
    listen(app, host="127.0.0.1", port=0)
