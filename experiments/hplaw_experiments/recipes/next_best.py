"""The next best runs: what narrows the answer at a target most per FLOP.

With the parameters' covariance S, the gradients G of a block of runs' predicted losses in units of their noise, and
the gradients w of the optimum at the target, seeing the block moves the answer by a covariance of

    D = A (I + G S G')^-1 A',  A = w S G'

and saves 1/2 tr(H D) of loss there, H being the curvature of the loss around its optimum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray


Array = NDArray[np.float64]

RUNS_PER_CELL = 6
"""Most runs proposed for one cell: more there teach little."""


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that are made together, in one cell.

    A single run in a new cell only learns the cell's level, so that new cells are offered as blocks.

    **Arguments:**

    - `cell`: the cell's name, by which its runs are counted.
    - `gradients`: of each run's predicted loss by each parameter, over the noise, `[run, parameter]`.
    - `flop`: of all its runs, FLOP.
    - `runs`: the runs' settings.
    """

    cell: str
    gradients: Array
    flop: float
    runs: tuple[Mapping[str, float | str], ...]


def gain(covariance: Array, block: Array, target: Array, curvature: Array) -> float:
    """Return the loss saved at the target by seeing a block of runs.

    **Arguments:**

    - `covariance`: S `[parameter, parameter]`; `block`: G `[run, parameter]`.
    - `target`: w `[chosen, parameter]`; `curvature`: H `[chosen, chosen]`.

    >>> one = np.eye(1)
    >>> gain(one, one, one, one)
    0.25
    """
    moved = _moved(covariance, block, target)
    return float(0.5 * np.trace(curvature @ moved))


def _moved(covariance: Array, block: Array, target: Array) -> Array:
    a = target @ covariance @ block.T
    inner = np.eye(len(block)) + block @ covariance @ block.T
    return np.asarray(a @ np.linalg.solve(inner, a.T), dtype=np.float64)


def seen(covariance: Array, block: Array) -> Array:
    """Return the covariance after a block of runs is seen: S - S G' (I + G S G')^-1 G S."""
    return covariance - _moved(covariance, block, np.eye(len(covariance)))


def next_best(
    blocks: Sequence[Block],
    *,
    covariance: Array,
    target: Array,
    curvature: Array,
    runs: int,
    done: Mapping[str, int] | None = None,
) -> list[Block]:
    """Return the blocks to run next, the best first: each is the maximum gain per FLOP after those before it.

    **Arguments:**

    - `runs`: at most so many runs in all.
    - `done`: runs made already, by cell; a cell has at most `RUNS_PER_CELL`.
    """
    chosen: list[Block] = []
    count = dict(done or {})
    left, open_blocks = runs, list(range(len(blocks)))
    while True:
        fitting = [
            number
            for number in open_blocks
            if len(blocks[number].runs) <= left
            and count.get(blocks[number].cell, 0) + len(blocks[number].runs) <= RUNS_PER_CELL
        ]
        if not fitting:
            return chosen
        worth = {n: gain(covariance, blocks[n].gradients, target, curvature) / blocks[n].flop for n in fitting}
        best = max(fitting, key=lambda n: (worth[n], -n))
        if worth[best] <= 0:
            return chosen
        block = blocks[best]
        chosen.append(block)
        covariance = seen(covariance, block.gradients)
        open_blocks.remove(best)
        left -= len(block.runs)
        count[block.cell] = count.get(block.cell, 0) + len(block.runs)
