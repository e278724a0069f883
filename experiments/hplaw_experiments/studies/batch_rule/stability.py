"""The largest stable rate of SGD against the batch: where runs diverge, and where the measured spectrum says they do.

Runs at rate eta and batch B diverge with probability sigmoid((ln eta - ln(kappa 2 / lambda(B))) / s); lambda(B) is the batch's
largest eigenvalue by the law largest-stable-rate: lambda + V / (B lambda) above the threshold, 2 sqrt(V / B) below it.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS

from hplaw.errors import FitError
from hplaw.fit.model.double_precision import double_precision
from hplaw_experiments.diagnostics.spectrum.report import SpectrumReport


Array = NDArray[np.float64]

CHAINS, WARMUP, DRAWS = 2, 400, 500
"""Chains of the sampler, and iterations of each before and behind its warm-up."""


class Stability(msgspec.Struct, frozen=True):
    """The posterior of where SGD diverges.

    - `kappa`: draws of the measured largest stable rate over the predicted one.
    - `slope`: draws of d ln eta_max / d ln B between the smallest and the largest batch.
    - `batches`, `rates`: for the plot, draws `[draw, batch]` of the largest stable rate.
    """

    kappa: Array
    slope: Array
    batches: Array
    rates: Array


def log_eigenvalue(log_edge: Any, log_noise: Any, log_batch: Any) -> Any:
    """Return ln of a batch's largest eigenvalue, by the formula of the law largest-stable-rate."""
    above = jnp.logaddexp(log_edge, log_noise - log_batch - log_edge)
    below = jnp.log(2.0) + 0.5 * (log_noise - log_batch)
    return jnp.where(log_edge > 0.5 * (log_noise - log_batch), above, below)


def _model(rates: Any, batch: Any, lost: Any, runs: Any, edge: Any, noise: Any, batches: Any) -> None:
    log_edge = numpyro.sample("log_edge", dist.Normal(edge, 0.3))
    log_noise = numpyro.sample("log_noise", dist.Normal(noise, 1.0))
    log_kappa = numpyro.sample("log_kappa", dist.Normal(0.0, 1.0))
    width = numpyro.sample("width", dist.HalfNormal(0.3))
    largest = log_kappa + jnp.log(2.0) - log_eigenvalue(log_edge, log_noise, batches)
    numpyro.deterministic("largest", largest)
    logit = (rates - largest[batch]) / width
    numpyro.sample("lost", dist.Binomial(runs, logits=logit), obs=lost)


def fit_stability(report: SpectrumReport, *, key: Any) -> Stability:
    """Return where SGD diverges, from the spectra and the runs of a spectrum's report.

    **Raises:** `FitError` for a report without runs.
    """
    sweeps = [rate.sweep for rate in report.rates if rate.sweep is not None]
    if not sweeps:
        message = "the spectrum has no runs; measure it with its sweep"
        raise FitError(message)
    batches = np.log([sweep.batch_tokens for sweep in sweeps])
    rates = np.concatenate([np.log(sweep.rates) for sweep in sweeps])
    batch = np.repeat(np.arange(len(sweeps)), [len(sweep.rates) for sweep in sweeps])
    runs = len(report.starts)
    lost = np.round(np.concatenate([sweep.share for sweep in sweeps]) * runs)
    fit = next(fit for fit in report.fits if fit.matrix == "hessian")
    with double_precision():
        sampler = MCMC(
            NUTS(_model, target_accept_prob=0.95),
            num_warmup=WARMUP,
            num_samples=DRAWS,
            num_chains=CHAINS,
            chain_method="vectorized",
            progress_bar=False,
        )
        sampler.run(key, rates, batch, lost, runs, np.log(fit.hessian_edge), np.log(fit.hessian_noise), batches)
        found = {name: np.asarray(values) for name, values in sampler.get_samples().items()}
    largest = found["largest"]
    return Stability(
        kappa=np.exp(found["log_kappa"]),
        slope=(largest[:, -1] - largest[:, 0]) / (batches[-1] - batches[0]),
        batches=np.exp(batches),
        rates=np.exp(largest),
    )
