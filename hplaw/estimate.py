"""From a law's answer to an `Estimate`: intervals filled in, and a reason for what is null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hplaw.answer import NO_COVARIANCE, Answer, by_category
from hplaw.errors import QueryError, nearest
from hplaw.listing import known_quantities
from hplaw.messages import Alternative, Estimate, Evaluation, Step
from hplaw.point import distance
from hplaw.quantities import Quantity, vocabulary


def estimate_of(
    answer: Answer, name: str, *, derivation: list[Step] | None = None, elasticities: dict[str, float] | None = None,
    alternatives: list[Alternative] | None = None,
) -> Estimate:  # fmt: skip
    """Return one quantity of a law's answer as an estimate."""
    law = answer.law
    quantity: Quantity | None = law.namespace.quantities.get(name)
    unit = quantity.unit if quantity else "1"
    value = answer.values.get(name)
    if value is None:
        return Estimate(
            value=None, unit=unit, law=law.address, reason=answer.failed.get(name) or answer.say
        )
    inner, outer = answer.spreads.get(name), answer.transfers.get(name)
    plateau = answer.plateaus.get(name)
    return Estimate(
        value=value if isinstance(value, str) else float(value),
        low=inner.low if inner else None,
        high=inner.high if inner else None,
        low50=inner.low50 if inner else None,
        high50=inner.high50 if inner else None,
        transfer_low=outer.low if outer else None,
        transfer_high=outer.high if outer else None,
        plateau_low=plateau[0] if plateau else None,
        plateau_high=plateau[1] if plateau else None,
        unit=unit,
        law=law.address,
        reason=_reason(answer, name),
        derivation=derivation or [],
        elasticities=elasticities or {},
        alternatives=alternatives or [],
    )


def _reason(answer: Answer, name: str) -> str | None:
    """Return why some of an estimate's fields are null, or None where all are filled."""
    if isinstance(answer.values.get(name), str):
        return "a category has no interval"
    if name not in answer.spreads:
        if answer.law.spec.status == "theory":
            return "a rule of theory has a value and no interval"
        return NO_COVARIANCE
    missing: list[str] = []
    if name not in answer.transfers:
        missing.append("the law says nothing of other recipes")
    if name not in answer.plateaus and name in answer.law.gives and name != _minimised(answer):
        missing.append(
            "it predicts no loss around its optimum"
            if not answer.law.chosen
            else "a plateau belongs to what is chosen"
        )
    return "; ".join(missing) or None


def _minimised(answer: Answer) -> str | None:
    decision = answer.law.spec.decision
    return decision.minimise if decision else None


def evaluate(law: Any, given: Mapping[str, Any], catalogue: Any = None) -> Evaluation:
    """Return what one law says at one point, as a record.

    **Arguments:**

    - `given`: values by input, a table by category for an input over an index.

    **Raises:** `QueryError` naming the input that is missing, unknown or out of bounds.
    """
    from hplaw.answer import answer
    from hplaw.point import read_given

    words = vocabulary() if catalogue is None else known_quantities(catalogue)
    for name in given:
        if name not in words:
            message = f"'{name[:80]}' is not a quantity{nearest(name[:80], words)}; 'hplaw quantities' lists them"
            raise QueryError(message, field=name)
    known = dict(given) if law.spec.mixture is not None else read_given(law, given)
    found = answer(law, known, catalogue=catalogue)
    away = distance(law, {**known, **found.values})
    outputs: dict[str, Estimate] = {}
    tables: dict[str, dict[str, Estimate]] = {}
    for name in dict.fromkeys((*law.gives, *found.values)):
        if name in known:
            continue
        value = found.values.get(name)
        if isinstance(value, tuple):
            unit = law.quantity(name).unit
            tables[name] = {
                word: Estimate(
                    value=entry if isinstance(entry, str) else float(entry),
                    unit=unit,
                    law=law.address,
                )
                for word, entry in by_category(law, name, value).items()
            }
        else:
            outputs[name] = estimate_of(found, name)
    return Evaluation(
        law=law.address, status=found.status, outputs=outputs, tables=tables, say=found.say,
        outside={**dict(away.differs), **{name: round(efolds, 4) for name, efolds in away.efolds}},
    )  # fmt: skip
