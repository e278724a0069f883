"""Schedules of the learning rate: laws of step and total, as curves, areas and functions for a training loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hplaw.answer.answer import plain_outputs
from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import ConflictingQuery, QueryError, nearest
from hplaw.evaluation.point import SILENT
from hplaw.evaluation.rates import SCHEDULES, rate_function
from hplaw.expression.backends import jax_backend, numpy_backend
from hplaw.law import Law
from hplaw.law.shipped import theory_law
from hplaw.messages.schedule import ScheduleCurve, ScheduleRequest


GIVEN_APART = ("step", "total_steps", "peak_lr")
"""Inputs of a schedule's law that a request has fields for, or that its curve runs over."""

MOST_SUMMED = 2_000_000
"""Steps up to which the area is the sum over each of them; that of a longer run is the sum over so many alike spaced."""


def find_schedule(name: str, catalogue: Catalogue | None = None) -> Law:
    """Return the law of a schedule by its name, with hyphens or underscores, or by the id of a law in a catalogue.

    **Raises:** `QueryError` for a name that is not known or a law that gives no learning rate from a step.

    >>> find_schedule("inverse-sqrt").id
    'schedule-inverse-sqrt'
    """
    known = name.lower().replace("-", "_").removeprefix("schedule_")
    shipped = f"schedule-{known.replace('_', '-')}" if known in SCHEDULES else None
    laws = schedule_laws(catalogue) if catalogue else {}
    law = laws.get(shipped or name.partition("@")[0])
    if law is not None:
        return law
    if shipped is not None:
        return theory_law(shipped)
    message = f"'{name[:80]}' is no schedule{nearest(known[:80], (*SCHEDULES, *laws))}; give one of {', '.join(SCHEDULES)}, or the id of a law that gives learning_rate from a step"
    raise QueryError(message, field="schedule")


def schedule_laws(catalogue: Catalogue) -> dict[str, Law]:
    """Return the laws of a catalogue that give a learning rate from a step, by id."""
    return {law.id: law for law in catalogue.laws if "learning_rate" in law.outputs and "step" in law.inputs}


def schedule_curve(request: ScheduleRequest, catalogue: Catalogue | None = None) -> ScheduleCurve:
    """Return a schedule's curve and area.

    **Raises:** `QueryError` naming the field at fault, also where the law has no rate for such a run.

    >>> curve = schedule_curve(ScheduleRequest(schedule="linear", total_steps=100.0))
    >>> curve.rates[0], curve.rates[-1], round(curve.area, 6)
    (1.0, 0.0, 50.5)
    """
    import numpy as np

    from hplaw.arrays import Array, Float

    law, given, say = _checked(request, catalogue)
    rates = rate_function(law, numpy_backend(), {"step": None, **given})
    total = request.total_steps

    def at(steps: Float[Array, " step"]) -> Float[Array, " step"]:
        with np.errstate(all="ignore"):  # the branch of `where` that is not taken
            return np.broadcast_to(rates({"step": steps, **given}), steps.shape)

    steps = np.linspace(0.0, total, int(request.points))
    shown = at(steps)
    taken = min(int(np.ceil(total)), MOST_SUMMED)
    mean = float(np.mean(at(np.arange(taken) * (np.ceil(total) / taken))))
    if not (np.all(np.isfinite(shown)) and np.isfinite(mean)):
        message = f"{law.id} gives no learning rate somewhere in this run; give it other values"
        raise ConflictingQuery(message, field="given")
    return ScheduleCurve(
        schedule=request.schedule,
        law=law.address,
        total_steps=total,
        peak_lr=request.peak_lr,
        given=request.given,
        steps=steps.tolist(),
        rates=shown.tolist(),
        area=mean * float(np.ceil(total)),
        mean_share=mean / request.peak_lr,
        say=say,
        citation=law.citation(),
    )


def optax_schedule(
    schedule: str, *, total_steps: float, peak_lr: float, catalogue: Catalogue | None = None, **given: float
) -> Callable[[Any], Any]:
    """Return a schedule for optax: a function of the count of steps that can be traced, held at its end beyond the last.

    **Raises:** `QueryError` as `schedule_curve` does.

    >>> rate = optax_schedule("cosine", total_steps=1000, peak_lr=3e-4, warmup_steps=100)
    >>> round(float(rate(550)) / 3e-4, 6)
    0.5
    """
    import importlib

    jax: Any = importlib.import_module("jax")
    jnp: Any = importlib.import_module("jax.numpy")
    request = ScheduleRequest(schedule=schedule, total_steps=total_steps, peak_lr=peak_lr, given=given)
    law, settled, _ = _checked(request, catalogue)
    rates = rate_function(law, jax_backend(), {"step": None, **settled})

    def rate(count: object) -> Any:
        step = jnp.clip(jnp.asarray(count, jnp.float32), 0.0, total_steps)
        with jax.numpy_dtype_promotion("standard"):  # a law's whole numbers are no fault
            return jnp.asarray(rates({"step": step, **settled}), jnp.float32)

    return rate


def _checked(request: ScheduleRequest, catalogue: Catalogue | None) -> tuple[Law, dict[str, float], str | None]:
    """Return the law, the inputs that stay over the run, and the law's reservation.

    **Raises:** `QueryError` for inputs that the law does not take, and where it gives no rate at the ends of the run.
    """
    law = find_schedule(request.schedule, catalogue)
    for name in request.given:
        if name not in law.inputs or name in GIVEN_APART:
            others = [n for n in law.inputs if n not in GIVEN_APART]
            message = f"given: {law.id} takes no {name[:80]}{nearest(name[:80], others)}; give {', '.join(others) or 'nothing'}"
            raise ConflictingQuery(message, field="given")
    fields = {"total_steps": request.total_steps, "peak_lr": request.peak_lr}
    settled = {**{k: v for k, v in fields.items() if k in law.inputs}, **request.given}
    say = None
    for step in (0.0, request.total_steps):
        found = evaluate(law, {"step": step, **settled})
        rate = found.outputs["learning_rate"]
        if found.status in SILENT or rate.value is None:
            message = f"{law.id} gives no learning rate for this run: {found.say or rate.reason}"
            raise ConflictingQuery(message, field="given")
        say = found.say or say
    return law, settled, say


def hypergradient_rates(products: Sequence[float], *, peak_lr: float, rate: str = "server") -> list[float]:
    """Return the rate of each round of FedHyper, by the law `fedhyper`.

    **Arguments:**

    - `products`: the inner product of each round's model update with the one before; 0 for the first.
    - `rate`: `server`, `server_momentum` or `client`.

    **Raises:** `QueryError` for a rate that is not known, or a product that is not finite.

    >>> hypergradient_rates([0.0, 0.04], peak_lr=1.0)
    [1.0, 1.04]
    """
    law, gathered = theory_law("fedhyper"), 0.0
    rates: list[float] = []
    for product in products:
        given = {"update_product": product, "hypergradient": gathered, "peak_lr": peak_lr, "fedhyper_rate": rate}
        _, found = plain_outputs(law, given)
        gathered = found["next_hypergradient"]
        rates.append(found["round_lr"])
    return rates
