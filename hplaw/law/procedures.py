"""Procedures: what a formula cannot say, named by a law file and found here, never planned with.

A name stands for `module:function`, loaded when it is called, so that the registry costs nothing and may name what only
an extra brings. Those that shipped laws call are there from the start.
"""

from __future__ import annotations

import functools as ft
import importlib
from collections.abc import Callable
from typing import Any


@ft.cache
def _registry() -> dict[str, str]:
    return {"spectrum.largest_stable_rate": "hplaw_experiments.diagnostics.spectrum:largest_stable_rate"}


def register(name: str, target: str) -> None:
    """Let law files call the function `target`, written `module:function`, by `name`.

    >>> register("example.square_root", "math:sqrt")
    >>> call("example.square_root", 4.0)
    2.0
    """
    _registry()[name] = target


def registered() -> tuple[str, ...]:
    """Return the names that law files may call."""
    return tuple(sorted(_registry()))


def call(name: str, /, *arguments: Any, **keywords: Any) -> Any:
    """Return what a registered procedure returns.

    **Raises:** `LookupError` where nothing is registered under the name.
    """
    module, _, function = _registry()[name].partition(":")
    target: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return target(*arguments, **keywords)
