"""Schedules side by side by the loss that a law of every step's rate predicts, and the best share of decay of WSD."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from hplaw.arrays import Array, Float
from hplaw.catalogue.catalogue import Catalogue
from hplaw.decide.decision import PLATEAU
from hplaw.errors import ConflictingQuery, QueryError, nearest
from hplaw.evaluation.domain import distance
from hplaw.evaluation.point import SILENT, point
from hplaw.evaluation.rates import SCHEDULES, rates_over
from hplaw.expression.backends import Undefined
from hplaw.law import Law
from hplaw.messages.schedule import DecayShare, ScheduleCompareRequest, ScheduleComparison, ScheduledLoss
from hplaw.recommendation.sense import HIGHEST_LOSS
from hplaw.recommendation.warnings import outside_range
from hplaw.theory.schedules import GIVEN_APART, find_schedule


LOSS = "scheduled_loss"
"""What a law gives that schedules are compared by."""

FINAL_SHARE, WARMUP_SHARE = 0.1, 0.01
"""Final rate over the peak, and warm-up over the run, where nothing else is given."""

SHARES = 60
"""Shares of decay at which the loss is computed, between those that a run has room for."""

DECAYED = "wsd"
"""The schedule whose share of decay is chosen."""


def compare_schedules(request: ScheduleCompareRequest, catalogue: Catalogue) -> ScheduleComparison:
    """Return schedules of one length and peak by the loss at their end, the lowest first.

    **Raises:** `QueryError` naming the field at fault; `LawNotFound` for a law that is not there.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> asked = ScheduleCompareRequest(total_steps=24e3, schedules=["constant", "cosine"])
    >>> [each.schedule for each in compare_schedules(asked, load_catalogue()).schedules]
    ['cosine', 'constant']
    """
    law = _law(request.law, catalogue)
    names = list(dict.fromkeys(request.schedules or SCHEDULES))
    laws = {name: find_schedule(name, catalogue) for name in names}
    settings = _settings(request, laws)
    run = {"n_params": request.n_params, "steps": request.total_steps, "peak_lr": request.peak_lr}

    def loss_of(schedule: Law, given: Mapping[str, float]) -> tuple[float, float]:
        rates, counts = rates_over(schedule, given, request.total_steps)
        # the rates are those of the schedule at hand, whatever name the law knows
        here = point(law, {**run, **given, "schedule": "cosine", "learning_rate": rates, "entry_steps": counts})
        if here.status in SILENT:
            raise Undefined(here.say or here.status)
        return here.output(LOSS), float(rates @ counts) / request.total_steps / request.peak_lr

    found = sorted(_losses(laws, loss_of, settings), key=lambda each: (each.loss is None, each.loss or 0.0))
    best = found[0].loss
    if best is None:
        message = f"no schedule has a loss in such a run: {found[0].reason}"
        raise ConflictingQuery(message, field="given")
    if best > HIGHEST_LOSS:
        message = f"{law.id} gives a loss above {HIGHEST_LOSS:g}, that of guessing, so it does not hold for such a run; give more steps or a higher rate"
        raise ConflictingQuery(message, field="total_steps")
    decay = _best_decay(laws[DECAYED], loss_of, settings, request) if DECAYED in laws else None
    away = distance(law, {**run, "total_steps": request.total_steps})
    return ScheduleComparison(
        law=law.address,
        n_params=request.n_params,
        total_steps=request.total_steps,
        peak_lr=request.peak_lr,
        given=settings,
        schedules=found,
        decay=decay,
        warnings=[
            outside_range(law, name, {**run, "total_steps": request.total_steps}[name], efolds)
            for name, efolds in away.efolds
        ],
        citation=law.citation(),
    )


def _law(address: str, catalogue: Catalogue) -> Law:
    law = catalogue.get(address)
    if not law.over_steps or LOSS not in law.outputs:
        message = f"{law.id} does not give the loss by the rate of every step; give one of {', '.join(laws_of_steps(catalogue))}"
        raise QueryError(message, field="law")
    return law


def _settings(request: ScheduleCompareRequest, laws: Mapping[str, Law]) -> dict[str, float]:
    """Return what all schedules share, with the final rate and the warm-up that nobody gave.

    **Raises:** `ConflictingQuery` for what none of them takes.
    """
    taken = {name for law in laws.values() for name in law.inputs if name not in GIVEN_APART}
    for name in request.given:
        if name not in taken:
            message = f"given: no schedule here takes {name[:80]}{nearest(name[:80], taken)}; give {', '.join(sorted(taken)) or 'nothing'}"
            raise ConflictingQuery(message, field="given")
    settings = {
        "peak_lr": request.peak_lr,
        "final_lr": FINAL_SHARE * request.peak_lr,
        "warmup_steps": round(WARMUP_SHARE * request.total_steps),
        **request.given,
    }
    if not 0 <= settings["warmup_steps"] < request.total_steps:
        message = (
            f"given: warmup_steps={settings['warmup_steps']:g} leaves no step of {request.total_steps:g}; give fewer"
        )
        raise ConflictingQuery(message, field="given")
    if not 0 <= settings["final_lr"] <= request.peak_lr:
        message = f"given: final_lr={settings['final_lr']:g} is not between 0 and the peak, {request.peak_lr:g}"
        raise ConflictingQuery(message, field="given")
    return settings


def _losses(
    laws: Mapping[str, Law],
    loss_of: Callable[[Law, Mapping[str, float]], tuple[float, float]],
    settings: Mapping[str, float],
) -> Iterator[ScheduledLoss]:
    for name, law in laws.items():
        try:
            loss, mean = loss_of(law, settings)
        except Undefined as error:
            yield ScheduledLoss(schedule=name, law=law.address, loss=None, reason=str(error))
        else:
            yield ScheduledLoss(schedule=name, law=law.address, loss=loss, mean_share=mean)


def _best_decay(
    law: Law,
    loss_of: Callable[[Law, Mapping[str, float]], tuple[float, float]],
    settings: Mapping[str, float],
    request: ScheduleCompareRequest,
) -> DecayShare | None:
    """Return the share of a run at which decay gives the lowest loss, and those that are as good; None without room."""
    total = request.total_steps
    most = 1.0 - settings["warmup_steps"] / total
    if most * total < 2:
        return None
    shares = np.linspace(max(most / SHARES, 1 / total), most, SHARES)

    def loss_at(share: float) -> float:
        return loss_of(law, {**settings, "decay_steps": share * total})[0]

    try:
        losses = np.array([loss_at(share) for share in shares])
    except Undefined:
        return None
    place = int(np.argmin(losses))
    share, loss = min(
        (float(shares[place]), float(losses[place])),
        ((refined := _refined(shares, losses, place)), loss_at(refined)),
        key=lambda each: each[1],
    )
    flat = np.flatnonzero(losses <= loss * (1 + PLATEAU))
    return DecayShare(
        share=share,
        loss=loss,
        low=float(shares[flat[0]]),
        high=float(shares[flat[-1]]),
        shares=shares.tolist(),
        losses=losses.tolist(),
    )


def _refined(x: Float[Array, " point"], y: Float[Array, " point"], place: int) -> float:
    """Return the minimum of the parabola through three points around the lowest, or that point at the ends."""
    if not 0 < place < len(x) - 1:
        return float(x[place])
    left, middle, right = (float(value) for value in y[place - 1 : place + 2])
    bend = left - 2 * middle + right
    step = float(x[1] - x[0])
    return float(x[place]) + (0.5 * step * (left - right) / bend if bend > 0 else 0.0)


def laws_of_steps(catalogue: Catalogue) -> Iterator[str]:
    """Yield the ids of laws that schedules can be compared by."""
    yield from (law.id for law in catalogue.laws if law.over_steps and LOSS in law.outputs)
