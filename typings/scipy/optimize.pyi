from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]

class OptimizeResult:
    x: _Array
    fun: float
    hess_inv: _Array

def minimize(
    fun: Callable[[_Array], float] | Callable[[_Array], tuple[float, _Array]],
    x0: _Array,
    *,
    method: str,
    jac: bool = False,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResult: ...
