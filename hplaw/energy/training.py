"""Time, energy and carbon of one run on several accelerators and in several precisions, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import read_category
from hplaw.energy.probe import with_probe
from hplaw.errors import QueryError
from hplaw.messages.energy import EnergyCase, EnergyReply, EnergyRequest, HardwareRecord
from hplaw.messages.law import Citation
from hplaw.messages.query import Query
from hplaw.messages.recommendation import Estimate
from hplaw.messages.record import Scalar
from hplaw.recommendation.question import PRICE
from hplaw.recommendation.record import recommend
from hplaw.vocabulary.hardware_names import ALIASES, OWN


WANT = (
    "accelerator_hours",
    "power_w",
    "energy_j",
    "energy_kwh",
    "board_energy_kwh",
    "system_energy_kwh",
    "site_energy_kwh",
)
PRECISIONS = ("bf16", "fp16", "fp32")
"""What is taken where no precision is named: the first that the accelerator has."""
_MARKS = ("_class_name", "_diffusers_version")
"""Keys of the configurations of diffusion models."""


def energy(request: EnergyRequest, catalogue: Catalogue) -> EnergyReply:
    """Return what a run takes on each accelerator in each precision.

    **Raises:** `QueryError` where no case can be computed, with the reason of the first; for an accelerator that is not
    known, and for a model that is no language model.
    """
    request, told = with_probe(request, catalogue)
    _refuse_others(request)
    cases: list[EnergyCase] = []
    citations: dict[str, Citation] = {}
    names: list[str | None] = [known_hardware(name, catalogue) for name in request.hardware] or [None]
    for hardware in names:
        for precision in precisions_asked(request.precision, hardware, catalogue):
            case, sources = _case(request, hardware, precision, catalogue)
            cases.append(msgspec.structs.replace(case, warnings=[*told, *case.warnings]))
            citations |= {source.law: source for source in sources}
    if all(case.reason for case in cases):
        first = cases[0]
        raise QueryError(str(first.reason), field="hardware")
    return EnergyReply(cases=cases, citations=list(citations.values()))


def _refuse_others(request: EnergyRequest) -> None:
    if request.model is not None and any(mark in request.model for mark in _MARKS):
        message = "model: this is the configuration of a diffusion model; the laws of energy were fitted to language models alone"
        raise QueryError(message, field="model")
    if not request.hardware and not any(name in request.given for name in OWN):
        message = f"hardware is not given; name an accelerator, for example h100-sxm, or give {', '.join(OWN)}"
        raise QueryError(message, field="hardware")


def known_hardware(name: str, catalogue: Catalogue) -> str:
    """Return the short name of an accelerator.

    **Raises:** `QueryError` for one that is not known, with the nearest name.
    """
    return str(read_category(catalogue, "hardware", name, field="hardware"))


def first_precision(hardware: str | None, catalogue: Catalogue) -> str:
    """Return the format that an accelerator is asked in where none is named."""
    table: Mapping[str, Mapping[str, float]] = catalogue.get("accelerators").spec.tables["peak"]
    has: Mapping[str, float] = table.get(hardware, {}) if hardware else {}
    return next((name for name in PRECISIONS if name in has), PRECISIONS[0])


def precisions_asked(named: Sequence[str], hardware: str | None, catalogue: Catalogue) -> list[str]:
    """Return the formats that an accelerator is asked in: those named, as the vocabulary writes them, or the first it has.

    **Raises:** `QueryError` for one that is not known.
    """
    names = named or [first_precision(hardware, catalogue)]
    return [str(read_category(catalogue, "precision", name, field="precision")) for name in names]


def _case(
    request: EnergyRequest, hardware: str | None, precision: str, catalogue: Catalogue
) -> tuple[EnergyCase, list[Citation]]:
    given: dict[str, Scalar] = dict(request.given)
    prices = known_prices(request.prices, catalogue)
    if hardware is not None and hardware in prices:
        given[PRICE] = prices[hardware]
    if request.country is not None:
        given["country"] = request.country
    if hardware is None:
        given.setdefault("accelerator_generation", "other")
    query = Query(
        n_params=request.n_params,
        n_active_params=request.n_active_params,
        tokens=request.tokens,
        hardware=hardware,
        precision=precision,
        devices=request.devices,
        model=request.model,
        given=given,
        want=[
            *WANT,
            *(["duration_s"] if request.devices is not None else []),
            "carbon_kg",
            *(["cost"] if PRICE in given else []),
        ],
    )
    found = recommend(query, catalogue)
    hours = found.answers["accelerator_hours"]
    case = EnergyCase(
        hardware=hardware,
        precision=precision,
        answers=found.answers,
        energy_scope=scope_of(found.answers),
        warnings=found.warnings,
        reason=hours.reason if hours.value is None else None,
    )
    return case, found.citations


def scope_of(answers: Mapping[str, Estimate]) -> str | None:
    """Return what the energy of an answer covers, None where it has none."""
    steps = [step for name in DRAWN if name in answers for step in answers[name].derivation]
    return next((str(step.inputs["energy_scope"]) for step in steps if "energy_scope" in step.inputs), None)


DRAWN = ("energy_j", "energy_kwh", "carbon_kg", "accelerator_hours")
"""Answers whose law says what energy covers."""


def known_prices(prices: Mapping[str, float], catalogue: Catalogue) -> dict[str, float]:
    """Return prices of an hour by the short names of accelerators.

    **Raises:** `QueryError` for an accelerator that is not known.
    """
    return {known_hardware(name, catalogue): price for name, price in prices.items()}


def hardware_records(catalogue: Catalogue) -> list[HardwareRecord]:
    """Return all accelerators whose figures are known.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> next(h for h in hardware_records(load_catalogue()) if h.name == "h100-sxm").board_power_w
    700.0
    """
    law, power = catalogue.get("accelerators"), catalogue.get("accelerator-power")
    tables: Mapping[str, Any] = law.spec.tables
    watts: Mapping[str, Any] = power.spec.tables["board_power"]
    return [
        HardwareRecord(
            name=name,
            aliases=sorted(alias for alias, short in ALIASES.items() if short == name),
            generation=str(tables["generation"][name]),
            peak_flop_per_s={precision: float(value) for precision, value in peaks.items()},
            device_memory_bytes=float(tables["memory"][name]),
            memory_bytes_per_s=float(tables["bandwidth"][name]),
            link_bytes_per_s=float(tables["link"][name]),
            board_power_w=float(watts[name]) if name in watts else None,
            checked=str(tables["level"][name]).replace("_", " "),
        )
        for name, peaks in tables["peak"].items()
    ]
