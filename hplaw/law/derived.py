"""What rooms derive from a law, kept by the law: computed once, gone when the law goes."""

from __future__ import annotations

import functools as ft
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, runtime_checkable


@runtime_checkable
class Keeper(Protocol):
    """What holds a store of its own for what is derived from it."""

    @property
    def derived(self) -> dict[Any, Any]:
        """Return the store, empty when the keeper is made."""
        ...


K = TypeVar("K", bound=Keeper)
P = ParamSpec("P")
T = TypeVar("T")


def derived(make: Callable[Concatenate[K, P], T]) -> Callable[Concatenate[K, P], T]:
    """Keep what a function returns for a law (or a catalogue) and its other arguments with the law.

    The function itself is the key, so that no room knows what another derives.
    """

    @ft.wraps(make)
    def kept(keeper: K, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (make, args, *kwargs.items()) if args or kwargs else make
        store = keeper.derived
        try:
            return store[key]
        except KeyError:
            found = store[key] = make(keeper, *args, **kwargs)
            return found

    return kept
