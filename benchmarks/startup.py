"""How long a start takes: a cold `hplaw recommend` over `import numpy`, and `import hplaw` over bare Python.

All commands take turns in one run, so that a busy machine slows them alike; the medians are compared. Byte code is kept
in a folder of the run's own: what it measures is the second start, whatever lies in the tree and whatever the
environment says of writing there.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.rows import row


ROUNDS = 11
"""How often each command is started."""

MOST_RECOMMEND = 3.0
"""`hplaw recommend` may take this many times as long as `python -c "import numpy"`."""

MOST_IMPORT_S = 0.1
"""Seconds that `import hplaw` may add to bare Python."""

COMMANDS: Mapping[str, Sequence[str]] = {
    "bare": ["-c", "pass"],
    "hplaw": ["-c", "import hplaw"],
    "numpy": ["-c", "import numpy"],
    "recommend": ["-m", "hplaw", "recommend", "--params", "7B", "--tokens", "1.4T"],
}


def run(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Return a row for each measure: its name, its value, what it must hold, and whether it does."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        for turn in range(rounds + 1):
            for name, words in COMMANDS.items():
                begun = time.perf_counter()
                subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, env=environ)
                if turn:  # the first round fills the caches of files and of byte code
                    seconds[name].append(time.perf_counter() - begun)
    median = {name: statistics.median(taken) for name, taken in seconds.items()}
    return [
        row("cold hplaw recommend over import numpy", median["recommend"] / median["numpy"], "1", most=MOST_RECOMMEND),
        row("import hplaw over bare Python", median["hplaw"] - median["bare"], "s", most=MOST_IMPORT_S),
        *(row(f"python {' '.join(words)}", median[name], "s") for name, words in COMMANDS.items()),
    ]


if __name__ == "__main__":
    for line in run():
        print(line)
