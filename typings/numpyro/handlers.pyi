from collections.abc import Callable, Mapping
from typing import Generic, ParamSpec, TypedDict, TypeVar

from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import Distribution

_P = ParamSpec("_P")
_R = TypeVar("_R")

class Site(TypedDict):
    type: str
    name: str
    fn: Distribution
    value: Array
    is_observed: bool

class trace(Generic[_P, _R]):
    def __init__(self, fn: Callable[_P, _R]) -> None: ...
    def get_trace(self, *args: _P.args, **kwargs: _P.kwargs) -> dict[str, Site]: ...

def seed(fn: Callable[_P, _R], rng_seed: Array) -> Callable[_P, _R]: ...
def substitute(fn: Callable[_P, _R], data: Mapping[str, ArrayLike]) -> Callable[_P, _R]: ...
