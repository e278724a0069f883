from collections.abc import Callable, Mapping
from typing import NamedTuple

from jax import Array
from jax.typing import ArrayLike

class ParamInfo(NamedTuple):
    z: Array
    potential_energy: Array
    z_grad: Array

def potential_energy(
    model: Callable[..., object],
    model_args: tuple[ArrayLike, ...],
    model_kwargs: Mapping[str, object],
    params: Mapping[str, Array],
) -> Array: ...
def constrain_fn(
    model: Callable[..., object],
    model_args: tuple[ArrayLike, ...],
    model_kwargs: Mapping[str, object],
    params: Mapping[str, Array],
    return_deterministic: bool = False,
) -> dict[str, Array]: ...
