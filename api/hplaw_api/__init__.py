"""The HTTP service of hplaw, on Litestar."""

from hplaw_api.app import create_app as create_app
from hplaw_api.server import serve as serve
from hplaw_api.settings import Settings as Settings, settings_from as settings_from


__all__ = ["Settings", "create_app", "serve", "settings_from"]
