"""The largest eigenvalue of batches of several sizes, and the edge and noise that explain them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

import jax
import jax.numpy as jnp
import jax.random as jr

from hplaw.answer.answer import plain_outputs
from hplaw.errors import FitError
from hplaw.law.shipped import theory_law
from hplaw_experiments.data import AbstractSource
from hplaw_experiments.diagnostics.spectrum.lanczos import STEPS, ritz
from hplaw_experiments.diagnostics.spectrum.products import MATRICES, PRODUCTS, Problem


LAW = "largest-stable-rate"
"""The law of theory that is fitted and asked."""


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """The largest eigenvalue of one matrix on batches of one size.

    - `edge`: its mean over batches, with `error` the standard error; `floor` the mean of the smallest.
    - `fitted`: what the law gives after the fit.
    - `values`, `weights`: Ritz values and weights of all batches together, ascending: the spectral density.
    """

    matrix: str
    batch_tokens: float
    edge: float
    error: float
    floor: float
    fitted: float | None = None
    values: list[float] = msgspec.field(default_factory=list[float])
    weights: list[float] = msgspec.field(default_factory=list[float])


class EdgeFit(msgspec.Struct, frozen=True, kw_only=True):
    """The edge and noise that explain the largest eigenvalues of one matrix; `worst` is the largest relative miss."""

    matrix: str
    hessian_edge: float
    hessian_noise: float
    worst: float


def measure_edges(
    problems: Sequence[Problem],
    source: AbstractSource,
    batches: Sequence[int],
    *,
    seq_len: int,
    n_batches: int,
    seed: int,
) -> list[Edge]:
    """Return the largest eigenvalues of both matrices on batches of each size, over batches and starting points.

    **Arguments:**

    - `problems`: the starting points.
    - `batches`: examples or sequences in a batch; reported in tokens, `seq_len` each.
    - `n_batches`: batches of each size for each starting point.
    """
    found: list[Edge] = []
    for size in batches:
        spectra = _spectra(problems[0], source, size)
        keys = jr.split(jr.fold_in(jr.key(seed), size), n_batches)
        runs = [spectra(problem.start, keys) for problem in problems]
        for matrix in MATRICES:
            values = np.concatenate([np.asarray(run[matrix][0], float) for run in runs])
            weights = np.concatenate([np.asarray(run[matrix][1], float) for run in runs])
            order = np.argsort(values, axis=None)
            top = values[:, -1]
            found.append(
                Edge(
                    matrix=matrix,
                    batch_tokens=float(size * seq_len),
                    edge=float(top.mean()),
                    error=float(top.std(ddof=1) / math.sqrt(len(top))) if len(top) > 1 else 0.0,
                    floor=float(values[:, 0].mean()),
                    values=[float(v) for v in values.ravel()[order]],
                    weights=[float(w) for w in weights.ravel()[order] / len(values)],
                )
            )
    return found


def _spectra(problem: Problem, source: AbstractSource, size: int) -> Callable[..., Any]:
    """Return the compiled function from weights and keys to Ritz values and weights of both matrices."""

    def one(weights: Any, key: Any) -> dict[str, Any]:
        k_batch, k_vector = jr.split(key)
        x, y = source.batch(k_batch, size)
        return {
            name: ritz(product(problem, weights, x, y), size=weights.shape[0], key=k_vector, steps=STEPS)
            for name, product in PRODUCTS.items()
        }

    return jax.jit(lambda weights, keys: jax.lax.map(lambda key: one(weights, key), keys))


def noise_by_products(
    problems: Sequence[Problem], source: AbstractSource, size: int, *, seq_len: int, n_pairs: int, seed: int
) -> float:
    """Return the noise of the Hessian from products alone: b E |H_1 v - H_2 v|^2 / 2 for pairs of batches, random unit v."""
    problem = problems[0]

    def one(weights: Any, key: Any) -> Any:
        k_v, *k_batches = jr.split(key, 3)
        v = jr.normal(k_v, weights.shape, jnp.float32)
        v = v / jnp.linalg.norm(v)
        first, second = (PRODUCTS["hessian"](problem, weights, *source.batch(k, size))(v) for k in k_batches)
        return jnp.sum(jnp.square(first - second))

    compiled = jax.jit(lambda weights, keys: jax.lax.map(lambda key: one(weights, key), keys))
    keys = jr.split(jr.key(seed), n_pairs)
    squares = np.concatenate([np.asarray(compiled(p.start, keys), float) for p in problems])
    return float(size * seq_len * squares.mean() / 2)


def predicted(batch_tokens: float, edge: float, noise: float) -> tuple[float, float]:
    """Return a batch's largest eigenvalue and the largest stable rate, by the law of theory.

    >>> predicted(2, 10, 100)
    (15.0, 0.13333333333333333)
    """
    given = {"batch_tokens": batch_tokens, "hessian_edge": edge, "hessian_noise": noise}
    _, found = plain_outputs(theory_law(LAW), given, None, want=["batch_hessian_edge", "largest_stable_lr"])
    return float(found["batch_hessian_edge"]), float(found["largest_stable_lr"])


ROUNDS, POINTS = 6, 11
"""Refinements of the search, and points along each of its two axes."""


def fit_edges(edges: Sequence[Edge]) -> EdgeFit:
    """Return the edge and noise that explain one matrix's largest eigenvalues best: least squares of the logarithms.

    **Raises:** `FitError` for fewer than three sizes of batch, or eigenvalues that are not positive.
    """
    if len({e.batch_tokens for e in edges}) < 3 or min(e.edge for e in edges) <= 0:
        message = (
            "edge and noise need positive largest eigenvalues at three batch sizes or more; give more with --batches"
        )
        raise FitError(message)
    low, high = min(e.edge for e in edges), max(e.edge for e in edges)
    # the noise alone explains the smallest batch at most; the edge is not above the largest batch's by much
    smallest = min(e.batch_tokens for e in edges)
    centre = np.log([low, high * low * smallest])
    spread = np.array([1.0, 6.0])
    best = math.inf, centre
    for _ in range(ROUNDS):
        for point in np.stack(
            np.meshgrid(*(np.linspace(c - s, c + s, POINTS) for c, s in zip(best[1], spread, strict=True))), -1
        ).reshape(-1, 2):
            cost = sum(miss**2 for miss in _misses(edges, *np.exp(point)))
            if cost < best[0]:
                best = cost, point
        spread = spread * 0.35
    edge, noise = (float(v) for v in np.exp(best[1]))
    worst = max(abs(math.expm1(miss)) for miss in _misses(edges, edge, noise))
    return EdgeFit(matrix=edges[0].matrix, hessian_edge=edge, hessian_noise=noise, worst=worst)


def _misses(edges: Sequence[Edge], edge: float, noise: float) -> list[float]:
    return [math.log(predicted(e.batch_tokens, edge, noise)[0] / e.edge) for e in edges]
