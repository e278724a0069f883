"""Learning a map: candidates compared on what they did not see, the best one stored as a grid with its evidence."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
import sklearn

from hplaw.fit.check.advice_sign import advice_right
from hplaw.fit.data.cells import Array, Cells, CellTable
from hplaw.fit.infer.classes import (
    Bin,
    Candidate,
    Choice,
    Scores,
    candidates,
    choose,
    chosen_within,
    reliability,
    score,
)
from hplaw.fit.output.law_folder import write_map
from hplaw.law import Law
from hplaw.law.format import EvidenceSpec, LawSpec


POINTS = (41, 61)
"""Points of the grid on its axes: steps that change a probability by a few percent at most."""

REJECT = 0.6
"""Probability of the likeliest class below which a map that does not say otherwise rejects."""


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """A map that was learned.

    - `choice`: the candidates, those chosen, and their scores on what was held out; `nested` the scores of inner cells whose
      candidates were chosen without them.
    - `bins`: reliability on the inner cells held out.
    - `advice`: share of inner cells held out whose advice has the right sign, and of how many; NaN without errors.
    """

    table: CellTable
    choice: Choice
    nested: Scores
    bins: list[Bin]
    advice: tuple[float, int]
    axes: tuple[Array, Array]
    probabilities: Array

    def scores(self) -> dict[str, float]:
        """Return the scores by the names that the law's evidence has for them."""
        found: dict[str, float] = {}
        for part, scores in (
            ("inner", self.choice.mean.inner),
            ("blocks", self.choice.mean.blocks),
            ("choice_inside", self.nested),
        ):
            for name in ("cells", "accuracy", "brier", "log_loss", "calibration", "answered", "accuracy_answered"):
                found[f"{name}_{part}"] = float(getattr(scores, name))
        if self.advice[1]:
            found |= {"advice_right_inner": self.advice[0], "advice_cells_inner": float(self.advice[1])}
        return {name: value for name, value in found.items() if np.isfinite(value)}


def learn(
    table: CellTable,
    *,
    reject: float = REJECT,
    tried: list[Candidate] | None = None,
    told: Callable[[str], None] = print,
) -> Learned:
    """Return the map that cells teach.

    **Arguments:**

    - `reject`: the probability below which a cell counts as not answered.
    - `tried`: the candidates; all by default.

    **Raises:** `DataError` for fewer than three values on the first axis.
    """
    cells, tried = table.cells, tried or candidates()
    told(f"comparing {len(tried)} candidates on held-out values and blocks")
    choice = choose(cells, tried, reject=reject)
    mean = choice.mean
    told(f"{mean.name}: log loss {mean.loss:.3f}; choosing again without each value")
    inside, inner = chosen_within(cells, tried), ~np.isnan(mean.p_inner[:, 0])
    axes = (_axis(cells.first, POINTS[0], log=True), _axis(cells.second, POINTS[1], log=mean.scale == "log"))
    first, second = (part.ravel() for part in np.meshgrid(*axes, indexing="ij"))
    probabilities = choice.learn(cells, np.ones(len(cells), dtype=np.bool_))(first, second)
    return Learned(
        table=table,
        choice=choice,
        nested=score(inside, cells, inner, reject=reject),
        bins=reliability(mean.p_inner, cells, inner),
        advice=(float("nan"), 0) if table.error is None else advice_right(mean.p_inner, cells, table.error, inner),
        axes=axes,
        probabilities=probabilities.reshape(len(axes[0]), len(axes[1]), -1),
    )


def _axis(values: Array, size: int, *, log: bool) -> Array:
    low, high = float(values.min()), float(values.max())
    found = np.geomspace(low, high, size) if log else np.linspace(low, high, size)
    found[0], found[-1] = low, high
    return found


def write_learned(to: Path, law: LawSpec, learned: Learned, *, data: str, sha256: str, command: str) -> Law:
    """Write the folder of a learned map: law.toml with its evidence, the grid, the card with plots.

    **Arguments:**

    - `law`: the tables of the map; domain, evidence and the likeliest-class examples are written anew.
    - `command`: the words that made it.
    """
    from hplaw.fit.output.map_card import write_map_card

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
