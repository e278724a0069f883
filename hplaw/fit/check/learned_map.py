"""Learning a map: candidates compared on what they did not see, the mean of the best over a grid."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from hplaw.fit.check.advice_sign import advice_right
from hplaw.fit.data.cells import Array, CellTable
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
