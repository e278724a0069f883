"""The no-U-turn sampler over a flat density, in coordinates in which the normal around the mode is standard.

That is a dense metric from the Hessian, and it is not adapted again. Where it fails, as it does with few runs, a dense
metric is adapted instead. Chains run on threads, in blocks of iterations, so that progress is seen and Ctrl-C is heard.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import msgspec
import numpy as np
from numpy.typing import NDArray

import jax
import jax.random as jr
from numpyro.infer import hmc
from numpyro.infer.util import ParamInfo

from hplaw.fit.infer.laplace import Normal
from hplaw.fit.model.density import Density
from hplaw.fit.model.double_precision import double_precision
from hplaw.fit.model.typed_jax import asarray, jit, value_and_grad


Array = NDArray[np.float64]
Progress = Callable[[float, str], None]
Posed = tuple[jax.Array, jax.Array, jax.Array]
"""Mode, factor of the metric, and weights of the runs."""
Seen = tuple[jax.Array, jax.Array, jax.Array]
"""Of each iteration: place, whether it diverged, leapfrog steps."""

WARMUP = 150
"""Iterations before the draws, where the metric is known: the step size settles, and the scales find their place."""
ADAPTED_WARMUP = 450
"""Iterations before the draws, where the metric is adapted."""
THREADS = 2
_BLOCK = 25
ACCEPT = 0.9
"""Mean acceptance that the step size is set for."""
CAREFUL = 0.975
"""The same after transitions diverged: shorter steps get into the narrow places."""
_DEPTH = 9
"""Doublings of a trajectory at most."""


class Chains(msgspec.Struct, frozen=True):
    """Draws `[chain, draw, number]`, divergent transitions, mean leapfrog steps of an iteration, and how they were made."""

    draws: Array
    divergences: int
    steps: float
    sampler: str


def silent(share: float, words: str) -> None:
    """Report nothing."""


class Sampler:
    """The sampler of one density: compiled at its first run, and run from any normal with any weights.

    **Arguments:**

    - `before`: iterations before the draws.
    - `adapt`: whether a dense metric is adapted during them.
    - `accept`: mean acceptance that the step size is set for.
    """

    def __init__(self, density: Density, *, before: int = WARMUP, adapt: bool = False, accept: float = ACCEPT) -> None:
        self.density, self.before, self.adapt, self.accept = density, before, adapt, accept

        def potential(mode: jax.Array, root: jax.Array, runs: jax.Array) -> Callable[[jax.Array], jax.Array]:
            return lambda x: density.potential(mode + root @ x, runs)

        def value_and_gradient(x: jax.Array, posed: Posed) -> tuple[jax.Array, jax.Array]:
            return value_and_grad(potential(*posed))(x)

        self._start, advance = hmc.hmc(potential_fn_gen=potential, algo="NUTS")

        def block(state: hmc.HMCState, posed: Posed) -> tuple[hmc.HMCState, Seen]:
            def one(state: hmc.HMCState, _: None) -> tuple[hmc.HMCState, Seen]:
                state = advance(state, posed, {})
                return state, (state.z, state.diverging, state.num_steps)

            return jax.lax.scan(one, state, None, length=_BLOCK)

        self._step = jit(block)
        self._gradient = jit(value_and_gradient)

    def _begin(self, posed: Posed, key: jax.Array) -> hmc.HMCState:
        place, inner = jr.split(key)
        x = 0.7 * jr.normal(place, (self.density.size,))
        value, slope = self._gradient(x, posed)
        for _ in range(20):  # nearer to the mode, until there is something to stand on
            if np.isfinite(value) and np.isfinite(slope).all():
                break
            x = 0.5 * x
            value, slope = self._gradient(x, posed)
        known = ParamInfo(x, value, slope)
        return self._start(
            known,
            self.before,
            step_size=0.4,
            adapt_mass_matrix=self.adapt,
            dense_mass=self.adapt,
            target_accept_prob=self.accept,
            max_tree_depth=_DEPTH,
            model_args=posed,
            rng_key=inner,
        )

    def run(
        self, normal: Normal, weights: Array, *, chains: int, draws: int, seed: int = 0, progress: Progress = silent
    ) -> Chains:
        """Return chains of draws.

        **Arguments:**

        - `normal`: the normal around the mode, whose factor is the metric.
        - `weights`: of each run.
        - `progress`: called with the share done and a word, from this thread.
        """
        before, total = self.before, self.before + draws
        posed = asarray(normal.mode), asarray(normal.root), asarray(weights)
        stop, done = threading.Event(), np.zeros(chains)

        def run(chain: int) -> tuple[Array, int, float]:
            with double_precision():
                state = self._begin(posed, jr.key(seed * 1000 + chain))
                found: list[Array] = []
                diverged, steps = 0, 0.0
                for first in range(0, total, _BLOCK):
                    if stop.is_set():
                        break
                    state, (z, diverging, count) = self._step(state, posed)
                    found.append(np.asarray(z))
                    late = np.arange(first, first + _BLOCK) >= before
                    late &= np.arange(first, first + _BLOCK) < total
                    diverged += int(np.asarray(diverging)[late].sum())
                    steps += float(np.asarray(count)[late].sum())
                    done[chain] = min(first + _BLOCK, total)
                return np.concatenate(found), diverged, steps

        began = time.monotonic()
        with ThreadPoolExecutor(min(THREADS, chains)) as pool:
            jobs = [pool.submit(run, chain) for chain in range(chains)]
            try:
                while wait(jobs, timeout=0.5).not_done:
                    share = float(done.sum()) / (total * chains)
                    progress(share, _time_left(share, time.monotonic() - began))
            except BaseException:
                stop.set()
                raise
        results = [job.result() for job in jobs]
        x = np.stack([found[before:total] for found, _, _ in results])
        word = (
            "a dense metric adapted over the warm-up" if self.adapt else "a dense metric from the Hessian at the mode"
        )
        return Chains(
            draws=normal.mode + x @ normal.root.T,
            divergences=sum(diverged for _, diverged, _ in results),
            steps=sum(count for _, _, count in results) / (chains * draws),
            sampler=f"NUTS, {chains} chains of {draws} draws after {before}, {word}, seed {seed}",
        )


def sample(
    density: Density,
    normal: Normal,
    weights: Array,
    *,
    chains: int = 4,
    draws: int = 750,
    warmup: int | None = None,
    seed: int = 0,
    adapt: bool = False,
    accept: float = ACCEPT,
    progress: Progress = silent,
) -> Chains:
    """Return chains of draws from a density that is sampled once.

    **Arguments:**

    - `warmup`: iterations before the draws; chosen automatically by default.

    The others are those of `Sampler` and of its `run`.
    """
    before = warmup if warmup is not None else (ADAPTED_WARMUP if adapt else WARMUP)
    sampler = Sampler(density, before=before, adapt=adapt, accept=accept)
    return sampler.run(normal, weights, chains=chains, draws=draws, seed=seed, progress=progress)


def _time_left(share: float, elapsed: float) -> str:
    if share <= 0:
        return "sampling"
    return f"sampling, {elapsed * (1 - share) / share:.0f} s left"
