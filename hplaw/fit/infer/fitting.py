"""From a law and its runs to a posterior: the method chosen, its fallback, and draws by name."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

import numpyro

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import FitError
from hplaw.fit.data.runs import keep_runs
from hplaw.fit.infer.laplace import Normal, fit_normal
from hplaw.fit.infer.nuts import ACCEPT, CAREFUL, Chains, Progress, sample, silent
from hplaw.fit.model.density import Density
from hplaw.fit.model.double_precision import double_precision
from hplaw.fit.model.model import Model
from hplaw.law import Law
from hplaw.law.format import EffectSpec
from hplaw.posterior.scenarios import standard_normals


Array = NDArray[np.float64]
Method = Literal["nuts", "map"]

MAX_R_HAT = 1.01
MIN_ESS = 400.0
MIN_RUNS = 5
"""Runs below which nothing is fitted."""


class Diagnostics(msgspec.Struct, frozen=True):
    """How well the sampler did: the worst split R-hat, the minimum effective size, divergences; None without a sampler."""

    r_hat: float | None = None
    ess: float | None = None
    divergences: int | None = None

    def failed(self) -> list[str]:
        """Return what is not as it should be, in words."""
        found: list[str] = []
        if self.r_hat is not None and not self.r_hat <= MAX_R_HAT:
            found.append(f"R-hat is {self.r_hat:.3f}, above {MAX_R_HAT}")
        if self.ess is not None and not self.ess >= MIN_ESS:
            found.append(f"the effective sample size is {self.ess:.0f}, below {MIN_ESS:.0f}")
        if self.divergences:
            found.append(f"{self.divergences} divergent transitions")
        return found

    @property
    def only_diverged(self) -> bool:
        """Return whether divergences are all that is wrong."""
        return bool(self.divergences) and len(self.failed()) == 1


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """A law fitted to runs.

    - `law`: the law as it was before; `runs` all rows read, `kept` those fitted to.
    - `draws`: by site, first axis draws, chain after chain; `flat` the same as vectors `[draw, number]`.
    - `normal`: the mode and the normal around it.
    """

    law: Law
    runs: pl.DataFrame
    kept: pl.DataFrame
    density: Density
    normal: Normal
    flat: Array
    draws: Mapping[str, Array]
    diagnostics: Diagnostics
    sampler: str
    seconds: float

    @property
    def groups(self) -> int:
        """Return the number of members of the effect that distinguishes most of them, or 1."""
        return max((e.size for e in self.density.model.effects.values() if e.active), default=1)

    def effects(self) -> dict[str, EffectSpec]:
        """Return the law's effects; one whose correlations were a matrix gets the mean covariance, as serving knows no other."""
        found = dict(self.law.spec.effects)
        for name, effect in self.density.model.effects.items():
            if effect.concentration is None or not effect.active:
                continue
            lower = self.draws[f"{name}_cholesky"]
            scales = np.stack([self.draws[s.name] for s in effect.scales], axis=1)
            root = scales[:, :, None] * lower
            covariance = np.einsum("dij,dkj->ik", root, root) / len(root)
            found[name] = msgspec.structs.replace(
                effect.spec, scale={}, correlation=None, covariance=covariance.tolist()
            )
        return found

    def parameters(self) -> dict[str, Array]:
        """Return the draws that serving needs: parameters, and scales and correlations with priors of their own."""
        effects = self.density.model.effects.values()
        hypers = {h.name for e in effects for h in (*e.scales, *([e.correlation] if e.correlation else []))}
        found = {n: v for n, v in self.draws.items() if n in self.law.spec.parameters or n in hypers}
        size = len(self.flat)
        for name, value in self.density.model.constants.items():
            one: Array = np.asarray(value, dtype=np.float64)
            found[name] = np.broadcast_to(one, (size, *one.shape))
        order = {name: place for place, name in enumerate(self.law.spec.parameters)}
        return {name: found[name] for name in sorted(found, key=lambda n: order.get(n, len(order)))}


def fit_law(
    law: Law,
    runs: pl.DataFrame,
    *,
    method: Method = "nuts",
    chains: int = 4,
    draws: int = 750,
    warmup: int | None = None,
    seed: int = 0,
    catalogue: Catalogue | None = None,
    progress: Progress = silent,
) -> Fitted:
    """Return a law fitted to runs.

    **Arguments:**

    - `runs`: rows as `read_runs` returns them; those that the law's `keep` refuses are omitted here.
    - `method`: `nuts` samples; `map` draws from the normal around the mode.
    - `catalogue`: where laws that serve as data are found.
    - `progress`: called with the share done and a word.

    **Raises:** `DataError` where no run is left, `FitError` where there is nothing to fit.
    """
    began = time.monotonic()
    kept = keep_runs(runs, law)
    if len(kept) < MIN_RUNS:
        message = f"{len(kept)} runs are left of {len(runs)}; {law.id} is fitted to {MIN_RUNS} or more"
        raise FitError(message)
    with double_precision():
        progress(0.0, "building the model")
        density = Density(Model(law, kept, catalogue))
        if not density.size:
            message = f"{law.id} has no parameter with a prior; there is nothing to fit"
            raise FitError(message)
        weights = np.ones(len(kept))
        progress(0.0, "looking for the mode")
        normal = fit_normal(density, weights, seed=seed)
        if method == "map":
            flat = normal.draws(_normals(density.size, chains * draws))
            diagnostics, sampler = (
                Diagnostics(),
                f"mode and the normal around it, {chains * draws} draws, seed {seed}",
            )
        else:
            found = _sample(density, normal, weights, chains, draws, warmup, seed, catalogue, progress)
            density, normal, diagnostics = found.density, found.normal, found.diagnostics
            flat = found.chains.draws.reshape(-1, density.size)
            sampler = found.chains.sampler
        named = density.constrain(flat)
    return Fitted(
        law=law,
        runs=runs,
        kept=kept,
        density=density,
        normal=normal,
        flat=flat,
        draws=named,
        diagnostics=diagnostics,
        sampler=sampler,
        seconds=time.monotonic() - began,
    )


def _normals(rows: int, size: int) -> Array:
    return standard_normals(rows, size).T


class _Sampled(msgspec.Struct, frozen=True):
    """One attempt at sampling: the density as it was drawn, its normal, the chains and what they are worth."""

    density: Density
    normal: Normal
    chains: Chains
    diagnostics: Diagnostics


def _sample(
    density: Density,
    normal: Normal,
    weights: Array,
    chains: int,
    draws: int,
    warmup: int | None,
    seed: int,
    catalogue: Catalogue | None,
    progress: Progress,
) -> _Sampled:
    """Return chains with the metric of the mode; where those fail, with shorter steps, then with an adapted metric.

    Where few runs tell of a member, its effect and the scale it is drawn with make a funnel, in which all of these fail;
    the last attempt draws effects apart from their scale.
    """
    model = density.model
    best: _Sampled | None = None
    for centred, adapt, accept in (
        (True, False, ACCEPT),
        (True, False, CAREFUL),
        (True, True, CAREFUL),
        (False, True, CAREFUL),
    ):
        if accept == CAREFUL and not adapt and best and not best.diagnostics.only_diverged:
            continue  # shorter steps alone do not fix it; it is the metric that is at fault
        if not centred:
            if not any(effect.centred for effect in model.effects.values()):
                break
            density = Density(Model(model.law, model.frame, catalogue, centred=False))
            normal = fit_normal(density, weights, seed=seed)
        found = sample(
            density,
            normal,
            weights,
            chains=chains,
            draws=draws,
            warmup=warmup,
            seed=seed,
            adapt=adapt,
            accept=accept,
            progress=progress,
        )
        attempt = _Sampled(density, normal, found, diagnose(density, found))
        if not attempt.diagnostics.failed():
            return attempt
        if best is None or _badness(attempt.diagnostics) < _badness(best.diagnostics):
            best = attempt
    assert best is not None
    return best


def _badness(found: Diagnostics) -> tuple[int, float]:
    return len(found.failed()), found.r_hat or np.inf


def diagnose(density: Density, chains: Chains) -> Diagnostics:
    """Return the worst diagnostics over everything sampled."""
    summary = numpyro.diagnostics
    count, size, _ = chains.draws.shape
    named = density.constrain(chains.draws.reshape(count * size, -1))
    worst, least = 1.0, np.inf
    for value in named.values():
        by_chain = value.reshape(count, size, -1)
        if not (np.ptp(by_chain, axis=(0, 1)) > 0).any():
            continue
        moving = by_chain[:, :, np.ptp(by_chain, axis=(0, 1)) > 0]
        worst = max(worst, float(np.max(summary.split_gelman_rubin(moving))))
        least = min(least, float(np.min(summary.effective_sample_size(moving))))
    return Diagnostics(worst, least if np.isfinite(least) else float(count * size), chains.divergences)
