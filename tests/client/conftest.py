"""The three clients behind one face, so that each test is one claim about all of them."""

import asyncio
import inspect

import pytest

from hplaw.client import AsyncClient, Client, LocalClient


class Waiting:
    """An `AsyncClient` whose methods are waited for, with a loop of its own."""

    def __init__(self, make) -> None:
        self._loop = asyncio.Runner()
        try:
            self._client = self._loop.run(self._made(make))
        except BaseException:
            self._loop.close()
            raise

    async def _made(self, make):
        return make()

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def call(*args, **kwargs):
            async def wait():
                found = method(*args, **kwargs)
                return await found if inspect.isawaitable(found) else found

            return self._loop.run(wait())

        return call

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._loop.run(self._client.close())
        self._loop.close()


def make_client(kind, url, **options):
    """Return a client over HTTP of either kind, to be used in a `with` block."""
    if kind == "async":
        return Waiting(lambda: AsyncClient(url, **options))
    return Client(url, **options)


@pytest.fixture(params=["local", "http", "async"])
def client(request, service):
    """Return each client in turn: in this process, over a real socket, and awaited over one."""
    made = LocalClient() if request.param == "local" else make_client(request.param, service.url)
    with made as opened:
        yield opened


@pytest.fixture(params=["http", "async"])
def over_http(request):
    """Return a function that makes a client over HTTP, each kind in turn; its pauses take no time but are noted."""

    def make(url, *, waits=None, **options):
        noted = [] if waits is None else waits

        async def note(seconds):
            noted.append(seconds)

        sleep = note if request.param == "async" else noted.append
        return make_client(request.param, url, sleep=sleep, **options)

    return make
