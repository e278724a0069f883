"""Mixtures: laws stacked with weights, their draws taken in proportion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hplaw import rows
from hplaw.answer.intervals import samples
from hplaw.answer.one_law import Answer, answer_alone
from hplaw.answer.quantiles import quantiles, spreads_of
from hplaw.catalogue.catalogue import Catalogue
from hplaw.decide.decision import Bounds
from hplaw.errors import QueryError
from hplaw.evaluation.inputs import inputs, read_given
from hplaw.evaluation.point import SILENT
from hplaw.law.law import Law
from hplaw.posterior.scenarios import DRAWS


def members_of(law: Law, catalogue: Catalogue | None) -> list[Law]:
    """Return the laws that a mixture is made of.

    **Raises:** `QueryError` where no catalogue is at hand to find them in.
    """
    if catalogue is None:
        assert law.spec.mixture is not None
        message = f"{law.id} is a mixture; its members {', '.join(law.spec.mixture.members)} must be at hand"
        raise QueryError(message, field="law")
    return catalogue.members(law)


def read_known(law: Law, given: Mapping[str, object], catalogue: Catalogue | None) -> dict[str, Any]:
    """Return `given` as the inputs of a law, or of a mixture's members.

    **Raises:** `QueryError` naming the field at fault.
    """
    if law.spec.mixture is None:
        return read_given(law, given)
    found: dict[str, Any] = {}
    taken: set[str] = set()
    for member in members_of(law, catalogue):
        names = {name for item in inputs(member) for name in (item.known, item.name)}
        found |= read_given(member, {name: given[name] for name in given if name in names})
        taken |= names
    for name in given:
        if name not in taken:
            message = f"'{name[:80]}' is not an input of {law.id}; its members take {', '.join(sorted(taken))}"
            raise QueryError(message, field=name)
    return found


def mixed_answer(
    law: Law,
    known: Mapping[str, object],
    *,
    want: Sequence[str] | None,
    bounds: Bounds | None,
    catalogue: Catalogue | None,
) -> Answer:
    """Return a mixture's answer: the median and quantiles of its members' draws in proportion to their weights.

    **Raises:** `QueryError` where a member cannot answer.
    """
    rows.one_by_one(*known.values())
    spec = law.spec.mixture
    assert spec is not None
    members = members_of(law, catalogue)
    parts = [answer_alone(member, known, want=want, bounds=bounds) for member in members]
    silent = next((part for part in parts if part.status in SILENT), None)
    drawn: dict[str, list[Any]] = {}
    for member, part, weight in zip(members, parts, spec.weights, strict=True):
        share = round(DRAWS * weight)
        for name, value in part.values.items():
            if isinstance(value, float) and share:
                drawn.setdefault(name, []).append(_share(member, part, name, share))
    pools = {name: np.concatenate(found) for name, found in drawn.items() if all(name in part.values for part in parts)}
    spreads = {
        name: levels for name, pool in pools.items() if (levels := spreads_of(quantiles(pool)[None])[0]) is not None
    }
    return Answer(
        law=law,
        status=silent.status if silent else "ok",
        say=silent.say if silent else None,
        values={} if silent else {name: levels.median for name, levels in spreads.items()},
        failed={name: why for part in parts for name, why in part.failed.items()},
        spreads={} if silent else spreads,
        at=dict(known),
    )


def _share(member: Law, part: Answer, name: str, share: int) -> Any:
    """Return `share` draws of one member's output, evenly spaced through all it has."""
    if name in member.outputs and name in part.spreads:
        pool = np.sort(samples(member, {**part.at, **part.values}, [name])[name])
        return pool[np.linspace(0, len(pool) - 1, share).round().astype(int)]
    return np.full(share, part.values[name])
