"""The search for a mode finds it, also among hundreds of numbers."""

import numpy as np
import pytest

from hplaw.fit.infer.laplace import fit_normal
from hplaw.fit.model.density import Density
from hplaw.fit.model.double_precision import double_precision
from hplaw.fit.model.model import Model
from hplaw.law import Law
from tests.fit.conftest import TRUTH, simulate


@pytest.mark.parametrize("cells", [12, 200])
def test_the_slope_is_nothing_at_the_mode(toy: Law, cells: int) -> None:
    with double_precision():
        density = Density(Model(toy, simulate(cells=cells, runs=2)))
        weights = np.ones(density.rows)
        normal = fit_normal(density, weights)
        _, slope = density.value_and_gradient(normal.mode, weights)
    free = ~density.scales
    assert np.abs(slope[free] @ normal.root[np.ix_(free, free)]).max() < 0.02
    place = density.sites["a"][0]
    assert abs(float(normal.mode[place][0]) - TRUTH["a"]) < 0.1
