"""`hplaw serve`: the service, from the command line."""

from __future__ import annotations

import os
import socket
from typing import Annotated

import msgspec
from cyclopts import Parameter

from hplaw.cli.exit_status import OK
from hplaw.cli.extras import needing
from hplaw.cli.options import LawFolders
from hplaw.errors import HplawError, QueryError


def serve(
    *,
    host: Annotated[str | None, Parameter(help="The address to listen on: 127.0.0.1.")] = None,
    port: Annotated[str | None, Parameter(allow_leading_hyphen=True, help="The port to listen on: 8000.")] = None,
    laws: LawFolders = None,
) -> int:
    """Answer over HTTP until stopped by Ctrl-C.

    What is not said here comes from HPLAW_HOST, HPLAW_PORT and the other variables of the service.
    """
    with needing("the service", "api"):
        from hplaw_api import serve as listen, settings_from
    settings = settings_from(os.environ)
    settings = msgspec.structs.replace(
        settings,
        host=settings.host if host is None else host,
        port=settings.port if port is None else _port(port),
        laws=tuple(str(folder) for folder in laws or ()),
    )
    _refuse_taken(settings.host, settings.port)
    listen(settings)
    return OK


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        message = f"--port {text} is no port; give a whole number from 0 to 65535"
        raise QueryError(message, field="port")
    return int(text)


def _refuse_taken(host: str, port: int) -> None:
    """Raise where nothing can listen, in our words and before anything is loaded."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        message = f"cannot listen on {host}:{port}: {error.strerror}; give another --host or --port"
        raise HplawError(message) from None
