"""Reading runs: a table with arbitrary columns -> one row per run in the words of the vocabulary, checked.

A row with the observed quantity is a run; a row without it but with chosen quantities is a tuned optimum that somebody
found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hplaw.catalogue.listing import find_quantity
from hplaw.errors import DataError, LawError, nearest
from hplaw.evaluation.inputs import inputs, stand_in
from hplaw.expression import Kind, Scope, Symbol, Type, compile_expression, names_in
from hplaw.expression.backends import FLOATS, Undefined, numpy_backend
from hplaw.expression.tree import Item, walk
from hplaw.law import Law
from hplaw.law.rules import GROUPINGS
from hplaw.law.scope import Formula
from hplaw.runs.table import checked, filtered, mapped, read_table


Mask = NDArray[np.bool_]

STAND_INS = (
    ("n_active_params", "n_params"),
    ("n_params_with_embedding", "n_params"),
    ("n_params", "n_params_with_embedding"),
)
"""Counts of parameters that another is used as where a table has no other, as for a question."""

_GROUPING = re.compile(rf"\b({'|'.join(GROUPINGS)})\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)")
_SUMMARIES = {"min_by": pl.Expr.min, "max_by": pl.Expr.max, "mean_by": pl.Expr.mean, "count_by": pl.Expr.count}


def read_runs(path: Path | str, *, law: Law, maps: Mapping[str, str] | None = None, where: str = "") -> pl.DataFrame:
    """Return the runs of a file as columns that the law uses: float64 for numbers, text for categories.

    **Arguments:**

    - `path`: CSV with `#` comments, or parquet.
    - `maps`: formulas over the file's columns by quantity, in the language of law files.
    - `where`: a condition on the file's rows, in the SQL of polars.

    **Raises:** `DataError` naming file, column and row.
    """
    path = Path(path)
    table = read_table(path)
    if where.strip():
        table = filtered(table, where, path)
    quantities = law.namespace.quantities
    columns: dict[str, pl.Series] = {}
    for name in table.columns:
        if name in quantities and name not in (maps or {}):
            columns[name] = table[name]
    for name, text in (maps or {}).items():
        find_quantity(quantities, name, field=name, told=f"--map {name}: ")
        columns[name] = mapped(table, name, text, path)
    wanted = words_of(law)
    for name, other in STAND_INS:
        if name in wanted and name not in columns and other in columns:
            columns[name] = columns[other]
    optional = _optional(law)
    missing = [n for n in wanted if n not in columns and n not in optional]
    if missing:
        message = f"{path}: no column '{missing[0]}', which {law.id} needs{nearest(missing[0], table.columns)}; name it by --map {missing[0]}=COLUMN"
        raise DataError(message)
    frame = pl.DataFrame([checked(columns[name], quantities[name], path) for name in wanted if name in columns])
    if not len(frame):
        message = f"{path}: no rows{' that --where lets through' if where.strip() else ''}; give runs to fit to"
        raise DataError(message)
    _check_empty(frame, law, path, optional)
    return _filled(frame, law)


def words_of(law: Law) -> list[str]:
    """Return the quantities that a fit of the law may want of a row: inputs, what is observed, groups, domain."""
    quantities = law.namespace.quantities
    names = [*law.inputs, *observed_by(law), *bounds_by(law)]
    names += [name for effect in law.spec.effects.values() for name in effect.by]
    names += law.spec.domain
    fit = law.spec.fit
    if fit is not None:
        texts = [fit.keep, *(item.when for item in (*fit.likelihoods, *law.spec.effects.values()))]
        names += [word for text in texts for word in re.findall(r"[A-Za-z_]\w*", text)]
    return list(dict.fromkeys(name for name in names if name in quantities))


def observed_by(law: Law) -> list[str]:
    """Return the outputs that the likelihoods of a law use."""
    fit = law.spec.fit
    if fit is None:
        message = f"{law.id} has no [fit]; give a law that says how it is fitted"
        raise DataError(message)
    named = [fit.observed, *(item.observed for item in fit.likelihoods)]
    return list(dict.fromkeys(name for name in named if name))


def bounds_by(law: Law) -> list[str]:
    """Return the quantities that bound what the likelihoods of a law observe."""
    fit = law.spec.fit
    named = [name for item in fit.likelihoods for name in (item.low, item.high)] if fit is not None else []
    return list(dict.fromkeys(name for name in named if name))


def _optional(law: Law) -> set[str]:
    """Return the words of which a table may know nothing."""
    stand_in = {item.name for item in inputs(law) if not item.required}
    groups = {name for effect in law.spec.effects.values() for name in effect.by}
    several = observed_by(law) if len(observed_by(law)) > 1 else []
    return (stand_in | (groups - set(law.inputs)) | set(law.spec.domain) | set(several) | set(bounds_by(law))) - {
        name for name in law.inputs if name not in stand_in
    }


def _check_empty(frame: pl.DataFrame, law: Law, path: Path, optional: set[str]) -> None:
    """Refuse empty entries where a run must say something."""
    observed, chosen = observed_by(law), set(law.chosen)
    if not any(name in frame.columns for name in observed):
        message = f"{path}: no column {' or '.join(observed)}, which {law.id} is fitted to; name it by --map {observed[0]}=COLUMN"
        raise DataError(message)
    telling = [name for name in (*observed, *bounds_by(law)) if name in frame.columns]
    run = frame.select(pl.any_horizontal(pl.col(name).is_not_null() for name in telling)).to_series()
    found = pl.Series([False] * len(frame))
    if chosen & set(frame.columns):
        found = frame.select(
            pl.any_horizontal(pl.col(name).is_not_null() for name in chosen & set(frame.columns))
        ).to_series()
    for name in frame.columns:
        empty = frame[name].is_null()
        if name in optional and (name in law.inputs or name not in observed):
            continue
        if name in observed:
            bad = ~run & ~found
        elif name in chosen:
            bad = empty & run
        else:
            bad = empty
        if bad.any():
            row = int(bad.arg_true()[0])
            message = f'{path}: row {row + 1}: {name} is empty; give it, or leave such rows out by --where "{name} IS NOT NULL"'
            raise DataError(message)


def _filled(frame: pl.DataFrame, law: Law) -> pl.DataFrame:
    """Return the rows with the law's own defaults where an input is empty or absent; priors are left empty."""
    for item in inputs(law):
        if item.required or item.prior is not None:
            continue
        if item.default is not None:
            filler: Any = pl.lit(item.default)
        else:
            formula = stand_in(law, item.name, law.arithmetic)
            given = [n for n in frame.columns if n in law.inputs and n != item.name]
            rows = frame.select(given).iter_rows(named=True)
            base = law.point.constants
            filler = pl.Series([_at(formula, {**base, **row}) for row in rows], dtype=pl.Float64)
        if item.name in frame.columns:
            column = frame.select(pl.col(item.name).fill_null(filler)).to_series()
        else:
            column = frame.select(filler.alias(item.name)).to_series()
            if len(column) != len(frame):
                column = pl.Series(item.name, [column[0]] * len(frame))
        frame = frame.with_columns(column.rename(item.name))
    return frame


def _at(formula: Any, environment: Mapping[str, Any]) -> float:
    return float(formula(environment))


# Groups, and conditions over rows


def group_columns(law: Law, effect: str, frame: pl.DataFrame) -> list[str]:
    """Return the columns of a table by which an effect groups its rows."""
    return [name for name in law.spec.effects[effect].by if name in frame.columns]


def group_ids(frame: pl.DataFrame, columns: Sequence[str]) -> tuple[NDArray[np.int64], pl.DataFrame]:
    """Return each row's group, counted from zero in order of first appearance, and one row per group.

    >>> group_ids(pl.DataFrame({"n": [2.0, 1.0, 2.0]}), ["n"])[0].tolist()
    [0, 1, 0]
    """
    if not columns:
        return np.zeros(len(frame), dtype=np.int64), frame.head(1).select([])
    groups = frame.select(columns).unique(maintain_order=True).with_row_index("_group")
    joined = frame.select(columns).join(groups, on=list(columns), how="left", nulls_equal=True, maintain_order="left")
    ids = joined["_group"].cast(pl.Int64).to_numpy()
    return ids, groups.drop("_group")


def kept(frame: pl.DataFrame, law: Law) -> Mask:
    """Return which rows the law's `keep` holds for; rows without an observation stay."""
    fit = law.spec.fit
    if fit is None or not fit.keep:
        return np.ones(len(frame), dtype=bool)
    return condition(frame, law, fit.keep, table="fit", key="keep")


def keep_runs(frame: pl.DataFrame, law: Law) -> pl.DataFrame:
    """Return the rows that the law's `keep` holds for.

    **Raises:** `DataError` where none is left.
    """
    left = frame.filter(pl.Series(kept(frame, law)))
    if not len(left):
        assert law.spec.fit is not None
        message = f"none of {len(frame)} runs satisfies keep = '{law.spec.fit.keep}' of {law.id}; give runs nearer to the best"
        raise DataError(message)
    return left


def condition(frame: pl.DataFrame, law: Law, text: str, *, table: str, key: str) -> Mask:
    """Return for which rows a condition of the law holds, grouping functions over its effects included.

    **Raises:** `LawError` naming table and key.
    """
    extra: dict[str, Symbol] = {}
    values: dict[str, Any] = {}
    for name in frame.columns:
        if name not in law.namespace.scope.symbols:
            quantity = law.quantity(name)
            kind = Type.CATEGORY if quantity.categorical else Type.NUMBER
            extra[name] = Symbol(Kind.INPUT, kind)
        values[name] = _column(frame[name])

    def grouped(found: re.Match[str]) -> str:
        function, effect, column = found.groups()
        if effect not in law.spec.effects or column not in frame.columns:
            word = effect if effect not in law.spec.effects else column
            problem = (
                f"{found[0]}: '{word}' is {'no effect of this law' if word == effect else 'no column of the runs'}"
            )
            raise LawError(problem, table=table, key=key)
        name = f"grouped_{len(extra)}"
        extra[name] = Symbol(Kind.INPUT)
        over = group_columns(law, effect, frame)
        summary = _SUMMARIES[function](pl.col(column))
        values[name] = (
            frame.select((summary.over(over) if over else summary).cast(pl.Float64).alias(name)).to_series().to_numpy()
        )
        if len(values[name]) != len(frame):
            values[name] = np.repeat(values[name], len(frame))
        return name

    formula = law.namespace.formula(_GROUPING.sub(grouped, text), table=table, key=key, extra=extra)
    if formula.type is not Type.TRUTH:
        problem = "a condition is needed here, not a number"
        raise LawError(problem, table=table, key=key)
    scope = law.namespace.scope
    for name, symbol in extra.items():
        scope = scope.with_symbol(name, symbol)
    return _evaluate(law, formula, scope, values, len(frame))


def _column(series: pl.Series) -> Any:
    if series.dtype == pl.String:
        return np.asarray(series.to_list(), dtype=object)
    return series.cast(pl.Float64).to_numpy()


def _evaluate(law: Law, formula: Formula, scope: Scope, values: Mapping[str, Any], size: int) -> Mask:
    """Return a condition by row: all rows at once, or row by row where tables are looked up."""
    by_row = any(isinstance(node, Item) for node in _trees(law, formula))
    if not by_row:
        function = compile_expression(formula.tree, scope, numpy_backend())
        with np.errstate(all="ignore"):
            found = function(law.program(numpy_backend()).environment(values))
        return np.broadcast_to(np.asarray(found, dtype=bool), (size,)).copy()
    function = compile_expression(formula.tree, scope, FLOATS)
    holds = np.zeros(size, dtype=bool)
    for row in range(size):
        here = {name: column[row] for name, column in values.items()}
        try:
            holds[row] = bool(function(law.program(FLOATS).environment(here)))
        except Undefined as error:
            message = f"row {row + 1}: {error}"
            raise DataError(message) from None
    return holds


def _trees(law: Law, formula: Formula) -> Iterable[Any]:
    """Yield all nodes of a formula and of the lets it rests on."""
    pending, seen = [formula.tree], set[str]()
    while pending:
        tree = pending.pop()
        yield from walk(tree)
        for name in names_in(tree):
            if name in law.namespace.lets and name not in seen:
                seen.add(name)
                pending.append(law.namespace.lets[name].tree)


def domain_seen(law: Law, frame: pl.DataFrame) -> dict[str, list[float | str]]:
    """Return a law's domain with the ranges that the runs span, where they tell."""
    found = dict(law.spec.domain)
    integrated = {by for effect in law.spec.effects.values() if effect.predict == "integrate" for by in effect.by}
    for name in found:
        if law.quantity(name).categorical and name in integrated:
            continue  # what was fitted is for another one than those that were seen
        if name not in frame.columns or not frame[name].is_not_null().any():
            continue
        if law.quantity(name).categorical:
            found[name] = sorted(frame[name].drop_nulls().unique().to_list())
        else:
            low, high = (
                float(np.min(frame[name].drop_nulls().to_numpy())),
                float(np.max(frame[name].drop_nulls().to_numpy())),
            )
            found[name] = [float(f"{low * (1 - 5e-4):.4g}"), float(f"{high * (1 + 5e-4):.4g}")]
    return found
