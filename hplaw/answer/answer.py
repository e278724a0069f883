"""What a law answers at one point, a mixture of laws too, and its plain values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from hplaw import rows
from hplaw.answer.around import with_shape
from hplaw.answer.mixture import mixed_answer, read_known
from hplaw.answer.one_law import Answer, answer_alone, joined, uncertain
from hplaw.catalogue.catalogue import Catalogue
from hplaw.decide.decision import Bounds
from hplaw.evaluation.point import SILENT
from hplaw.expression.backends import Undefined
from hplaw.law.law import Law
from hplaw.narrowing import is_tuple


CHUNK = 64
"""Rows that are run over all scenarios at a time, so that they stay in the cache of a processor."""


def answer(
    law: Law,
    known: Mapping[str, object],
    *,
    want: Sequence[str] | None = None,
    bounds: Bounds | None = None,
    catalogue: Catalogue | None = None,
    seen: Collection[str] | None = None,
    plain: bool = False,
) -> Answer:
    """Return what a law gives at `known`, choosing what it is free to choose; see `answer_alone`.

    **Arguments:**

    - `catalogue`: where the members of a mixture, and the law whose shape an answer takes, are found.

    **Raises:** what `answer_alone` and `mixed_answer` raise.
    """
    if law.spec.mixture is not None:
        return mixed_answer(law, known, want=want, bounds=bounds, catalogue=catalogue)
    shape = None if plain or law.spec.shape is None or catalogue is None else catalogue.find(law.spec.shape)

    def ask(known: Mapping[str, object], bounds: Bounds | None) -> Answer:
        found = answer_alone(law, known, want=want, bounds=bounds, seen=seen, plain=plain)
        return found if shape is None else with_shape(found, shape, known)

    size = rows.count(known.values()) if uncertain(law) else None
    if size is None or size <= CHUNK:
        return ask(known, bounds)
    parts: list[Answer] = []
    key = np.full(size, -1, dtype=np.intp)
    for start in range(0, size, CHUNK):
        chunk = slice(start, start + CHUNK)
        some = {name: rows.take(value, chunk) for name, value in known.items()}
        limits = {name: (rows.take(a, chunk), rows.take(b, chunk)) for name, (a, b) in (bounds or {}).items()}
        try:
            parts.append(ask(some, limits))
        except rows.RowsDiffer as differ:
            key[chunk] = differ.key
    if (key >= 0).any():
        raise rows.RowsDiffer(key)
    return joined(parts, size)


def plain_outputs(
    law: Law, given: Mapping[str, object], catalogue: Catalogue | None = None, *, want: Sequence[str] = ()
) -> tuple[str, dict[str, Any]]:
    """Return a law's status and its plain values at `given`, tables by category; what an example is checked against.

    **Raises:** `QueryError` for inputs that do not fit the law; `Undefined` where a wanted output has no value.
    """
    known = read_known(law, given, catalogue)
    found = answer(law, known, want=list(want) or None, catalogue=catalogue, plain=not (law.arrays or law.spec.mixture))
    for name in want:
        if name in found.failed and found.status not in SILENT:
            raise Undefined(found.failed[name])
    return found.status, {name: by_category(law, name, value) for name, value in found.values.items()}


def by_category(law: Law, name: str, value: Any) -> Any:
    """Return an output over an index as a table by category; others as they are."""
    if not is_tuple(value):
        return value
    over = law.outputs[name][1]
    assert over is not None
    return dict(zip(law.namespace.scope.indices[over], value, strict=True))
