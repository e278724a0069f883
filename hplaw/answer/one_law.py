"""What one law of its own formulas answers at one point: values of all it gives, with intervals where it states any."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from hplaw import rows
from hplaw.answer.intervals import Intervals, intervals_of, leaders
from hplaw.answer.quantiles import Spread
from hplaw.arrays import Array
from hplaw.decide.decide import decide
from hplaw.decide.decision import Bounds, Decision
from hplaw.errors import ConflictingQuery
from hplaw.evaluation.grid import classify
from hplaw.evaluation.inputs import inputs
from hplaw.evaluation.point import SILENT, Point, closed_form, point
from hplaw.expression.backends import Undefined
from hplaw.law.derived import derived
from hplaw.law.law import Law


NO_COVARIANCE = "the source states no covariance, so there is a value and no interval"
"""Why a published law's interval is null."""
UNMOVED = "constant in this law, or fixed by bounds, so there is no interval"
"""Why an interval is null where the law states uncertainty."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a law gives at a point.

    - `status`, `say`: whether it applies here, and the words of the case that applies.
    - `values`: numbers, categories, or tuples over an index, by quantity; `failed` why one of them has no value.
    - `spreads`, `transfers`, `plateaus`: intervals by quantity, where there are any; `transfers` are for another recipe
      than the law's own. `samples` are behind them, `[scenario]` or `[row, scenario]`, where there is no closed form.
    - `at`: the inputs the law was evaluated with.

    Numbers may be columns, a row for each question; all else is shared by the rows. NaN in a column means none.
    """

    law: Law
    status: str
    say: str | None
    values: dict[str, Any]
    failed: dict[str, str]
    spreads: dict[str, Spread] = {}
    transfers: dict[str, Spread] = {}
    samples: dict[str, Array] = {}
    plateaus: dict[str, tuple[Any, Any]] = {}
    regret: Any = None
    at: dict[str, Any]

    def interval(self, name: str) -> tuple[Spread | None, Spread | None]:
        """Return the interval of a quantity for the one who asks, and that for the law's own recipe where it is another.

        What is best to choose may lie where the best hardly lies itself, if the other side costs more: the interval then
        reaches as far.
        """
        inner, outer = self.spreads.get(name), self.transfers.get(name)
        spread, value = outer or inner, self.values.get(name)
        if spread is not None:
            spread = spread.around(value)
        return spread, inner if outer else None


def answer_alone(
    law: Law,
    known: Mapping[str, object],
    *,
    want: Sequence[str] | None = None,
    bounds: Bounds | None = None,
    seen: Collection[str] | None = None,
    plain: bool = False,
) -> Answer:
    """Return what a law gives at `known`, choosing what it is free to choose.

    **Arguments:**

    - `known`: values by quantity, read by `read_given` or checked otherwise.
    - `want`: quantities needed; all by default.
    - `bounds`: limits of quantities to choose.
    - `seen`: quantities whose intervals are looked at; all by default.
    - `plain`: whether values alone are, at the closed form of a decision where it has one.

    **Raises:** `QueryError` for a missing input, a procedure, or a decision that cannot be made.
    """
    if law.spec.kind == "procedure":
        message = f"{law.id} is a procedure, which measures; it has no value at a point"
        raise ConflictingQuery(message, field="law")
    if not _columnar(law):
        rows.one_by_one(*(known.get(item.known) for item in inputs(law)))
    free = [name for name in law.chosen if known.get(name) is None]
    values: dict[str, Any] = {}
    decision = None
    if free:
        chosen = closed_form(law, known) if plain and not bounds and len(free) == len(law.chosen) else None
        if chosen is None:
            try:
                decision = decide(law, known, bounds)
            except Undefined as error:
                return _undecided(law, known, free, want, str(error))
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
    found = Intervals()
    if not plain and values and uncertain(law):
        found = intervals_of(here, known, {n: values[n] for n in wanted if n in values}, decision, seen=seen)
        values.update(found.medians)
    return Answer(
        law=law,
        status=here.status,
        say=here.say,
        values=values,
        failed=failed,
        spreads=found.spreads,
        transfers=found.transfers,
        samples=found.samples,
        plateaus=_plateaus(law, known, decision, values) if decision else {},
        regret=decision.regret if decision else None,
        at={item.name: here.environment.get(item.name) for item in inputs(law) if item.name not in free},
    )


def _undecided(
    law: Law, known: Mapping[str, object], free: Sequence[str], want: Sequence[str] | None, say: str
) -> Answer:
    """Return the answer of a law whose objective has no value here, as for an optimizer that it does not know."""
    wanted = [name for name in law.outputs if want is None or name in want]
    return Answer(
        law=law,
        status="undefined",
        say=say,
        values={},
        failed=dict.fromkeys((*free, *wanted), say),
        at={item.name: known.get(item.known) for item in inputs(law) if item.name not in free},
    )


def _plateaus(
    law: Law, known: Mapping[str, object], decision: Decision, values: Collection[str]
) -> dict[str, tuple[Any, Any]]:
    """Return the plateaus of what is chosen, and of outputs that follow one chosen quantity alone, from its edges."""
    found = dict(decision.plateau)
    for name, chosen in leaders(law).items():
        if name in values and chosen in decision.plateau:
            edges = [point(law, {**known, chosen: edge}).output(name) for edge in decision.plateau[chosen]]
            found[name] = rows.smaller(*edges), rows.larger(*edges)
    return found


def joined(parts: Sequence[Answer], size: int) -> Answer:
    """Return the answers to rows that were asked part by part as one.

    **Raises:** `RowsDiffer` where parts differ in what the rows of one answer share.
    """
    alike = [_alike(part) for part in parts]
    key = [alike.index(part) for part in alike]
    if any(key):
        lengths = [max(map(len, _columns(part))) if _columns(part) else 1 for part in parts]
        raise rows.RowsDiffer(np.repeat(key, lengths)[:size])
    return combined(parts, rows.join)


def combined(parts: Sequence[Answer], combine: Callable[[list[Any]], Any]) -> Answer:
    """Return answers that share all but their numbers as one.

    **Arguments:**

    - `combine`: makes one of the numbers or columns of several; a part that has none of an interval has NaN there.
    """
    first = parts[0]
    return msgspec.structs.replace(
        first,
        values={name: combine([part.values[name] for part in parts]) for name in first.values},
        spreads=_combined_spreads([part.spreads for part in parts], parts, combine),
        transfers=_combined_spreads([part.transfers for part in parts], parts, combine),
        samples={},
        plateaus={
            name: (
                combine([part.plateaus[name][0] for part in parts]),
                combine([part.plateaus[name][1] for part in parts]),
            )
            for name in first.plateaus
        },
        regret=combine([part.regret for part in parts]),
        at={name: combine([part.at[name] for part in parts]) for name in first.at},
    )


def _columns(part: Answer) -> list[Any]:
    return [value for value in (*part.values.values(), *part.at.values()) if rows.is_column(value)]


def _alike(part: Answer) -> tuple[Any, ...]:
    """Return what the rows of one answer share."""
    shared = {name: value for name, value in part.values.items() if not rows.is_column(value)}
    return (part.status, part.say, part.failed, list(part.values), shared, part.regret is None)


def _combined_spreads(
    found: Sequence[Mapping[str, Spread]], parts: Sequence[Answer], combine: Callable[[list[Any]], Any]
) -> dict[str, Spread]:
    """Return intervals as one; a part that has none of some quantity has NaN there."""
    names = dict.fromkeys(name for spreads in found for name in spreads)
    whole: dict[str, Spread] = {}
    for name in names:
        pieces: list[Spread] = []
        for spreads, part in zip(found, parts, strict=True):
            nothing = rows.pick(part.values[name] == part.values[name], math.nan, math.nan)
            pieces.append(spreads.get(name) or Spread(*[nothing] * 5))
        fields = zip(*map(msgspec.structs.astuple, pieces), strict=True)
        whole[name] = Spread(*(combine(list(field)) for field in fields))
    return whole


@derived
def _columnar(law: Law) -> bool:
    """Return whether a law is computed over columns: formulas in floats, nothing over an index."""
    plain = law.spec.kind == "formula" and not law.exact
    return (
        plain
        and all(over is None for _, over in law.outputs.values())
        and all(item.over is None for item in law.inputs.values())
    )


@derived
def uncertain(law: Law) -> bool:
    """Return whether a law states any uncertainty."""
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
    spec = here.law.spec.grid
    assert spec is not None
    probability, likeliest = classify(here.law, here.environment)
    here.environment.update(probability=probability, most_likely=likeliest)
    if here.status == "ok" and probability[likeliest] < spec.reject_below:
        say = f"no class is likelier than {spec.reject_below:g} here; the map does not tell"
        return msgspec.structs.replace(here, status="undefined", say=say)
    return here
