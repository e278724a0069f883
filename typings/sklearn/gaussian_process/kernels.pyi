from collections.abc import Sequence

class Kernel:
    def __mul__(self, other: Kernel) -> Kernel: ...

class ConstantKernel(Kernel):
    def __init__(self, constant_value: float, bounds: tuple[float, float] = ...) -> None: ...

class RBF(Kernel):
    def __init__(self, length_scale: Sequence[float], bounds: tuple[float, float] = ...) -> None: ...
