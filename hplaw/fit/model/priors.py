"""Priors and likelihoods of a law file as distributions of numpyro."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.typing import ArrayLike

from hplaw.errors import FitError
from hplaw.expression.backends import Backend
from hplaw.expression.compile import Function, compile_expression
from hplaw.expression.tree import Call
from hplaw.fit.model.typed_jax import asarray
from hplaw.law import Law
from hplaw.law.formulas import check_call
from hplaw.law.likelihood import Likelihood
from hplaw.law.priors import HYPERPRIORS
from hplaw.law.program import Environment
from hplaw.law.scope import index_symbol


def _truncated(mean: Array, sd: Array, low: Array, high: Array) -> dist.Distribution:
    return dist.TruncatedNormal(mean, sd, low=low, high=high)


_DISTRIBUTIONS: Mapping[str, Callable[..., dist.Distribution]] = {
    "normal": dist.Normal,
    "lognormal": dist.LogNormal,
    "halfnormal": dist.HalfNormal,
    "uniform": dist.Uniform,
    "beta": dist.Beta,
    "gamma": dist.Gamma,
    "student_t": dist.StudentT,
    "exponential": dist.Exponential,
    "truncnormal": _truncated,
}


class Prior:
    """A prior of a law file, compiled: a name and functions of an environment, one row of them per entry of an index."""

    def __init__(self, law: Law, text: str, key: str, over: str | None, backend: Backend) -> None:
        self.text, self.key = text, key
        scope = law.namespace.scope
        extra = {over: index_symbol(over)} if over else {}
        for name, symbol in extra.items():
            scope = scope.with_symbol(name, symbol)
        self.call: Call = check_call(law.namespace, text, HYPERPRIORS, "parameters", key, over=extra)
        places: list[dict[str, int]] = [{over: i} for i in range(len(scope.indices[over]))] if over else [{}]
        self.over = over
        self.entries: list[list[Function]] = [
            [compile_expression(a, scope, backend, place) for a in self.call.arguments] for place in places
        ]

    def arguments(self, environment: Environment) -> list[Array]:
        """Return the arguments' values: numbers, or arrays over the index."""
        rows = [[f(environment) for f in functions] for functions in self.entries]
        if self.over is None:
            return [asarray(value, dtype=float) for value in rows[0]]
        return [jnp.stack([asarray(v, dtype=float) for v in column]) for column in zip(*rows, strict=True)]

    def sample(self, name: str, environment: Environment) -> Array:
        """Return the site of a parameter: a number, or an array over its index."""
        arguments = self.arguments(environment)
        match self.call.function:
            case "fixed":
                return numpyro.deterministic(name, arguments[0])
            case "atanh_normal":
                flat = numpyro.sample(f"{name}_atanh", _sized(dist.Normal(*arguments)))
                return numpyro.deterministic(name, jnp.tanh(flat))
            case "lkj":
                beta = dist.Beta(arguments[0], arguments[0])
                return numpyro.deterministic(name, 2.0 * numpyro.sample(f"{name}_share", beta) - 1.0)
            case _:
                return numpyro.sample(name, _sized(distribution(self.call, arguments)))

    def log_density(self, value: ArrayLike, environment: Environment) -> Array:
        """Return the logarithm of the density at a value."""
        return distribution(self.call, self.arguments(environment)).log_prob(value).sum()


def distribution(call: Call, arguments: Sequence[Array]) -> dist.Distribution:
    """Return the distribution of a prior with these arguments.

    **Raises:** `FitError` for a prior that has no density.
    """
    if call.function not in _DISTRIBUTIONS:
        message = f"{call.function} cannot stand here; use normal, lognormal or another with a density"
        raise FitError(message)
    return _DISTRIBUTIONS[call.function](*arguments)


def _sized(distribution: dist.Distribution) -> dist.Distribution:
    return distribution.to_event(1) if distribution.batch_shape else distribution


def noise_of(likelihood: Likelihood, mean: Array, scale: ArrayLike | None) -> dist.Distribution:
    """Return the distribution of observations around `mean`, in the scale that the likelihood is written in."""
    if likelihood.family == "bernoulli_logits":
        return dist.Bernoulli(logits=mean)
    assert scale is not None
    match likelihood.family:
        case "normal":
            return dist.Normal(mean, scale)
        case "student_t":
            assert likelihood.freedom is not None
            return dist.StudentT(likelihood.freedom, mean, scale)
        case "lognormal":
            return dist.LogNormal(jnp.log(mean), scale)
