"""The numpyro model of the best rate over sizes: a bowl of log loss at each size, and a line with a walk through the best.

log loss = L_n + k_n (exp(b_n d) - 1 - b_n d) / b_n^2 + noise,  d = log2 rate - mu_n
mu_m - mu_n ~ N(c x, tau sqrt(x)),  x = log2(m / n) of neighboring sizes

The bowl is steeper on the side of high rates, where training gets unstable. What a size deviates from the line c, its
neighbors share: so a prediction starts at the largest size seen, and is the less sure the further it goes. Noise is
Student's t, so that a strange run moves little. All sets of runs are sampled at once, each by chains of its own.
"""

from __future__ import annotations

import functools as ft
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro
import numpyro.distributions as dist
from numpyro.diagnostics import split_gelman_rubin
from numpyro.infer import MCMC, NUTS, init_to_value

from hplaw.fit.model.double_precision import double_precision
from hplaw_experiments.studies.width_transfer.bowls import GRID_SD, Bowls


SLOPE_SD, WANDER, FREEDOM = 1.0, 0.3, 4.0
"""Standard deviation of the slope before data; scale of tau, octaves per root of an octave; freedom of the noise."""

LEAST_WANDER = 0.03
"""Smallest tau: no rate is on a line to less than 2%, and the sampler need not go where it would be."""

WARMUP, DRAWS, CHAINS, DEPTH = 300, 500, 2, 6
"""Iterations before the draws, draws of a chain, chains of a set, and doublings of a trajectory at most."""

STEEPEST = 12.0
"""Largest exponent in a bowl: further out all that is known is that the loss is above its cap."""

PAD = 32
"""Runs of a set are padded to a multiple of this, so that programs are compiled for few shapes."""

Array = NDArray[np.float64]


class Data(NamedTuple):
    """Sets of runs padded to one shape, set by set; `size`, `run` and `given` say what is no padding."""

    log2_size: Any
    size: Any
    start: Any
    given: Any
    place: Any
    log2_rate: Any
    log_loss: Any
    above: Any
    cap: Any
    run: Any


class Posterior(NamedTuple):
    """Draws of one set of runs.

    - `slope`, `wander`, `noise`: c, tau, and the scale of the noise; `draw`.
    - `best`, `floor`, `curvature`, `steepness`: mu_n, L_n, k_n, b_n; `draw size`.
    - `r_hat`, `divergences`: of the chains.
    """

    slope: Array
    wander: Array
    noise: Array
    best: Array
    floor: Array
    curvature: Array
    steepness: Array
    r_hat: float
    divergences: int


def bowl(d: Any, k: Any, b: Any) -> Any:
    """Return how far the log loss is above its lowest, `d` octaves of the rate from the best.

    >>> float(bowl(jnp.float32(0.0), jnp.float32(1.0), jnp.float32(1.0)))
    0.0
    """
    x = jnp.minimum(b * d, STEEPEST)
    return k * (jnp.exp(x) - 1.0 - x) / b**2


def model(data: Data) -> None:
    """State the joint density of one set of runs."""
    x = data.log2_size
    first = numpyro.sample("first", dist.Normal(data.start[0], 3.0))
    c = numpyro.sample("slope", dist.Normal(0.0, SLOPE_SD))
    tau = LEAST_WANDER + numpyro.sample("above_least", dist.HalfNormal(WANDER))
    k_all = numpyro.sample("k_all", dist.Normal(-1.5, 1.5))
    noise = numpyro.sample("noise", dist.LogNormal(jnp.log(0.05), 1.0))
    with numpyro.plate("sizes", x.shape[0]):
        k = jnp.exp(k_all + 0.5 * numpyro.sample("k", dist.Normal(0.0, 1.0)))
        b = jnp.exp(0.3 + numpyro.sample("b", dist.Normal(0.0, 1.0)))
        low = data.cap + numpyro.sample("low", dist.Normal(-0.5, 1.0))
    dx = jnp.where(data.size[1:] > 0, jnp.diff(x), 1.0)
    rise = numpyro.sample("rise", dist.Normal(c * dx, tau * jnp.sqrt(dx)).to_event(1))
    mu = first + jnp.concatenate([jnp.zeros(1), jnp.cumsum(rise)])
    expected = low[data.place] + bowl(data.log2_rate - mu[data.place], k[data.place], b[data.place])
    measured = dist.StudentT(FREEDOM, expected, noise).log_prob(data.log_loss)
    above = jax.nn.log_sigmoid((expected - data.cap[data.place]) / noise)
    numpyro.factor("runs", jnp.sum(data.run * jnp.where(data.above, above, measured)))
    numpyro.factor("optima", jnp.sum(data.given * dist.Normal(mu, GRID_SD).log_prob(data.start)))
    numpyro.deterministic("wander", tau)
    numpyro.deterministic("best", mu)
    numpyro.deterministic("curvature", k)
    numpyro.deterministic("steepness", b)
    numpyro.deterministic("floor", low)


@ft.partial(jax.jit, static_argnames=("warmup", "draws", "depth"))
def _sample(keys: Any, data: Data, *, warmup: int, draws: int, depth: int) -> Any:
    def one(key: Any, data: Data) -> Any:
        n = jnp.sum(data.size)
        x = data.log2_size - jnp.sum(data.log2_size * data.size) / n
        slope = jnp.sum(x * data.start * data.size) / jnp.sum(x**2 * data.size)
        start = {"first": data.start[0], "rise": jnp.diff(data.start), "slope": slope, "above_least": jnp.float64(0.3)}
        kernel = NUTS(
            model,
            init_strategy=init_to_value(values=start),
            target_accept_prob=0.9,
            max_tree_depth=depth,
            dense_mass=True,
        )
        run = MCMC(kernel, num_warmup=warmup, num_samples=draws, num_chains=1, progress_bar=False)
        run.run(key, data, extra_fields=("diverging",))
        return run.get_samples(), run.get_extra_fields()["diverging"].sum()

    return jax.vmap(jax.vmap(one, in_axes=(0, None)))(keys, data)


def posterior(
    sets: Sequence[Bowls],
    *,
    seed: int = 0,
    warmup: int = WARMUP,
    draws: int = DRAWS,
    chains: int = CHAINS,
    depth: int = DEPTH,
) -> list[Posterior]:
    """Return the posterior of each set of runs."""
    with double_precision():
        keys = jr.split(jr.key(seed), (len(sets), chains))
        samples, diverged = jax.device_get(_sample(keys, padded(sets), warmup=warmup, draws=draws, depth=depth))
    found: list[Posterior] = []
    for i, one in enumerate(sets):
        n = len(one.sizes)
        rows = {name: np.asarray(values[i], np.float64) for name, values in samples.items()}
        flat = {name: values.reshape(chains * draws, -1) for name, values in rows.items()}
        r_hat = max(float(split_gelman_rubin(rows[name])) for name in ("slope", "first", "wander"))
        found.append(
            Posterior(
                **{name: flat[name][:, 0] for name in ("slope", "wander", "noise")},
                **{name: flat[name][:, :n] for name in ("best", "floor", "curvature", "steepness")},
                r_hat=r_hat,
                divergences=int(diverged[i].sum()),
            )
        )
    return found


def padded(sets: Sequence[Bowls]) -> Data:
    """Return sets of runs in arrays of one shape."""
    n_sizes = max(len(one.sizes) for one in sets)
    n_runs = max(1, -(-max(len(one.place) for one in sets) // PAD)) * PAD
    rows = [_padded(one, n_sizes - len(one.sizes), n_runs - len(one.place)) for one in sets]
    return Data(*(np.stack(column) for column in zip(*rows, strict=True)))


def _padded(one: Bowls, sizes: int, runs: int) -> Data:
    more = lambda array, count: np.pad(np.asarray(array, np.float64), (0, count))
    given = np.isfinite(one.optimum)
    return Data(
        log2_size=more(one.log2_size, sizes),
        size=more(np.ones(len(one.sizes)), sizes),
        start=np.pad(one.lowest(), (0, sizes), mode="edge"),
        given=more(given, sizes),
        place=np.pad(one.place, (0, runs)),
        log2_rate=more(one.log2_rate, runs),
        log_loss=more(np.where(one.above, one.cap[one.place], one.log_loss), runs),
        above=np.pad(one.above, (0, runs)),
        cap=more(one.cap, sizes),
        run=more(np.ones(len(one.place)), runs),
    )
