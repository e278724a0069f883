"""The memory of the process: one heap for all threads, and what is free in it given back to the system.

Numbers of a batch come and go by megabytes, between small things that stay. glibc would give each thread a heap of its
own and keep in each as much as was ever in use at once. Other C libraries have no such functions and need none.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import sys


_PAUSE_S = 1.0
"""Seconds from one time that memory is given back to the next; it takes a millisecond or two."""

_ARENA_MAX = -8
"""What malloc.h calls M_ARENA_MAX."""


def use_one_heap() -> None:
    """Have all threads take their memory from one heap, so that what one has left is used by the next."""
    if (library := _c_library()) is not None:
        library.mallopt(_ARENA_MAX, 1)


async def give_back() -> None:
    """Give free memory back to the system every second until canceled, in a thread."""
    library = _c_library()
    while library is not None:
        await asyncio.sleep(_PAUSE_S)
        await asyncio.to_thread(library.malloc_trim, 0)


def _c_library() -> ctypes.CDLL | None:
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        with contextlib.suppress(AttributeError):
            _ = library.mallopt, library.malloc_trim
            return library
    return None
