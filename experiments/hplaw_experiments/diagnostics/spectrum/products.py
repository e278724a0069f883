"""Products with the curvature of a model's loss on a batch: the Hessian, and the Gauss-Newton matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from hplaw_experiments.models import build_model, cross_entropy
from hplaw_experiments.models.precision import find_policy
from hplaw_experiments.training.step import arranged
from hplaw_experiments.trial import Trial


Flat = Float[Array, " param"]
Product = Callable[[Flat], Flat]

MATRICES = ("hessian", "gauss_newton")
"""The matrices that a spectrum is taken of."""


class Problem(NamedTuple):
    """A model's weights as one vector, and functions of such a vector.

    - `start`: the weights; `logits(weights, x)` and `loss(weights, x, y)`, nat, of a batch.
    """

    start: Flat
    logits: Callable[[Flat, Any], Any]
    loss: Callable[[Flat, Any, Any], Float[Array, ""]]


def problem_of(trial: Trial, *, seed: int) -> Problem:
    """Return a trial's model as a function of one vector, its initial weights chosen by the seed."""
    model: PyTree = build_model(trial, seed=seed)
    policy = find_policy(trial.precision)
    start, unravel = ravel_pytree(model)

    def logits(weights: Flat, x: Any) -> Any:
        return unravel(weights)(arranged(trial.family, x), policy)

    def loss(weights: Flat, x: Any, y: Any) -> Float[Array, ""]:
        return cross_entropy(logits(weights, x), y)

    return Problem(start, logits, loss)


def hessian_product(problem: Problem, weights: Flat, x: Any, y: Any) -> Product:
    """Return the function v -> H v of a batch, forward over reverse."""
    gradient = jax.grad(lambda w: problem.loss(w, x, y))
    return lambda v: jax.jvp(gradient, (weights,), (v,))[1]


def gauss_newton_product(problem: Problem, weights: Flat, x: Any, y: Any) -> Product:
    """Return the function v -> J' (diag p - p p') J v / n of a batch of n labels, p the softmax of the logits."""
    del y  # cross-entropy's curvature over the logits does not depend on the labels
    net = lambda w: problem.logits(w, x)

    def product(v: Flat) -> Flat:
        z, dz = jax.jvp(net, (weights,), (v,))
        p = jax.nn.softmax(z, axis=-1)
        curved = p * (dz - jnp.sum(p * dz, axis=-1, keepdims=True))
        count = z.size // z.shape[-1]
        return jax.vjp(net, weights)[1](curved / count)[0]

    return product


PRODUCTS = {"hessian": hessian_product, "gauss_newton": gauss_newton_product}
"""The matrices' products by name."""
