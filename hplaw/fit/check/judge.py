"""A fit judging itself: does it look like its data, and does it predict groups that it has not seen.

Leaving a group out is a refit of mode and normal with the group's runs at weight zero; its effects then come from
their priors, as those of a new group do.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from hplaw.fit.check.leave_out_ranges import leave_ranges_out, scores
from hplaw.fit.check.scores import CHECKS, covers, likely
from hplaw.fit.check.verdict import Verdict
from hplaw.fit.data.runs import group_ids
from hplaw.fit.data.smooth import Surface, smooth
from hplaw.fit.infer.fitting import Fitted
from hplaw.fit.infer.laplace import fit_normal
from hplaw.fit.infer.nuts import Progress, silent
from hplaw.fit.model.double_precision import double_precision
from hplaw.fit.model.groups import Effect
from hplaw.posterior.scenarios import standard_normals


Array = NDArray[np.float64]

CHECKED = 200
"""Draws behind the posterior predictive checks."""
LEFT_OUT = 256
"""Draws of each refit without a group."""
MIN_GROUPS = 4
"""Groups below which holding one out is not informative."""
_SURE = 1.6448536269514722


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """One group held out.

    - `predicted`, `covariance`: logarithms of its optimum, new effects included; `measured` where its runs put it,
      `edge` in place of that where they put it at the edge of their grid, which measures a bound only.
    - `regret`: relative excess loss at the predicted setting, on the group's own surface.
    - `error`: mean absolute error of the logarithm of what is observed, with the held-out level; `covered` share of runs within 90%.
    """

    name: str
    runs: int
    error: float
    covered: float
    predicted: Array | None = None
    covariance: Array | None = None
    measured: Array | None = None
    edge: Array | None = None
    regret: float | None = None


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict, with what it rests on: groups held out, and the surfaces of the groups."""

    verdict: Verdict
    left: list[Left]
    surfaces: Mapping[int, Surface]


def judge(fitted: Fitted, *, progress: Progress = silent) -> Judgement:
    """Return what a fit was judged to be."""
    with double_precision():
        progress(0.0, "checking replicates")
        checks, failed = predictive_checks(fitted)
        grouping = _grouping(fitted)
        if grouping is None:
            ranges = leave_ranges_out(fitted, progress=progress)
            held_out = scores(ranges)
            failed += _too_narrow(held_out)
            if not ranges:
                few = f"fewer than {MIN_GROUPS} groups, too few to hold one out"
                failed.append(few)
            left = [Left(name=r.name, runs=r.runs, error=r.error, covered=r.covered) for r in ranges]
            verdict = Verdict(failed=failed, held_out=held_out, checks=checks)
            return Judgement(verdict=verdict, left=left, surfaces={})
        surfaces = _surfaces(fitted, grouping)
        left = [_leave_out(fitted, grouping, member, surfaces.get(member), progress) for member in range(grouping.size)]
    discrepancy = estimate_discrepancy(left)
    held_out = _scores(left, discrepancy, fitted.law.chosen)
    failed += _too_narrow(held_out)
    rows = None if discrepancy is None else [[float(v) for v in row] for row in discrepancy]
    verdict = Verdict(failed=failed, held_out=held_out, checks=checks, discrepancy=rows)
    return Judgement(verdict=verdict, left=left, surfaces=surfaces)


def _too_narrow(held_out: Mapping[str, float]) -> list[str]:
    """Return what was held out and is held by too few intervals."""
    return [
        f"90% intervals hold {share:.0%} of what was held out ({name.removeprefix('coverage_')})"
        for name, share in held_out.items()
        if name.startswith("coverage_") and not covers(share)
    ]


# Replicates


def predictive_checks(fitted: Fitted) -> tuple[dict[str, float], list[str]]:
    """Return the share of replicates above the data in three respects, and those that the data are unlike.

    Respects: the typical size of the noise, its tail, and the largest bias of a group.
    """
    density = fitted.density
    places = np.linspace(0, len(fitted.flat) - 1, min(CHECKED, len(fitted.flat))).astype(int)
    grouping = _grouping(fitted)
    checks: dict[str, float] = {}
    failed: list[str] = []
    found = density.predict(fitted.flat[places])
    several = len(found) > 1
    for number, (item, (mean, replicate)) in enumerate(zip(density.model.likelihoods, found, strict=True), 1):
        told = item.told
        if told.sum() < 5:
            continue
        ids: NDArray[np.int64] = np.zeros(int(told.sum()), dtype=np.int64)
        if grouping is not None:
            ids = grouping.ids[item.rows[told]]
        observed, mean, replicate = item.observed[told], mean[:, told], replicate[:, told]
        real, made = _statistics(observed - mean, ids), _statistics(replicate - mean, ids)
        ending = f"_{number}" if several else ""
        for name, a in real.items():
            other = made[name]
            share = float((other > a).mean() + 0.5 * (other == a).mean())
            checks[f"check_{name}{ending}"] = share
            if not likely(share):
                failed.append(f"the data are unlike what the law makes in {CHECKS[name]} (p {share:.3f})")
    return checks, failed


def _statistics(residual: Array, ids: NDArray[np.int64]) -> dict[str, Array]:
    size = np.abs(residual)
    typical = np.median(size, axis=1)
    biases = np.stack([np.abs(np.median(residual[:, ids == g], axis=1)) for g in np.unique(ids)], axis=1)
    return {"noise": typical, "tail": np.quantile(size, 0.99, axis=1) / typical, "bias": biases.max(axis=1) / typical}


# Groups held out


def _grouping(fitted: Fitted) -> Effect | None:
    """Return the effect that distinguishes most groups, if there are enough of them."""
    active = [e for e in fitted.density.model.effects.values() if e.active and e.spec.predict == "integrate"]
    found = max(active, key=lambda e: e.size, default=None)
    return found if found is not None and found.size >= MIN_GROUPS else None


def _surfaces(fitted: Fitted, grouping: Effect) -> dict[int, Surface]:
    """Return the surfaces of the groups that have one, all runs of theirs considered, also those not fitted to."""
    law, decision = fitted.law, fitted.law.spec.decision
    if decision is None or not law.optimum or decision.minimise not in fitted.runs.columns:
        return {}
    frame = fitted.runs.drop_nulls([*law.chosen, decision.minimise])
    _, members = group_ids(frame, grouping.columns)
    ids, _ = group_ids(frame, grouping.columns)
    found: dict[int, Surface] = {}
    wanted = {row: place for place, row in enumerate(grouping.members.rows())}
    for number, row in enumerate(members.rows()):
        if row not in wanted:
            continue
        here = frame.filter(ids == number)
        x = np.log(np.stack([here[name].to_numpy() for name in law.chosen], axis=1))
        surface = smooth(x, np.log(here[decision.minimise].to_numpy()))
        if surface is not None:
            found[wanted[row]] = surface
    return found


def _leave_out(fitted: Fitted, grouping: Effect, member: int, surface: Surface | None, progress: Progress) -> Left:
    density, law = fitted.density, fitted.law
    progress(member / grouping.size, f"holding out group {member + 1} of {grouping.size}")
    inside = grouping.ids == member
    weights = np.where(inside, 0.0, 1.0)
    normal = fit_normal(density, weights, start=fitted.normal.mode, rounds=1)
    draws = normal.draws(standard_normals(density.size, LEFT_OUT).T)
    errors: list[Array] = []
    hits: list[Array] = []
    for item, (mean, replicate) in zip(density.model.likelihoods, density.predict(draws), strict=True):
        here = np.isin(item.rows, np.flatnonzero(inside)) & item.told
        if not here.any():
            continue
        low, high = np.quantile(replicate[:, here], [0.05, 0.95], axis=0)
        errors.append(np.abs(item.observed[here] - np.median(mean[:, here], axis=0)))
        hits.append((item.observed[here] >= low) & (item.observed[here] <= high))
    error = float(np.mean(np.concatenate(errors))) if errors else float("nan")
    covered = float(np.mean(np.concatenate(hits))) if hits else float("nan")
    name = ", ".join(f"{c} {_show(v)}" for c, v in zip(grouping.columns, grouping.members.row(member), strict=True))
    if not law.optimum:
        return Left(name=name, runs=int(inside.sum()), error=error, covered=covered)
    rows = np.flatnonzero(inside)[:1]
    with_effects, without = density.best(draws, rows)
    predicted = without[:, 0].mean(axis=0)
    return Left(
        name=name,
        runs=int(inside.sum()),
        error=error,
        covered=covered,
        predicted=predicted,
        covariance=np.atleast_2d(np.cov(with_effects[:, 0], rowvar=False)),
        measured=surface.best if surface is not None and surface.inside else None,
        edge=surface.best if surface is not None and not surface.inside else None,
        regret=surface.excess(predicted) if surface is not None else None,
    )


def _show(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def estimate_discrepancy(left: list[Left]) -> Array | None:
    """Return how far measured tuned optima deviate beyond what the law predicts: a covariance, or None if too few tell.

    The mean of w e e' - V over the groups, e the error and V the covariance predicted, without its negative part. A scatter
    known from n errors makes the next one Student's t: w = (t / z)^2, the quantiles of the two at 95%, makes normal
    intervals of 90% as wide as that takes.
    """
    parts = [
        (item.measured - item.predicted, item.covariance)
        for item in left
        if item.measured is not None and item.predicted is not None and item.covariance is not None
    ]
    if len(parts) < MIN_GROUPS:
        return None
    wider = (float(stdtrit(len(parts), 0.95)) / _SURE) ** 2
    strays = [wider * np.outer(error, error) - foretold for error, foretold in parts]
    values, vectors = np.linalg.eigh(np.mean(strays, axis=0))
    return (vectors * np.maximum(values, 1e-5)) @ vectors.T


def _scores(left: list[Left], discrepancy: Array | None, chosen: tuple[str, ...]) -> dict[str, float]:
    """Return the scores of what was held out; each group's discrepancy for its coverage is that of the others."""
    found = {"groups": float(len(left))}
    errors = np.array([item.error for item in left])
    found["error_percent"] = 100 * float(np.nanmean(errors))
    found["coverage_runs"] = float(np.nanmean([item.covered for item in left]))
    regrets = [100 * item.regret for item in left if item.regret is not None]
    if regrets:
        found |= {"regret_percent_mean": float(np.mean(regrets)), "regret_percent_max": max(regrets)}
    if discrepancy is None:
        return found
    hits: list[NDArray[np.bool_]] = []
    for item in left:
        if item.measured is None or item.predicted is None or item.covariance is None:
            continue
        others = estimate_discrepancy([other for other in left if other is not item])
        extra = discrepancy if others is None else others
        width = _SURE * np.sqrt(np.diag(item.covariance + extra))
        hits.append(np.abs(item.measured - item.predicted) <= width)
    shares: list[float] = np.mean(hits, axis=0).tolist()
    return found | {f"coverage_{name}": share for name, share in zip(chosen, shares, strict=True)}
