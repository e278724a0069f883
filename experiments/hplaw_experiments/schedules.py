"""Learning-rate schedules: law files that are evaluated in the training step."""

from __future__ import annotations

import functools as ft
from collections.abc import Callable
from importlib.resources import as_file, files
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hplaw.catalogue import load_catalogue
from hplaw.errors import QueryError, nearest
from hplaw.evaluation import evaluate
from hplaw.expression.backends import jax_backend
from hplaw.law import Law, read_law
from hplaw.law.program import unroll
from hplaw_experiments.optim import Hyper
from hplaw_experiments.spec import Trial, steps


SCHEDULES = ("constant", "cosine", "linear", "wsd", "inverse_sqrt", "uba", "cosine_power")
"""Schedules by name; the law of each is `schedule-NAME`."""

GIVEN = ("step", "total_steps", "peak_lr", "final_lr", "warmup_steps", "decay_steps")
"""What the trainer knows; whatever else a law wants to know must have a value that stands in."""

Schedule = Callable[[Int[Array, ""], Hyper], Float[Array, ""]]


def schedule_law(trial: Trial) -> Law:
    """Return the law of a trial's schedule.

    **Raises:** `QueryError` for a schedule that is not known, or a law that gives no rate from what is known.

    >>> schedule_law(Trial(tokens=64, batch_tokens=64, peak_lr=1.0)).id
    'schedule-cosine'
    """
    law = _named(trial.schedule) if not trial.schedule_law else _found(trial.schedule_law)
    if "learning_rate" not in law.outputs:
        message = f"the law {law.id} gives no learning_rate; give one that does"
        raise QueryError(message, field="schedule_law")
    for name, item in law.inputs.items():
        if name not in GIVEN and item.missing is None:
            message = f"the law {law.id} wants {name}, which a trial does not say; let the law say what stands in"
            raise QueryError(message, field="schedule_law")
    return law


@ft.lru_cache(maxsize=16)
def _named(name: str) -> Law:
    if name not in SCHEDULES:
        message = (
            f"'{name}' is no schedule{nearest(name, SCHEDULES)}; give one of {', '.join(SCHEDULES)}"
        )
        raise QueryError(message, field="schedule")
    with as_file(
        files("hplaw_laws") / "theory" / f"schedule-{name.replace('_', '-')}.toml"
    ) as file:
        return read_law(file)


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
        "step": 0, "total_steps": steps(trial), "peak_lr": trial.peak_lr, "warmup_steps": warmup, "decay_steps": decay,
        "final_lr": trial.final_lr_fraction * trial.peak_lr,
    }  # fmt: skip
    answer = evaluate(law, {k: v for k, v in given.items() if k in law.inputs})
    if answer.status in {"undefined", "refused"}:
        message = f"{law.id} gives no learning rate for this trial: {answer.say}"
        raise QueryError(message, field="schedule")


def make_schedule(law: Law) -> Schedule:
    """Return a law as a function of step and `Hyper`, to be traced in a training step.

    **Arguments:**

    - `law`: gives `learning_rate` from the names in `GIVEN`.
    """
    program = law.program(jax_backend())
    values: dict[str, Any] = {name: p.value for name, p in law.spec.parameters.items()}
    formulas: dict[str, Any] = {}
    for name, item in law.inputs.items():
        if name in GIVEN:
            continue
        if isinstance(item.missing, str) and not law.quantity(name).categorical:
            text = law.namespace.formula(item.missing, table="inputs", key=name)
            formulas[name] = unroll(law.namespace, text, program.backend, ())
        else:
            values[name] = item.missing

    def schedule(step: Int[Array, ""], hyper: Hyper) -> Float[Array, ""]:
        known = {
            "step": step.astype(jnp.float32), "total_steps": hyper.total_steps.astype(jnp.float32),
            "peak_lr": hyper.peak_lr, "final_lr": hyper.final_lr, "warmup_steps": hyper.warmup_steps,
            "decay_steps": hyper.decay_steps,
        }  # fmt: skip
        environment = program.environment(values | known)
        for name, formula in formulas.items():
            environment[name] = formula(environment)
        with jax.numpy_dtype_promotion("standard"):  # a law's whole numbers are no fault
            return jnp.asarray(program.outputs["learning_rate"](environment), jnp.float32)

    return schedule
