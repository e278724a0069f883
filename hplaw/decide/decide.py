"""What to set: the values of a law's free quantities at which its expected loss is lowest, under what is given."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from hplaw import rows
from hplaw.decide.by_ridges import by_ridges
from hplaw.decide.by_search import by_search
from hplaw.decide.decision import Bounds, Decision, Task
from hplaw.decide.ridges import Flat
from hplaw.errors import QueryError
from hplaw.evaluation.domain import distance
from hplaw.forms.linex import linex
from hplaw.law.law import Law
from hplaw.posterior.discrepancy import stretch
from hplaw.posterior.scenarios import scenarios


def decide(law: Law, known: Mapping[str, object], bounds: Bounds | None = None) -> Decision:
    """Return what a law with a `[decision]` recommends for the quantities that `known` leaves free.

    **Arguments:**

    - `known`: values by quantity, numbers or columns; a chosen quantity among them is fixed.
    - `bounds`: lowest and highest value allowed for a free quantity, either None.

    **Raises:** `QueryError` where nothing is free, the bounds leave nothing to choose, or the law has no minimum;
    `RowsDiffer` where rows must be decided apart.
    """
    free = [name for name in law.chosen if known.get(name) is None]
    if not free:
        message = f"{', '.join(law.chosen)} are all fixed; leave one of them out to have it chosen"
        raise QueryError(message, field=law.chosen[0])
    limits = [(bounds or {}).get(name, (None, None)) for name in free]
    for name, (low, high) in zip(free, limits, strict=True):
        _check(name, low, high)
    task = Task(law=law, known=known, free=free, limits=limits, stretch=stretch(law, distance(law, known).total))
    if scenarios(law).uncertain and linex(law) is not None:
        with np.errstate(all="ignore"), contextlib.suppress(Flat):
            return by_ridges(task)
    rows.one_by_one(*known.values(), *(side for limit in limits for side in limit))
    return by_search(task)


def _check(name: str, low: Any, high: Any) -> None:
    """Refuse bounds that leave nothing.

    **Raises:** `QueryError`.
    """
    if high is not None and rows.shared(high <= 0):
        message = f"the bounds of {name} leave nothing above zero"
        raise QueryError(message, field=f"bounds.{name}")
    if low is not None and high is not None and rows.shared(low > high):
        rows.one_by_one(low, high)
        message = f"the bounds of {name} leave nothing: {low:g} is above {high:g}"
        raise QueryError(message, field=f"bounds.{name}")
