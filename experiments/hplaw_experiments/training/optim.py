"""Optimizers, through optax, with a parametrization's factors of rate, decay and epsilon for each layer.

Rates, decays and Adam's constants are values of the step, never part of the program, so that one program serves trials
that differ in them. Biases and gains are not decayed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hplaw.errors import QueryError, nearest
from hplaw_experiments.models.layers import Weight, is_weight


OPTIMIZERS = ("sgd", "momentum", "adam", "adamw", "muon")
"""The optimizers known, by the vocabulary's words."""

COUPLED = ("momentum", "adam")
"""Those that add the decay to the gradient, as PyTorch's SGD and Adam do; the others shrink the weights themselves."""


Number = Float[Array | np.ndarray, ""]
"""A value of a program, on the device or on its way there."""


class Hyper(eqx.Module):
    """What may differ between trials of one program."""

    peak_lr: Number
    final_lr: Number
    warmup_steps: Number
    decay_steps: Number
    total_steps: Any
    weight_decay: Number
    beta1: Number
    beta2: Number
    adam_epsilon: Number
    momentum: Number
    gradient_clip: Number
    key: PRNGKeyArray


class Optimizer(NamedTuple):
    """An update rule; `clips` and `decays` say whether some trial of the program wants that at all."""

    name: str
    clips: bool = True
    decays: bool = True

    def init(self, model: PyTree, hyper: Hyper) -> PyTree:
        """Return the state before the first step."""
        plain, orthogonal = self._parts(model)
        return self._plain(hyper).init(plain), self._muon(hyper).init(orthogonal)

    def start(self, model: PyTree, hyper: Hyper) -> PyTree:
        """Return the same as `init`; where that is all zeros, without a program to compile."""
        if self.name == "muon":
            return jax.jit(self.init)(model, hyper)
        asked = jax.eval_shape(self.init, model, hyper)
        return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), asked)

    def update(
        self, gradient: PyTree, state: PyTree, model: PyTree, hyper: Hyper, rate: Number
    ) -> tuple[PyTree, PyTree]:
        """Return the model after a step at a learning rate, and the state."""
        if self.clips:
            gradient = clipped(gradient, hyper.gradient_clip)
        decay = self._decay(model, hyper) if self.decays else None
        if decay is not None and self.name in COUPLED:
            gradient = jax.tree.map(jnp.add, gradient, decay)
        if self.name in {"adam", "adamw", "muon"}:  # m / (sqrt(v) + f eps) is Adam's step of gradient / f
            gradient = jax.tree.map(_over, gradient, factors(model, "epsilon"))
        plain, orthogonal = self._parts(gradient)
        # optax 0.2.8 raises a float to an integer count and normalizes by rank; until it casts, it may promote
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            plain, first = self._plain(hyper).update(plain, state[0])
            orthogonal, second = self._muon(hyper).update(orthogonal, state[1])
        step = eqx.combine(plain, orthogonal)
        if decay is not None and self.name not in COUPLED:
            step = jax.tree.map(jnp.add, step, decay)
        rates = factors(model, "rate")
        model = jax.tree.map(lambda p, u, f: p - rate * (u if f == 1.0 else u * f), model, step, rates)
        return model, (first, second)

    def _decay(self, model: PyTree, hyper: Hyper) -> PyTree:
        shrink = jax.tree.map(lambda w: _filled(w, 0.0 if w.vector else w.rule.decay), model, is_leaf=is_weight)
        return jax.tree.map(lambda p, f: p * (hyper.weight_decay * f), model, shrink)

    def _parts(self, tree: PyTree) -> tuple[PyTree, PyTree]:
        """Return the weights that are updated one by one, and those that Muon takes as matrices."""
        chosen = jax.tree.map(lambda w: _filled(w, self.name == "muon" and w.kind == "hidden"), tree, is_leaf=is_weight)
        orthogonal, plain = eqx.partition(tree, chosen)
        return plain, orthogonal

    def _plain(self, hyper: Hyper) -> optax.GradientTransformation:
        if self.name == "sgd":
            return optax.identity()
        if self.name == "momentum":
            return optax.trace(hyper.momentum)
        return optax.scale_by_adam(hyper.beta1, hyper.beta2, hyper.adam_epsilon)

    def _muon(self, hyper: Hyper) -> optax.GradientTransformation:
        if self.name != "muon":
            return optax.identity()
        contrib = getattr(optax, "contrib", None)
        if not hasattr(contrib, "scale_by_muon"):
            message = f"optax {optax.__version__} has no Muon; install optax 0.2.5 or newer, or take adamw"
            raise QueryError(message, field="optimizer")
        places = lambda updates: jax.tree.map(_axes, updates)
        scale = contrib.scale_by_muon(beta=hyper.momentum, weight_dimension_numbers=places)
        return optax.chain(scale, optax.stateless(lambda u, _: jax.tree.map(_spectral, u)))


def find_optimizer(name: str, *, clips: bool = True, decays: bool = True) -> Optimizer:
    """Return an optimizer by the vocabulary's word.

    **Raises:** `QueryError` for a name that is not known.

    >>> find_optimizer("adamw").name
    'adamw'
    """
    if name not in OPTIMIZERS:
        message = (
            f"'{name}' is no optimizer of the trainer{nearest(name, OPTIMIZERS)}; give one of {', '.join(OPTIMIZERS)}"
        )
        raise QueryError(message, field="optimizer")
    return Optimizer(name, clips, decays)


def factors(model: PyTree, which: str) -> PyTree:
    """Return a tree like the model with one number for each weight: a factor of its rule."""
    return jax.tree.map(lambda w: _filled(w, getattr(w.rule, which)), model, is_leaf=is_weight)


def clipped(gradient: PyTree, most: Number) -> PyTree:
    """Return the gradient shortened to a norm of `most`; as it is where `most` is 0."""
    norm = jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in jax.tree.leaves(gradient)))
    factor = jnp.where(most > 0, jnp.minimum(1.0, most / jnp.maximum(norm, 1e-30)), 1.0)
    return jax.tree.map(lambda g: g * factor, gradient)


def _over(x: Array, factor: float) -> Array:
    return x if factor == 1.0 else x / factor


def _filled(weight: Weight, value: Any) -> Weight:
    return Weight(value, weight.kind, weight.rule)


def _axes(x: Array) -> Any:
    """Return which axes of a weight are in and out: the last is out, those before it in; a first of three goes over layers."""
    if x.ndim == 3:
        return optax.contrib.MuonDimensionNumbers(reduction_axis=1, output_axis=2)
    return optax.contrib.MuonDimensionNumbers(tuple(range(x.ndim - 1)), x.ndim - 1)


def _spectral(x: Array) -> Array:
    """Return an orthogonal update scaled so that features change alike whatever the shape: sqrt(max(1, out / in))."""
    fan_in = x.shape[1] if x.ndim == 3 else x.size // x.shape[-1]
    return x * max(1.0, x.shape[-1] / fan_in) ** 0.5
