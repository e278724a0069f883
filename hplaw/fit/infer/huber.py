"""What papers do: constants that minimize a robust sum of residuals, many starts and bootstraps as one JAX program.

The objective is the sum over runs of Huber's function of the residual (of the logarithm, where the law's `[fit]` says
so), or its limit, the sum of absolute residuals. Priors give starts and keep positive what must be positive; they do
not enter the objective. Steps are Newton's on the runs within `delta`, made safe by the weights that always descend.
"""

from __future__ import annotations

import functools as ft
import math
import time
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

import jax
import jax.numpy as jnp

from hplaw.errors import FitError
from hplaw.expression import names_in
from hplaw.expression.backends import jax_backend, numpy_backend
from hplaw.fit.model.double_precision import double_precision
from hplaw.fit.model.typed_jax import asarray, jacfwd, jit, solve
from hplaw.law import Law
from hplaw.law.program import Environment, Program
from hplaw.narrowing import is_tuple
from hplaw.posterior.priors import prior_arguments


Array = NDArray[np.float64]
Objective = Literal["huber", "l1"]
Fits = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array, jax.Array]]
"""Many fits at once: starts, weights of the runs and delta to ends, objectives and whether each still moved."""
State = tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]
"""Constants, residuals, objective, share of the safe matrix, damping, step, whether it still moves."""

DELTA = 1e-3
"""Residual at which Huber's function turns from quadratic to linear, in nats of the logarithm (Hoffmann et al. 2022)."""
ABSOLUTE = (1e-4, 1e-5, 1e-6, 1e-7)
"""The same where the sum of absolute residuals is wanted: one after the other, the last far below what runs resolve."""
STARTS = 64
"""Starts of the fit to all runs."""
BOOTSTRAPS = 4000
"""Resamples of the runs (Besiroglu et al. 2024)."""
_STEPS = 120
"""Steps after which a fit that still moves counts as not converged."""
_LANES = 250
"""Fits that run side by side: few enough for the processor's cache, many enough to fill its vectors."""
_POSITIVE = ("lognormal", "halfnormal", "gamma", "exponential")
_SHARES = ("beta",)


class HuberFit(msgspec.Struct, frozen=True, kw_only=True):
    """What a robust fit found.

    - `best`: constants by parameter; `derived` the lets that rest on constants alone; `value` the objective there.
    - `draws`: constants of every bootstrap fit, first axis bootstraps; `derived_draws` the same of the lets.
    - `objective`, `delta`: what was minimized.
    - `converged`: share of the bootstraps that stopped moving; `agreeing` share of the starts that found the best.
    - `seconds`: time of the fit and of the bootstraps, compilation included.
    """

    best: dict[str, float | list[float]]
    derived: dict[str, float]
    value: float
    draws: dict[str, Array]
    derived_draws: dict[str, Array]
    objective: Objective
    delta: float
    runs: int
    converged: float
    agreeing: float
    seconds: tuple[float, float]

    @property
    def words(self) -> str:
        """Return how it was fitted, in words."""
        least = "absolute residuals" if self.objective == "l1" else f"Huber's function of residuals at {self.delta:g}"
        size = next((len(values) for values in self.draws.values()), 0)
        return f"minimum sum of {least}, {size} bootstraps"

    @property
    def errors(self) -> dict[str, Array]:
        """Return the standard deviation of each constant over the bootstraps."""
        everything = {**self.draws, **self.derived_draws}
        if any(len(values) < 2 for values in everything.values()):
            return {}
        return {name: np.std(values, axis=0, ddof=1) for name, values in everything.items()}


def fit_huber(
    law: Law,
    frame: pl.DataFrame,
    *,
    objective: Objective = "huber",
    delta: float = DELTA,
    starts: int = STARTS,
    bootstrap: int = BOOTSTRAPS,
    seed: int = 0,
) -> HuberFit:
    """Return the constants of a law that minimize a robust sum of its residuals, and those of bootstraps.

    **Arguments:**

    - `law`: what it observes and on which scale is read in its `[fit]`; without one, the logarithm of its only output.
      Effects are held at zero.
    - `frame`: one row per run, inputs and the observed quantity as columns, as `read_runs` returns them.
    - `objective`: `huber`, or `l1` for the sum of absolute residuals.
    - `starts`: fits to all runs, from the priors' centers and draws around them; the best counts.
    - `bootstrap`: fits to runs drawn with replacement, from the best; 0 for none.

    **Raises:** `FitError` for a law without free constants, too few runs, or no start that leads anywhere.
    """
    if not (math.isfinite(delta) and delta > 0):
        message = (
            f"delta={delta:g} is not positive; give the residual from which runs count linearly, for example 0.001"
        )
        raise FitError(message)
    with double_precision():
        problem = _Problem(law, frame, ABSOLUTE if objective == "l1" else (delta,))
        return problem.solve(objective, starts, bootstrap, seed)


class _Free(msgspec.Struct, frozen=True):
    """One free constant: its parameter, its place in that, and how it is kept in its range."""

    name: str
    place: int | None
    kind: Literal["real", "positive", "share"]
    start: float
    spread: float

    def inward(self, value: float) -> float:
        """Return a value as the unbounded number that represents it."""
        match self.kind:
            case "positive":
                return math.log(value)
            case "share":
                return math.log(value / (1 - value))
            case _:
                return value


class _Problem:
    """Residuals of a law over runs as a function of one vector of unbounded numbers."""

    def __init__(self, law: Law, frame: pl.DataFrame, deltas: tuple[float, ...]) -> None:
        self.law, self.deltas = law, deltas
        fit = law.spec.fit
        self.observed = (fit.observed if fit else "") or _only_output(law)
        self.log = fit.transform == "log" if fit and fit.observed else True
        self.free = _free_constants(law)
        if not self.free:
            message = f"{law.id} has no constants to fit; give a law with [parameters]"
            raise FitError(message)
        if self.observed not in frame.columns:
            message = f"the runs have no {self.observed}, which {law.id} is fitted to"
            raise FitError(message)
        frame = frame.filter(pl.col(self.observed).is_not_null())
        self.runs = len(frame)
        if self.runs <= len(self.free):
            message = (
                f"{self.runs} runs cannot tell {len(self.free)} constants of {law.id}; give more runs than constants"
            )
            raise FitError(message)
        self.words = {
            name: frame[name].unique().to_list()
            for name in law.inputs
            if name in frame.columns and law.quantity(name).categorical
        }
        several = [name for name, found in self.words.items() if len(found) > 1]
        if several:
            message = (
                f"the runs have several values of {several[0]}; a robust fit takes one at a time, chosen by --where"
            )
            raise FitError(message)
        self.columns = {
            name: asarray(frame[name].cast(pl.Float64).to_numpy())
            for name in law.inputs
            if name in frame.columns and name not in self.words
        }
        seen = frame[self.observed].cast(pl.Float64).to_numpy()
        self.seen = asarray(np.log(seen) if self.log else seen)
        self.program = law.program(jax_backend())
        self.lets = _constant_lets(law)

    def environment(self, q: jax.Array | Array, program: Program, xp: Any) -> Environment:
        """Return the law's names at numbers `[constant, ...]`, the runs' inputs apart."""
        values: dict[str, Any] = {name: 0.0 for e in self.law.spec.effects.values() for name in e.of}
        entries: dict[str, list[jax.Array | Array]] = {}
        for i, free in enumerate(self.free):
            number = q[i]
            if free.kind == "positive":
                number = xp.exp(number)
            elif free.kind == "share":
                number = 1.0 / (1.0 + xp.exp(-number))
            entries.setdefault(free.name, []).append(number)
        for name, found in entries.items():
            values[name] = tuple(found) if self.law.spec.parameters[name].over else found[0]
        return program.environment(values)

    def residuals(self, q: jax.Array) -> jax.Array:
        """Return observed minus predicted by run; to be traced."""
        environment = self.environment(q, self.program, jnp)
        environment.update(self.columns)
        environment.update({name: found[0] for name, found in self.words.items()})
        predicted = self.program.outputs[self.observed](environment)
        return self.seen - (jnp.log(predicted) if self.log else predicted)

    def constants(self, q: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return parameters and constant lets at vectors `[fit, constant]`, first axis fits."""
        environment = self.environment(q.T, self.law.program(numpy_backend()), np)
        names = dict.fromkeys(free.name for free in self.free)
        found = {name: environment[name] for name in names}
        with np.errstate(all="ignore"):
            lets = {name: environment[name] * np.ones(len(q)) for name in self.lets}
        return {n: np.stack(v, axis=-1) if is_tuple(v) else v for n, v in found.items()}, lets

    def solve(self, objective: Objective, starts: int, bootstrap: int, seed: int) -> HuberFit:
        """Return the best of many starts, and the bootstraps from there."""
        began = time.perf_counter()
        rng = np.random.default_rng(seed)
        fits = jit(jax.vmap(ft.partial(minimise, self.residuals), in_axes=(0, 0, None)))
        # one shape for starts and bootstraps, so that the program is compiled once
        first = np.array([free.start for free in self.free])
        spread = np.array([free.spread for free in self.free])
        guesses = first + spread * rng.standard_normal((max(starts, 1), len(first)))
        guesses[0] = first
        ends, values, _ = self._all(fits, guesses, np.ones((len(guesses), self.runs)))
        if not np.isfinite(values).any():
            message = f"no start of {self.law.id} leads to a finite sum of residuals; give values near the truth in [parameters]"
            raise FitError(message)
        best = ends[int(np.nanargmin(values))]
        # what only the noise depends on stays where its prior puts it
        slope = np.asarray(jit(jacfwd(self.residuals))(asarray(best)))
        best = np.where(np.any(slope, axis=0), best, first)
        least = float(np.nanmin(values))
        agreeing = float(np.mean(values <= least * (1 + 1e-6) + 1e-300))
        middle = time.perf_counter()
        still = np.zeros(0, dtype=bool)
        found = np.zeros((0, len(best)))
        if bootstrap:
            weights = rng.multinomial(self.runs, [1 / self.runs] * self.runs, bootstrap)
            found, _, still = self._all(fits, np.tile(best, (bootstrap, 1)), weights.astype(float))
        point, lets = self.constants(best[None])
        draws, derived = self.constants(found)
        return HuberFit(
            best={name: value[0].tolist() for name, value in point.items()},
            derived={name: float(value[0]) for name, value in lets.items()},
            value=least,
            draws=draws,
            derived_draws=derived,
            objective=objective,
            delta=self.deltas[-1],
            runs=self.runs,
            converged=float(1 - still.mean()) if bootstrap else 1.0,
            agreeing=agreeing,
            seconds=(middle - began, time.perf_counter() - middle),
        )

    def _all(self, fits: Fits, starts: Array, weights: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Return ends, objectives and whether each still moved, lanes at a time."""
        parts: list[list[Array]] = []
        for begin in range(0, len(starts), _LANES):
            q, w = starts[begin : begin + _LANES], weights[begin : begin + _LANES]
            short = _LANES - len(q)
            q = np.concatenate([q, np.tile(q[:1], (short, 1))])
            w = np.concatenate([w, np.tile(w[:1], (short, 1))])
            found = (asarray(q),)
            for delta in self.deltas:
                found = fits(found[0], asarray(w), asarray(delta))
            parts.append([np.asarray(part)[: _LANES - short] for part in found])
        ends, values, still = (np.concatenate(part) for part in zip(*parts, strict=True))
        return ends, np.where(np.isfinite(values), values, np.nan), still


def minimise(
    residuals: Callable[[jax.Array], jax.Array], start: jax.Array, weights: jax.Array, delta: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return where the weighted sum of Huber's function of residuals is minimal, its value, and whether it still moved.

    Residuals within `delta` have curvature one and the others none: Newton's step, which is exact once it is known
    which are within. Where that overshoots, the matrix moves towards weights min(1, delta / |r|), whose step always
    descends, and then towards a short step down the slope. To be traced.
    """

    def score(r: jax.Array) -> jax.Array:
        size = jnp.abs(r)
        huber = jnp.where(size < delta, 0.5 * r * r, delta * (size - 0.5 * delta))
        total = (weights * huber).sum() / delta
        return jnp.where(jnp.isfinite(total), total, jnp.inf)

    def body(state: State) -> State:
        q, r, value, safe, damping, step, still = state
        slope = jacfwd(residuals)(q)
        size = jnp.maximum(jnp.abs(r), 1e-300)
        inside = jnp.where(size < delta, 1.0, 0.0)
        descending = jnp.minimum(1.0, delta / size)
        curvature = weights * ((1.0 - safe) * inside + safe * descending)
        pull = weights * jnp.clip(r, -delta, delta)
        matrix = slope.T @ (curvature[:, None] * slope)
        full = slope.T @ ((weights * descending)[:, None] * slope)
        matrix = matrix + jnp.diag(damping * jnp.diag(full) + 1e-300)
        move = -solve(matrix, slope.T @ pull)
        move = jnp.where(jnp.isfinite(move), move, 0.0)
        there = q + move
        r_there = residuals(there)
        value_there = score(r_there)
        better = value_there < value
        gain = jnp.where(better, value - value_there, 0.0)
        stuck = ~better & (safe >= 1.0) & (damping > 1e6)
        done = (better & (gain <= 1e-12 * (1.0 + value)) & (damping <= 1e-8)) | stuck
        q = jnp.where(better, there, q)
        r = jnp.where(better, r_there, r)
        value = jnp.where(better, value_there, value)
        damping = jnp.where(better, damping * 0.1, jnp.where(safe >= 1.0, jnp.maximum(damping * 10.0, 1e-8), damping))
        safe = jnp.where(better, safe * 0.2, jnp.minimum(1.0, safe * 5.0))
        return q, r, value, safe, damping, step + 1, still & ~done

    r = residuals(start)
    state = (start, r, score(r), asarray(0.04), asarray(1e-10), asarray(0), asarray(True))

    def moves(state: State) -> jax.Array:
        return state[6] & (state[5] < _STEPS)

    state = jax.lax.while_loop(moves, body, state)
    return state[0], state[2], state[6]


def _only_output(law: Law) -> str:
    numbers = [name for name, (_, over) in law.outputs.items() if over is None]
    if len(numbers) != 1:
        message = f"{law.id} gives {', '.join(law.outputs)} and has no [fit] that says which is observed"
        raise FitError(message)
    return numbers[0]


def _free_constants(law: Law) -> list[_Free]:
    """Return the constants to fit, each with a start and how far other starts may be."""
    found: list[_Free] = []
    for name, parameter in law.spec.parameters.items():
        size = len(law.namespace.scope.indices[parameter.over]) if parameter.over else None
        for place in range(size) if size else (None,):
            kind: Literal["real", "positive", "share"] = "real"
            start, spread = 0.0, 0.3
            if parameter.prior is not None:
                at = {parameter.over: place} if parameter.over and place is not None else None
                word, x = prior_arguments(law, parameter.prior, at)
                if word == "fixed":
                    message = f"{name} is fixed by its prior; write it among [constants]"
                    raise FitError(message)
                kind = "positive" if word in _POSITIVE else "share" if word in _SHARES else "real"
                start, spread = _around(word, x)
            if parameter.value is not None:
                value = parameter.value
                number = float(value[place or 0] if isinstance(value, list) else value)
                free = _Free(name, place, kind, 0.0, spread)
                start = free.inward(number)
                if parameter.prior is None:
                    spread = 0.1 * max(1.0, abs(number))
            found.append(_Free(name, place, kind, start, spread))
    return found


def _around(word: str, x: list[float]) -> tuple[float, float]:
    """Return center and spread of a prior in unbounded numbers."""
    match word, x:
        case ("normal" | "lognormal" | "atanh_normal", (mean, sd)):
            return mean, sd
        case ("truncnormal", (mean, sd, _, _)):
            return mean, sd
        case ("student_t", (_, mean, scale)):
            return mean, scale
        case ("uniform", (low, high)):
            return (low + high) / 2, (high - low) / 4
        case ("halfnormal", (scale,)):
            return math.log(scale), 1.0
        case ("exponential", (rate,)):
            return -math.log(rate), 1.0
        case ("gamma", (shape, rate)):
            return math.log(shape / rate), 1 / math.sqrt(shape)
        case _:
            return 0.0, 1.0


def _constant_lets(law: Law) -> list[str]:
    """Return the lets that rest on constants alone, as A, B and E may."""
    plain = {*law.spec.parameters, *law.spec.constants}
    found: list[str] = []
    for name, let in law.namespace.lets.items():
        words = set(names_in(let.tree))
        if not let.free and words <= plain and words & set(law.spec.parameters):
            found.append(name)
            plain.add(name)
    return [name for name in found if law.spec.parameters.keys() & _parameters_behind(law, name)]


def _parameters_behind(law: Law, name: str) -> set[str]:
    return set(law.words_of(name)) | {word for let in law.lets_behind([name]) for word in law.words_of(let)}
