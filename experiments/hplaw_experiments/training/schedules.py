"""Learning-rate schedules: law files that are evaluated in the training step."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.catalogue import load_catalogue
from hplaw.errors import QueryError
from hplaw.evaluation.rates import rate_function
from hplaw.expression.backends import jax_backend
from hplaw.law import Law
from hplaw.theory.schedules import find_schedule
from hplaw_experiments.training.optim import Hyper
from hplaw_experiments.trial import Trial, steps


GIVEN = ("step", "total_steps", "peak_lr", "final_lr", "warmup_steps", "decay_steps")
"""What the trainer knows; whatever else a law wants to know must have a default."""

Schedule = Callable[[Int[Array, ""], Hyper], Float[Array, ""]]


def schedule_law(trial: Trial) -> Law:
    """Return the law of a trial's schedule.

    **Raises:** `QueryError` for a schedule that is not known, or a law that gives no rate from what is known.

    >>> schedule_law(Trial(tokens=64, batch_tokens=64, peak_lr=1.0)).id
    'schedule-cosine'
    """
    law = _found(trial.schedule_law) if trial.schedule_law else find_schedule(trial.schedule)
    if "learning_rate" not in law.outputs:
        message = f"the law {law.id} gives no learning_rate; give one that does"
        raise QueryError(message, field="schedule_law")
    for name, item in law.inputs.items():
        if name not in GIVEN and item.missing is None:
            message = f"the law {law.id} wants {name}, which a trial does not say; give it a default in the law"
            raise QueryError(message, field="schedule_law")
    return law


def _found(name: str) -> Law:
    return load_catalogue().get(name)


def lengths(trial: Trial) -> tuple[int, int]:
    """Return the steps that a trial's rate rises, and those that it falls at the end.

    >>> lengths(Trial(tokens=6400, batch_tokens=64, peak_lr=1.0))
    (5, 20)
    """
    total = steps(trial)
    warmup = min(round(trial.warmup_fraction * total), total - 1)
    return warmup, max(1, min(round(trial.decay_fraction * total), total - warmup))


def check_schedule(trial: Trial) -> None:
    """Raise `QueryError` where the law of a trial's schedule gives no rate for it."""
    law = schedule_law(trial)
    warmup, decay = lengths(trial)
    given = {
        "step": 0,
        "total_steps": steps(trial),
        "peak_lr": trial.peak_lr,
        "warmup_steps": warmup,
        "decay_steps": decay,
        "final_lr": trial.final_lr_fraction * trial.peak_lr,
    }
    answer = evaluate(law, {k: v for k, v in given.items() if k in law.inputs})
    if answer.status in {"undefined", "refused"}:
        message = f"{law.id} gives no learning rate for this trial: {answer.say}"
        raise QueryError(message, field="schedule")


def make_schedule(law: Law) -> Schedule:
    """Return a law as a function of step and `Hyper`, to be traced in a training step.

    **Arguments:**

    - `law`: gives `learning_rate` from the names in `GIVEN`.
    """
    rates = rate_function(law, jax_backend(), dict.fromkeys(GIVEN))

    def schedule(step: Int[Array, ""], hyper: Hyper) -> Float[Array, ""]:
        known = {
            "step": step.astype(jnp.float32),
            "total_steps": hyper.total_steps.astype(jnp.float32),
            "peak_lr": hyper.peak_lr,
            "final_lr": hyper.final_lr,
            "warmup_steps": hyper.warmup_steps,
            "decay_steps": hyper.decay_steps,
        }
        with jax.numpy_dtype_promotion("standard"):  # a law's whole numbers are no fault
            return jnp.asarray(rates(known), jnp.float32)

    return schedule
