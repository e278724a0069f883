"""Decisions of any law, one question at a time: the mean over scenarios is minimized by search."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from hplaw.arrays import Array
from hplaw.decide.decision import PLATEAU, Decision, Task
from hplaw.decide.minimise import Minimum, minimise
from hplaw.errors import ConflictingQuery
from hplaw.evaluation.point import closed_form
from hplaw.expression.backends import numpy_backend
from hplaw.law.law import numpy_environment
from hplaw.posterior.scenarios import Scenarios, scenarios


_FAR = 30.0
"""E-folds from its start at which a quantity without bounds counts as having no best value."""
_ASIDE = 3.0
"""E-folds aside of a best value where the objective must be greater, so that it is one."""


def by_search(task: Task) -> Decision:
    """Return what a law recommends: its closed form where nothing bounds or scatters it, else the minimum of a search.

    **Raises:** `ConflictingQuery` where the law has no minimum.
    """
    problem = _Problem(task)
    best = _least(problem)
    values = task.values(best[:, 0].tolist())
    plateau = {name: _plateau(problem, best, i) for i, name in enumerate(task.free)}
    if not problem.drawn.uncertain:
        return Decision(values=values, samples={}, transfer={}, plateau=plateau, regret=None)
    samples, least = _scatter(problem, best, transfer=False)
    transfer = _scatter(problem, best, transfer=True)[0] if problem.drawn.transfer else {}
    with np.errstate(all="ignore"):
        regret = float((problem.objective(best[None], shifted=True)[0] / least - 1).mean())
    regret = max(regret, 0.0) if math.isfinite(regret) else None
    return Decision(values=values, samples=samples, transfer=transfer, plateau=plateau, regret=regret)


class _Problem:
    """One decision: the law, what is fixed, what is free between which bounds, and its scenarios."""

    def __init__(self, task: Task) -> None:
        self.law, self.known, self.free = task.law, task.known, task.free
        self.bounded, self.closed = task.bounded, task.closed
        self.drawn: Scenarios = scenarios(task.law)
        self.inputs = task.inputs()
        self.low = np.array([[-math.inf if low is None else _log(low)] for low, _ in task.limits])
        self.high = np.array([[math.inf if high is None else _log(high)] for _, high in task.limits])
        self.shift = {name: task.stretch * z for name, z in self.drawn.discrepancy.items()}

    def environment(
        self, x: Array | None, *, transfer: bool = False, shifted: bool = False, single: bool = False
    ) -> Any:
        """Return the law's names with the free quantities at `x[point, quantity, problem]`, logarithms."""
        values: dict[str, Any] = dict(self.drawn.point) if single else self.drawn.values(transfer=transfer)
        values.update(self.inputs)
        if x is not None:
            values.update({name: np.exp(x[:, i]) for i, name in enumerate(self.free)})
        if shifted:
            for name in self.law.chosen:
                if name in self.shift and name in values:
                    values[name] = values[name] * np.exp(-self.shift[name])
        return numpy_environment(self.law, values)

    def objective(self, x: Array, **how: bool) -> Array:
        """Return what is minimized at `x[point, quantity, problem]`, one column per problem or scenario."""
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


def _least(problem: _Problem) -> Array:
    """Return the logarithms `[quantity, 1]` at which the expected objective is minimal."""
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
    """Return where each scenario has its own best values, by quantity, and its minimum objective there."""
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
    """Return the range of one free quantity that costs at most `PLATEAU`, the others chosen again."""
    rest = [j for j in range(len(problem.free)) if j != i]

    def profile(x: Array) -> Array:
        """Return the minimum expected objective with quantity `i` at each of `x`."""
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
