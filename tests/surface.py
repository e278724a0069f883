"""The dense surface computed again, from the fixture's numbers and the formulas of its notes, without hplaw."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.helpers import fixture_law


Array = NDArray[np.float64]
_SPEC = fixture_law("dense-surface").spec
P: dict[str, Any] = {name: item.value for name, item in _SPEC.parameters.items()}
K, TH, C = np.array(P["k"]), np.array(P["th"]), np.exp(np.array(P["lh"])) / np.array(P["k"]) ** 2
SLOPES = K * np.array([np.cos(TH), np.sin(TH)])
"""d t / d ln(rate) and d t / d ln(batch) of every ridge."""
CELLS = np.array([[P["tx"] ** 2, P["rho"] * P["tx"] * P["ty"]], [P["rho"] * P["tx"] * P["ty"], P["ty"] ** 2]])
"""Covariance of a new cell's optimum around the law."""
STRAYS = np.array(_SPEC.predict.discrepancy.covariance) if _SPEC.predict.discrepancy else np.zeros((2, 2))
"""Covariance of a measured optimum around the cell's own."""
_RECIPE = np.array(_SPEC.effects["recipe"].covariance)
REACH = {name: _SPEC.domain[name] for name in ("n_params", "tokens")}


class Cell(NamedTuple):
    """One model and data size."""

    n_params: float
    tokens: float

    @property
    def n(self) -> float:
        return math.log(self.n_params / 4e8)

    @property
    def d(self) -> float:
        return math.log(self.tokens / 3e10)

    @property
    def optimum(self) -> Array:
        """Return the logarithms of the law's best rate and batch."""
        x = P["p0"] + P["p1"] * self.n + P["p2"] * self.d
        y = P["q0"] + P["q1"] * self.d + P["q2"] * self.n
        return np.array([x, y])

    @property
    def base(self) -> float:
        """Return the logarithm of the loss there."""
        level = math.exp(P["b0"])
        a, b = P["gN"] * level / P["al"], P["gD"] * level / P["be"]
        return math.log(level - a - b + a * math.exp(-P["al"] * self.n) + b * math.exp(-P["be"] * self.d))

    @property
    def sharpness(self) -> float:
        return math.exp(P["k1"] * self.n + P["k2"] * self.d)

    @property
    def outside(self) -> float:
        """Return the e-folds outside the domain."""
        total = 0.0
        for value, (low, high) in ((self.n_params, REACH["n_params"]), (self.tokens, REACH["tokens"])):
            total += max(0.0, math.log(value / high), math.log(low / value))
        return total

    @property
    def strays(self) -> Array:
        """Return the covariance of a measured optimum, wider outside the domain."""
        return STRAYS * (1 + 0.1 * self.outside**2)

    @property
    def transfer(self) -> Array:
        """Return the covariance that another recipe adds to the best rate and batch."""
        loads = np.array([[1, self.n, self.d, 0, 0, 0], [0, 0, 0, 1, self.n, self.d]])
        # the file's order of the batch's effects: constant, tokens, parameters
        loads[1, 4], loads[1, 5] = self.d, self.n
        return loads @ _RECIPE @ loads.T

    def bowl(self, x: Any, y: Any, centre: Array | None = None) -> Array:
        """Return ln(loss / lowest loss) at logarithms of rate and batch."""
        ox, oy = self.optimum if centre is None else centre
        u, v = np.asarray(x - ox)[..., None], np.asarray(y - oy)[..., None]
        t = SLOPES[0] * u + SLOPES[1] * v
        return self.sharpness * np.sum(C * (np.exp(t) - 1 - t), axis=-1)

    def expected(self, x: Any, y: Any) -> Array:
        """Return the bowl's mean over new cells, in closed form."""
        ox, oy = self.optimum
        t = SLOPES[0] * (np.asarray(x)[..., None] - ox) + SLOPES[1] * (np.asarray(y)[..., None] - oy)
        variance = np.einsum("ir,ij,jr->r", SLOPES, CELLS, SLOPES)
        return self.sharpness * np.sum(C * (np.exp(t + variance / 2) - 1 - t), axis=-1)


def least(function: Any, low: float, high: float) -> float:
    """Return where a function of one number is minimal, by scans ever denser."""
    for _ in range(8):
        x = np.linspace(low, high, 201)
        i = int(np.argmin(function(x)))
        low, high = float(x[max(i - 2, 0)]), float(x[min(i + 2, 200)])
    return (low + high) / 2
