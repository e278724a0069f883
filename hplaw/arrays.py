"""Array types whose shapes are written in the signature, and the names of dimensions that they are written with.

    def standard_normals(rows: int, size: int) -> Float[Array, "row scenario"]: ...

Names within one signature must agree in size; the tests check that, and the type of every argument and result. A single
name begins with a space, `" scenario"`, which keeps linters from taking it for a type. `""` is a scalar, `"*shape"` any
shape; three dots in place of a text would check nothing.

- `bin`, `point`: places along a curve or a grid.
- `case`: what is inserted for the inputs that a question leaves open.
- `category`: entries of an index, such as the domains of a mixture.
- `draw`: draws from a posterior, or bootstraps of a fit.
- `example`, `feature`: those of a data set.
- `group`: groups of runs that share effects, such as data sets or recipes.
- `input`, `output`: the quantities that go into a law, and those that it gives.
- `layer`: layers of a model.
- `level`: levels of an interval: 0.05, 0.25, ..., 0.95.
- `param`: the parameters of a law that are fitted, or those of a model.
- `quantity`: quantities that are decided on or answered together.
- `ridge`: the terms of a loss that each rise to both sides of a line.
- `row`: questions asked together, or the rows of a table.
- `run`: training runs.
- `scenario`: what may be true of a law: one draw of its parameters, effects and discrepancy.
- `step`: training steps.

jaxtyping takes longer to load than numpy, so it is loaded only where the environment variable HPLAW_CHECK_SHAPES is
set, as the tests do. Without it, and for type checkers, each of these is `Annotated`, which is all that jaxtyping tells
a type checker, too.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray


if TYPE_CHECKING or not os.environ.get("HPLAW_CHECK_SHAPES"):
    from typing import Annotated as Bool, Annotated as Float, Annotated as Int
else:
    from jaxtyping import Bool, Float, Int


__all__ = ["Array", "Bool", "BoolArray", "Float", "Int", "IntArray"]

Array = NDArray[np.float64]
"""Numbers in double precision, as everywhere on the way to an answer."""

BoolArray = NDArray[np.bool_]
"""Masks."""

IntArray = NDArray[np.int64]
"""Counts and places."""
