"""What energy, carbon and cost cover, in a line below them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hplaw.formatting import number
from hplaw.messages.recommendation import Estimate
from hplaw.messages.record import Scalar


SCOPES = {
    "gpu": "accelerator boards alone",
    "gpu_x_pue": "accelerator boards times PUE",
    "system": "whole servers",
    "system_x_pue": "whole servers times PUE",
    "datacenter": "whole servers times PUE",
}
"""What an energy covers, in words."""

COVERED = ("energy_kwh", "energy_j", "carbon_kg")
"""Answers that a scope holds for."""

LATEST = "latest"
"""The year of the grid that is taken where none is named."""


def covers(answers: Mapping[str, Estimate]) -> str | None:
    """Return what the energy, the carbon and the cost of an answer hold; None where it has none of them."""
    told = {name: estimate for name, estimate in answers.items() if estimate.value is not None}
    parts = [*_energy(told), *_carbon(told), *_cost(told)]
    return None if not parts else f"{'; '.join(parts)}."


def _energy(told: Mapping[str, Estimate]) -> Iterator[str]:
    names = [name for name in COVERED if name in told]
    scope = next((used["energy_scope"] for name in names if "energy_scope" in (used := _inputs(told[name]))), None)
    if scope is None:
        return
    room = _inputs(told[names[0]]).get("pue")
    words = SCOPES.get(str(scope), str(scope))
    if isinstance(room, float) and "PUE" in words:
        words = words.replace("PUE", f"a PUE of {room:.3g}")
    shown = [name for name in names if name != "energy_j"] or names
    yield f"{' and '.join(shown)} {'covers' if len(shown) == 1 else 'cover'} {words} (energy_scope={scope})"


def _carbon(told: Mapping[str, Estimate]) -> Iterator[str]:
    if "carbon_kg" not in told:
        return
    grams = _inputs(told["carbon_kg"]).get("carbon_g_per_kwh")
    if not isinstance(grams, float):
        return
    steps = [step.inputs for step in told["carbon_kg"].derivation if "carbon_g_per_kwh" in step.outputs]
    country, year = (steps[-1].get(name) for name in ("country", "carbon_year")) if steps else (None, None)
    where = ", as given" if not steps else f" ({country}, {year} year)" if year == LATEST else f" ({country}, {year})"
    yield f"carbon at {number(grams)} g/kWh{where}"


def _cost(told: Mapping[str, Estimate]) -> Iterator[str]:
    if "cost" in told and isinstance(price := _inputs(told["cost"]).get("price_per_hour"), float):
        yield f"cost is accelerator hours at {number(price)} $/h, without energy"


def _inputs(estimate: Estimate) -> dict[str, Scalar]:
    """Return what the law of an answer took."""
    return estimate.derivation[-1].inputs if estimate.derivation else {}
