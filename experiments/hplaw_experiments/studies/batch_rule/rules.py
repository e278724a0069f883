"""Rules for the best rate against the batch, compared: one numpyro model of all rules, on all parts of the data that are scored.

ln rate = f(ln B) + N(0, tau), f by rule:

- linear a + ln B, square root a + ln B / 2, power a + p ln B;
- saturating a - alpha ln(1 + B_s / B): the power alpha far below B_s, none far above;
- surge a - ln((sqrt(B_s / B) + sqrt(B / B_s)) / 2): a square root up to B_s, and falling behind it.

All are a + p ln B - q ln(1 + B / B_s) + constant, which is the form that the laws have. A rule's likelihood takes the best
rates with the errors that the bowls gave them. Parts of the data ("folds") hold batches out; a rule in a fold has
parameters of its own, so that one sampler fits all of them at once. Weights are those of stacking: they maximize the
log score of the mixture at batches held out one at a time, each with its neighbors (Yao, Vehtari, Simpson, Gelman 2018).
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.diagnostics import summary

from hplaw_experiments.studies.sampling import Sampler


Array = NDArray[np.float64]
Rule = Literal["linear", "square root", "power", "saturating", "surge"]
RULES: tuple[Rule, ...] = get_args(Rule)

CHAINS = 4
"""Chains of the sampler."""

APART = 4.0
"""Factor in the batch within which nothing is fitted where a batch is predicted."""

FEWEST = 3
"""Batches that a rule is fitted to at least."""


class Posterior(msgspec.Struct, frozen=True):
    """Draws of the rules in one fold, `[rule, draw]`: ln rate = a + p ln B - q ln(1 + B / e^s), and scatter tau.

    `weights` are the rules' shares, by stacking over the batches of the fold.
    """

    a: Array
    p: Array
    q: Array
    s: Array
    tau: Array
    weights: Array

    def draws(self, x: Array, rng: np.random.Generator, size: int = 2000) -> Array:
        """Return draws `[draw, batch]` of the logarithm of the best rate at new batches, by the mixture of the rules.

        **Arguments:**

        - `x`: logarithms of the batches.
        """
        rule, draw = self.chosen(rng, size)
        mean = curve(*(column[rule, draw][:, None] for column in (self.a, self.p, self.q, self.s)), x[None, :])
        return mean + self.tau[rule, draw][:, None] * rng.standard_normal(mean.shape)

    def chosen(self, rng: np.random.Generator, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return rules in proportion to their weights, and a draw of each."""
        rule = rng.choice(len(RULES), size=size, p=self.weights)
        return rule, rng.integers(self.a.shape[1], size=size)


def curve(a: Any, p: Any, q: Any, s: Any, x: Any, *, xp: Any = np) -> Any:
    """Return a + p x - q ln(1 + e^(x - s)), the form of all rules; arrays of one shape, or that broadcast.

    **Arguments:**

    - `xp`: numpy, or jax.numpy within a model.
    """
    return a + p * x - q * xp.logaddexp(0.0, x - s)


def _model(x: Any, y: Any, sd: Any, keep: Any, noise: Any, middle: Any) -> None:
    """All rules in all folds: `keep` `[fold, batch]` says what is fitted of `y`, `noise` is ln of the noise scale."""
    shape = (keep.shape[0], len(RULES))
    with numpyro.plate("fold", shape[0], dim=-2), numpyro.plate("rule", shape[1], dim=-1):
        level = numpyro.sample("level", dist.Normal(0.0, 2.0))
        power = numpyro.sample("power", dist.Normal(0.5, 0.5))
        alpha = numpyro.sample("alpha", dist.TruncatedNormal(0.75, 0.25, low=0.3, high=1.2))
        s = numpyro.sample("s", dist.Normal(noise, 1.5))
        tau = numpyro.sample("tau", dist.HalfNormal(0.3))
    at = {rule: place for place, rule in enumerate(RULES)}
    zero, one = jnp.zeros_like(level[:, 0]), jnp.ones_like(level[:, 0])
    by_rule = {
        "linear": (one, zero),
        "square root": (one / 2, zero),
        "power": (power[:, at["power"]], zero),
        "saturating": (alpha[:, at["saturating"]],) * 2,
        "surge": (one / 2, one),
    }
    p, q = (jnp.stack([by_rule[rule][i] for rule in RULES], axis=1) for i in (0, 1))
    # the level is the rate at the middle of the batches, so that it hangs little on the other parameters
    a = level + middle[1] - (p * middle[0] - q * jnp.logaddexp(0.0, middle[0] - s))
    for name, value in (("a", a), ("p", p), ("q", q)):
        numpyro.deterministic(name, value)
    mean = curve(a[..., None], p[..., None], q[..., None], s[..., None], x, xp=jnp)
    spread = jnp.sqrt(sd**2 + tau[..., None] ** 2)
    log_density = dist.Normal(mean, spread).log_prob(y[:, None, :])
    numpyro.deterministic("log_density", log_density)
    numpyro.factor("fitted", jnp.sum(jnp.where(keep[:, None, :], log_density, 0.0)))


class Comparison(msgspec.Struct, frozen=True):
    """The rules compared on a series.

    - `whole`: fitted to all batches.
    - `apart`: for each batch, fitted without it and all within a factor `APART` of it; its weights are from the other
      batches' scores. None where too few are left.
    - `below`, `above`: draws of the exponent of the rule power, fitted to the batches up to a half of the noise scale, and
      to those from it on; None where these are too few.
    - `planted`: the same as `below` where best rates with theory's exponent were planted.
    - `scores`: mean log score of each rule over batches so held out, nat.
    - `r_hat`: the largest over the parameters of all rules in all folds; those that a rule has not are not counted.
    """

    whole: Posterior
    apart: tuple[Posterior | None, ...]
    below: Array | None
    above: Array | None
    planted: Array | None
    scores: Array
    r_hat: float


class Rules:
    """Compares rules on series, all by one compiled sampler.

    **Arguments:**

    - `batches`: that a series has at most.
    """

    def __init__(self, batches: int) -> None:
        self._size = batches
        self._sampler = Sampler(_model, chains=CHAINS, warmup=300, draws=500, adapt=True)

    def compare(
        self, batches: Array, mean: Array, sd: Array, *, noise_scale: float, planted: Array, key: Any
    ) -> Comparison:
        """Return how the rules do on the best rates of some batches.

        **Arguments:**

        - `batches`: shape (batch,), ascending, tokens or examples.
        - `mean`, `sd`: shape (batch,), of the logarithm of the best rate.
        - `noise_scale`: measured, same unit as the batches.
        - `planted`: shape (batch,), simulated best rates, in logarithms, that the exponent is to be recovered from.
        """
        count, noise = len(batches), float(np.log(noise_scale))
        # padded by batches that no fold is fitted to
        pad = lambda column, fill: np.concatenate([column, np.full(self._size - count, fill)])
        x, mean, sd, planted = pad(np.log(batches), np.inf), pad(mean, 0.0), pad(sd, 1.0), pad(planted, 0.0)
        near = np.abs(np.log(batches)[:, None] - x[None, :]) < np.log(APART) - 1e-9
        apart = np.vstack([~near, np.zeros((self._size - count, self._size), bool)])
        below = x <= noise - np.log(2)
        keep = np.vstack([np.ones(self._size, bool), apart, below, x >= noise, below])
        keep &= np.isfinite(x)
        keep &= keep.sum(axis=1, keepdims=True) >= FEWEST
        x = np.where(np.isfinite(x), x, 0.0)
        middle = np.array([x[keep[0]].mean(), mean[keep[0]].mean()])
        y = np.vstack([np.tile(mean, (len(keep) - 1, 1)), planted])
        found = self._sampler.run(key, x, y, sd, keep, noise, middle)
        draws = found.draws
        fitted = keep.any(axis=1)
        density = draws["log_density"]  # [draw, fold, rule, batch]
        of = [i for i in range(count) if fitted[1 + i]]
        scores = np.array([_mean_log(density[:, 1 + i, :, i]) for i in of])

        def posterior(fold: int, used: Array) -> Posterior:
            columns = {name: draws[name][:, fold].T for name in ("a", "p", "q", "s", "tau")}
            return Posterior(**columns, weights=stacking(used))

        power = RULES.index("power")
        parts = [draws["p"][:, fold, power] if fitted[fold] else None for fold in (-3, -2, -1)]
        return Comparison(
            whole=posterior(0, scores),
            apart=tuple(
                posterior(1 + i, np.delete(scores, of.index(i), axis=0)) if i in of else None for i in range(count)
            ),
            below=parts[0],
            above=parts[1],
            planted=parts[2],
            scores=scores.mean(axis=0),
            r_hat=_r_hat(draws, fitted),
        )


def _r_hat(draws: dict[str, Array], fitted: NDArray[np.bool_]) -> float:
    """Return the largest R-hat of what the rules have: level and scatter, and the power and place of those with one."""
    has = {"a": RULES, "tau": RULES, "p": ("power", "saturating"), "s": ("saturating", "surge")}
    found: list[float] = []
    for name, rules in has.items():
        chosen = draws[name][:, fitted][:, :, [RULES.index(rule) for rule in rules]]
        chains = chosen.reshape(CHAINS, -1, *chosen.shape[1:])
        found.append(float(np.max(summary({name: chains}, group_by_chain=True)[name]["r_hat"])))
    return max(found)


def stacking(scores: Array) -> Array:
    """Return the weights that maximize the mean log score of a mixture.

    **Arguments:**

    - `scores`: shape (case, model), log score of each model at each case held out.

    >>> stacking(np.array([[0.0, -9.0], [0.0, -9.0]])).round(3)
    array([1., 0.])
    """
    weights = np.full(scores.shape[1], 1 / scores.shape[1])
    for _ in range(2000):  # the fixed point of expectation and maximization, which climbs to the one maximum
        shares = np.log(weights) + scores
        new = np.exp(shares - logsumexp(shares, axis=1, keepdims=True)).mean(axis=0)
        if np.abs(new - weights).max() < 1e-9:
            break
        weights = np.maximum(new, 1e-300)
    return weights / weights.sum()


def _mean_log(log_density: Array) -> Array:
    """Return the logarithm of the mean density over draws, shape (rule,), for densities `[draw, rule]`."""
    return logsumexp(log_density, axis=0) - np.log(len(log_density))
