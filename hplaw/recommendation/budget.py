"""Size and data that a question leaves open, chosen for its budget or for the loss it is to reach.

Every trial of a size is a question of its own, derived as the answer is, so that a budget is spent by the law of time,
energy or FLOP that the answer then reports, and the loss is that of the same law.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import ConflictingQuery, HplawError, QueryError
from hplaw.evaluation.inputs import inputs
from hplaw.formatting import number
from hplaw.messages.recommendation import AnswerWarning
from hplaw.recommendation.choice import choose
from hplaw.recommendation.derivation import derive, route_of
from hplaw.recommendation.experts import sized_by_experts
from hplaw.recommendation.finetuning import FINETUNE
from hplaw.recommendation.question import AIMED, AIMS, SPENT, Choice, Question, resized
from hplaw.recommendation.reaching import reach
from hplaw.recommendation.shaped import flop_of
from hplaw.recommendation.spending import UNITS, Budget, Paid, spend
from hplaw.recommendation.trials import Found, Search, Trials, found_in, in_step, positive, run_searches
from hplaw.vocabulary.hardware_names import OWN


SHAPE = ("n_layers", "d_model")
"""What settles a size although no count of parameters is given."""

OVER, MISSED = 1.01, 1.001
"""Shares of a budget up to which a run fits it, and of a loss up to which it is reached."""

TINY = 5e-324
"""The smallest amount that can be written down."""


def settle_many(questions: Sequence[Question], catalogue: Catalogue) -> list[Question | HplawError]:
    """Return questions with the sizes and data that their budgets or targets choose; an error where neither is
    said, or the target cannot be reached.
    """
    questions = [_sized_by_experts(question, catalogue) for question in questions]
    found: list[Question | HplawError] = list(questions)
    places = [place for place, question in enumerate(questions) if _unsettled(question)]
    if places:
        searches = [_settle(questions[place], catalogue) for place in places]
        for place, settled in zip(places, run_searches(in_step(searches), catalogue), strict=True):
            found[place] = settled
    return found


def _sized_by_experts(question: Question, catalogue: Catalogue) -> Question:
    """Return a question that gives experts and active parameters with all parameters, as a law counts them."""
    if "n_params" in question.known or not sized_by_experts(question.known):
        return question
    # not the best size for a budget, but the one that has these experts
    known = {name: value for name, value in question.known.items() if name not in AIMED}
    asked = msgspec.structs.replace(question, known=known, want=("n_params",), prefer=(), asked=True)
    found = derive(asked, catalogue)
    law = found.source.get("n_params")
    if law is None:
        return question
    sizes = {"n_params": found.known["n_params"]}
    return msgspec.structs.replace(resized(question, sizes), choice=choose(law, sizes, spreads={}, behind=()))


def _unsettled(question: Question) -> bool:
    """Return whether there is anything to do about a question: most give size and data and no budget."""
    known = question.known
    sized = "n_params" in known and "tokens" in known
    return not sized or "target_loss" in known or "duration_s" in known or any(name in known for name in SPENT)


def _open(question: Question) -> list[str]:
    """Return which of size and data a question leaves open."""
    known = question.known
    sized = "n_params" in known or all(name in known for name in SHAPE)
    return [*(() if sized else ("n_params",)), *(() if "tokens" in known else ("tokens",))]


def budgets_of(known: Mapping[str, Any]) -> list[Budget]:
    """Return the budgets that a question gives.

    >>> budgets_of({"devices": 64.0, "duration_s": 7200.0})
    [Budget(kind='accelerator_hours', amount=128.0, serves=False)]
    """
    serves = "serve_tokens" in known
    found = [Budget(kind, known[kind], serves) for kind in SPENT if kind in known]
    if "devices" in known and "duration_s" in known:
        found.append(Budget("accelerator_hours", max(known["devices"] * known["duration_s"] / 3600, TINY)))
    return found


def limits_of(known: Mapping[str, Any]) -> set[str]:
    """Return the names of what a question may spend, or is to reach: sizes are chosen by it, or compared with it.

    Time and energy are those of an accelerator.

    >>> sorted(limits_of({"devices": 64.0, "duration_s": 7200.0, "hardware": "h100-sxm", "target_loss": 2.0}))
    ['devices', 'duration_s', 'target_loss']
    """
    names = {name for aim in AIMS if aim <= known.keys() for name in aim}
    if "target_loss" in names and "serve_tokens" in known:
        names |= {"minimize"} & known.keys()
    return (
        names
        if _metered(known)
        else {name for name in names if name.endswith("_flop") or name in ("target_loss", "minimize")}
    )


def _metered(known: Mapping[str, Any]) -> bool:
    """Return whether an accelerator is named or described."""
    return any(name in known for name in ("hardware", *OWN))


def _settle(question: Question, catalogue: Catalogue) -> Search[Question]:
    """Search for what one question leaves open, and warn of what does not fit."""
    still = _open(question)
    budgets = budgets_of(question.known)
    target = question.known.get("target_loss")
    budgeted = bool(budgets)
    if not still:
        return (yield from _warned(question, budgets, target, catalogue))
    if not budgets and target is None:
        if not question.asked and FINETUNE not in question.known and not _does_without(question, catalogue):
            message = f"{' and '.join(still)} {'is' if len(still) == 1 else 'are'} not given"
            raise QueryError(message, field=still[0], lists="sizes")
        return question
    if not _needs(question, still, catalogue):
        return question
    trials = Trials(question, catalogue)
    try:
        if budgets:
            first, *budgets = yield from _counted(trials, still, budgets)
            choice = yield from spend(trials, still, first)
        else:
            choice = yield from reach(trials, still, target or 0.0)
    except QueryError as error:
        wanted = any(name in question.want for name in still)
        if question.asked and not (wanted and isinstance(error, ConflictingQuery)):
            return question  # what can be had without a size is answered all the same, the rest has its reason
        raise
    if choice is None:
        return question
    # what is spent is counted again, so that the answer shows by which law
    settled = resized(question, choice.answer.values, without=choice.behind)
    settled = msgspec.structs.replace(settled, choice=choice, want=_answered(settled, choice))
    return (yield from _warned(settled, budgets, target if budgeted else None, catalogue))


def _answered(question: Question, choice: Choice) -> tuple[str, ...]:
    """Return what is still to be answered: what was counted before a budget was spent is known by then."""
    return tuple(name for name in question.want if name in choice.answer.values or name not in question.known)


def _does_without(question: Question, catalogue: Catalogue) -> bool:
    """Return whether a law that was named needs neither size nor data beyond what is given."""
    laws = [catalogue.get(address) for address in question.prefer]
    return any(
        all(item.known in question.known for item in inputs(member) if item.required)
        for law in laws
        for member in catalogue.members(law)
    )


def _counted(trials: Trials, still: Sequence[str], budgets: Sequence[Budget]) -> Search[list[Budget]]:
    """Return budgets in the kinds that laws here count, the one that is spent first."""
    first, *others = budgets
    known = trials.question.known
    if not first.kind.endswith("_flop") and not _metered(known):
        message = f"a budget of {UNITS[first.kind]} is spent on an accelerator; give hardware"
        raise QueryError(message, field="hardware")
    if first.kind == "training_flop" and "n_params" in still:
        # without a shape nothing counts attention, so that its compute is taken for that of 6 N D
        first = Budget("compute_flop", first.amount)
    if first.kind == "accelerator_hours" and "mfu" in known and "accelerator_hours" not in known:
        # a utilization that was measured says what the machines compute in that time
        (found,) = yield [msgspec.structs.replace(trials.question, want=("compute_flop",), prefer=())]
        others, first = [first, *others], Budget(flop_of(known), positive(found_in(found, "compute_flop")))
    return [first, *others]


def _needs(question: Question, still: Sequence[str], catalogue: Catalogue) -> bool:
    """Return whether what is wanted depends on what is open."""
    if not question.asked or any(name in question.want for name in still):
        return True
    names = {slot.quantity for slot in route_of(question, catalogue).slots}
    return any(name in names for name in still) or not all(name in names for name in question.want)


def _warned(
    question: Question, budgets: Sequence[Budget], target: float | None, catalogue: Catalogue
) -> Search[Question]:
    """Return a question of settled size and data with a warning for each budget and target that it does not meet."""
    if not budgets and target is None:
        return question
    trials = Trials(question, catalogue)
    here = (question.known.get("n_params"), question.known["tokens"])
    warnings = list(question.warnings)
    for budget in budgets:
        (outcome,) = yield from trials.values((budget.kind,), [here])
        need = None if isinstance(outcome, HplawError) else outcome[budget.kind]
        (left,) = yield from Paid(trials, budget).left([here])
        if need is not None and need.value is not None and need.value > OVER * left:
            budgeted = f"the budget is {number(budget.amount)}"
            if budget.serves:
                budgeted = f"serving leaves {number(left)} of {number(budget.amount)}"
            text = f"the run needs {number(need.value)} {UNITS[budget.kind]}, and {budgeted}"
            warnings.append(_warning("over-budget", text, budget.kind, need))
    if target is not None:
        (outcome,) = yield from trials.values(("loss",), [here])
        loss = None if isinstance(outcome, HplawError) else outcome["loss"]
        if loss is not None and loss.value is not None and loss.value > MISSED * target:
            text = f"the run reaches a loss of {number(loss.value, digits=4)}, and the target is {number(target, digits=4)}"
            warnings.append(_warning("misses-target", text, "target_loss", loss))
    return msgspec.structs.replace(question, warnings=tuple(warnings))


def _warning(code: str, text: str, quantity: str, found: Found) -> AnswerWarning:
    return AnswerWarning(code=code, text=text, law=found.law.address if found.law else None, quantity=quantity)
