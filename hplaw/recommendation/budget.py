"""Size and data that a question leaves open, chosen for its budget or for the loss it is to reach.

Every trial of a size is a question of its own, derived as the answer is, so that a budget is spent by the law of time,
energy or FLOP that the answer then reports, and the loss is that of the same law.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from hplaw import rows
from hplaw.answer.one_law import Answer
from hplaw.answer.quantiles import Spread
from hplaw.catalogue.catalogue import Catalogue
from hplaw.decide.decision import PLATEAU
from hplaw.errors import ConflictingQuery, HplawError, QueryError
from hplaw.evaluation.inputs import inputs
from hplaw.formatting import number
from hplaw.law import Law
from hplaw.messages.recommendation import AnswerWarning
from hplaw.recommendation.derivation import route_of
from hplaw.recommendation.question import AIMS, SPENT, Choice, Question, resized
from hplaw.recommendation.trials import (
    EXACT,
    Found,
    Outcome,
    Parabola,
    Point,
    Search,
    Trials,
    apart,
    find_root,
    found_in,
    in_step,
    ladder,
    positive,
    run_searches,
)
from hplaw.vocabulary.hardware_names import OWN


UNITS = {
    "compute_flop": "FLOP",
    "training_flop": "FLOP",
    "accelerator_hours": "accelerator hours",
    "energy_kwh": "kWh",
    "energy_j": "J",
}

SHAPE = ("n_layers", "d_model")
"""What settles a size although no count of parameters is given."""

SIZES = (1e5, 1e14)
"""Parameters between which is looked."""

DATA = (1e5, 1e20)
"""Tokens between which is looked."""

RATIOS = (0.2, 20_000.0)
"""Tokens per parameter between which a way to spend a budget is looked for."""

USUAL_RATIO = 20.0
"""Tokens per parameter from which a search starts."""

FIRST_TOKENS = 1e12
"""Tokens that a size is priced with first."""

OVER, MISSED = 1.01, 1.001
"""Shares of a budget up to which a run fits it, and of a loss up to which it is reached."""

SPARE = 1e-3
"""Share of a budget that a search may leave over."""

TINY = 5e-324
"""The smallest amount that can be written down."""


class Budget(msgspec.Struct, frozen=True):
    """An amount of what a law counts."""

    kind: str
    amount: float


def settle_many(questions: Sequence[Question], catalogue: Catalogue) -> list[Question | HplawError]:
    """Return questions with the sizes and data that their budgets or targets choose; an error where neither is
    said, or the target cannot be reached.
    """
    found: list[Question | HplawError] = list(questions)
    places = [place for place, question in enumerate(questions) if _unsettled(question)]
    if places:
        searches = [_settle(questions[place], catalogue) for place in places]
        for place, settled in zip(places, run_searches(in_step(searches), catalogue), strict=True):
            found[place] = settled
    return found


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
    [Budget(kind='accelerator_hours', amount=128.0)]
    """
    found = [Budget(kind, known[kind]) for kind in SPENT if kind in known]
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
    return names if _metered(known) else {name for name in names if name.endswith("_flop") or name == "target_loss"}


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
        if not question.asked and not _does_without(question, catalogue):
            message = f"{' and '.join(still)} {'is' if len(still) == 1 else 'are'} not given"
            raise QueryError(message, field=still[0], lists="sizes")
        return question
    if not _needs(question, still, catalogue):
        return question
    trials = Trials(question, catalogue)
    try:
        if budgets:
            first, *budgets = yield from _counted(trials, still, budgets)
            choice = yield from _spend(trials, still, first)
        else:
            choice = yield from _reach(trials, still, target or 0.0)
    except QueryError as error:
        wanted = any(name in question.want for name in still)
        if question.asked and not (wanted and isinstance(error, ConflictingQuery)):
            return question  # what can be had without a size is answered all the same, the rest has its reason
        raise
    if choice is None:
        return question
    # what is spent is counted again, so that the answer shows by which law
    settled = resized(question, choice.answer.values, without=choice.behind)
    settled = msgspec.structs.replace(settled, choice=choice)
    return (yield from _warned(settled, budgets, target if budgeted else None, catalogue))


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
        others, first = [first, *others], Budget("compute_flop", positive(found_in(found, "compute_flop")))
    return [first, *others]


def _needs(question: Question, still: Sequence[str], catalogue: Catalogue) -> bool:
    """Return whether what is wanted depends on what is open."""
    if not question.asked or any(name in question.want for name in still):
        return True
    names = {slot.quantity for slot in route_of(question, catalogue).slots}
    return any(name in names for name in still) or not all(name in names for name in question.want)


# Spending a budget


def _spend(trials: Trials, still: Sequence[str], budget: Budget) -> Search[Choice | None]:
    """Search for the size and data that use a budget up, those of lowest loss where both are open."""
    known = trials.question.known
    if len(still) == 1 and budget.kind == "compute_flop" and "compute_flop" in known:
        return None  # a quotient, for which there is a law
    paid = Paid(trials, budget)
    behind = (budget.kind,)
    if "tokens" not in still:
        n = yield from paid.size(known["tokens"])
        (price,) = yield from paid.prices([(n, known["tokens"])])
        return _choice(price.law, {"n_params": n}, spreads={"n_params": _inverse(n, price)}, behind=behind)
    if "n_params" in still and not known.get("tokens_per_device_s"):
        return (yield from _best(paid))
    n = known.get("n_params")
    (tokens,) = yield from paid.tokens([n if "n_params" not in still else SIZES[0]])
    sizes = {"tokens": tokens}
    if "n_params" in still:
        # a measured speed is that of one size: the one that the law expects it of
        n = sizes["n_params"] = yield from paid.size(tokens)
    (price,) = yield from paid.prices([(n, tokens)])
    return _choice(price.law, sizes, spreads={"tokens": _inverse(tokens, price)}, behind=behind)


def _best(paid: Paid) -> Search[Choice]:
    """Choose the size of lowest loss that a budget pays for."""
    lowest = yield from _lowest(paid)
    n, tokens = lowest.n, lowest.tokens
    (price,) = yield from paid.prices([(n, tokens)])
    chosen = {"n_params": n, "tokens": tokens}
    optimum = yield from paid.trials.optimum(n, tokens)
    spreads, transfers = (
        {
            # a budget that buys twice the compute goes half into size, half into data
            name: _wider(_around(optimum, name, side, value), _inverse(value, price, share=0.5), value)
            for name, value in chosen.items()
        }
        for side in ("spread", "transfer")
    )
    plateaus: dict[str, tuple[float, float]] = {}
    if lowest.bend > 0:
        wide = math.exp(math.sqrt(2 * PLATEAU / lowest.bend))
        plateaus = {name: (value / wide, value * wide) for name, value in chosen.items()}
    behind = (paid.budget.kind, "loss")
    return _choice(lowest.loss.law, chosen, spreads=spreads, transfers=transfers, plateaus=plateaus, behind=behind)


class Lowest(msgspec.Struct, frozen=True):
    """Where a budget reaches its lowest loss; `bend` is the second derivative there, of the logarithms."""

    n: float
    tokens: float
    loss: Found
    bend: float


def _lowest(paid: Paid) -> Search[Lowest]:
    """Search for the size of lowest loss: from end to end, about the best of these, and at the parabola through them."""
    start = yield from paid.usual_size()
    low = max(SIZES[0], start * (USUAL_RATIO / RATIOS[1]) ** 0.5)
    high = min(SIZES[1], start * (USUAL_RATIO / RATIOS[0]) ** 0.5)
    sizes = ladder(low, high, COUNTS[0])
    first = yield from paid.losses(sizes)
    best = _least(first)
    sizes = ladder(sizes[max(best - 1, 0)], sizes[min(best + 1, COUNTS[0] - 1)], COUNTS[1])
    found = yield from paid.losses(sizes)
    best = _least(found)
    curve = Parabola.through([math.log(n) for n in sizes], [math.log(positive(loss)) for _, loss in found], best)
    n = math.exp(curve.lowest)
    ((tokens, loss),) = yield from paid.losses([n])
    if positive(loss) > positive(found[best][1]):  # a loss that is not smooth has its lowest point elsewhere
        n, (tokens, loss) = sizes[best], found[best]
    return Lowest(n, tokens, loss, curve.bend)


def _least(found: Sequence[tuple[float, Found]]) -> int:
    losses = [positive(loss) for _, loss in found]
    return losses.index(min(losses))


COUNTS = (8, 7)
"""Sizes that are tried, first from end to end, then about the best of these."""


class Paid:
    """What a budget pays for: the trials of one question, priced."""

    def __init__(self, trials: Trials, budget: Budget) -> None:
        self.trials, self.budget = trials, budget

    def prices(self, points: Sequence[Point], *, without: Sequence[str] = ()) -> Search[list[Found]]:
        """Return what runs of some sizes and tokens take of the budget's kind."""
        found = yield from self.trials.values((self.budget.kind,), points, without=without)
        return [found_in(outcome, self.budget.kind) for outcome in found]

    def tokens(self, sizes: Sequence[float | None]) -> Search[list[float]]:
        """Return the tokens that use the budget up, by size."""
        tokens = [FIRST_TOKENS] * len(sizes)
        shares = [1.0] * len(sizes)
        for _ in range(8):  # a law in proportion to tokens, as all here are, is right after the first
            prices = yield from self.prices(list(zip(sizes, tokens, strict=True)))
            shares = [self.budget.amount / positive(price) for price in prices]
            tokens = [rows.clamp(count * share, *DATA_EVER) for count, share in zip(tokens, shares, strict=True)]
            if all(abs(share - 1) < EXACT for share in shares):
                return tokens
        if any(abs(share - 1) > SPARE for share in shares):
            raise self.nothing()
        return tokens

    def size(self, tokens: float) -> Search[float]:
        """Return the size that uses the budget up with these tokens, by the speed that the law expects."""

        def dear(n: float) -> Search[float]:
            (price,) = yield from self.prices([(n, tokens)], without=("tokens_per_device_s",))
            return apart(positive(price), self.budget.amount)

        n = yield from find_root(dear, SIZES)
        if n is None:
            message = f"no size between {SIZES[0]:g} and {SIZES[1]:g} parameters uses {self.said} up with tokens={number(tokens)}; give another budget"
            raise ConflictingQuery(message, field="tokens")
        return n

    def usual_size(self) -> Search[float]:
        """Return the size that the budget pays the usual number of tokens per parameter for."""
        n, share = 1e9, math.inf
        for _ in range(12):
            (tokens,) = yield from self.tokens([n])
            share = tokens / (USUAL_RATIO * n)
            if abs(math.log(share)) < 0.05:
                return n
            n = rows.clamp(n * math.sqrt(share), *SIZES)
        if not RATIOS[0] <= USUAL_RATIO * share <= RATIOS[1]:
            raise self.nothing()
        return n

    def nothing(self) -> ConflictingQuery:
        """Return the error of a budget that is too small or too large for any run."""
        message = f"{self.said} buys no training between {SIZES[0]:g} and {SIZES[1]:g} parameters; give another budget"
        return ConflictingQuery(message, field=self.budget.kind)

    def losses(self, sizes: Sequence[float]) -> Search[list[tuple[float, Found]]]:
        """Return the tokens that the budget pays for and the loss then reached, by size."""
        tokens = yield from self.tokens(sizes)
        losses = yield from self.trials.losses(list(zip(sizes, tokens, strict=True)))
        return list(zip(tokens, losses, strict=True))

    @property
    def said(self) -> str:
        return f"{number(self.budget.amount)} {UNITS[self.budget.kind]}"


DATA_EVER = (1e-3, 1e22)
"""Tokens beyond which no trial is asked about."""


# Reaching a loss


def _reach(trials: Trials, still: Sequence[str], target: float) -> Search[Choice]:
    """Search for the data at which a size reaches a loss, the size for data, or both at the lowest compute."""
    known = trials.question.known
    aim = Aim(trials, target)
    n: float | None = known.get("n_params")
    sizes: dict[str, float] = {}
    if "n_params" not in still:

        def of_data(tokens: float) -> Point:
            return n, tokens

        tokens = sizes["tokens"] = yield from aim.solve(of_data, DATA, "any number of tokens")
    elif "tokens" not in still:
        tokens = float(known["tokens"])

        def of_size(size: float) -> Point:
            return size, tokens

        n = sizes["n_params"] = yield from aim.solve(of_size, SIZES, "a model of any size")
    else:
        n, tokens = yield from _cheapest(aim)
        sizes = {"n_params": n, "tokens": tokens}
    (loss,) = yield from trials.losses([(n, tokens)])
    # the interval is read along the line on which the target was looked for
    way = 1 / len(sizes)
    factors = {step: math.exp(way * step) for step in range(-REACH, REACH + 1)}
    points: list[Point] = [
        (n and n * (by if "n_params" in sizes else 1.0), tokens * (by if "tokens" in sizes else 1.0))
        for by in factors.values()
    ]
    found = yield from trials.losses(points)
    spreads, transfers = (
        _crossings(sizes, [getattr(one, side) for one in found], target) for side in ("spread", "transfer")
    )
    return _choice(loss.law, sizes, spreads=spreads, transfers=transfers, behind=("loss",), reason=MISSABLE)


MISSABLE = "the target lies within the interval of the loss at any size, so there is no interval"
"""Why what reaches a target has no interval."""

REACH = 8
"""E-folds, of size and data together, on each side of what reaches a target, in which its interval is looked for."""


class Aim:
    """A loss to reach, and the trials of one question."""

    def __init__(self, trials: Trials, target: float) -> None:
        self.trials, self.target = trials, target

    def solve(self, point: Callable[[float], Point], ends: tuple[float, float], most: str) -> Search[float]:
        """Return where on a line the loss is reached.

        **Raises:** `ConflictingQuery` where it is reached nowhere, or everywhere.
        """

        def missed(x: float) -> Search[float]:
            (loss,) = yield from self.trials.losses([point(x)])
            return apart(self.target, positive(loss))

        x = yield from find_root(missed, ends)
        if x is None:
            (far,) = yield from self.trials.losses([point(ends[1])])
            reached = positive(far) < self.target
            law = far.law.id if far.law else "the law"
            message = f"target_loss={self.target:g} is above any loss that {law} gives with {most}; give a lower loss"
            if not reached:
                message = f"target_loss={self.target:g} is out of reach: {law} gives {number(far.value or 0.0, digits=4)} at best with {most}; give a higher loss"
            raise ConflictingQuery(message, field="target_loss")
        return x


def _cheapest(aim: Aim) -> Search[tuple[float, float]]:
    """Return the size and the tokens that reach a loss with the lowest compute: in the ratio that is best there."""
    ratio = USUAL_RATIO
    for last in (False, True):

        def in_ratio(n: float, ratio: float = ratio) -> Point:
            return n, ratio * n

        n = yield from aim.solve(in_ratio, SIZES, "any size and data")
        if last:
            break
        lowest = yield from _lowest(Paid(aim.trials, Budget("compute_flop", 6 * ratio * n * n)))
        ratio = lowest.tokens / lowest.n
    return n, ratio * n


def _crossings(sizes: Mapping[str, float], spreads: Sequence[Spread | None], target: float) -> dict[str, Spread]:
    """Return between which sizes or data each quantile of the loss crosses the target, given it at each e-fold."""
    levels: list[float] = []
    for field in Spread.__struct_fields__:
        found = [getattr(spread, field, 0.0) / target for spread in spreads]
        place = next((i for i in range(len(found) - 1) if found[i] > 1 >= found[i + 1] > 0), None)
        if place is None:
            return {}  # a loss that may be out of reach has no largest size
        before, after = math.log(found[place]), math.log(found[place + 1])
        levels.append(place + before / (before - after))
    way, middle = 1 / len(sizes), levels[2]
    return {
        name: Spread(*[value * math.exp(way * (level - middle)) for level in levels]) for name, value in sizes.items()
    }


# What was chosen


UNKNOWN = "no law here gives an interval of the best size, so there is none"
"""Why what was chosen has no interval."""


def _choice(
    law: Law | None,
    values: dict[str, float],
    *,
    spreads: Mapping[str, Spread | None],
    transfers: Mapping[str, Spread | None] | None = None,
    plateaus: dict[str, tuple[float, float]] | None = None,
    behind: tuple[str, ...],
    reason: str = UNKNOWN,
) -> Choice:
    """Return what a search found, as an answer of the law that it was found by."""
    assert law is not None
    answer = Answer(
        law=law,
        status="ok",
        say=None,
        values=dict(values),
        failed={},
        spreads={name: spread for name, spread in spreads.items() if spread is not None},
        transfers={name: spread for name, spread in (transfers or {}).items() if spread is not None},
        plateaus=plateaus or {},
        at={},
    )
    return Choice(answer, behind, reason)


def _inverse(value: float, price: Found, *, share: float = 1.0) -> Spread | None:
    """Return how uncertain what a budget buys is: the dearer, the less, by a share of the logarithm."""
    spread, best = price.spread, price.value
    if spread is None or best is None:
        return None
    levels = msgspec.structs.astuple(spread)
    if levels[0] <= 0:
        return None
    return Spread(*[value * (best / level) ** share for level in levels[::-1]])


def _around(optimum: Outcome, name: str, side: str, value: float) -> Spread | None:
    """Return how uncertain a law says that the best size is, about the one found."""
    found = None if isinstance(optimum, HplawError) else optimum[name]
    spread: Spread | None = getattr(found, side, None)
    if found is None or found.value is None or spread is None:
        return None
    return Spread(*[value * level / found.value for level in msgspec.structs.astuple(spread)])


def _wider(spread: Spread | None, other: Spread | None, value: float) -> Spread | None:
    """Return two independent uncertainties as one, in quadrature of their logarithms."""
    if spread is None or other is None:
        return spread
    pairs = zip(msgspec.structs.astuple(spread), msgspec.structs.astuple(other), strict=True)
    far = [math.hypot(math.log(a / value), math.log(b / value)) for a, b in pairs]
    return Spread(*[value * math.exp(math.copysign(x, sign)) for x, sign in zip(far, _SIDES, strict=True)])


_SIDES = (-1.0, -1.0, 0.0, 1.0, 1.0)


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
        if need is not None and need.value is not None and need.value > OVER * budget.amount:
            unit = UNITS[budget.kind]
            text = f"the run needs {number(need.value)} {unit}, and the budget is {number(budget.amount)}"
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
