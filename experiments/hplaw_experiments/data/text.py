"""Sources of text: the bytes of a folder, a file of tokens, and sets that are downloaded when asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Int, PRNGKeyArray

from hplaw.errors import DataError
from hplaw_experiments.data.source import AbstractSource, Tokens


HELD_OUT = 0.1
"""Share of a text that is held out, from its end."""

MOST_ON_DEVICE = 2**30
"""Bytes of a token file up to which it is kept on the device; a larger one is read as it is needed."""

TEXTS = (".txt", ".md", ".rst", ".py", ".c", ".h", ".tex", ".html", ".json", ".csv")
"""Endings of the files that a folder is read for."""

WIDTHS = {"uint16": np.uint16, "uint32": np.uint32}


def folder(*, seq_len: int, path: str) -> Tokens:
    """Return the bytes of all texts of a folder, in the order of their names; each byte is a token."""
    place = Path(path)
    if place.is_file():
        files = [place]
    else:
        files = sorted(f for f in place.rglob("*") if f.suffix.lower() in TEXTS and f.is_file())
    if not files:
        message = f"'{path}' holds no text; give a folder with files that end in {', '.join(TEXTS)}"
        raise DataError(message)
    row = np.frombuffer(b"\n".join(f.read_bytes() for f in files), dtype=np.uint8)
    return split(row, seq_len, path)


def split(row: np.ndarray, seq_len: int, name: str) -> Tokens:
    """Return a row of tokens as a source, its last tenth held out."""
    cut = cut_of(len(row), seq_len, name)
    return Tokens(jnp.asarray(row[:cut]), jnp.asarray(row[cut:]), seq_len)


def cut_of(length: int, seq_len: int, name: str) -> int:
    """Return where the held-out part begins; it and what comes before hold a sequence at least."""
    cut = min(int(length * (1 - HELD_OUT)), length - seq_len - 1)
    if cut < seq_len + 1:
        message = (
            f"'{name}' has {length:,} tokens, too few for seq_len={seq_len}; give a longer text or shorter sequences"
        )
        raise DataError(message)
    return cut


class TokenFile(AbstractSource):
    """A file of tokens that stays on disk; the sequences of a step are read when it runs."""

    path: str = eqx.field(static=True)
    dtype: str = eqx.field(static=True)
    seq_len: int = eqx.field(static=True)
    cut: int = eqx.field(static=True)
    length: int = eqx.field(static=True)

    def batch(self, key: PRNGKeyArray, size: int) -> tuple[Int[Array, "batch seq"], Int[Array, "batch seq"]]:
        return self._read(jr.uniform(key, (size,), jnp.float32))

    def _read(self, place: Array) -> tuple[Int[Array, "batch seq"], Int[Array, "batch seq"]]:
        shape = jax.ShapeDtypeStruct((*place.shape, self.seq_len + 1), jnp.int32)
        rows = jax.pure_callback(self._windows, shape, place, vmap_method="expand_dims")
        return rows[..., :-1], rows[..., 1:]

    def _windows(self, place: Array) -> np.ndarray:
        row = np.memmap(self.path, dtype=WIDTHS[self.dtype], mode="r")
        starts = (np.asarray(place, np.float64) * (self.cut - self.seq_len)).astype(np.int64)
        return row[starts[..., None] + np.arange(self.seq_len + 1)].astype(np.int32)

    def held_out(self, size: int) -> tuple[Int[Array, "batch seq"], Int[Array, "batch seq"]]:
        row = np.memmap(self.path, dtype=WIDTHS[self.dtype], mode="r")[self.cut :]
        count = min(size, (len(row) - 1) // self.seq_len)
        starts = np.arange(count)[:, None] * self.seq_len
        rows = jnp.asarray(row[starts + np.arange(self.seq_len + 1)].astype(np.int32))
        return rows[:, :-1], rows[:, 1:]


def token_file(
    *, seq_len: int, path: str, dtype: str = "uint16", vocab_size: int = 0, resident: bool | None = None
) -> Tokens | TokenFile:
    """Return a file of raw tokens, as nanoGPT writes it: uint16 or uint32, one row, nothing else.

    **Arguments:**

    - `resident`: whether it is kept on the device; by its size by default.
    """
    del vocab_size  # it is for `dimensions`
    if dtype not in WIDTHS:
        message = f"dtype={dtype} is no format of tokens; give uint16 or uint32"
        raise DataError(message)
    if not Path(path).is_file():
        message = f"'{path}' is no file; give a file of raw {dtype} tokens"
        raise DataError(message)
    row = np.memmap(path, dtype=WIDTHS[dtype], mode="r")
    if resident is None:
        resident = row.nbytes <= MOST_ON_DEVICE
    if resident:
        return split(np.asarray(row), seq_len, path)
    return TokenFile(path, dtype, seq_len, cut_of(len(row), seq_len, path), len(row))


def hub(*, seq_len: int, dataset: str, subset: str = "", part: str = "train", column: str = "text") -> Tokens:
    """Return the bytes of a text set of the Hugging Face hub, downloaded at the first use by its own library."""
    try:
        import datasets
    except ImportError:
        message = f"'{dataset}' is loaded with Hugging Face's library; install it with `pip install datasets`"
        raise DataError(message) from None
    found = datasets.load_dataset(dataset, subset or None, split=part)
    text = "\n".join(found[column]).encode()
    return split(np.frombuffer(text, dtype=np.uint8), seq_len, dataset)


def wikitext(*, seq_len: int, subset: str = "wikitext-2-raw-v1") -> Tokens:
    """Return the bytes of WikiText, downloaded at the first use."""
    return hub(seq_len=seq_len, dataset="Salesforce/wikitext", subset=subset)
