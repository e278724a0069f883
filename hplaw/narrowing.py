"""Telling values of unknown type apart, so that what follows is typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard


if TYPE_CHECKING:
    from hplaw.arrays import Array


def is_tuple(value: Any) -> TypeGuard[tuple[Any, ...]]:
    """Return whether a value is a plain tuple: an entry per category, not a record."""
    return type(value) is tuple


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Return whether a value is a list."""
    return isinstance(value, list)


def is_column(value: Any) -> TypeGuard[Array]:
    """Return whether a value is an array with one number per row."""
    return getattr(value, "ndim", 0) > 0


def is_table(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Return whether a value is a table by name."""
    return isinstance(value, Mapping)
