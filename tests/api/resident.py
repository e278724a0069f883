"""How much memory a process holds."""

import os
from pathlib import Path

import pytest


readable = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read where Linux tells it")


def resident_mb(process_id: int) -> float:
    """Return the memory that a process holds, in MB."""
    return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
