"""What all tests share: a strict JAX, the folder of measurements, and what this machine can do."""

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings

from tests import type_checks


# JAX reads these when it is first imported, which no test pays for that does not need it.
# numpyro 0.22's NUTS divides a float by an integer array, which strict promotion refuses: run it
# within `jax.numpy_dtype_promotion("standard")`, until numpyro casts.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JAX_ENABLE_X64"] = "1"
os.environ["JAX_NUMPY_DTYPE_PROMOTION"] = "strict"
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
os.environ["XLA_FLAGS"] = " ".join(
    [os.environ.get("XLA_FLAGS", ""), "--xla_force_host_platform_device_count=2"]
).strip()

# A law folder or a setting of the user's own would change what the tests see.
for name in [n for n in os.environ if n.startswith("HPLAW_")]:
    if name not in {"HPLAW_DATA", "HPLAW_NETWORK"}:
        del os.environ[name]

type_checks.install()

# Two shared cores make deadlines flaky; a failure found by chance belongs to `make test-full`.
_slow_machine = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", derandomize=True, **_slow_machine)
settings.register_profile("thorough", max_examples=1000, print_blob=True, **_slow_machine)
settings.load_profile("quick")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, and say so, what this machine cannot do."""
    no_gpu = pytest.mark.skip(reason="no GPU here: nvidia-smi is not on the path")
    no_network = pytest.mark.skip(reason="set HPLAW_NETWORK=1 to let tests use the internet")
    for item in items:
        if "gpu" in item.keywords and shutil.which("nvidia-smi") is None:
            item.add_marker(no_gpu)
        if "network" in item.keywords and os.environ.get("HPLAW_NETWORK") != "1":
            item.add_marker(no_network)


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of measurements by others that HPLAW_DATA names, or skip."""
    folder = os.environ.get("HPLAW_DATA", "")
    if not folder:
        pytest.skip("HPLAW_DATA is not set: it names the folder with measurements by others")
    if not Path(folder).is_dir():
        pytest.skip(f"HPLAW_DATA={folder} is no folder")
    return Path(folder)


# Object stores


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Return the URL of an S3 server that runs in this process."""
    import logging

    from moto.server import ThreadedMotoServer

    # which else writes a line for each request
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of a new bucket, which the environment of this process and of its children leads to."""
    name = f"bucket-{secrets.token_hex(4)}"
    urllib.request.urlopen(urllib.request.Request(f"{s3_server}/{name}", method="PUT")).close()
    for variable in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return f"s3://{name}"


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where stores of runs may be made: a folder, and the address of a bucket."""
    return str(tmp_path) if request.param == "folder" else request.getfixturevalue("bucket")


# A service on a real socket


class Service(NamedTuple):
    """A service in a process of its own: its address, the process, and the file it logs to."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextlib.contextmanager
def running_service(folder: Path, **environ: str) -> Iterator[Service]:
    """Run a service on a free port of this machine, with the settings that `environ` says."""
    log = folder / "service.log"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HPLAW_")}
    settings = {"HPLAW_PORT": "0", "XDG_DATA_HOME": str(folder), **environ}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "hplaw_api"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=clean | settings
        )
    try:
        yield Service(_address(process, log), process, log)
    finally:
        process.terminate()
        process.wait(20)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"running on (http://[\w.:]+)", log.read_text()):
            return found[1]
        time.sleep(0.02)
    pytest.fail(f"the service did not start:\n{log.read_text()}")


StartService = Callable[..., Service]


@pytest.fixture(scope="module")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartService]:
    """Return a function that runs a service until the module's tests are done."""
    with contextlib.ExitStack() as stack:

        def start(**environ: str) -> Service:
            folder = tmp_path_factory.mktemp("service")
            return stack.enter_context(running_service(folder, **environ))

        yield start


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service with the shipped laws and no key, shared by all tests of a process."""
    with running_service(tmp_path_factory.mktemp("service")) as running:
        yield running
