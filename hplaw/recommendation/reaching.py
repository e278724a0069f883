"""Reaching a loss: the data at which a size reaches it, the size for data, or both at the lowest cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from hplaw.answer.quantiles import Spread
from hplaw.errors import ConflictingQuery, HplawError
from hplaw.formatting import number
from hplaw.recommendation.choice import choose
from hplaw.recommendation.question import Choice
from hplaw.recommendation.spending import SIZES, USUAL_RATIO, Budget, Paid, lowest
from hplaw.recommendation.trials import (
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
)


DATA = (1e5, 1e20)
"""Tokens between which is looked."""


def reach(trials: Trials, still: Sequence[str], target: float) -> Search[Choice]:
    """Search for the data at which a size reaches a loss, the size for data, or both at the lowest compute."""
    known = trials.question.known
    aim = Aim(trials, target)
    n: float | None = known.get("n_params")
    sizes: dict[str, float] = {}
    behind: tuple[str, ...] = ("loss",)
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
        if "serve_tokens" in known:
            kind = LIFETIME[known.get("minimize", "flop")]
            n, tokens = yield from _minimum_for_life(aim, kind, n)
            behind = (*behind, kind)
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
    return choose(loss.law, sizes, spreads=spreads, transfers=transfers, behind=behind, reason=MISSABLE)


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
        best = yield from lowest(Paid(aim.trials, Budget("compute_flop", 6 * ratio * n * n)))
        ratio = best.tokens / best.n
    return n, ratio * n


LIFETIME = {"flop": "lifetime_flop", "joules": "lifetime_energy_j", "money": "lifetime_hours"}
"""What training and serving together take, by what is to be minimized."""


def _minimum_for_life(aim: Aim, kind: str, largest: float) -> Search[tuple[float, float]]:
    """Return the size and the tokens that reach a loss with the minimum of what training and serving take together.

    A model that is served is smaller than the one that is cheapest to train, and trained for longer.

    **Arguments:**

    - `kind`: what is to be minimized.
    - `largest`: the size that is cheapest to train.
    """

    def tokens_of(n: float) -> Search[float]:
        return (yield from aim.solve(lambda tokens: (n, tokens), DATA, "any number of tokens"))

    def priced(sizes: Sequence[float]) -> Search[list[tuple[float, float, float]]]:
        tokens = yield from in_step([tokens_of(n) for n in sizes])
        # a size that is too small for the loss takes any amount
        points = [(n, d) for n, d in zip(sizes, tokens, strict=True) if not isinstance(d, HplawError)]
        found = yield from aim.trials.values((kind,), points)
        return [(n, d, positive(found_in(one, kind))) for (n, d), one in zip(points, found, strict=True)]

    runs = yield from priced(ladder(largest / SMALLER, largest * 2, COUNT))
    best = min(range(len(runs)), key=lambda place: runs[place][2])
    runs = yield from priced(ladder(runs[max(best - 1, 0)][0], runs[min(best + 1, len(runs) - 1)][0], COUNT))
    n = math.exp(_bottom(runs))
    runs = yield from priced(ladder(n / NEAR, n * NEAR, 3))
    n = math.exp(_bottom(runs))
    return n, (yield from tokens_of(n))


def _bottom(runs: Sequence[tuple[float, float, float]]) -> float:
    """Return the logarithm of the size at the bottom of the parabola through the cheapest run and its neighbors."""
    best = min(range(len(runs)), key=lambda place: runs[place][2])
    return Parabola.through([math.log(n) for n, _, _ in runs], [math.log(price) for _, _, price in runs], best).lowest


NEAR = 1.1
"""Factor about the bottom found first at which it is looked for again."""

SMALLER, COUNT = 60.0, 7
"""How much smaller than the size that is cheapest to train is looked, and the sizes that are tried each time."""


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
