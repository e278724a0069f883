"""A model's log density over one flat vector of unconstrained numbers, compiled once and asked often."""

from __future__ import annotations

import functools as ft
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro
import numpyro.distributions as dist

from hplaw.expression import names_in, parse
from hplaw.fit.model.model import Model
from hplaw.fit.model.typed_jax import asarray, eval_shape, jit, ones, value_and_grad, zeros
from hplaw.law.priors import HYPERPRIORS, is_call


Array = NDArray[np.float64]

_STEP = 1e-4
"""Half the distance of the two points of a difference, in standard deviations of the prior."""
_PRIOR_DRAWS = 200


class Density:
    """The flat density of a model.

    - `sites`: place and shape of each site in the vector; `size` its length.
    - `scales`: places of what scatters the effects; a joint mode would pull them to zero, so they are treated apart.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.sites: dict[str, tuple[slice, tuple[int, ...]]] = {}
        self._trace_shapes()
        self.size = max((place.stop for place, _ in self.sites.values()), default=0)
        self.scales: NDArray[np.bool_] = self._find_scales()
        self.rows = len(model.frame)
        self._one = jit(self.potential)
        self._gradient = jit(value_and_grad(self.potential))
        self._constrain = jit(jax.vmap(self.constrain_one, in_axes=(0, None)))

    def _trace_shapes(self) -> None:
        """Run the model once without numbers, to see its sites."""
        model = self.model

        def run(weights: jax.Array) -> jax.Array:
            trace = numpyro.handlers.trace(numpyro.handlers.seed(model, jr.key(0))).get_trace(weights)
            start = 0
            for name, site in trace.items():
                if site["type"] != "sample" or site["is_observed"]:
                    continue
                support = dist.biject_to(site["fn"].support)
                shape = tuple(support.inverse_shape(tuple(site["value"].shape)))
                stop = start + int(np.prod(shape, dtype=int))
                self.sites[name] = slice(start, stop), shape
                start = stop
            return weights

        eval_shape(run, (len(model.frame),))

    def _find_scales(self) -> NDArray[np.bool_]:
        names: set[str] = set()
        for effect in self.model.effects.values():
            if not effect.active:
                continue
            for text in (*effect.spec.scale.values(), effect.spec.correlation or ""):
                if text and not is_call(text, HYPERPRIORS):
                    names |= set(names_in(parse(text)))
            hypers = [*effect.scales, *([effect.correlation] if effect.correlation else [])]
            names |= {hyper.name for hyper in hypers if hyper.prior is not None}
            names.add(f"{effect.name}_cholesky")
        names |= {f"{name}{ending}" for name in names for ending in ("_atanh", "_share")}
        marks = np.zeros(self.size, dtype=bool)
        for name, (place, _) in self.sites.items():
            marks[place] = name in names
        return marks

    @ft.cached_property
    def units(self) -> Array:
        """Return the spread of each number under its prior: half the distance of its 16 and 84% quantiles."""
        low, high = np.quantile(self.prior_draws, [0.16, 0.84], axis=0)
        return np.where(high > low, (high - low) / 2, 1.0)

    def unflatten(self, z: jax.Array) -> dict[str, jax.Array]:
        """Return a vector as sites by name, unconstrained."""
        return {name: z[place].reshape(shape) for name, (place, shape) in self.sites.items()}

    def potential(self, z: jax.Array, weights: jax.Array) -> jax.Array:
        """Return minus the log density at `z`, runs weighted; to be traced."""
        return numpyro.infer.util.potential_energy(self.model, (weights,), {}, self.unflatten(z))

    def constrain_one(self, z: jax.Array, weights: jax.Array) -> dict[str, jax.Array]:
        """Return all sites of one vector as the law means them; to be traced."""
        found = numpyro.infer.util.constrain_fn(
            self.model, (weights,), {}, self.unflatten(z), return_deterministic=True
        )
        return dict(found)

    def value_and_gradient(self, z: Array, weights: Array) -> tuple[float, Array]:
        """Return potential and gradient."""
        value, gradient = self._gradient(asarray(z), asarray(weights))
        return float(value), np.asarray(gradient)

    def value(self, z: Array, weights: Array) -> float:
        """Return the potential."""
        return float(self._one(asarray(z), asarray(weights)))

    def hessian(self, z: Array, weights: Array) -> Array:
        """Return the matrix of second derivatives, by differences of gradients: exact enough, and nothing to compile."""
        runs = asarray(weights)
        found = np.zeros((self.size, self.size))
        for i in range(self.size):
            step = _STEP * self.units[i]
            sides = np.stack([z, z])
            sides[0, i] += step
            sides[1, i] -= step
            above, below = (self._gradient(asarray(side), runs)[1] for side in sides)
            found[i] = (np.asarray(above) - np.asarray(below)) / (2 * step)
        return (found + found.T) / 2

    @ft.cached_property
    def prior_draws(self) -> Array:
        """Return draws from the priors `[draw, number]`, unconstrained."""

        def draw(key: jax.Array) -> jax.Array:
            seeded = numpyro.handlers.seed(self.model, key)
            trace = numpyro.handlers.trace(seeded).get_trace(ones(self.rows))
            parts = [
                dist.biject_to(trace[name]["fn"].support).inv(trace[name]["value"]).reshape(-1) for name in self.sites
            ]
            return jnp.concatenate(parts)

        return np.asarray(jit(jax.vmap(draw))(jr.split(jr.key(0), _PRIOR_DRAWS)))

    def values_one(self, z: jax.Array) -> dict[str, Any]:
        """Return what the model draws at one vector: parameters, effects `[member, name]`; to be traced."""
        sites = self.constrain_one(z, ones(self.rows))
        found = numpyro.handlers.substitute(numpyro.handlers.seed(self.model.sample, jr.key(0)), data=sites)
        return found()

    def predict(self, draws: Array, *, seed: int = 0) -> list[tuple[Array, Array]]:
        """Return means and replicates of the observations `[draw, row]`, for each likelihood, noise included in the latter."""

        found = self._predictor(asarray(draws), jr.split(jr.key(seed), len(draws)))
        return [(np.asarray(mean), np.asarray(replicate)) for mean, replicate in found]

    @ft.cached_property
    def _predictor(self) -> Callable[[jax.Array, jax.Array], list[tuple[jax.Array, jax.Array]]]:
        return jit(jax.vmap(self._predict_one))

    def _predict_one(self, z: jax.Array, key: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
        found = self.model.predictions(self.values_one(z))
        keys = jr.split(key, max(len(found), 1))
        return [(mean, noise.sample(k)) for (mean, noise), k in zip(found, keys, strict=False)]

    def best(self, draws: Array, rows: NDArray[np.int64]) -> tuple[Array, Array]:
        """Return the logarithms of the law's optimum `[draw, row, quantity]`: with the rows' own effects, and with none."""
        with_effects, without = self._optimum(asarray(draws))
        return np.asarray(with_effects)[:, rows], np.asarray(without)[:, rows]

    @ft.cached_property
    def _optimum(self) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
        return jit(jax.vmap(self._best_one))

    def _best_one(self, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        model = self.model
        values = self.values_one(z)
        none = {n: zeros(np.shape(v)) if n in model.effects else v for n, v in values.items()}
        block = model.block(np.ones(self.rows, dtype=bool))
        formulas = [model.compile(model.law.optimum[name].tree) for name in model.law.chosen]

        def optimum(names: dict[str, Any]) -> jax.Array:
            environment = model.environment(names, block)
            columns = [jnp.broadcast_to(formula(environment), (self.rows,)) for formula in formulas]
            return jnp.log(jnp.stack(columns, axis=-1))

        return optimum(values), optimum(none)

    def constrain(self, draws: Array) -> dict[str, Array]:
        """Return draws `[draw, number]` as arrays by name, first axis draws; those of parameters, effects and inputs."""
        found = self._constrain(asarray(draws), ones(self.rows))
        return {name: np.asarray(value, dtype=np.float64) for name, value in found.items()}
