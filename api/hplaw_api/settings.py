"""Settings of the service: where to listen, which laws, who may ask and how often."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from hplaw.errors import QueryError


_T = TypeVar("_T", int, float)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one service.

    **Arguments:**

    - `host`, `port`: the address to listen on.
    - `laws`: folders searched before those of HPLAW_LAWS, the user's and the shipped ones.
    - `api_key`: when set, a request needs it as bearer token or `X-API-Key`; health and documentation stay open.
    - `rate_limit`: when set, requests per minute that one client may make.
    - `reload_s`: seconds between two looks at the law folders.
    - `cors_origins`: web pages of these origins may call the service from a browser, `*` for all.
    - `kept_replies`: replies kept for questions asked again, until the laws change.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    laws: tuple[str, ...] = ()
    api_key: str | None = None
    rate_limit: int | None = None
    reload_s: float = 2.0
    cors_origins: tuple[str, ...] = ()
    kept_replies: int = 4096

    @property
    def exposed(self) -> bool:
        """Whether others than this machine can reach the service without a key."""
        return self.api_key is None and not _is_loopback(self.host)


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Return the settings that environment variables say: HPLAW_HOST, _PORT, _API_KEY, _RATE_LIMIT,
    _RELOAD_S and _CORS_ORIGINS (separated by commas).

    HPLAW_LAWS is not among them: the catalogue reads it, for the service as for everything else.

    **Raises:** `QueryError` naming a variable that is no number, or out of range.

    >>> settings_from({"HPLAW_PORT": "9000"}).port
    9000
    """
    words = environ.get("HPLAW_CORS_ORIGINS", "").split(",")
    origins = [word.strip() for word in words if word.strip()]
    told = {
        "host": environ.get("HPLAW_HOST") or None,
        "port": _number(environ, "HPLAW_PORT", int, low=0, high=65535),
        "api_key": environ.get("HPLAW_API_KEY") or None,
        "rate_limit": _number(environ, "HPLAW_RATE_LIMIT", int, low=1, high=10**9),
        "reload_s": _number(environ, "HPLAW_RELOAD_S", float, low=0.05, high=86400),
        "cors_origins": origins or None,
    }
    given = {name: value for name, value in told.items() if value is not None}
    return msgspec.convert(given, Settings)


def _number(environ: Mapping[str, str], name: str, kind: Callable[[str], _T], *, low: float, high: float) -> _T | None:
    text = environ.get(name, "")
    if not text:
        return None
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not low <= value <= high:
        message = f"{name}={text} is not allowed; give a number from {low:g} to {high:g}"
        raise QueryError(message, field=name)
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
