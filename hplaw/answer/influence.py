"""Which runs decide an answer: how far it moves when a group of runs, or a prior, counts more.

`influence.json` beside a fitted law holds how its parameters move with the weight of each; the answer's own slope is taken
here, at the question. These are slopes: what becomes of the answer without a group that carries much is another fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from hplaw.errors import DataError
from hplaw.evaluation.inputs import bind
from hplaw.evaluation.point import standing
from hplaw.expression import Undefined
from hplaw.law import Law
from hplaw.narrowing import is_tuple


FILE = "influence.json"
"""The file beside a fitted law."""

_STEP = 0.01
"""Weight by which groups are moved for a difference."""


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Runs that share something: what, and how many they are."""

    known: dict[str, float | str]
    runs: int


class Influence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the parameters of one fit move: `slopes` by parameter, first axis the groups and then the priors."""

    law: str
    groups: list[Group]
    priors: list[str]
    slopes: dict[str, list[Any]]


class Decider(msgspec.Struct, frozen=True, kw_only=True):
    """What decides an answer: a group of runs, or the prior of a parameter.

    - `slope`: d ln(answer) / d weight, the weight being 1 as it was fitted.
    """

    slope: float
    known: dict[str, float | str] = {}
    runs: int = 0
    prior: str = ""


def read_influence(law: Law) -> Influence | None:
    """Return what is beside a law, None where nothing does.

    **Raises:** `DataError` where it belongs to another fit or cannot be read.
    """
    file = law.path.parent / FILE if law.path is not None else None
    if file is None or law.path is None or law.path.name != "law.toml" or not file.is_file():
        return None
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Influence)
    except (OSError, msgspec.MsgspecError) as error:
        message = f"{file} cannot be read ({error}); write it again with `hplaw influence`"
        raise DataError(message) from None
    if found.law != law.address:
        message = f"{file} is of {found.law}, and the law is {law.address}; write it again with `hplaw influence`"
        raise DataError(message)
    return found


def deciders(law: Law, known: Mapping[str, object], influence: Influence) -> dict[str, list[Decider]]:
    """Return what decides each quantity that a law chooses, or each output where it chooses nothing, most first.

    **Arguments:**

    - `known`: the question: numbers and categories by quantity.
    """
    sides = [_answers(law, known, influence, side * _STEP) for side in (1.0, -1.0)]
    labels = [
        *(Decider(slope=0.0, known=group.known, runs=group.runs) for group in influence.groups),
        *(Decider(slope=0.0, prior=name) for name in influence.priors),
    ]
    found: dict[str, list[Decider]] = {}
    for name in sides[0][0]:
        slopes = [math.log(up[name] / down[name]) / (2 * _STEP) for up, down in zip(*sides, strict=True)]
        each = [msgspec.structs.replace(label, slope=slope) for label, slope in zip(labels, slopes, strict=True)]
        found[name] = sorted(each, key=lambda decider: -abs(decider.slope))
    return found


def _answers(law: Law, known: Mapping[str, object], influence: Influence, weight: float) -> list[dict[str, float]]:
    """Return the law's answers with each group, then each prior, counting more by `weight`."""
    base = standing(law)
    found: list[dict[str, float]] = []
    for place in range(len(influence.groups) + len(influence.priors)):
        environment = standing(law)
        for name, slopes in influence.slopes.items():
            environment[name] = _moved(base[name], slopes[place], weight)
        bind(law, {**known, **dict.fromkeys(law.chosen, 1.0)}, environment)
        for name in law.chosen:
            del environment[name]
        forms = law.point.optimum or law.point.outputs
        try:
            found.append({name: float(form(environment)) for name, form in forms.items()})
        except Undefined as error:
            message = f"{law.id} has no value here: {error}"
            raise DataError(message) from None
    return found


def _moved(value: Any, slope: Any, weight: float) -> Any:
    if is_tuple(value):
        return tuple(v + weight * s for v, s in zip(value, slope, strict=True))
    return value + weight * slope
