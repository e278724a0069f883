"""NUTS for the models of studies, in coordinates in which the normal around the mode is standard.

A study fits one model to many parts of its data. The mode and the Hessian there take a fraction of a second, and in
their coordinates the sampler needs short trajectories and next to no warm-up. All parts of one shape share one compiled
program, as data are arguments of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.flatten_util import ravel_pytree
from numpyro.diagnostics import summary
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import initialize_model

from hplaw.fit.model.double_precision import double_precision


Array = NDArray[np.float64]

CHAINS, WARMUP, DRAWS = 4, 200, 500
"""Chains, and iterations of each before and behind its warm-up."""

FLAT = 1e-4
"""Minimum curvature along a direction at the mode, in units of the parameters' own; a flatter one is taken for this."""


class Sample(msgspec.Struct, frozen=True):
    """Draws of a posterior.

    - `draws`: by name, parameters and deterministic values, `[draw, ...]`.
    - `r_hat`: the largest over the parameters; `divergences` of all chains together.
    """

    draws: dict[str, Array]
    r_hat: float
    divergences: int


class Sampler:
    """Samples one model at data of one shape.

    **Arguments:**

    - `model`: a numpyro model; all its arguments are arrays or numbers.
    - `chains`, `warmup`, `draws`: see the constants.
    - `adapt`: whether the sampler also adapts a scale for each coordinate, where posteriors are far from normal.
    """

    def __init__(
        self,
        model: Callable[..., None],
        *,
        chains: int = CHAINS,
        warmup: int = WARMUP,
        draws: int = DRAWS,
        adapt: bool = False,
    ) -> None:
        self._model = model
        self._mcmc = MCMC(
            NUTS(self._whitened, target_accept_prob=0.9, max_tree_depth=7, adapt_mass_matrix=adapt),
            num_warmup=warmup,
            num_samples=draws,
            num_chains=chains,
            chain_method="vectorized",
            progress_bar=False,
            jit_model_args=True,
        )
        self._potential: Any = None
        self._unravel: Any = None
        self._find: Any = None
        self._factor: Any = None
        self._start: Array = np.zeros(0)
        self._constrain: Any = None

    def run(self, key: Any, *data: Any) -> Sample:
        """Return draws of the posterior given the data."""
        with double_precision():
            args = tuple(jnp.asarray(each) for each in data)
            if self._find is None:
                self._prepare(args)
            mode, factor = self._standard(args)
            self._mcmc.run(key, mode, factor, *args, extra_fields=("diverging",))
            u = self._mcmc.get_samples(group_by_chain=True)["u"]
            told = summary({"u": np.asarray(u)}, group_by_chain=True)["u"]
            found = self._constrain(mode + u.reshape(-1, u.shape[-1]) @ factor.T, *args)
            lost = int(np.asarray(self._mcmc.get_extra_fields()["diverging"]).sum())
            draws = {name: np.asarray(values) for name, values in found.items()}
        return Sample(draws, float(np.max(told["r_hat"])), lost)

    def _prepare(self, args: tuple[Any, ...]) -> None:
        """Compile what finds the mode and what turns draws into parameters."""
        info = initialize_model(jax.random.PRNGKey(0), self._model, model_args=args, dynamic_args=True)
        start, self._unravel = ravel_pytree(jax.tree.map(jnp.zeros_like, info.param_info.z))
        self._potential = lambda flat, *given: info.potential_fn(*given)(self._unravel(flat))

        self._start = np.asarray(start)
        self._find = jax.jit(jax.value_and_grad(self._potential))

        def factor_of(mode: Any, *given: Any) -> Any:
            values, vectors = jnp.linalg.eigh(jax.hessian(self._potential)(mode, *given))
            return vectors / jnp.sqrt(jnp.maximum(values, FLAT))

        self._factor = jax.jit(factor_of)
        self._constrain = jax.jit(
            lambda flat, *given: jax.vmap(lambda row: info.postprocess_fn(*given)(self._unravel(row)))(flat)
        )

    def _standard(self, args: tuple[Any, ...]) -> tuple[Any, Any]:
        """Return the mode, and a factor of the covariance of the normal around it."""

        def energy(flat: Array) -> tuple[float, Array]:
            value, slope = self._find(flat, *args)
            if not np.isfinite(value):  # a step too far: the search comes back from it
                return 1e12, np.zeros_like(flat)
            return float(value), np.asarray(slope)

        mode = jnp.asarray(minimize(energy, self._start, jac=True, method="L-BFGS-B", options={"maxiter": 2000}).x)
        return mode, self._factor(mode, *args)

    def _whitened(self, mode: Any, factor: Any, *data: Any) -> None:
        place = dist.ImproperUniform(dist.constraints.real_vector, (), event_shape=mode.shape)
        u = numpyro.sample("u", place)
        with numpyro.handlers.block():  # the sites of the model inside are not those of this one
            energy = self._potential(mode + factor @ u, *data)
        numpyro.factor("posterior", -energy)
