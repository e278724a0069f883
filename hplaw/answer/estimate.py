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
    spread, same = answer.interval(name)
    plateau = answer.plateaus.get(name)
    return Estimate(
        value=value if isinstance(value, str) else float(value),
        low=spread.low if spread else None,
        high=spread.high if spread else None,
        low50=spread.low50 if spread else None,
        high50=spread.high50 if spread else None,
        same_recipe_low=same.low if same else None,
        same_recipe_high=same.high if same else None,
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
        missing.append("the interval is for one recipe, or for all")
    if name not in answer.plateaus and name in answer.law.gives and name != _minimised(answer):
        missing.append(
            "it predicts no loss around its optimum" if not answer.law.chosen else "it is not chosen by the law"
        )
    return "; ".join(missing) or None


def _minimised(answer: Answer) -> str | None:
    decision = answer.law.spec.decision
    return decision.minimise if decision else None
