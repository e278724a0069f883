"""Tables with arbitrary columns: read as they are, cut to some rows, turned into quantities and checked.

Numbers become float64 before anything is multiplied, so that products of counts cannot overflow.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hplaw.errors import DataError, LawError, QueryError, nearest
from hplaw.expression import Kind, Scope, Symbol, Type, compile_expression, infer, parse
from hplaw.expression.backends import numpy_backend
from hplaw.vocabulary.names import OTHER_CATEGORIES
from hplaw.vocabulary.quantities import Quantity, check_value, vocabulary
from hplaw.vocabulary.reading import separator_of


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal.

    **Raises:** `DataError` where it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        message = f"{path}: {error.strerror}; give a table of runs"
        raise DataError(message) from None


def read_table(path: Path) -> pl.DataFrame:
    """Return a file's rows as they are: CSV with `#` comments, or parquet.

    **Raises:** `DataError` where it is neither.
    """
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        body = path.read_bytes()
        head = (line for line in body.decode("utf-8-sig", "replace").splitlines() if line and not line.startswith("#"))
        between = separator_of(next(head, ""))
        return pl.read_csv(io.BytesIO(body), comment_prefix="#", infer_schema_length=None, separator=between)
    except OSError as error:
        message = f"{path}: {error.strerror or error}; give a table of runs"
        raise DataError(message) from None
    except pl.exceptions.PolarsError as error:
        first = str(error).partition("\n")[0]
        message = f"{path} is no table: {first}; give CSV with a line of names, or parquet"
        raise DataError(message) from None


def read_columns(path: Path, *, numbers: Sequence[str], texts: Sequence[str]) -> pl.DataFrame:
    """Return a file's columns of these names, numbers as numbers and the rest as text; entries may be empty.

    **Raises:** `DataError` naming the column, and the row of what is no number.
    """
    table = read_table(path)
    for name in (*texts, *numbers):
        if name not in table.columns:
            message = f"{path}: no column '{name}'{nearest(name, table.columns)}; give a table with {', '.join((*texts, *numbers))}"
            raise DataError(message)
    for name in numbers:
        found = table[name].cast(pl.Float64, strict=False)
        bad = found.is_null() & table[name].is_not_null()
        if bad.any():
            row = int(bad.arg_true()[0])
            message = f"{path}: row {row + 1}: {name}={table[name][row]!r} is not a number; give one, or leave it empty"
            raise DataError(message)
        if not table[name].dtype.is_numeric():
            table = table.with_columns(found)
    return table.select(*(pl.col(name).cast(pl.String) for name in texts), *numbers)


def filtered(table: pl.DataFrame, where: str, path: Path) -> pl.DataFrame:
    """Return the rows for which a condition in the SQL of polars holds."""
    try:
        return table.filter(pl.sql_expr(where))
    except (pl.exceptions.PolarsError, ValueError) as error:
        first = str(error).partition("\n")[0]
        message = f"--where {where}: {first}; give a condition over the columns of {path.name}: {', '.join(table.columns)[:200]}"
        raise QueryError(message, field="where") from None


def mapped(table: pl.DataFrame, name: str, text: str, path: Path) -> pl.Series:
    """Return one quantity as its formula over the file's columns says."""
    symbols: dict[str, Symbol] = {}
    environment: dict[str, Any] = {}
    texts: set[str] = set()
    for column in table.columns:
        series = table[column]
        if series.dtype.is_numeric() or series.dtype == pl.Boolean:
            symbols[column] = Symbol(Kind.INPUT)
            environment[column] = series.cast(pl.Float64).to_numpy()
        else:
            symbols[column] = Symbol(Kind.INPUT, Type.CATEGORY)
            words = series.cast(pl.String).to_list()
            environment[column] = np.asarray(words, dtype=object)
            texts |= {word for word in words if word is not None}
    if text in symbols:  # also for columns whose names are no names of formulas
        return table[text].rename(name)
    scope = Scope(symbols, {}, frozenset(texts | _known_categories()))
    try:
        tree = parse(text)
        infer(tree, scope)
    except LawError as error:
        message = f"--map {name}={text}: {error.problem.replace('of this law', f'of {path.name}')}; the columns are {', '.join(table.columns)[:300]}"
        raise QueryError(message, field=name) from None
    with np.errstate(all="ignore"):
        found = compile_expression(tree, scope, numpy_backend())(environment)
    if isinstance(found, str):
        return pl.Series(name, [found] * len(table), dtype=pl.String)
    array = np.asarray(found)
    if array.dtype == object:
        return pl.Series(name, array.tolist(), dtype=pl.String)
    return pl.Series(name, np.broadcast_to(array, (len(table),)).astype(np.float64))


def _known_categories() -> set[str]:
    return {word for quantity in vocabulary().values() for word in quantity.categories}


def checked(series: pl.Series, quantity: Quantity, path: Path) -> pl.Series:
    """Return a column as float64 or text, every entry allowed or empty."""
    name = quantity.name
    if quantity.categorical:
        found = series.cast(pl.String).rename(name)
        if name in OTHER_CATEGORIES:
            found = found.replace(OTHER_CATEGORIES[name])
        for row, word in enumerate(found, 1):
            if word is not None and (problem := check_value(quantity, word)):
                message = f"{path}: row {row}: {problem}"
                raise DataError(message)
        return found
    try:
        found = series.cast(pl.Float64).rename(name)
    except pl.exceptions.PolarsError:
        bad = series.cast(pl.Float64, strict=False).is_null() & series.is_not_null()
        row = int(bad.arg_true()[0])
        message = f"{path}: row {row + 1}: {name}={series[row]!r} is not a number; give {quantity.meaning}"
        raise DataError(message) from None
    numbers = found.fill_null(1.0 if quantity.low is None else max(quantity.low, 1.0)).to_numpy()
    bad = ~np.isfinite(numbers)
    if quantity.low is not None:
        bad |= (numbers <= quantity.low) if quantity.open_low else (numbers < quantity.low)
    if quantity.high is not None:
        bad |= (numbers >= quantity.high) if quantity.open_high else (numbers > quantity.high)
    if bad.any():
        row = int(np.argmax(bad))
        message = f"{path}: row {row + 1}: {check_value(quantity, float(numbers[row]))}"
        raise DataError(message)
    return found
