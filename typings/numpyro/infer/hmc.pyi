from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from jax import Array
from numpyro.infer.util import ParamInfo

class HMCState(NamedTuple):
    """Those of its fields that are read."""

    z: Array
    num_steps: Array
    diverging: Array

class Start(Protocol):
    def __call__(
        self,
        init_params: ParamInfo,
        num_warmup: int,
        *,
        step_size: float,
        adapt_mass_matrix: bool,
        dense_mass: bool,
        target_accept_prob: float,
        max_tree_depth: int,
        model_args: tuple[Array, ...],
        rng_key: Array,
    ) -> HMCState: ...

def hmc(
    *, potential_fn_gen: Callable[..., Callable[[Array], Array]], algo: str = "NUTS"
) -> tuple[Start, Callable[[HMCState, tuple[Array, ...], Mapping[str, object]], HMCState]]: ...
