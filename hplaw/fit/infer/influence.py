"""How a fit would move if runs counted a little more or less: implicit differentiation of its mode.

At the mode theta of a log density the gradient vanishes, F(theta, w) = 0 with w the weight of each group of runs, so that
d theta / d w = H^-1 d l_group / d theta, H the curvature there. Priors are treated alike, each with a weight of its own.
Scales of effects are held.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro

from hplaw.answer.influence import Group, Influence
from hplaw.fit.infer.fitting import Fitted
from hplaw.fit.model.double_precision import double_precision
from hplaw.fit.model.typed_jax import asarray, jacfwd, jacrev, ones, zeros
from hplaw.law import Law


Array = NDArray[np.float64]


def find_influence(fitted: Fitted, law: Law) -> Influence:
    """Return how each served parameter moves with the weight of each group of runs and of each prior.

    **Arguments:**

    - `fitted`: the fit whose mode is differentiated.
    - `law`: the law that it is written beside.
    """
    model = fitted.density.model
    ids, groups = _groups(fitted)
    priors = list(model.parameters)
    with double_precision():
        mode = asarray(fitted.normal.mode)
        held = fitted.density.scales
        root = np.where(held[:, None], 0.0, fitted.normal.root)

        def scores(z: jax.Array) -> jax.Array:
            """Return the log likelihood of each group, then the log density of each prior."""
            found = zeros(len(groups))
            for item, own in zip(model.likelihoods, model.log_likelihood(fitted.density.values_one(z)), strict=True):
                found = found.at[ids[item.rows]].add(own)
            return jnp.concatenate([found, *(x[None] for x in _log_priors(fitted, z))])

        slopes = root @ (root.T @ np.asarray(jacrev(scores)(mode)).T)
        names = fitted.parameters()
        weights = ones(fitted.density.rows)

        def served(z: jax.Array) -> dict[str, jax.Array]:
            found = fitted.density.constrain_one(z, weights)
            return {name: found[name] for name in names if name in found}

        moves = jacfwd(served)(mode)
    return Influence(
        law=law.address,
        groups=groups,
        priors=priors,
        slopes={name: np.moveaxis(np.asarray(by) @ slopes, -1, 0).tolist() for name, by in moves.items()},
    )


def _groups(fitted: Fitted) -> tuple[NDArray[np.int64], list[Group]]:
    """Return each run's group, and what distinguishes the groups: the effect with most members, or each run by itself."""
    active = [effect for effect in fitted.density.model.effects.values() if effect.active]
    if not active:
        size = len(fitted.kept)
        return np.arange(size), [Group(known={"run": float(i + 1)}, runs=1) for i in range(size)]
    effect = max(active, key=lambda each: each.size)
    counts = np.bincount(effect.ids[effect.ids >= 0], minlength=effect.size)
    rows = effect.members.select(effect.columns).to_dicts()
    return effect.ids, [Group(known=row, runs=int(count)) for row, count in zip(rows, counts, strict=True)]


def _log_priors(fitted: Fitted, z: jax.Array) -> list[jax.Array]:
    """Return the log density of each parameter under its prior; to be traced."""
    density = fitted.density
    sites = density.constrain_one(z, ones(density.rows))
    drawn = numpyro.handlers.substitute(numpyro.handlers.seed(density.model.sample, jr.key(0)), data=sites)
    trace = numpyro.handlers.trace(drawn).get_trace()
    sampled = {name: site for name, site in trace.items() if site["type"] == "sample"}
    return [
        jnp.sum(sampled[name]["fn"].log_prob(sampled[name]["value"])) if name in sampled else zeros(())
        for name in density.model.parameters
    ]
