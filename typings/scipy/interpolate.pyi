import numpy as np
from numpy.typing import NDArray

class RBFInterpolator:
    def __init__(
        self,
        y: NDArray[np.float64],
        d: NDArray[np.float64],
        *,
        smoothing: float = 0.0,
        kernel: str = "thin_plate_spline",
    ) -> None: ...
    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]: ...
