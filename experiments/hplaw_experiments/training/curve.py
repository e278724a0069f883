"""The learning curve of a trial while it runs, and what came of the trial in the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxtyping import Float, Int

from hplaw_experiments.models import flop_per_token, n_params
from hplaw_experiments.training.step import CALL, POINTS, SMOOTHED, end_of
from hplaw_experiments.trial import Outcome, Trial, steps


class Curve:
    """The losses of one trial, stretch by stretch, and where it is."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.total = steps(trial)
        self.ends = [end_of(point, self.total) for point in range(POINTS)]
        self.losses = np.full(POINTS, np.nan)
        self.held = np.full(POINTS, np.nan)
        self.steps_done, self.diverged_step = 0, -1
        self.forecast: float | None = None
        self.stopped = False

    @property
    def alive(self) -> bool:
        """Return whether it still trains."""
        return not self.stopped and self.diverged_step < 0

    def ends_of(self, first: int, last: int) -> list[int]:
        """Return the ends of some stretches, the last one repeated so that there are `CALL` of them."""
        ends = self.ends[first:last]
        return ends + ends[-1:] * (CALL - len(ends))

    def saw(self, first: int, last: int, totals: Float[np.ndarray, " stretches"], reached: int) -> None:
        """Take in the summed losses of stretches, and the step that was reached in them."""
        ends = np.minimum([self.steps_done, *self.ends[first:last]], reached)
        count = np.diff(ends).astype(np.float32)
        with np.errstate(invalid="ignore"):  # no step, no loss
            self.losses[first:last] = totals[: last - first] / count
        self.steps_done = reached

    def seen(self) -> tuple[Int[np.ndarray, " points"], Float[np.ndarray, " points"]]:
        """Return the last step of each stretch that had one, counted from zero, and the mean loss there."""
        known = np.isfinite(self.losses)
        return np.asarray(self.ends)[known] - 1, self.losses[known]

    def now(self) -> float | None:
        """Return the smoothed training loss so far."""
        losses = self.seen()[1]
        return float(np.mean(losses[-SMOOTHED:])) if len(losses) and self.diverged_step < 0 else None


def outcomes(trials: Sequence[Trial], curves: Sequence[Curve], seconds: float) -> list[Outcome]:
    """Return what came of trials that took so long together, each with its share of the time by its steps."""
    work = [curve.steps_done for curve in curves]
    return [
        _outcome(trial, curve, seconds * curve.steps_done / max(1, sum(work)), len(trials))
        for trial, curve in zip(trials, curves, strict=True)
    ]


def _outcome(trial: Trial, curve: Curve, seconds: float, width: int) -> Outcome:
    diverged = curve.diverged_step >= 0
    held = curve.held[np.isfinite(curve.held)]
    train = curve.now()
    x, y = _thinned(*curve.seen(), trial.curve_points)
    loss = float(np.mean(held)) if len(held) else train
    return Outcome(
        loss=None if diverged else loss,
        train_loss=None if diverged else train,
        diverged=diverged,
        diverged_step=curve.diverged_step if diverged else None,
        steps_done=curve.steps_done,
        stopped_early=curve.stopped,
        forecast_loss=curve.forecast,
        seconds=seconds,
        pack_width=width,
        shared=width > 1,
        curve_steps=tuple(map(int, x)),
        curve_losses=tuple(map(float, y)),
        n_params=n_params(trial),
        training_flop=flop_per_token(trial) * curve.steps_done * trial.batch_tokens,
    )


def _thinned(x: Any, y: Any, most: int) -> tuple[Any, Any]:
    """Return at most so many points of a curve, evenly chosen, the last one always."""
    if len(x) <= most:
        return x, y
    at = np.linspace(0, len(x) - 1, most).round().astype(int) if most > 1 else np.array([len(x) - 1])
    return x[at], y[at]
