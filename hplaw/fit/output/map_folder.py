"""Writing a learned map: law.toml with its evidence, the grid, the card with plots."""

from __future__ import annotations

import datetime as dt
import os
import platform
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
import sklearn

from hplaw.fit.check.learned_map import Learned
from hplaw.fit.data.cells import Cells
from hplaw.fit.output.law_folder import write_map
from hplaw.fit.output.map_card import write_map_card
from hplaw.law import Law
from hplaw.law.format import EvidenceSpec, LawSpec


def write_learned(to: Path, law: LawSpec, learned: Learned, *, data: str, sha256: str, command: str) -> Law:
    """Write the folder of a learned map: law.toml with its evidence, the grid, the card with plots.

    **Arguments:**

    - `law`: the tables of the map; domain, evidence and the likeliest-class examples are written again.
    - `command`: the words that made it.
    """
    grid, cells = law.grid, learned.table.cells
    assert grid is not None
    evidence = EvidenceSpec(
        runs=len(cells),
        groups=len(np.unique(cells.first)),
        data=data,
        data_sha256=sha256,
        code_version=f"hplaw {version('hplaw')}",
        hardware=f"{platform.machine()}, {os.cpu_count()} cores",
        sampler=f"{learned.choice.mean.name} of {len(learned.choice.compared)} candidates, scikit-learn {sklearn.__version__}",
        fitted=dt.datetime.now(dt.UTC).date().isoformat(),
        held_out=learned.scores(),
    )
    domain: dict[str, list[float | str]] = {
        name: [float(axis[0]), float(axis[-1])] for name, axis in zip(grid.axes, learned.axes, strict=True)
    }
    spec = msgspec.structs.replace(law, status="calibrated", evidence=evidence, domain=domain)
    arrays = dict(zip(grid.axes, learned.axes, strict=True)) | {"probabilities": learned.probabilities}
    return write_map(to, spec, arrays, lambda made, folder: write_map_card(made, folder, learned, command))


def examples_at(cells: Cells) -> list[tuple[float, float]]:
    """Return the place of one cell of each class, the middle one of its rows: worked examples of a new map."""
    found: list[tuple[float, float]] = []
    for label in range(len(cells.classes)):
        rows = np.flatnonzero(cells.label == label)
        if len(rows):
            middle = rows[len(rows) // 2]
            found.append((float(cells.first[middle]), float(cells.second[middle])))
    return found
