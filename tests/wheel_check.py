"""Try an installed hplaw, out of sight of its source: `make wheel-test` runs this in a fresh environment.

Plain Python, no pytest: that environment holds what serving needs and nothing else.
"""

import contextlib
import importlib.metadata
import importlib.resources
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path


QUESTION = {"n_params": 7e9, "tokens": 1.4e12}
COMMAND = str(Path(sys.executable).with_name("hplaw"))


def say(what: str) -> None:
    sys.stdout.write(f"wheel: {what}\n")
    sys.stdout.flush()


def check(holds: object, what: str) -> None:
    if not holds:
        sys.exit(f"wheel: FAILED: {what}")


def run(*arguments: str) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=120)
    check(done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}")
    return done.stdout


def post(url: str, body: object) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def get(url: str) -> object:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Start the service on a free port, wait until it is ready, and stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    server = subprocess.Popen([COMMAND, "serve", "--host", "127.0.0.1", "--port", str(port)])
    try:
        for _ in range(300):
            check(server.poll() is None, f"the service ended with status {server.returncode}")
            with contextlib.suppress(OSError):
                get(f"{base}/health/ready")
                break
            time.sleep(0.1)
        else:
            check(False, "the service was not ready within 30 seconds")
        yield base
    finally:
        server.terminate()
        server.wait(timeout=30)


def check_environment() -> None:
    import hplaw

    place = str(Path(hplaw.__file__).resolve())
    check(place.startswith(str(Path(sys.prefix).resolve())), f"hplaw was loaded from {place}")
    for name in ("jax", "polars", "sklearn", "scipy", "pytest"):
        check(importlib.util.find_spec(name) is None, f"{name} is installed")
    for name in ("hplaw", "hplaw_api", "hplaw_experiments", "hplaw_laws"):
        typed = importlib.resources.files(name) / "py.typed"
        check(typed.is_file(), f"{name} lacks py.typed")
    say(f"hplaw {importlib.metadata.version('hplaw')} on Python {sys.version.split()[0]}")


def check_laws() -> None:
    with importlib.resources.as_file(importlib.resources.files("hplaw_laws")) as folder:
        files = [file for file in folder.rglob("*.toml") if "published" in file.parts]
    check(len(files) >= 10, f"only {len(files)} published laws are shipped")
    listed = run(COMMAND, "laws", "list")
    check("step-law-2025" in listed, "`hplaw laws list` does not know step-law-2025")
    say(f"{len(files)} published laws shipped")


def check_answers() -> None:
    import hplaw

    record = hplaw.recommend(**QUESTION)
    by_library = record.answers["peak_lr"].value
    check(1e-5 < by_library < 1e-2, f"peak_lr={by_library} is out of reason")
    command = run(COMMAND, "recommend", "--params", "7B", "--tokens", "1.4T", "--json")
    by_command = json.loads(command)
    with serving() as base:
        by_service = post(f"{base}/v1/recommendations", QUESTION)
        laws = get(f"{base}/v1/laws")
        with urllib.request.urlopen(f"{base}/schema", timeout=30) as page:
            text = page.read().decode()
    check(by_command == by_service, "command line and service answer differently")
    answer = by_service["answers"]["peak_lr"]
    check(answer["value"] == by_library, "library and service answer differently")
    check(answer["alternatives"], "no alternative to peak_lr")
    codes = {warning["code"] for warning in by_service["warnings"]}
    check("outside-domain" in codes, f"no outside-domain warning among {sorted(codes)}")
    check("step-law-2025" in json.dumps(laws), "/v1/laws does not know step-law-2025")
    loads = re.findall(r"""(?:src|href)=["'](https?:[^"']+)""", text)
    check(not loads, f"the rendered schema loads {loads}")
    say(f"peak_lr {by_library:.4g} by {answer['law']}, the same by library, command and service")


if __name__ == "__main__":
    os.environ.pop("HPLAW_LAWS", None)
    check_environment()
    check_laws()
    check_answers()
    say("all good")
