"""Write what a power limit does to energy and time, as `device-energy` has it, into the tables of `training-energy`.

python tools/limits.py            # write it, after `device-energy` was fitted again
python tools/limits.py --check    # say whether it is up to date
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from hplaw.answer.answer import answer
from hplaw.catalogue.catalogue import load_catalogue
from hplaw.law import Law
from hplaw.law.write import write_law


LOWEST = 0.4
"""The minimum limit, over the power without one, of which `device-energy` says something."""
DIGITS = 4
POWER_W = 100.0
"""What the GPU draws without a limit, which the ratios do not depend on."""


def tables(device: Law) -> dict[str, dict[str, Any]]:
    """Return time and energy under a limit over those without one, at the places where the law bends."""
    found: dict[str, dict[str, Any]] = {"cap_energy": {"x": [], "y": []}, "cap_time": {"x": [], "y": []}}
    for x in [LOWEST, *device.spec.tables["at"]["values"]]:
        slowdown, share = _under(device, x)
        for name, y in (("cap_energy", slowdown * share), ("cap_time", slowdown)):
            found[name]["x"].append(x)
            found[name]["y"].append(float(f"{y:.{DIGITS}g}"))
    return found


def _under(device: Law, x: float) -> tuple[float, float]:
    """Return how many times longer a sample takes under a limit, and the power it then draws over that without."""
    known = dict.fromkeys(device.inputs, 1.0) | {
        "probe_large_samples": 2.0,
        "probe_large_j": POWER_W,
        "probe_capped_w": x * POWER_W,
        "power_limit_w": 1e5,
        "probe_power_limit_w": 1e5,
    }
    said = answer(device, known).values
    return said["limit_slowdown"], said["limit_power_share"]


def main(words: Sequence[str]) -> int:
    """Write the tables, or say whether they are as they should be."""
    shipped = load_catalogue(environ={"XDG_DATA_HOME": os.devnull})
    energy = shipped.get("training-energy")
    fresh = {**energy.spec.tables, **tables(shipped.get("device-energy"))}
    if fresh == dict(energy.spec.tables):
        return 0
    if "--check" in words:
        sys.exit("the tables of a limit in training-energy are not device-energy's: python tools/limits.py")
    assert energy.path is not None
    energy.path.write_text(write_law(msgspec.structs.replace(energy.spec, tables=fresh)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
