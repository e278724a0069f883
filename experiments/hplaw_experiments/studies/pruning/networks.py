"""Many small networks trained side by side: dense training, magnitude pruning, retraining with masks, errors on a line.

Networks of one program share shape and batch; weights, masks, rates, the radius of sharpness-aware minimization and the
order of examples are their own, on a leading axis.
"""

from __future__ import annotations

import functools as ft
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, PyTree

from hplaw_experiments.data import Examples, load_source
from hplaw_experiments.models.convnet import ConvNet
from hplaw_experiments.models.layers import Scaling, Weight, cross_entropy, is_weight
from hplaw_experiments.models.mlp import MLP
from hplaw_experiments.models.precision import find_policy


MOMENTUM, DECAY = 0.9, 1e-4
"""Momentum and coupled weight decay of SGD, as the source trains."""

POINTS = 11
"""Networks on the line between two, ends included."""

POLICY = find_policy("fp32")
SCALING = Scaling(parametrization="standard", optimizer="momentum")


class Task(NamedTuple):
    """Images with a class each, to train on and to test on."""

    x: Float[Array, "train ..."]
    y: Int[Array, " train"]
    x_test: Float[Array, "test ..."]
    y_test: Int[Array, " test"]


def digits_task(family: str, *, n_train: int, label_noise: float, seed: int = 0) -> Task:
    """Return scikit-learn's handwritten digits, `n_train` of them to train on and all others to test on.

    **Arguments:**

    - `label_noise`: share of training labels that are drawn at random, so that training errors do not end at zero.
    """
    source = load_source("digits", seed=seed)
    assert isinstance(source, Examples)
    x, y = jnp.concatenate([source.x, source.x_held]), jnp.concatenate([source.y, source.y_held])
    if family == "mlp":
        x = jnp.reshape(x, (x.shape[0], -1))
    else:
        x = x[..., None] if x.ndim == 3 else x
    labels = np.array(y[:n_train])
    rng = np.random.default_rng(seed)
    noisy = rng.random(n_train) < label_noise
    labels[noisy] = rng.integers(0, 10, int(noisy.sum()))
    return Task(x[:n_train], jnp.asarray(labels), x[n_train:], y[n_train:])


def build(family: str, *, width: int, n_layers: int, seed: int) -> eqx.Module:
    """Return a network with its initial weights."""
    rng = np.random.Generator(np.random.Philox(seed))
    if family == "mlp":
        return MLP(SCALING, n_inputs=64, n_outputs=10, width=width, n_layers=n_layers, rng=rng)
    return ConvNet(SCALING, channels=1, n_outputs=10, width=width, n_layers=n_layers, rng=rng)


def stack(networks: list[Any]) -> PyTree:
    """Return networks of one shape as one, each array with a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *networks)


def take(networks: PyTree, places: Int[np.ndarray, " net"]) -> PyTree:
    """Return some of stacked networks, a place may come several times."""
    return jax.tree.map(lambda leaf: jnp.take(leaf, jnp.asarray(places), axis=0), networks)


# Training


class Plan(NamedTuple):
    """How networks are trained.

    - `rates`: learning rates of the stretches of training; `ends` the steps at which these end, the last that of all.
    - `rho`: radius of sharpness-aware minimization; `keys`: of the order of examples.
    """

    rates: Float[Array, " stretch"]
    ends: Int[Array, " stretch"]
    rho: Float[Array, ""]
    keys: Key[Array, " net"]


def plan(rates: Sequence[float], ends: Sequence[int], keys: Key[Array, " net"], *, rho: float = 0.0) -> Plan:
    """Return a plan from plain numbers."""
    return Plan(jnp.asarray(rates, jnp.float32), jnp.asarray(ends, jnp.int32), jnp.float32(rho), keys)


def _loss(network: PyTree, x: Array, y: Array) -> Float[Array, ""]:
    return cross_entropy(network(x, POLICY), y)


@ft.partial(jax.jit, static_argnames=("batch", "sharp"))
def train(networks: PyTree, masks: PyTree, asked: Plan, task: Task, *, batch: int, sharp: bool) -> PyTree:
    """Return networks trained by SGD with momentum, masked weights kept at zero.

    One program serves all lengths and rates.

    **Arguments:**

    - `sharp`: whether gradients are taken at `asked.rho` up the slope, as sharpness-aware minimization does.
    """
    count = task.x.shape[0]

    def one(network: PyTree, mask: PyTree, key: PRNGKeyArray) -> PyTree:
        def step(number: Array, state: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
            weights, velocity = state
            rate = asked.rates[jnp.sum((number >= asked.ends[:-1]).astype(jnp.int32))]
            at = jr.randint(jr.fold_in(key, number), (batch,), 0, count, dtype=jnp.int32)
            x, y = jnp.take(task.x, at, axis=0), jnp.take(task.y, at, axis=0)
            gradient = jax.grad(_loss)(weights, x, y)
            if sharp:
                norm = jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in jax.tree.leaves(gradient)))
                scale = asked.rho / jnp.maximum(norm, 1e-12)
                away = jax.tree.map(lambda w, g: w + scale * g, weights, gradient)
                gradient = jax.grad(_loss)(away, x, y)
            velocity = jax.tree.map(lambda v, g, w: MOMENTUM * v + g + DECAY * w, velocity, gradient, weights)
            return jax.tree.map(lambda w, v, m: (w - rate * v) * m, weights, velocity, mask), velocity

        start = (network, jax.tree.map(jnp.zeros_like, network))
        return jax.lax.fori_loop(0, asked.ends[-1], step, start)[0]

    return jax.vmap(one)(networks, masks, asked.keys)


def dense_masks(networks: PyTree) -> PyTree:
    """Return masks that keep everything."""
    return jax.tree.map(jnp.ones_like, networks)


def prune(networks: PyTree, density: float) -> tuple[PyTree, PyTree]:
    """Return networks with the smallest weights of each layer at zero, and their masks.

    A share `density` of each matrix or convolution is kept, by magnitude; readout, gains and biases are kept whole.
    """

    def mask(weight: Weight) -> Weight:
        w = weight.value
        if weight.kind not in ("input", "hidden"):
            return Weight(jnp.ones_like(w), weight.kind, weight.rule)
        flat = jnp.abs(jnp.reshape(w, (w.shape[0], -1)))
        keep = max(round(density * flat.shape[1]), 1)
        least = jnp.sort(flat, axis=1)[:, flat.shape[1] - keep]
        kept = flat >= least[:, None]
        return Weight(jnp.reshape(kept, w.shape).astype(w.dtype), weight.kind, weight.rule)

    masks = jax.tree.map(mask, networks, is_leaf=is_weight)
    return jax.tree.map(jnp.multiply, networks, masks), masks


# What is measured


@jax.jit
def errors(networks: PyTree, x: Array, y: Array) -> Float[Array, " net"]:
    """Return the share of wrong classes of each network."""
    return jax.vmap(lambda network: _error(network, x, y))(networks)


def _error(network: PyTree, x: Array, y: Array) -> Float[Array, ""]:
    wrong = jnp.argmax(network(x, POLICY), axis=-1).astype(y.dtype) != y
    return jnp.mean(wrong.astype(jnp.float32))


@jax.jit
def line_errors(first: PyTree, second: PyTree, x: Array, y: Array) -> Float[Array, "pair point"]:
    """Return the errors on the straight lines between two networks each, at evenly spaced points."""

    def one(a: PyTree, b: PyTree) -> Float[Array, " point"]:
        def at(t: Array) -> Float[Array, ""]:
            return _error(jax.tree.map(lambda p, q: (1 - t) * p + t * q, a, b), x, y)

        return jax.lax.map(at, jnp.linspace(0.0, 1.0, POINTS, dtype=jnp.float32))

    return jax.vmap(one)(first, second)


@jax.jit
def outputs(networks: PyTree, x: Array) -> Float[Array, "net example classes"]:
    """Return the softmax outputs of each network."""
    return jax.vmap(lambda network: jax.nn.softmax(network(x, POLICY), axis=-1))(networks)
