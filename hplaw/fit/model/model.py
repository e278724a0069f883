"""A law and a table of runs as a numpyro model: everything it needs is in the law file.

The formulas are those that the law is served with, compiled for JAX and evaluated at all rows of a likelihood at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import FitError, LawError
from hplaw.evaluation.inputs import inputs
from hplaw.expression import Kind, Symbol, names_in
from hplaw.expression.backends import jax_backend
from hplaw.expression.compile import Function, compile_expression
from hplaw.expression.tree import Call, Node
from hplaw.fit.data.runs import bounds_by, condition, observed_by
from hplaw.fit.model.bounds import log_share
from hplaw.fit.model.groups import Effect
from hplaw.fit.model.priors import Prior, distribution, noise_of
from hplaw.fit.model.pseudo_observations import Pseudo, pseudo_observations
from hplaw.fit.model.typed_jax import asarray, zeros
from hplaw.law import Law
from hplaw.law.format import LikelihoodSpec
from hplaw.law.likelihood import SCALE, read_likelihood
from hplaw.law.program import Environment
from hplaw.posterior.scenarios import factor


Rows = NDArray[np.int64]


class Block(msgspec.Struct, frozen=True):
    """Rows evaluated together: their places, categories by name as columns of words, and numbers by name."""

    rows: Rows
    categories: Mapping[str, str | NDArray[np.object_]]
    numbers: Mapping[str, Array]


class Likelihood:
    """One observed quantity: its rows, its formula, and its noise.

    - `within`: which rows tell bounds rather than a value.
    - `told`: which have a value that a prediction can be held against: no bound, or one on each side.
    """

    def __init__(self, model: Model, spec: LikelihoodSpec, rows: NDArray[np.bool_], *, table: str) -> None:
        law = model.law
        self.spec = spec
        self.quantity = spec.observed
        self.block = model.block(rows)
        self.rows = self.block.rows
        self.log = spec.transform == "log"
        self.observed = self._column(model.frame, spec.observed)
        self.low, self.high = self._column(model.frame, spec.low), self._column(model.frame, spec.high)
        self.within = ~(np.isnan(self.low) & np.isnan(self.high))
        self.told = ~np.isnan(self.observed) & (~(np.isnan(self.low) | np.isnan(self.high)) | ~self.within)
        self.mean: Function = (
            _logarithm(law, law.outputs[spec.observed][0].tree)
            if self.log
            else model.compile(law.outputs[spec.observed][0].tree)
        )
        self.noise = read_likelihood(law.namespace, law.spec.constants, spec.likelihood, table=table)
        scope = law.namespace.scope.with_symbol(SCALE, Symbol(Kind.INPUT))
        self.width: Function | None = (
            None if self.noise.scale is None else compile_expression(self.noise.scale, scope, model.backend)
        )
        self.scale: Function | None = None
        if spec.scale:
            formula = law.namespace.formula(spec.scale, table=table, key="scale")
            self.scale = model.compile(formula.tree)

    def _column(self, frame: pl.DataFrame, name: str) -> NDArray[np.float64]:
        """Return a column at this likelihood's rows as the law observes it, NaN where a row does not tell."""
        if name not in frame.columns:
            return np.full(len(self.rows), np.nan)
        found = frame[name].to_numpy().astype(np.float64)[self.rows]
        return np.log(found) if self.log else found

    def score(self, noise: dist.Distribution) -> Array:
        """Return the log density of the observations `[row]`, or the log of the share of the noise within their bounds."""
        if not self.within.any():
            return noise.log_prob(asarray(self.observed))
        middle = np.where(self.within, 0.0, self.observed)
        exact = zeros(len(middle)) if self.within.all() else noise.log_prob(asarray(middle))
        bounded = log_share(noise, self.noise.freedom, self.low, self.high)
        return jnp.where(asarray(self.within), bounded, exact)

    def at(self, environment: Environment) -> tuple[Array, dist.Distribution]:
        """Return mean and distribution of the rows."""
        mean = jnp.broadcast_to(self.mean(environment), self.rows.shape)
        if self.scale is not None:
            environment[SCALE] = self.scale(environment)
        return mean, noise_of(self.noise, mean, None if self.width is None else self.width(environment))


def _logarithm(law: Law, tree: Node) -> Function:
    """Return the logarithm of a formula; that of an exponential without the detour, which could overflow."""
    backend = jax_backend()
    if isinstance(tree, Call) and tree.function == "exp":
        return compile_expression(tree.arguments[0], law.namespace.scope, backend)
    inner = compile_expression(tree, law.namespace.scope, backend)
    return lambda environment: jnp.log(inner(environment))


class Model:
    """A law's numpyro model over a table of runs; calling it within numpyro draws and scores everything once.

    **Arguments:**

    - `law`: a law with `[fit]`.
    - `frame`: its runs, as `read_runs` returns them, those that `keep` refuses omitted.
    - `catalogue`: where the laws of `[[fit.pseudo]]` are found.
    - `centred`: false draws no effect around its center, whatever the law gives.

    **Raises:** `FitError` where the rows have nothing that the law uses.
    """

    def __init__(
        self, law: Law, frame: pl.DataFrame, catalogue: Catalogue | None = None, *, centred: bool = True
    ) -> None:
        fit = law.spec.fit
        if fit is None:
            message = f"{law.id} has no [fit]; give a law that says how it is fitted"
            raise FitError(message)
        self.law, self.frame = law, frame
        self.backend = jax_backend()
        self.program = law.program(self.backend)
        self.effects = {name: Effect(law, name, frame, self.backend, centred=centred) for name in law.spec.effects}
        self.parameters = _ordered(
            law,
            {
                name: Prior(law, item.prior, name, item.over, self.backend)
                for name, item in law.spec.parameters.items()
                if item.prior is not None
            },
        )
        self.constants = {
            name: tuple(item.value) if isinstance(item.value, list) else item.value
            for name, item in law.spec.parameters.items()
            if item.prior is None
        }
        self.factors = [
            (
                Prior(law, item.density, "factor", None, self.backend),
                self.compile(law.namespace.formula(item.of, table="fit.factors", key="of").tree),
            )
            for item in fit.factors
        ]
        self.latents = self._find_latents()
        self.likelihoods = list(self._find_likelihoods())
        self.found = self._find_best_settings()
        self.pseudo: list[Pseudo] = pseudo_observations(law, frame, catalogue)
        if not self.likelihoods and not self.found and not self.pseudo:
            message = f"no row tells of {', '.join(observed_by(law))}; {law.id} has nothing to be fitted to"
            raise FitError(message)

    def compile(self, tree: Node) -> Function:
        """Return a formula of the law as a function of an environment over JAX."""
        return compile_expression(tree, self.law.namespace.scope, self.backend)

    def block(self, rows: NDArray[np.bool_]) -> Block:
        """Return the rows chosen."""
        here = self.frame.filter(pl.Series(rows))
        known = {name: here[name] for name in self.law.inputs if name in here.columns}
        categorical = {name for name in known if self.law.quantity(name).categorical}
        return Block(
            rows=np.flatnonzero(rows),
            categories={name: _words(known[name]) for name in known if name in categorical},
            numbers={name: asarray(known[name].to_numpy()) for name in known if name not in categorical},
        )

    def _find_latents(self) -> dict[str, tuple[Prior, Rows]]:
        """Return the inputs with a prior that some rows do not know, and those rows."""
        found: dict[str, tuple[Prior, Rows]] = {}
        for item in inputs(self.law):
            if item.prior is None:
                continue
            known = item.name in self.frame.columns
            empty = self.frame[item.name].is_null().to_numpy() if known else np.ones(len(self.frame), dtype=bool)
            if empty.any():
                prior = Prior(self.law, item.prior, item.name, None, self.backend)
                found[item.name] = prior, np.flatnonzero(empty)
        return found

    def _find_likelihoods(self) -> Iterator[Likelihood]:
        fit = self.law.spec.fit
        assert fit is not None
        if fit.observed:
            spec = LikelihoodSpec(
                observed=fit.observed, likelihood=fit.likelihood, scale=fit.scale, transform=fit.transform
            )
            if self._present(fit.observed).any():
                yield Likelihood(self, spec, self._present(fit.observed), table="fit")
        for spec in fit.likelihoods:
            rows = self._present(spec.observed) | self._present(spec.low) | self._present(spec.high)
            if spec.when:
                rows &= condition(self.frame, self.law, spec.when, table="fit.likelihoods", key="when")
            if rows.any():
                yield Likelihood(self, spec, rows, table="fit.likelihoods")

    def _present(self, name: str) -> NDArray[np.bool_]:
        if name not in self.frame.columns:
            return np.zeros(len(self.frame), dtype=bool)
        return self.frame[name].is_not_null().to_numpy().copy()

    def _find_best_settings(self) -> list[tuple[list[str], Block, NDArray[np.float64]]]:
        """Return tuned optima that a user found: which chosen quantities, the rows, and a factor of their covariance."""
        observed = {item.quantity for item in self.likelihoods}
        fit = self.law.spec.fit
        assert fit is not None
        observed |= {name for name in (fit.observed, *(item.observed for item in fit.likelihoods)) if name}
        observed |= {*bounds_by(self.law)}
        rest = np.ones(len(self.frame), dtype=bool)
        for name in observed:
            rest &= ~self._present(name)
        if not rest.any():
            return []
        discrepancy = self.law.spec.predict.discrepancy
        if discrepancy is None or not self.law.optimum:
            message = f"row {int(np.argmax(rest)) + 1} has no {' or '.join(sorted(observed))}; {self.law.id} does not cover how well a tuned optimum is found"
            raise FitError(message)
        names = [name for name in self.law.chosen if name in discrepancy.of]
        present = {name: self._present(name) for name in names}
        found: list[tuple[list[str], Block, NDArray[np.float64]]] = []
        for pattern in dict.fromkeys(tuple(bool(present[n][i]) for n in names) for i in np.flatnonzero(rest)):
            rows = rest.copy()
            for name, told in zip(names, pattern, strict=True):
                rows &= present[name] == told
            told = [name for name, is_told in zip(names, pattern, strict=True) if is_told]
            places = [discrepancy.of.index(name) for name in told]
            covariance = np.asarray(discrepancy.covariance)[np.ix_(places, places)]
            found.append((told, self.block(rows), factor(covariance) + 0.0))
        return found

    # Drawing and scoring

    def sample(self) -> dict[str, Any]:
        """Draw all parameters, effects and latent inputs as sites; return them by name, effects as `[member, name]`."""
        environment = self.program.environment(self.constants)
        for name, prior in self.parameters.items():
            value = prior.sample(name, environment)
            environment[name] = _entries(value, self.law.spec.parameters[name].over)
        members = {name: effect.sample(environment) for name, effect in self.effects.items() if effect.active}
        for name, (prior, rows) in self.latents.items():
            entry = prior.arguments(environment)
            site = _latent(prior, entry, len(rows), name)
            environment[name] = site
        values = dict(environment)
        return {**values, **members}

    def environment(self, values: Mapping[str, Any], block: Block) -> Environment:
        """Return the law's names at some rows."""
        environment = self.program.environment(
            {n: v for n, v in values.items() if n not in self.effects and n not in self.latents}
        )
        environment.update(block.numbers)
        environment.update(block.categories)
        for name, (_, rows) in self.latents.items():
            place = np.searchsorted(rows, block.rows)
            unknown = np.isin(block.rows, rows)
            drawn = values[name][np.clip(place, 0, len(rows) - 1)]
            given = block.numbers.get(name)
            environment[name] = drawn if given is None else jnp.where(asarray(unknown), drawn, jnp.nan_to_num(given))
        for name, effect in self.effects.items():
            if effect.active:
                environment.update(effect.rows(values[name], block.rows))
            else:
                environment.update(dict.fromkeys(effect.spec.of, 0.0))
        return environment

    def predictions(self, values: Mapping[str, Any]) -> list[tuple[Array, dist.Distribution]]:
        """Return mean `[row]` and distribution of the observations, for each likelihood."""
        return [item.at(self.environment(values, item.block)) for item in self.likelihoods]

    def log_likelihood(self, values: Mapping[str, Any]) -> list[Array]:
        """Return the log density of every observation `[row]`, for each likelihood."""
        return [item.score(noise) for item, (_, noise) in zip(self.likelihoods, self.predictions(values), strict=True)]

    def __call__(self, weights: Array) -> None:
        """Draw everything and score the runs, each with its weight `[row]`: zero leaves a run out."""
        values = self.sample()
        plain = self.program.environment(
            {n: v for n, v in values.items() if n not in self.effects and n not in self.latents}
        )
        plain.update(dict.fromkeys((n for e in self.effects.values() for n in e.spec.of), 0.0))
        for i, (prior, of) in enumerate(self.factors):
            numpyro.factor(f"factor_{i}", prior.log_density(of(plain), plain))
        for i, (item, scores) in enumerate(zip(self.likelihoods, self.log_likelihood(values), strict=True)):
            numpyro.factor(f"runs_{i}", (weights[item.rows] * scores).sum())
        for i, (names, block, root) in enumerate(self.found):
            environment = self.environment(values, block)
            strays = jnp.stack(
                [
                    jnp.log(asarray(self.frame[name].to_numpy()[block.rows]))
                    - _logarithm(self.law, self.law.optimum[name].tree)(environment)
                    for name in names
                ],
                axis=-1,
            )
            noise = dist.MultivariateNormal(zeros(len(names)), covariance_matrix=asarray(root @ root.T))
            numpyro.factor(f"best_{i}", (weights[block.rows] * noise.log_prob(strays)).sum())
        for i, item in enumerate(self.pseudo):
            numpyro.factor(f"pseudo_{i}", self._pseudo(item, plain))

    def _pseudo(self, item: Pseudo, plain: Environment) -> Array:
        """Return the log density of another law's values as observations of this one, effects at zero."""
        total = zeros(())
        for point in item.points:
            environment = self.program.environment(dict(plain))
            for name in point.known:
                environment[name] = point.known[name]
            for name, value in point.values.items():
                formula = self.law.optimum.get(name) or self.law.outputs[name][0]
                mean = _logarithm(self.law, formula.tree)(environment)
                total = total + dist.Normal(mean, item.sd[name]).log_prob(math.log(value))
        return total


def _latent(prior: Prior, arguments: list[Array], size: int, name: str) -> Array:
    found = distribution(prior.call, arguments)
    return numpyro.sample(name, found.expand((size,)).to_event(1))


def _entries(value: Array, over: str | None) -> Array | tuple[Array, ...]:
    """Return a parameter as formulas want it: an indexed one as a tuple."""
    return tuple(value[i] for i in range(value.shape[0])) if over else value


def _ordered(law: Law, priors: Mapping[str, Prior]) -> dict[str, Prior]:
    """Return the priors in an order in which each speaks only of parameters before it."""
    found: dict[str, Prior] = {}
    pending = dict(priors)
    while pending:
        ready = [
            name
            for name, prior in pending.items()
            if not any(word in pending and word != name for a in prior.call.arguments for word in names_in(a))
        ]
        if not ready:
            message = f"the priors of {', '.join(pending)} use each other in a circle; break it"
            raise LawError(message, table="parameters", key=next(iter(pending)))
        for name in ready:
            found[name] = pending.pop(name)
    return found


def _words(column: pl.Series) -> str | NDArray[np.object_]:
    """Return a column of categories: one word where all rows have the same, which picks entries when it is compiled."""
    words = column.unique().to_list()
    return words[0] if len(words) == 1 else np.asarray(column.to_list(), dtype=object)
