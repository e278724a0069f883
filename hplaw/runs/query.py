"""Questions to a store: what is in it, and any SQL over its table."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from hplaw.errors import DataError, QueryError


def summary(runs: pl.DataFrame) -> pl.DataFrame:
    """Return one row per sweep: its runs, how many diverged, the lowest loss, seconds and joules in all."""
    counted = runs.with_columns(pl.coalesce("sweep", "source", pl.lit("")).alias("sweep"))
    return (
        counted.group_by("sweep", "family", "optimizer")
        .agg(
            pl.len().alias("runs"),
            pl.col("diverged").fill_null(value=False).sum().alias("diverged"),
            pl.col("loss").min().alias("least_loss"),
            pl.col("duration_s").sum().alias("duration_s"),
            pl.when(pl.col("energy_j").is_not_null().any()).then(pl.col("energy_j").sum()).alias("energy_j"),
        )
        .sort("sweep", "family", "optimizer", nulls_last=True)
    )


def query(runs: pl.DataFrame, sql: str) -> pl.DataFrame:
    """Return what an SQL question finds in the table `runs`.

    **Raises:** `QueryError` for a question that polars' SQL does not take.
    """
    text = sql.strip()
    if not text.lower().startswith(("select", "with")):
        text = f"SELECT * FROM runs WHERE {text}"
    try:
        with pl.SQLContext({"runs": runs}, eager=True) as context:
            return context.execute(text)
    except (pl.exceptions.PolarsError, ValueError) as error:
        first = str(error).partition("\n")[0]
        message = f'{sql}: {first}; ask for example "select peak_lr, loss from runs where diverged = false order by loss limit 5"'
        raise QueryError(message, field="sql") from None


def known(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table without the columns of which no row knows anything."""
    return table.select(name for name in table.columns if table[name].null_count() < len(table))


def export(table: pl.DataFrame, path: Path) -> None:
    """Write a table of runs as CSV (curves as numbers with spaces between), JSON lines or parquet, by its ending.

    **Raises:** `DataError` for another ending, or a file that cannot be written.
    """
    table = known(table)
    try:
        match path.suffix.lower():
            case ".parquet":
                table.write_parquet(path)
            case ".jsonl" | ".ndjson":
                table.write_ndjson(path)
            case ".csv":
                flat = [
                    pl.col(name).cast(pl.List(pl.String)).list.join(" ")
                    for name, kind in table.schema.items()
                    if isinstance(kind, pl.List)
                ]
                table.with_columns(flat).write_csv(path)
            case _:
                message = f"{path}: the ending names no table; give .csv, .jsonl or .parquet"
                raise DataError(message)
    except OSError as error:
        message = f"{path}: {error.strerror or error}"
        raise DataError(message) from None
