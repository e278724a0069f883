"""A law at a column of layouts at once, in arrays: laws of layouts branch by layout, which `point` takes one way for all rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hplaw.arrays import Array
from hplaw.evaluation.inputs import follow, found_inputs
from hplaw.expression.backends import numpy_backend
from hplaw.law import Law
from hplaw.law.law import numpy_environment
from hplaw.posterior.scenarios import scenarios


def over_columns(
    law: Law, known: Mapping[str, Any], columns: Mapping[str, Array], names: Sequence[str]
) -> dict[str, Array]:
    """Return outputs of a law at its best single values, a row for each entry of the columns.

    **Arguments:**

    - `known`: inputs that all rows share.
    - `columns`: inputs by row, at least one of them; others than the law's are passed over.

    **Raises:** `QueryError` naming an input that is not known.
    """
    size = len(next(iter(columns.values())))
    values, late = found_inputs(law, {**known, **columns})
    here = numpy_environment(law, {**scenarios(law).point, **values})
    follow(law, late, here, numpy_backend())
    program = law.program(numpy_backend())
    with np.errstate(all="ignore"):
        found = {name: program.outputs[name](here) for name in names}
    return {name: np.broadcast_to(np.asarray(value, dtype=np.float64), size) for name, value in found.items()}
