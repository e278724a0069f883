"""Published laws as data: what another law gives, at a grid or at the runs' own cells, as observations with an error."""

from __future__ import annotations

import itertools as it
import math
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from hplaw.catalogue.catalogue import Catalogue, load_catalogue
from hplaw.errors import LawError
from hplaw.law import Law
from hplaw.law.format import PseudoSpec


GRID = 3
"""Points along each input of a grid over another law's domain."""


class PseudoPoint(msgspec.Struct, frozen=True):
    """One point: the inputs there, and the other law's values by quantity."""

    known: Mapping[str, float | str]
    values: Mapping[str, float]


class Pseudo(msgspec.Struct, frozen=True):
    """One law as data: its points, and the standard deviation of the logarithm of each quantity."""

    law: str
    points: list[PseudoPoint]
    sd: Mapping[str, float]


def pseudo_observations(law: Law, frame: pl.DataFrame, catalogue: Catalogue | None) -> list[Pseudo]:
    """Return what the laws that `[[fit.pseudo]]` names say.

    **Arguments:**

    - `frame`: the runs, whose cells are points with `at = "cells"`.
    - `catalogue`: where the laws are found.

    **Raises:** `LawError` where one does not cover a quantity, or nowhere.
    """
    fit = law.spec.fit
    assert fit is not None
    return [_pseudo(law, item, frame, catalogue) for item in fit.pseudo]


def _pseudo(law: Law, item: PseudoSpec, frame: pl.DataFrame, catalogue: Catalogue | None) -> Pseudo:
    from hplaw.answer.answer import plain_outputs

    other = (catalogue or load_catalogue()).get(item.law)
    strange = [n for n in item.sd if n not in other.gives or not (n in law.optimum or n in law.outputs)]
    if strange:
        message = f"{item.law} and {law.id} do not both give '{strange[0]}'"
        raise LawError(message, table="fit.pseudo", key="sd")
    points: list[PseudoPoint] = []
    for known in _places(law, other, item, frame):
        given = {name: known[name] for name in other.inputs if name in known}
        _, values = plain_outputs(other, given, catalogue, want=list(item.sd))
        points.append(PseudoPoint(known, {name: float(values[name]) for name in item.sd}))
    if not points:
        message = f"{item.law} has no point to be evaluated at; give at = 'grid', 'cells' or a file"
        raise LawError(message, table="fit.pseudo", key="at")
    return Pseudo(item.law, points, item.sd)


def _places(law: Law, other: Law, item: PseudoSpec, frame: pl.DataFrame) -> list[dict[str, float | str]]:
    """Return the points at which the other law is evaluated, as inputs of both laws."""
    needs = [n for n in law.inputs if n not in law.chosen and law.inputs[n].missing is None]
    if item.at == "grid":
        axes: dict[str, list[float | str]] = {}
        for name in dict.fromkeys([*needs, *(n for n in other.inputs if n not in other.chosen)]):
            seen = other.spec.domain.get(name) or law.spec.domain.get(name)
            if seen is None:
                message = f"the domains of {other.id} and {law.id} do not cover '{name}'; give at = 'cells' or a file"
                raise LawError(message, table="fit.pseudo", key="at")
            numbers = [float(v) for v in seen if not isinstance(v, str)]
            if len(numbers) == 2 and numbers[0] > 0:
                axes[name] = np.geomspace(numbers[0], numbers[1], GRID).tolist()
            else:
                axes[name] = list(seen)
        return [_filled(law, dict(zip(axes, place, strict=True))) for place in it.product(*axes.values())]
    if item.at == "cells":
        names = [n for n in law.inputs if n not in law.chosen and n in frame.columns]
        return frame.select(names).unique(maintain_order=True).rows(named=True)
    from hplaw.runs.table import read_table

    folder = law.path.parent if law.path is not None else None
    table = read_table(folder / item.at if folder is not None else Path(item.at))
    rows = table.rows(named=True)
    return [_filled(law, {n: v if isinstance(v, str) else float(v) for n, v in row.items()}) for row in rows]


def _filled(law: Law, known: dict[str, float | str]) -> dict[str, float | str]:
    """Return a point with the law's defaults for inputs that it does not name."""
    from hplaw.evaluation.point import point

    filled = {name: 1.0 for name in law.chosen if name not in known}
    environment = point(law, {**known, **filled}).environment
    found = {n: environment[n] for n in law.inputs if n not in filled}
    return {**known, **{n: v for n, v in found.items() if not isinstance(v, float) or math.isfinite(v)}}
