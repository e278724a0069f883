"""From the name of a source and what it wants to know, to the source."""

from __future__ import annotations

import functools as ft
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from hplaw.errors import DataError, QueryError, nearest
from hplaw_experiments.data.classes import digits, teacher
from hplaw_experiments.data.language import language
from hplaw_experiments.data.source import AbstractSource, Dimensions
from hplaw_experiments.data.text import WIDTHS, folder, hub, token_file, wikitext


SOURCES: Mapping[str, Callable[..., AbstractSource]] = {
    "digits": digits,
    "teacher": teacher,
    "language": language,
    "bytes": folder,
    "tokens": token_file,
    "huggingface": hub,
    "wikitext": wikitext,
}
"""The sources by name; their keyword arguments, but for seed and seq_len, are a trial's `data_options`."""


def load_source(
    name: str, options: Mapping[str, Any] | None = None, *, seed: int = 0, seq_len: int = 1
) -> AbstractSource:
    """Return a source, read or made once in a process.

    **Arguments:**

    - `options`: what the source wants to know.
    - `seed`: of its split, or of what it makes up.
    - `seq_len`: tokens of a sequence, for text.

    **Raises:** `QueryError` for a name or option that is not known; `DataError` for data that cannot be had.

    >>> load_source("digits").held_out(7)[0].shape
    (7, 8, 8)
    """
    options = dict(options or {})
    _check(name, options)
    return _load(name, tuple(sorted(options.items())), seed, seq_len)


@ft.lru_cache(maxsize=8)
def _load(name: str, options: tuple[tuple[str, Any], ...], seed: int, seq_len: int) -> AbstractSource:
    given = {"seed": seed, "seq_len": seq_len}
    wanted = inspect.signature(SOURCES[name]).parameters
    return SOURCES[name](**{k: v for k, v in given.items() if k in wanted}, **dict(options))


def dimensions(name: str, options: Mapping[str, Any] | None = None) -> Dimensions:
    """Return the sizes of what a source gives, without loading more of it than that takes.

    >>> dimensions("digits").features
    64
    """
    options = dict(options or {})
    _check(name, options)
    if name == "digits":
        return Dimensions(features=64, outputs=10, side=8)
    if name == "teacher":
        return Dimensions(features=_option(name, options, "features"), outputs=_option(name, options, "classes"))
    if name == "language":
        return Dimensions(outputs=_option(name, options, "vocab_size"), language=True)
    if name == "tokens":
        return Dimensions(outputs=_option(name, options, "vocab_size") or _vocabulary(**options), language=True)
    return Dimensions(outputs=256, language=True)


def _option(name: str, options: Mapping[str, Any], key: str) -> int:
    return int(options.get(key, inspect.signature(SOURCES[name]).parameters[key].default))


def _vocabulary(*, path: str, dtype: str = "uint16", **_: Any) -> int:
    """Return one more than the largest token of a file."""
    try:
        row = np.memmap(path, dtype=WIDTHS[dtype], mode="r")
    except (OSError, ValueError, KeyError):
        message = f"'{path}' is no file of raw {dtype} tokens; give one of uint16 or uint32"
        raise DataError(message) from None
    return int(max(int(row[i : i + 2**24].max()) for i in range(0, len(row), 2**24))) + 1


def _check(name: str, options: Mapping[str, Any]) -> None:
    if name not in SOURCES:
        message = f"'{name}' is no source of data{nearest(name, SOURCES)}; give one of {', '.join(SOURCES)}"
        raise QueryError(message, field="data")
    wanted = inspect.signature(SOURCES[name]).parameters
    known = [k for k in wanted if k not in {"seed", "seq_len"}]
    for key in options:
        if key not in known:
            may = f"it takes {', '.join(known)}" if known else "it takes none"
            message = f"'{key}' is no option of data '{name}'{nearest(key, known)}; {may}"
            raise QueryError(message, field="data_options")
    for key in known:
        if wanted[key].default is inspect.Parameter.empty and key not in options:
            message = f"data '{name}' needs {key}; give it in data_options"
            raise QueryError(message, field="data_options")
    _plain(options)


def _plain(options: Mapping[str, Any]) -> None:
    try:
        msgspec.convert(dict(options), dict[str, bool | int | float | str])
    except msgspec.ValidationError:
        message = "data_options are plain values: text, numbers, true and false"
        raise QueryError(message, field="data_options") from None
