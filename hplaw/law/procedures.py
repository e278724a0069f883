"""Procedures: what a formula cannot say, named by a law file and found here, never planned with.

A name maps to `module:function`, loaded when it is called, so that the list costs nothing and may name what only
an extra brings.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


_PROCEDURES = {"spectrum.largest_stable_rate": "hplaw_experiments.diagnostics.spectrum:largest_stable_rate"}
"""The procedures that law files may call, each written `module:function`."""


def registered() -> tuple[str, ...]:
    """Return the names that law files may call."""
    return tuple(sorted(_PROCEDURES))


def call(name: str, /, *arguments: object, **keywords: object) -> Any:
    """Return what a procedure returns.

    **Raises:** `LookupError` where there is no procedure of the name.
    """
    module, _, function = _PROCEDURES[name].partition(":")
    target: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return target(*arguments, **keywords)
