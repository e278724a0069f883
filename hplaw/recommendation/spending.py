"""Spending a budget: the size and data that use it up, those of lowest loss where both are open."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from hplaw import rows
from hplaw.decide.decision import PLATEAU
from hplaw.errors import ConflictingQuery
from hplaw.formatting import number
from hplaw.recommendation.choice import around, choose, inverse, wider
from hplaw.recommendation.question import Choice
from hplaw.recommendation.trials import (
    EXACT,
    Found,
    Parabola,
    Point,
    Search,
    Trials,
    apart,
    find_root,
    found_in,
    ladder,
    positive,
)


SIZES = (1e5, 1e14)
"""Parameters between which is looked."""

RATIOS = (0.2, 20_000.0)
"""Tokens per parameter between which a way to spend a budget is looked for."""

USUAL_RATIO = 20.0
"""Tokens per parameter from which a search starts."""

FIRST_TOKENS = 1e12
"""Tokens that a size is priced with first."""

SPARE = 1e-3
"""Share of a budget that a search may leave over."""

UNITS = {
    "compute_flop": "FLOP",
    "training_flop": "FLOP",
    "accelerator_hours": "accelerator hours",
    "energy_kwh": "kWh",
    "energy_j": "J",
    "cost": "$",
}

NOTHING = 1e-12
"""Share of a budget that is left where serving takes it all: a run so small is never the best."""

SERVING = {
    "compute_flop": ("serve_flop", 1.0),
    "training_flop": ("serve_flop", 1.0),
    "accelerator_hours": ("serve_hours", 1.0),
    "energy_j": ("serve_energy_j", 1.0),
    "energy_kwh": ("serve_energy_j", 1 / 3.6e6),
    "cost": ("serve_cost", 1.0),
}
"""What serving takes of each kind of budget, and what one of its unit is in that of the budget."""


class Budget(msgspec.Struct, frozen=True):
    """An amount of what a law counts; `serves` says that it pays for serving too."""

    kind: str
    amount: float
    serves: bool = False

    @property
    def said(self) -> str:
        """Return the amount with its unit, as people read it."""
        return f"{number(self.amount)} {UNITS[self.kind]}"


def spend(trials: Trials, still: Sequence[str], budget: Budget) -> Search[Choice | None]:
    """Search for the size and data that use a budget up, those of lowest loss where both are open."""
    known = trials.question.known
    if len(still) == 1 and budget.kind == "compute_flop" and "compute_flop" in known and not budget.serves:
        return None  # a quotient, for which there is a law
    paid = Paid(trials, budget)
    behind = (budget.kind,)
    if "tokens" not in still:
        n = yield from paid.size(known["tokens"])
        (price,) = yield from paid.prices([(n, known["tokens"])])
        return choose(price.law, {"n_params": n}, spreads={"n_params": inverse(n, price)}, behind=behind)
    if "n_params" in still and not known.get("tokens_per_device_s"):
        return (yield from _best(paid))
    n = known.get("n_params")
    (tokens,) = yield from paid.tokens([n if "n_params" not in still else SIZES[0]])
    sizes = {"tokens": tokens}
    if "n_params" in still:
        # a measured speed is that of one size: the one that the law expects it of
        n = sizes["n_params"] = yield from paid.size(tokens)
    (price,) = yield from paid.prices([(n, tokens)])
    return choose(price.law, sizes, spreads={"tokens": inverse(tokens, price)}, behind=behind)


def _best(paid: Paid) -> Search[Choice]:
    """Choose the size of lowest loss that a budget pays for."""
    best = yield from lowest(paid)
    n, tokens = best.n, best.tokens
    (price,) = yield from paid.prices([(n, tokens)])
    chosen = {"n_params": n, "tokens": tokens}
    optimum = yield from paid.trials.optimum(n, tokens)
    spreads, transfers = (
        {
            # a budget that buys twice the compute goes half into size, half into data
            name: wider(around(optimum, name, side, value), inverse(value, price, share=0.5), value)
            for name, value in chosen.items()
        }
        for side in ("spread", "transfer")
    )
    plateaus: dict[str, tuple[float, float]] = {}
    if best.bend > 0:
        wide = math.exp(math.sqrt(2 * PLATEAU / best.bend))
        plateaus = {name: (value / wide, value * wide) for name, value in chosen.items()}
    behind = (paid.budget.kind, "loss")
    return choose(best.loss.law, chosen, spreads=spreads, transfers=transfers, plateaus=plateaus, behind=behind)


class Lowest(msgspec.Struct, frozen=True):
    """Where a budget reaches its lowest loss; `bend` is the second derivative there, of the logarithms."""

    n: float
    tokens: float
    loss: Found
    bend: float


def lowest(paid: Paid) -> Search[Lowest]:
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

    def left(self, points: Sequence[Point]) -> Search[list[float]]:
        """Return what the budget leaves for training once serving is paid, by size."""
        amount = self.budget.amount
        if not self.budget.serves:
            return [amount] * len(points)
        kind, scale = SERVING[self.budget.kind]
        found = yield from self.trials.values((kind,), points)
        served = [scale * positive(found_in(outcome, kind)) for outcome in found]
        return [max(amount - part, amount * NOTHING) for part in served]

    def tokens(self, sizes: Sequence[float | None]) -> Search[list[float]]:
        """Return the tokens that use the budget up, by size."""
        tokens = [FIRST_TOKENS] * len(sizes)
        shares = [1.0] * len(sizes)
        amounts = yield from self.left(list(zip(sizes, tokens, strict=True)))
        for _ in range(8):  # a law in proportion to tokens, as all here are, is right after the first
            prices = yield from self.prices(list(zip(sizes, tokens, strict=True)))
            shares = [amount / positive(price) for amount, price in zip(amounts, prices, strict=True)]
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
            (amount,) = yield from self.left([(n, tokens)])
            return apart(positive(price), amount)

        n = yield from find_root(dear, SIZES)
        if n is None:
            message = f"no size between {SIZES[0]:g} and {SIZES[1]:g} parameters uses {self.budget.said} up with tokens={number(tokens)}; give another budget"
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
        message = (
            f"{self.budget.said} buys no training between {SIZES[0]:g} and {SIZES[1]:g} parameters; give another budget"
        )
        return ConflictingQuery(message, field=self.budget.kind)

    def losses(self, sizes: Sequence[float]) -> Search[list[tuple[float, Found]]]:
        """Return the tokens that the budget pays for and the loss then reached, by size."""
        tokens = yield from self.tokens(sizes)
        losses = yield from self.trials.losses(list(zip(sizes, tokens, strict=True)))
        return list(zip(tokens, losses, strict=True))


DATA_EVER = (1e-3, 1e22)
"""Tokens beyond which no trial is asked about."""
