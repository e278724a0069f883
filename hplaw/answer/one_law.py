"""What one law of its own formulas answers at one point: values of all it gives, with intervals where it states any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hplaw.answer.quantiles import Spread
from hplaw.errors import ConflictingQuery
from hplaw.evaluation.inputs import inputs
from hplaw.evaluation.point import SILENT, Point, closed_form, point
from hplaw.expression.backends import Undefined
from hplaw.law.derived import derived
from hplaw.law.law import Law


Bounds = Mapping[str, tuple[float | None, float | None]]

NO_COVARIANCE = "the source states no covariance, so there is a value and no interval"
"""Why a published law's interval is null."""
UNMOVED = "nothing that the law is unsure of moves it, or moves it within bounds, so there is no interval"
"""Why an interval is null where the law states uncertainty."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a law says at a point.

    - `status`, `say`: whether it speaks here, and the words of the case that applies.
    - `values`: numbers, categories, or tuples over an index, by quantity; `failed` why one of them has no value.
    - `spreads`, `transfers`, `plateaus`: intervals by quantity, where there are any.
    - `at`: the inputs the law was asked with.
    """

    law: Law
    status: str
    say: str | None
    values: dict[str, Any]
    failed: dict[str, str]
    spreads: dict[str, Spread]
    transfers: dict[str, Spread]
    plateaus: dict[str, tuple[float, float]]
    regret: float | None
    at: dict[str, Any]


def answer_alone(
    law: Law,
    known: Mapping[str, Any],
    *,
    want: Sequence[str] | None = None,
    bounds: Bounds | None = None,
    intervals: bool = True,
) -> Answer:
    """Return what a law says at `known`, choosing what it is free to choose.

    **Arguments:**

    - `known`: values by quantity, read by `read_given` or checked otherwise.
    - `want`: quantities needed; all when left out.
    - `bounds`: limits of quantities to choose.
    - `intervals`: false skips everything but the values.

    **Raises:** `QueryError` for a missing input, a procedure, or a decision that cannot be made.
    """
    if law.spec.kind == "procedure":
        message = f"{law.id} is a procedure, which measures; it has no value at a point"
        raise ConflictingQuery(message, field="law")
    free = [name for name in law.chosen if known.get(name) is None]
    values: dict[str, Any] = {}
    decision = None
    if free:
        chosen = closed_form(law, known) if not intervals and not bounds and len(free) == len(law.chosen) else None
        if chosen is None:
            from hplaw.decide.decide import decide

            decision = decide(law, known, bounds)
            chosen = decision.values
        values.update(chosen)
        known = {**known, **chosen}
    here = point(law, known)
    if law.spec.grid is not None:
        here = _on_grid(here)
    wanted = [name for name in law.outputs if want is None or name in want]
    failed: dict[str, str] = {}
    for name in wanted:
        try:
            values[name] = here.output(name)
        except Undefined as error:
            failed[name] = str(error)
    if here.status in SILENT:
        values, decision = {}, None
        failed |= dict.fromkeys((*free, *wanted), here.say or here.status)
    spreads: dict[str, Spread] = {}
    transfers: dict[str, Spread] = {}
    if intervals and values and uncertain(law):
        from hplaw.answer.intervals import intervals_of

        spreads, transfers, medians = intervals_of(here, known, [n for n in wanted if n in values], decision)
        values.update(medians)
    return Answer(
        law=law,
        status=here.status,
        say=here.say,
        values=values,
        failed=failed,
        spreads=spreads,
        transfers=transfers,
        plateaus=decision.plateau if decision else {},
        regret=decision.regret if decision else None,
        at={item.name: here.environment.get(item.name) for item in inputs(law) if item.name not in free},
    )


@derived
def uncertain(law: Law) -> bool:
    """Return whether a law states any uncertainty, without loading numpy for those that do not."""
    spec = law.spec
    if law.exact or spec.grid is not None:
        return False
    stated = (
        spec.covariance
        or spec.effects
        or spec.predict.discrepancy
        or any(p.sd is not None for p in spec.parameters.values())
    )
    return bool(stated) or law.arrays is not None or any(item.prior for item in inputs(law))


def _on_grid(here: Point) -> Point:
    from hplaw.evaluation.grid import classify

    spec = here.law.spec.grid
    assert spec is not None
    probability, likeliest = classify(here.law, here.environment)
    here.environment.update(probability=probability, most_likely=likeliest)
    if here.status == "ok" and probability[likeliest] < spec.reject_below:
        say = f"no class is likelier than {spec.reject_below:g} here; the map does not tell"
        return msgspec.structs.replace(here, status="undefined", say=say)
    return here
