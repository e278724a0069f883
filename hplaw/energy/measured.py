"""What a metered run emitted and cost, and what the laws would have predicted for it."""

from __future__ import annotations

import math

import msgspec

from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.catalogue import Catalogue
from hplaw.energy.training import energy
from hplaw.formatting import number
from hplaw.forms.log_normal import NORMAL_QUANTILES
from hplaw.messages.energy import EnergyRequest
from hplaw.messages.metering import MeteredRun
from hplaw.messages.recommendation import BriefEstimate, Estimate


PREDICTED = ("duration_s", "accelerator_hours", "power_w", "board_energy_kwh")
"""What is predicted of a metered run: NVML meters boards."""


class Grid(msgspec.Struct, frozen=True):
    """The carbon intensity of a country's electricity, g/kWh, with its 90% interval."""

    country: str
    value: float
    low: float
    high: float


def grid_of(country: str, catalogue: Catalogue) -> Grid:
    """Return what electricity of a country emits.

    **Raises:** `QueryError` for a country that is not known.
    """
    found = evaluate(catalogue.get("grid-carbon"), {"country": country}, catalogue).outputs
    value, spread = (float(found[name].value or 0.0) for name in ("carbon_g_per_kwh", "carbon_spread"))
    wide = math.exp(float(NORMAL_QUANTILES[-1]) * spread)
    return Grid(country, value, value / wide, value * wide)


def predict_run(
    catalogue: Catalogue, *, n_params: float, tokens: float, hardware: str, precision: str | None, devices: float | None
) -> dict[str, BriefEstimate]:
    """Return what laws give for a run: hours, time, power of a board and energy of the boards; the reason where none.

    **Raises:** `QueryError` where nothing can be predicted.
    """
    request = EnergyRequest(
        n_params=n_params,
        tokens=tokens,
        hardware=[hardware],
        precision=[] if precision is None else [precision],
        devices=devices,
        given={"hours_basis": "steps"},  # what is metered is one run from start to end
    )
    answers = energy(request, catalogue).cases[0].answers
    return {name: _brief(answers[name]) for name in PREDICTED if name in answers}


def _brief(found: Estimate) -> BriefEstimate:
    reason = found.reason if found.value is None else None
    return BriefEstimate(value=found.value, low=found.low, high=found.high, law=found.law, reason=reason)


def valued(
    run: MeteredRun, *, grid: Grid | None = None, price_per_hour: float | None = None, pue: float | None = None
) -> MeteredRun:
    """Return a metered run with its carbon and its cost, and a note where fewer devices were metered than it used.

    **Arguments:**

    - `price_per_hour`: of one accelerator.
    - `pue`: what the energy is multiplied by for carbon; 1 by default.
    """
    note = run.note
    if run.meter == "nvml" and run.devices is not None and run.metered_devices != run.devices:
        part = f"{number(run.metered_devices)} GPUs were metered here, and the run used {number(run.devices)}; joules are theirs alone"
        note = f"{note}; {part}" if note else part
    drawn = None if run.kwh is None else run.kwh * (pue or 1.0)
    carbon = [None if drawn is None or grid is None else drawn * g / 1e3 for g in _levels(grid)]
    hours = run.seconds / 3600 * (run.devices or 1.0)
    return msgspec.structs.replace(
        run,
        note=note,
        country=None if grid is None else grid.country,
        carbon_kg=carbon[0],
        carbon_low_kg=carbon[1],
        carbon_high_kg=carbon[2],
        pue=pue,
        price_per_hour=price_per_hour,
        cost=None if price_per_hour is None else price_per_hour * hours,
    )


def _levels(grid: Grid | None) -> tuple[float, float, float]:
    return (0.0, 0.0, 0.0) if grid is None else (grid.value, grid.low, grid.high)
