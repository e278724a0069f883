"""From a law's answer to an `Estimate`: intervals filled in, and a reason for what is null."""

from __future__ import annotations

from hplaw.answer.one_law import NO_COVARIANCE, UNMOVED, Answer, uncertain
from hplaw.messages.recommendation import Alternative, Estimate, Step
from hplaw.vocabulary.quantities import Quantity


def estimate_of(
    answer: Answer,
    name: str,
    *,
    derivation: list[Step] | None = None,
    elasticities: dict[str, float] | None = None,
    alternatives: list[Alternative] | None = None,
) -> Estimate:
    """Return one quantity of a law's answer as an estimate."""
    law = answer.law
    quantity: Quantity | None = law.namespace.quantities.get(name)
    unit = quantity.unit if quantity else "1"
    value = answer.values.get(name)
    if value is None:
        return Estimate(value=None, unit=unit, law=law.address, reason=answer.failed.get(name) or answer.say)
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
        return UNMOVED if uncertain(answer.law) else NO_COVARIANCE
    missing: list[str] = []
    if name not in answer.transfers:
        missing.append("the law does not cover other recipes")
    if name not in answer.plateaus and name in answer.law.gives and name != _minimised(answer):
        missing.append(
            "it predicts no loss around its optimum" if not answer.law.chosen else "it is not chosen by the law"
        )
    return "; ".join(missing) or None


def _minimised(answer: Answer) -> str | None:
    decision = answer.law.spec.decision
    return decision.minimise if decision else None
