"""Maps: class probabilities measured on a grid of two or more quantities, interpolated between its points."""

from __future__ import annotations

import itertools as it
import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.errors import ConflictingQuery, LawError
from hplaw.law.derived import derived
from hplaw.law.law import Law
from hplaw.posterior.arrays import read_arrays


class Grid(msgspec.Struct, frozen=True):
    """Axes with their coordinates, and `probabilities[axis 1, axis 2, ..., class]`."""

    axes: tuple[NDArray[np.float64], ...]
    probabilities: NDArray[np.float64]


@derived
def read_grid(law: Law) -> Grid:
    """Return the grid of a law: an array of rising coordinates per axis, and the array `probabilities`.

    **Raises:** `LawError` where arrays are missing or do not fit together.
    """
    spec = law.spec.grid
    assert spec is not None
    arrays = read_arrays(law)

    def fail(problem: str) -> None:
        raise LawError(problem, file=str(law.path or ""), table="grid", key="values")

    if set(arrays) != {*spec.axes, "probabilities"}:
        fail(f"{spec.values} holds the arrays {', '.join(spec.axes)} and probabilities, nothing else")
    axes = tuple(arrays[name] for name in spec.axes)
    if any(axis.ndim != 1 or len(axis) < 2 or (np.diff(axis) <= 0).any() for axis in axes):
        fail("an axis is a list of two or more rising coordinates")
    found = arrays["probabilities"]
    if found.shape != (*(len(axis) for axis in axes), len(spec.classes)):
        fail(f"probabilities have shape {found.shape}, not one entry per point and class")
    if (found < 0).any() or not np.allclose(found.sum(axis=-1), 1, atol=1e-6):
        fail("probabilities of a point are not negative and sum to 1")
    return Grid(axes, found)


def classify(law: Law, values: Mapping[str, Any]) -> tuple[dict[str, float], str]:
    """Return the probability of each class at a point, held at the map's edges, and the likeliest class.

    **Raises:** `QueryError` where an axis is not given.
    """
    spec, grid = law.spec.grid, read_grid(law)
    assert spec is not None
    places: list[tuple[int, float]] = []
    for name, axis in zip(spec.axes, grid.axes, strict=True):
        value = values.get(name)
        if value is None:
            message = f"{law.id} needs {name}; give it"
            raise ConflictingQuery(message, field=name)
        clipped = min(max(float(value), float(axis[0])), float(axis[-1]))
        i = min(int(np.searchsorted(axis, clipped, side="right")) - 1, len(axis) - 2)
        places.append((i, (clipped - float(axis[i])) / float(axis[i + 1] - axis[i])))
    total = np.zeros(len(spec.classes))
    for corner in it.product((0, 1), repeat=len(places)):
        weight = math.prod(share if side else 1 - share for side, (_, share) in zip(corner, places, strict=True))
        total += weight * grid.probabilities[tuple(i + side for side, (i, _) in zip(corner, places, strict=True))]
    probability = dict(zip(spec.classes, map(float, total), strict=True))
    return probability, max(probability, key=lambda word: probability[word])
