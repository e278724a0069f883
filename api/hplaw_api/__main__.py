"""`python -m hplaw_api`: the service with the settings of the environment."""

import os

from hplaw_api.server import serve
from hplaw_api.settings import settings_from


if __name__ == "__main__":
    serve(settings_from(os.environ))
