"""How two trained networks hang together: the barrier between them, and how alike what they compute is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from hplaw.errors import DataError


def mode_connectivity(errors: Sequence[float]) -> float:
    """Return the linear mode connectivity of a path between two networks.

    e - E(t*), with e = (E(0) + E(1)) / 2 and t* where |e - E(t)| is largest: negative where a barrier lies between them,
    about zero where they are connected, positive where the path is better than its ends.

    **Arguments:**

    - `errors`: shape (point,), training errors in [0, 1] at evenly spaced points of the straight line, ends included;
      the source takes 11, normalization statistics estimated again at each.

    **Raises:** `DataError` for fewer than three points, or what is no error.

    **Source:** Zhou, Yang, Chang, Mahoney (2023), arXiv 2305.18383, as its code has it.

    >>> round(mode_connectivity([0.1, 0.3, 0.6, 0.3, 0.1]), 12)
    -0.5
    """
    path = np.asarray(errors, dtype=np.float64)
    if path.ndim != 1 or path.size < 3 or not np.all((path >= 0) & (path <= 1)):
        message = "a path needs three errors or more between 0 and 1, from one network to the other"
        raise DataError(message)
    drops = (path[0] + path[-1]) / 2 - path
    return float(drops[np.argmax(np.abs(drops))])


def linear_cka(x: ArrayLike, y: ArrayLike) -> float | None:
    """Return the linear centered kernel alignment of two sets of features, None where one does not vary.

    |X'Y|^2 / (|X'X| |Y'Y|) in Frobenius norms, of centered X and Y: 1 for features that differ by a rotation and a scale.

    **Arguments:**

    - `x`: shape (example, feature of the one network).
    - `y`: shape (example, feature of the other), the same examples in the same order.

    **Raises:** `DataError` where the examples are not as many, or not finite.

    **Source:** Kornblith, Norouzi, Lee, Hinton (2019), arXiv 1905.00414; the biased version.

    >>> features = [[1, 0], [0, 1], [1, 1], [2, 0]]
    >>> round(linear_cka(features, [[row[0]] for row in features]), 6)
    0.944911
    """
    a, b = (np.asarray(each, dtype=np.float64) for each in (x, y))
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or len(a) < 2:
        message = f"features are tables of one row for each example, the same two or more for both networks; there are {a.shape} and {b.shape}"
        raise DataError(message)
    if not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
        message = "features must be finite; one is not"
        raise DataError(message)
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    own = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return float(np.linalg.norm(a.T @ b) ** 2 / own) if own > 0 else None
