"""What to choose: the values of a law's free quantities that make its expected loss least, under what is given.

With nothing fixed or bounded and no uncertainty, that is the law's closed form. Otherwise the mean over scenarios is
minimised; and scenario by scenario, to say where the best value of a new cell may lie.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.decide.alone import Alone
from hplaw.decide.minimise import Minimum, minimise
from hplaw.decide.ridges import Ridges
from hplaw.errors import ConflictingQuery, QueryError
from hplaw.evaluation.domain import distance
from hplaw.evaluation.point import closed_form, point
from hplaw.expression.backends import numpy_backend
from hplaw.forms.linex import Linex, linex
from hplaw.forms.log_linear import best_logs
from hplaw.law.law import Law, numpy_environment
from hplaw.posterior.discrepancy import stretch
from hplaw.posterior.scenarios import Scenarios, scenarios


Array = NDArray[np.float64]

PLATEAU = 1e-3
"""Share of expected loss that a value on the plateau may cost."""
_FAR = 30.0
"""E-folds from its start at which a quantity without bounds counts as having no best value."""
_ASIDE = 3.0
"""E-folds aside of a best value where the objective must be greater, so that it is one."""
_LARGEST = 690.0
"""Logarithm that a value may have, so that it can be written down."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What a law recommends.

    - `values`: chosen quantities; `samples` where each may really be best, `transfer` the same for another recipe.
    - `plateau`: range by quantity that costs at most a thousandth of expected loss.
    - `lets`: names of the law known by the way, scenario by scenario, at the values chosen.
    - `regret`: expected excess of what was minimised over each scenario's best, as a share.
    """

    values: dict[str, float]
    samples: dict[str, Array]
    transfer: dict[str, Array]
    plateau: dict[str, tuple[float, float]]
    regret: float | None
    lets: dict[str, Array] = {}


class _Problem:
    """One decision: the law, what is fixed, what is free between which bounds, and its scenarios."""

    def __init__(
        self, law: Law, known: Mapping[str, Any], bounds: Mapping[str, tuple[float | None, float | None]]
    ) -> None:
        assert law.spec.decision is not None
        self.law, self.known = law, known
        self.free = [name for name in law.chosen if known.get(name) is None]
        self.drawn: Scenarios = scenarios(law)
        self.bounded = any(name in bounds for name in self.free)
        limits = self.limits = [bounds.get(name, (None, None)) for name in self.free]
        self.low = np.array([[-math.inf if low is None else _log(low)] for low, _ in limits])
        self.high = np.array([[math.inf if high is None else _log(high)] for _, high in limits])
        self.stretch = stretch(law, distance(law, known).total)
        self.shift = {name: self.stretch * z for name, z in self.drawn.discrepancy.items()}

    @property
    def simple(self) -> bool:
        """Return whether the closed form is where each scenario is least: nothing fixed, nothing bounded."""
        return self.closed and not self.bounded

    @property
    def closed(self) -> bool:
        """Return whether the closed form applies as it stands."""
        return bool(self.law.optimum) and len(self.free) == len(self.law.chosen)

    def values(self, x: Sequence[float]) -> dict[str, float]:
        """Return the free quantities from their logarithms, no digit outside the bounds."""
        found: dict[str, float] = {}
        for name, (low, high), log in zip(self.free, self.limits, x, strict=True):
            value = math.exp(log)
            value = value if low is None else max(value, low)
            found[name] = value if high is None else min(value, high)
        return found

    def holds(self, found: Decision) -> bool:
        """Return whether nothing of a decision lies outside the bounds, so that they bind nothing.

        The other quantities at an edge of a plateau lie on their own plateaus.
        """
        for name, (low, high) in zip(self.free, self.limits, strict=True):
            scattered = [samples[name] for samples in (found.samples, found.transfer) if name in samples]
            parts = np.concatenate([[found.values[name], *found.plateau[name]], *scattered])
            if (low is not None and parts.min() < low) or (high is not None and parts.max() > high):
                return False
        return True

    def environment(
        self, x: Array | None, *, transfer: bool = False, shifted: bool = False, single: bool = False
    ) -> Any:
        """Return the law's names with the free quantities at `x[point, quantity, problem]`, logarithms."""
        values: dict[str, Any] = dict(self.drawn.point) if single else self.drawn.values(transfer=transfer)
        values.update(point_inputs(self.law, self.known))
        if x is not None:
            values.update({name: np.exp(x[:, i]) for i, name in enumerate(self.free)})
        if shifted:
            for name in self.law.chosen:
                if name in self.shift and name in values:
                    values[name] = values[name] * np.exp(-self.shift[name])
        return numpy_environment(self.law, values)

    def objective(self, x: Array, **how: bool) -> Array:
        """Return what is minimised at `x[point, quantity, problem]`, one column per problem or scenario."""
        assert self.law.spec.decision is not None
        name = self.law.spec.decision.minimise
        with np.errstate(all="ignore"):
            found = self.law.program(numpy_backend()).outputs[name](self.environment(x, **how))
        return np.where(np.isfinite(found), found, np.inf) * np.ones_like(x[:, 0])

    def mean(self, x: Array) -> Array:
        """Return the expected objective `[point, problem]` at `x[point, quantity, problem]`."""
        points, size, problems = x.shape
        spread = np.moveaxis(x, 1, 2).reshape(-1, size, 1)
        found = self.objective(spread, single=not self.drawn.uncertain)
        return found.mean(axis=1).reshape(points, problems) if found.ndim > 1 else found.reshape(points, problems)

    def start(self) -> Array:
        """Return where to begin `[quantity, 1]`: the closed form, or the best of a coarse scan over the domain."""
        found = closed_form(self.law, self.known)
        if found is not None:
            return np.clip(np.array([[math.log(found[name])] for name in self.free]), self.low, self.high)
        axes = [np.linspace(*self._reach(i), 25) for i in range(len(self.free))]
        grid = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)[:, :, None]
        values = self.mean(grid)[:, 0]
        return grid[int(np.argmin(values))]

    def _reach(self, i: int) -> tuple[float, float]:
        seen = self.law.spec.domain.get(self.free[i])
        low, high = (math.log(float(seen[0])) - 3, math.log(float(seen[1])) + 3) if seen else (-25.0, 30.0)
        return max(low, float(self.low[i, 0])), min(high, float(self.high[i, 0]))


def _log(limit: float) -> float:
    return math.log(limit) if limit > 0 else -math.inf


def point_inputs(law: Law, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a law that are known or have a stand-in, the chosen ones left out unless they are known."""
    filled = {name: 1.0 for name in law.chosen if known.get(name) is None}
    environment = point(law, {**known, **filled}).environment
    return {name: environment[name] for name in law.inputs if name not in filled}


def decide(
    law: Law, known: Mapping[str, Any], bounds: Mapping[str, tuple[float | None, float | None]] | None = None
) -> Decision:
    """Return what a law with a `[decision]` recommends for the quantities that `known` leaves free.

    **Arguments:**

    - `known`: values by quantity; a chosen quantity among them is fixed.
    - `bounds`: least and greatest value allowed for a free quantity, either None.

    **Raises:** `QueryError` where nothing is free, the bounds leave nothing to choose, or the law has no least point.
    """
    problem = _Problem(law, known, bounds or {})
    if not problem.free:
        message = f"{', '.join(law.chosen)} are all fixed; leave one of them out to have it chosen"
        raise QueryError(message, field=law.chosen[0])
    for name, low, high in zip(problem.free, problem.low[:, 0], problem.high[:, 0], strict=True):
        if high == -math.inf:
            message = f"the bounds of {name} leave nothing above zero"
            raise QueryError(message, field=f"bounds.{name}")
        if low > high:
            message = f"the bounds of {name} leave nothing: {math.exp(low):g} is above {math.exp(high):g}"
            raise QueryError(message, field=f"bounds.{name}")
    if problem.drawn.uncertain and linex(law) is not None:
        with np.errstate(all="ignore"):
            exactly = _exact(_Problem(law, known, {})) if problem.bounded else None
            if exactly is None or not problem.holds(exactly):
                exactly = _exact(problem)
        if exactly is not None:
            return exactly
    best = _least(problem)
    values = problem.values(best[:, 0].tolist())
    plateau = {name: _plateau(problem, best, i) for i, name in enumerate(problem.free)}
    if not problem.drawn.uncertain:
        return Decision(values=values, samples={}, transfer={}, plateau=plateau, regret=None)
    samples, least = _scatter(problem, best, transfer=False)
    transfer = _scatter(problem, best, transfer=True)[0] if problem.drawn.transfer else {}
    with np.errstate(all="ignore"):
        regret = float((problem.objective(best[None], shifted=True)[0] / least - 1).mean())
    regret = max(regret, 0.0) if math.isfinite(regret) else None
    return Decision(values=values, samples=samples, transfer=transfer, plateau=plateau, regret=regret)


def _exact(problem: _Problem) -> Decision | None:
    """Return the decision of a law whose objective is a sum of linex ridges, effects integrated in closed form.

    None where the ridges are not convex or leave a direction flat: then a search must do.
    """
    law, free = problem.law, problem.free
    inputs = {name: value for name, value in point_inputs(law, problem.known).items() if name not in law.chosen}
    fixed = {i: math.log(problem.known[name]) for i, name in enumerate(law.chosen) if name not in free}
    ridges = Ridges(_form(law), inputs, fixed, stretch=problem.stretch)
    alone = Alone(ridges)
    low, high = problem.low[:, 0].tolist(), problem.high[:, 0].tolist()
    closed = best_logs(law, inputs, transfer=False)[0] if law.optimum else None
    start = problem.start()[:, 0] if closed is None else closed.mean(axis=1)[list(ridges.free)]
    try:
        found = alone.least(start.tolist(), low, high)
        best = np.array([found])
        edges = (
            [_exact_plateau(problem, ridges, best[0], i) for i in range(len(free))]
            if problem.bounded
            else [(math.exp(a), math.exp(b)) for a, b in alone.plateau(found, PLATEAU)]
        )
    except (np.linalg.LinAlgError, OverflowError):
        return None
    known = all(math.isfinite(side) for edge in edges for side in edge)
    if not known or not ridges.convex or max(map(abs, found)) > _LARGEST:
        return None
    own, least = _own(problem, ridges, closed, best)
    other: dict[str, Array] = {}
    if problem.drawn.transfer:
        if problem.simple:
            there, closed = ridges, best_logs(law, inputs, transfer=True)[0]
        else:
            there = Ridges(_form(law, transfer=True), inputs, fixed, stretch=problem.stretch)
        other, _ = _own(problem, there, closed, best)
    regret = alone.astray(found) - least
    return Decision(
        values=problem.values(found),
        samples=own,
        transfer=other,
        plateau=dict(zip(free, edges, strict=True)),
        regret=max(math.expm1(regret), 0.0) if abs(regret) < 1 else None,
        lets={ridges.form.let: ridges.excess(best)[0]} if ridges.form.let else {},
    )


def _form(law: Law, *, transfer: bool = False) -> Linex:
    form = linex(law, transfer=transfer)
    assert form is not None
    return form


def _own(problem: _Problem, ridges: Ridges, closed: Array | None, best: Array) -> tuple[dict[str, Array], float]:
    """Return where each scenario has its own best values, by quantity, and the mean of its least excess there.

    `closed` has the logarithms of its closed form `[chosen, scenario]`, which hold where nothing is fixed or bounded.
    """
    if problem.simple and closed is not None:
        own = zip(problem.law.chosen, closed, strict=True)
        return {name: np.exp(log + problem.shift.get(name, 0.0)) for name, log in own}, 0.0
    x, least = ridges.own(best, problem.low[:, 0], problem.high[:, 0])
    return {name: np.exp(x[0, i]) for i, name in enumerate(problem.free)}, float(least.mean())


def _least(problem: _Problem) -> Array:
    """Return the logarithms `[quantity, 1]` at which the expected objective is least."""
    start = problem.start()
    if problem.closed and not problem.bounded and not problem.drawn.uncertain:
        return start
    low, high = np.maximum(problem.low, start - _FAR), np.minimum(problem.high, start + _FAR)
    found = minimise(problem.mean, start, low, high)
    name = _without_best(problem, found.x, start)
    if name is not None or not np.isfinite(found.value).all():
        name = name or problem.free[0]
        message = f"{problem.law.id} has no best {name} under what is given; fix it or bound it"
        raise ConflictingQuery(message, field=name)
    return found.x


def _without_best(problem: _Problem, x: Array, start: Array) -> str | None:
    """Return the quantity that runs away where nothing bounds it, or whose change aside costs nothing."""
    here = float(problem.mean(x[None])[0, 0])
    for i, name in enumerate(problem.free):
        for sign, limit in ((-1.0, problem.low[i, 0]), (1.0, problem.high[i, 0])):
            if math.isfinite(limit):
                continue
            aside = x.copy()
            aside[i] += sign * _ASIDE
            there = float(problem.mean(aside[None])[0, 0])
            away = sign * float(x[i, 0] - start[i, 0]) >= _FAR - 1e-6
            if away or there <= here + 1e-12 * abs(here):
                return name
    return None


def _scatter(problem: _Problem, best: Array, *, transfer: bool) -> tuple[dict[str, Array], Array]:
    """Return where each scenario has its own best values, by quantity, and its least objective there."""
    size = problem.drawn.size
    if problem.closed:
        with np.errstate(all="ignore"):
            environment = problem.environment(None, transfer=transfer)
            forms = problem.law.program(numpy_backend()).optimum
            own = np.array(
                [
                    np.log(forms[name](environment)) + problem.shift.get(name, 0.0) + np.zeros(size)
                    for name in problem.free
                ]
            )
        inside = np.clip(own, problem.low, problem.high)
        if (own == inside).all() or not problem.bounded:
            least = problem.objective(own[None], transfer=transfer, shifted=True)[0]
            return {name: np.exp(own[i]) for i, name in enumerate(problem.free)}, least
    start = np.repeat(best, size, axis=1)
    low, high = np.maximum(problem.low, best - _FAR), np.minimum(problem.high, best + _FAR)
    found: Minimum = minimise(lambda x: problem.objective(x, transfer=transfer, shifted=True), start, low, high)
    return {name: np.exp(found.x[i]) for i, name in enumerate(problem.free)}, found.value


def _plateau(problem: _Problem, best: Array, i: int) -> tuple[float, float]:
    """Return the range of one free quantity that costs at most `PLATEAU`, the others chosen anew."""
    rest = [j for j in range(len(problem.free)) if j != i]

    def profile(x: Array) -> Array:
        """Return the least expected objective with quantity `i` at each of `x`."""
        where = np.repeat(best, len(x), axis=1)
        where[i] = x
        if not rest:
            return problem.mean(where[None])[0]

        def others(y: Array) -> Array:
            full = np.repeat(where[None], y.shape[0], axis=0)
            full[:, rest] = y
            return problem.mean(full)

        return minimise(others, where[rest], problem.low[rest], problem.high[rest]).value

    limit = float(problem.mean(best[None])[0, 0]) * (1 + PLATEAU)
    low, high = float(problem.low[i, 0]), float(problem.high[i, 0])
    return _range(profile, float(best[i, 0]), limit, low, high)


def _exact_plateau(problem: _Problem, ridges: Ridges, best: Array, i: int) -> tuple[float, float]:
    """Return the same for a sum of ridges, `best[quantity]`, where bounds keep the edges from being simple roots."""
    places = ridges.free
    rest = [j for j in range(len(places)) if j != i]

    def profile(x: Array) -> Array:
        inner = ridges.held(places[i], x)
        start = np.repeat(best[None, rest], len(x), axis=0)
        y = inner.least(start, problem.low[rest, 0], problem.high[rest, 0]) if rest else start
        return inner.mean(y)

    limit = float(ridges.mean(best[None])[0]) + PLATEAU
    low, high = float(problem.low[i, 0]), float(problem.high[i, 0])
    return _range(profile, float(best[i]), limit, low, high)


def _range(
    profile: Callable[[Array], Array], best: float, limit: float, low: float, high: float
) -> tuple[float, float]:
    """Return the range around a best logarithm in which a profile stays within a limit, inside bounds."""

    def edge(sign: float) -> float:
        near, far = 0.0, min(abs((high if sign > 0 else low) - best), 8.0)
        for _ in range(4):  # each round narrows the bracket eightfold
            tries = np.linspace(near, far, 9)
            costly = profile(best + sign * tries) > limit
            if not costly.any():
                return best + sign * far
            first = int(np.argmax(costly))
            near, far = float(tries[max(first - 1, 0)]), float(tries[first])
        return best + sign * (near + far) / 2

    return math.exp(edge(-1.0)), math.exp(edge(1.0))
