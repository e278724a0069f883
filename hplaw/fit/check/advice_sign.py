"""Whether the advice that goes with a class points to where the error is lowest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hplaw.fit.data.cells import Array, Cells
from hplaw.pruning.regimes import COOLER, HOTTER, MATTERS, action_of
from hplaw.vocabulary.names import REGIMES


def advice_right(found: Array, cells: Cells, error: Array, rows: NDArray[np.bool_]) -> tuple[float, int]:
    """Return the share of cells whose advice has the right sign, and of how many.

    Counted are cells whose error is more than 0.002 above the lowest at the same first axis; right is the side on which
    that lowest error lies, hotter being the smaller of the second axis. Advice to keep is wrong there.

    **Arguments:**

    - `found`: probabilities `[cell, class]`, of which `rows` are looked at.
    """
    right: list[bool] = []
    if not set(cells.classes) <= set(REGIMES):
        return float("nan"), 0
    values: list[float] = np.unique(cells.first[rows]).tolist()
    for value in values:
        here = np.flatnonzero((cells.first == value) & rows)
        best = here[error[here].argmin()]
        for cell in here:
            if error[cell] - error[best] <= MATTERS:
                continue
            asked = HOTTER if cells.second[best] < cells.second[cell] else COOLER
            right.append(action_of(cells.classes[int(found[cell].argmax())]) == asked)
    return (float(np.mean(right)) if right else float("nan")), len(right)
