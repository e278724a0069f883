"""Ask for recommendations: over HTTP (`Client`, `AsyncClient`) or in this process (`LocalClient`), with the same methods.

The three give the same typed records and raise the same errors, so that a program can move from one to another.
httpx2 is loaded when a client over HTTP is made, not before.
"""

from hplaw.client.abstract import AbstractClient as AbstractClient
from hplaw.client.asynchronous import AsyncClient as AsyncClient
from hplaw.client.http import Client as Client
from hplaw.client.in_process import LocalClient as LocalClient


__all__ = ["AbstractClient", "AsyncClient", "Client", "LocalClient"]
