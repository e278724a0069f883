"""What missing the best costs, by the shape of another law: its loss around its own best values, moved to those of an answer.

Where the loss is lowest differs between recipes far more than how it rises around that place, so that a law that says
only where takes plateau and regret from a law of the loss that was fitted to many runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from hplaw import rows
from hplaw.answer.intervals import samples
from hplaw.answer.one_law import Answer
from hplaw.arrays import Array
from hplaw.decide.decide import decide
from hplaw.errors import QueryError
from hplaw.evaluation.inputs import inputs
from hplaw.forms.linex import linex
from hplaw.law.law import Law
from hplaw.posterior.scenarios import scenarios


SEEN = 0.08
"""Excess loss, as a share, that shapes are fitted to; what is farther off counts as this."""


def with_shape(found: Answer, shape: Law, known: Mapping[str, Any]) -> Answer:
    """Return an answer with the plateaus of its values, and its regret, by the shape of another law around its decision.

    Plateaus keep their width in logarithms. Regret is the mean excess over scenarios in which the best is somewhere else
    than at the answer, each at most `SEEN`:

        mean_s min(sum_r c_rs (exp(m_rs) - 1 - m_rs), SEEN),  m_rs = sum_q slope_rq ln(value_q / best_qs)

    **Arguments:**

    - `known`: values by quantity, numbers or columns; those that are given have no plateau, and cost nothing.
    """
    chosen = [name for name in shape.chosen if name in found.values and known.get(name) is None]
    place = {item.known: known.get(item.known) for item in inputs(shape) if item.name not in shape.chosen}
    if not chosen or any(value is None for value in place.values()):
        return found
    try:
        there = decide(shape, place)
    except QueryError:
        return found
    plateaus = {
        name: tuple(found.values[name] * (side / there.values[name]) for side in there.plateau[name])
        for name in chosen
        if name in there.plateau
    }
    return msgspec.structs.replace(found, plateaus=plateaus, regret=_regret(found, shape, known, place, chosen))


def _regret(found: Answer, shape: Law, known: Mapping[str, Any], place: Mapping[str, Any], chosen: list[str]) -> Any:
    """Return the mean excess of an answer over the scenarios of its law; None where the shape is no sum of ridges."""
    form = linex(shape)
    if form is None or form.size != scenarios(found.law).size:
        return None
    drawn = all(name in found.samples for name in chosen)
    best = found.samples if drawn else samples(found.law, known, chosen)
    c: Array = form.at(place)[0]
    m: Any = 0.0
    for name, slope in zip(shape.chosen, form.slopes, strict=True):
        if name in chosen:
            apart = np.log(rows.across(found.values[name])) - np.log(best[name])
            m = m + slope.reshape(-1, form.size) * apart[..., None, :]
    excess = (c.reshape(*c.shape[:-1], -1, form.size) * (np.exp(m) - 1 - m)).sum(axis=-2)
    return rows.plain(np.minimum(excess, SEEN).mean(axis=-1))
