"""Telling values of unknown type apart, so that what follows is typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard


def is_tuple(value: object) -> TypeGuard[tuple[Any, ...]]:
    """Return whether a value is a plain tuple: an entry per category, not a record."""
    return type(value) is tuple


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Return whether a value is a list."""
    return isinstance(value, list)


def is_table(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Return whether a value is a table by name."""
    return isinstance(value, Mapping)
