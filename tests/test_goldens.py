"""Every golden value of the theory that is kept is computed by a law or a function, to the digits given."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from tests.goldens import GOLDENS


FILE = Path(os.environ.get("HPLAW_DATA", "/nowhere")) / "golden_values.json"
VALUES: dict[str, Any] = json.loads(FILE.read_text()) if FILE.is_file() else {}

ROUNDED = ("UBA(", "cosine power ")
"""Goldens given to five digits; all others are in full."""

SIMULATED = {"rmt.sim": 0.05, "gns simulated": 0.02}
"""Goldens that a simulation found, by their start, with the relative error that ours may have."""


def flat(value: Any) -> list[Any]:
    """Return the numbers and names of a golden in order; of an abc classification, exponent and regime."""
    if isinstance(value, dict):
        return [value["r"], value["regime"]]
    if isinstance(value, list | tuple):
        return [entry for item in value for entry in flat(item)]
    return [value]


def tolerance(name: str) -> dict[str, float]:
    for start, error in SIMULATED.items():
        if name.startswith(start):
            return {"rel_tol": error}
    return {"abs_tol": 1e-5} if name.startswith(ROUNDED) else {"rel_tol": 1e-9, "abs_tol": 1e-12}


@pytest.mark.parametrize("name", GOLDENS)
def test_a_golden_value_is_worked_out(name: str) -> None:
    found = flat(GOLDENS[name]())
    assert all(isinstance(value, str) or math.isfinite(value) for value in found)
    if name in VALUES:
        wanted = flat(VALUES[name])
        assert len(found) == len(wanted)
        for have, want in zip(found, wanted, strict=True):
            same = have == want if isinstance(want, str) else math.isclose(have, want, **tolerance(name))
            assert same, f"{have} is not {want}"


@pytest.mark.skipif(not VALUES, reason="the golden values are not here")
def test_every_golden_value_is_shown_somewhere() -> None:
    assert set(VALUES) - set(GOLDENS) == set()
    assert set(GOLDENS) <= set(VALUES)
