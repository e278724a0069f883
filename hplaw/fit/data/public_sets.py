"""Public sets of runs that shipped laws were fitted to: where each lies, under what license, and how it is read.

A set is downloaded from its origin when asked for, checked against its checksum, and read from its original format into
columns of the vocabulary. Nothing of it is kept in this project.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from hplaw.errors import DataError, LawNotFound, install, nearest


TIMEOUT_S = 60
"""Seconds without an answer after which a download is given up."""
STEP_LAW_SEQ_LEN = 2048
"""Tokens in a sequence of all Step Law runs, whose files count the batch in sequences."""
MISFITTING_BATCH = 1_048_576
"""Tokens in a step of all (Mis)Fitting runs."""


class Source(msgspec.Struct, frozen=True):
    """One file of a set: its public address, the name it is kept under, and its sha256 where that is known."""

    url: str
    name: str
    sha256: str | None = None


class DataSet(msgspec.Struct, frozen=True, kw_only=True):
    """One set of runs.

    - `what`: what was trained, how many runs, what the loss is.
    - `licence`: of the data, in the words of its origin; `cite` who measured.
    - `read`: files in their original format -> one row per run in words of the vocabulary.
    - `where`: a condition that a user may want, with its reason.
    """

    name: str
    what: str
    origin: str
    licence: str
    cite: str
    files: tuple[Source, ...]
    read: Callable[[Sequence[Path]], pl.DataFrame]
    where: str = ""


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What a fetch left: the table written, its rows, and name, sha256 and standing of every original file."""

    data_set: DataSet
    table: Path
    rows: int
    files: tuple[tuple[Path, str, bool], ...]


def _chinchilla(paths: Sequence[Path]) -> pl.DataFrame:
    table = _csv(paths[0], "Model Size", "Training FLOP", "loss")
    table = table.select("Model Size", "Training FLOP", "loss").drop_nulls().cast(pl.Float64)
    n, flop = pl.col("Model Size"), pl.col("Training FLOP")
    return table.select(
        n.alias("n_params_with_embedding"),
        (flop / (6 * n)).alias("tokens"),
        flop.alias("compute_flop"),
        "loss",
        pl.lit("chinchilla").alias("recipe"),
    )


def _step_law(paths: Sequence[Path]) -> pl.DataFrame:
    parts = [_csv(path, "h", "numl", "lr", "bs", "ti", "smooth loss", "D", "N") for path in paths]
    tables: list[pl.DataFrame] = []
    for table in parts:
        active = "Na" if "Na" in table.columns else "N"
        length = pl.col("seq_len") if "seq_len" in table.columns else pl.lit(STEP_LAW_SEQ_LEN)
        batch = pl.col("bs").cast(pl.Float64) * length.cast(pl.Float64)
        tables.append(
            table.select(
                pl.lit("moe" if active == "Na" else "dense").alias("architecture"),
                pl.col("N").cast(pl.Float64).alias("n_params"),
                pl.col(active).cast(pl.Float64).alias("n_active_params"),
                pl.col("D").cast(pl.Float64).alias("tokens"),
                pl.col("lr").cast(pl.Float64).alias("peak_lr"),
                batch.alias("batch_tokens"),
                pl.col("ti").cast(pl.Float64).alias("steps"),
                pl.col("h").cast(pl.Float64).alias("d_model"),
                pl.col("numl").cast(pl.Float64).alias("n_layers"),
                length.cast(pl.Float64).alias("seq_len"),
                pl.col("smooth loss").cast(pl.Float64).alias("loss"),
                pl.lit("step-law").alias("recipe"),
            ).drop_nulls("loss")
        )
    return pl.concat(tables)


def _gemstones(paths: Sequence[Path]) -> pl.DataFrame:
    tables: list[pl.DataFrame] = []
    for path, recipe in zip(paths, ("gemstones", "gemstones-half-lr", "gemstones-cooldown"), strict=True):
        names = ("params_active_precise", "tokens", "width", "depth", "step", "final_loss")
        table = _json_lines(path, *names)
        tables.append(
            table.select(
                pl.col("params_active_precise").cast(pl.Float64).alias("n_params_with_embedding"),
                pl.col("tokens").cast(pl.Float64),
                pl.col("width").cast(pl.Float64).alias("d_model"),
                pl.col("depth").cast(pl.Float64).alias("n_layers"),
                pl.col("step").cast(pl.Float64).alias("steps"),
                pl.col("final_loss").cast(pl.Float64).alias("loss"),
                pl.lit(recipe).alias("recipe"),
            )
        )
    return pl.concat(tables)


def _misfitting(paths: Sequence[Path]) -> pl.DataFrame:
    table = _csv(paths[0], "loss", "N", "N_no_emb", "D", "total_steps", "peak_lr")
    return table.select(
        pl.col("N_no_emb").cast(pl.Float64).alias("n_params"),
        pl.col("N").cast(pl.Float64).alias("n_params_with_embedding"),
        pl.col("D").cast(pl.Float64).alias("tokens"),
        pl.lit(float(MISFITTING_BATCH)).alias("batch_tokens"),
        pl.col("total_steps").cast(pl.Float64).alias("steps"),
        pl.col("peak_lr").cast(pl.Float64),
        pl.col("loss").cast(pl.Float64),
        pl.lit("misfitting").alias("recipe"),
    )


_RAW = "https://raw.githubusercontent.com"
_GEMSTONES = (
    f"{_RAW}/mcleish7/gemstone-scaling-laws/1fb97a26b3a4ee647475ee3b46d67413b1844405/wandb_dfs/wandb_df_for_fitting"
)

DATA_SETS: tuple[DataSet, ...] = (
    DataSet(
        name="chinchilla",
        what="245 runs of Chinchilla, read from the vector graphics of a figure: loss on MassiveText in steps of 0.45%",
        origin="https://github.com/epoch-research/analyzing-chinchilla",
        licence="none stated",
        cite="Besiroglu et al. 2024 (arXiv 2404.10102), from figure 4 of Hoffmann et al. 2022 (arXiv 2203.15556)",
        files=(
            Source(
                f"{_RAW}/epoch-research/analyzing-chinchilla/92258837425e1b5f2851d624287f0120583a3d0e/data/svg_extracted_data.csv",
                "svg_extracted_data.csv",
                "193478df4e90f040016431996c45682659306840ecdadf83cfb9cd5ca0aa1b30",
            ),
        ),
        read=_chinchilla,
        where="loss < 3.446995 omits five runs of very little data, as the replication does",
    ),
    DataSet(
        name="step-law",
        what="2619 runs over learning rate and batch size, dense (1911) and mixtures of experts (708): smoothed training loss",
        origin="https://github.com/step-law/steplaw",
        licence="none stated",
        cite="Li et al. 2025 (arXiv 2503.04715)",
        files=tuple(
            Source(f"{_RAW}/step-law/steplaw/main/data/{kind}_lr_bs_loss.csv", f"{kind}_lr_bs_loss.csv")
            for kind in ("dense", "moe")
        ),
        read=_step_law,
    ),
    DataSet(
        name="gemstones",
        what="22 shapes of up to 2 billion parameters along their training (220 points), at half the rate (200), cooled down (199)",
        origin="https://github.com/mcleish7/gemstone-scaling-laws",
        licence="MIT",
        cite="McLeish et al. 2025 (arXiv 2502.06857)",
        files=tuple(
            Source(f"{_GEMSTONES}_{kind}.jsonl", f"wandb_df_for_fitting_{kind}.jsonl")
            for kind in ("hot", "lr_ablation_hot", "cool_end")
        ),
        read=_gemstones,
    ),
    DataSet(
        name="misfitting",
        what="learning rates over model size and length of training at a batch of 1,048,576 tokens: loss on C4",
        origin="https://github.com/hadasah/scaling_laws",
        licence="none stated",
        cite="Li, Kudugunta and Zettlemoyer 2025 (arXiv 2502.18969)",
        files=(
            Source(
                f"{_RAW}/hadasah/scaling_laws/1f3708c0a12df0effb0ee906b1da5f9f0ff4f4f1/data/scaling_results_last_ckpt_only.csv",
                "scaling_results_last_ckpt_only.csv",
            ),
        ),
        read=_misfitting,
    ),
)
"""The sets that can be fetched, at the versions that were read."""


def find_data_set(name: str, among: Sequence[DataSet] = DATA_SETS) -> DataSet:
    """Return the set of a name.

    **Raises:** `LawNotFound` with the nearest name.

    >>> find_data_set("chinchilla").licence
    'none stated'
    """
    for found in among:
        if found.name == name:
            return found
    names = [item.name for item in among]
    near = nearest(name[:80], names) or f"; there is {', '.join(names)}"
    message = f"no data set is called '{name[:80]}'{near}"
    raise LawNotFound(message)


def fetch(data_set: DataSet, to: Path, *, progress: bool = False) -> Fetched:
    """Return what was downloaded and read: the original files in a folder of the set's name, the table beside it.

    A file that lies there already is not downloaded again; what does not fit its checksum is.

    **Arguments:**

    - `to`: the folder; made where there is none.
    - `progress`: whether a bar shows how far the download is.

    **Raises:** `DataError` without a network, for another checksum, and for a file of another format.
    """
    folder = to / data_set.name
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [_retrieve(source, folder, progress=progress) for source in data_set.files]
        table = data_set.read(paths)
        target = to / f"{data_set.name}.csv"
        write_table(table, target)
        files = tuple(
            (path, hashlib.sha256(path.read_bytes()).hexdigest(), source.sha256 is not None)
            for path, source in zip(paths, data_set.files, strict=True)
        )
    except OSError as error:
        _remove_empty(made)
        message = f"{error.filename or to}: {error.strerror or error}; give a folder that can be written by --to"
        raise DataError(message) from None
    except DataError:
        _remove_empty(made)
        raise
    return Fetched(data_set=data_set, table=target, rows=len(table), files=files)


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders in which nothing came to lie, the innermost first."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _retrieve(source: Source, folder: Path, *, progress: bool) -> Path:
    """Return the path of one file, downloaded where it is not there."""
    pooch, failures = _pooch()
    downloader = pooch.HTTPDownloader(progressbar=progress, timeout=TIMEOUT_S)
    known = None if source.sha256 is None else f"sha256:{source.sha256}"
    with _quiet(pooch):
        try:
            found: str = pooch.retrieve(source.url, known, fname=source.name, path=folder, downloader=downloader)
        except failures as error:
            response = getattr(error, "response", None)
            status: int | None = None
            if response is not None:
                status = response.status_code
                response.close()  # the downloader leaves it open
            why = f"answered {status}" if status else "cannot be reached"
            message = f"{source.url} {why}; try again where there is a network, or put the file into {folder} and run this again"
            raise DataError(message) from None
        except ValueError as error:  # pooch says so of another checksum
            if "hash" not in str(error).lower():
                raise
            message = f"{source.url} is not the file that was read: its sha256 is not {source.sha256}; look at its origin for what changed"
            raise DataError(message) from None
    return Path(found)


def _pooch() -> tuple[Any, tuple[type[Exception], ...]]:
    try:
        import pooch  # pyright: ignore[reportMissingTypeStubs]
        import requests
    except ModuleNotFoundError as error:
        message = f"fetching data needs {error.name}; {install('fit')}"
        raise DataError(message) from None
    return pooch, (requests.exceptions.RequestException,)


@contextlib.contextmanager
def _quiet(pooch: Any) -> Generator[None]:
    """Keep what the downloader logs from standard error while it works."""
    logger: logging.Logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def write_table(table: pl.DataFrame, target: Path) -> None:
    """Write a table as CSV, under another name first, so that nothing is ever half there.

    **Raises:** `OSError` where it cannot be written.
    """
    partial = target.with_name(f".{target.name}.part")
    try:
        partial.write_bytes(table.write_csv().encode())
        os.replace(partial, target)  # noqa: PTH105
    finally:
        partial.unlink(missing_ok=True)


def _csv(path: Path, *names: str) -> pl.DataFrame:
    """Return a CSV file with at least the columns named."""
    try:
        table = pl.read_csv(io.BytesIO(path.read_bytes()), infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        raise _other_format(path, str(error).partition("\n")[0]) from None
    return _with(table, path, names)


def _json_lines(path: Path, *names: str) -> pl.DataFrame:
    """Return a file of one JSON object a line, with at least the names given."""
    try:
        table = pl.read_ndjson(io.BytesIO(path.read_bytes()), infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        raise _other_format(path, str(error).partition("\n")[0]) from None
    return _with(table, path, names)


def _with(table: pl.DataFrame, path: Path, names: Sequence[str]) -> pl.DataFrame:
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise _other_format(path, f"it has no column '{missing[0]}'")
    return table


def _other_format(path: Path, why: str) -> DataError:
    message = f"{path} is not in the format that was read: {why}; remove it and fetch it again"
    return DataError(message)
