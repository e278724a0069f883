"""What the study's file declares: families of networks, temperatures of their dense training, densities, retraining."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from hplaw.errors import DataError
from hplaw_experiments.studies.study import StudySpec


AXES = ("epochs", "annealed", "batch", "rate", "rho")
"""Temperatures that are varied: epochs at a constant rate, epochs with the rate lowered before the stop, and others at fixed epochs."""


class Family(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One family of networks, as the file has it.

    - `epochs`: of dense training at a constant rate; `annealed`: of one whose last quarter has a tenth of the rate.
    - `batches`, `rates`, `rhos`: varied one at a time at `at_epochs`.
    - `retrain_steps`, `retrain_rate`, `retrain_batch`: as all are retrained, the rate a tenth and a hundredth at the end.
    """

    width: int
    n_layers: int
    n_train: int
    label_noise: float
    batch: int
    rate: float
    densities: list[float]
    epochs: list[int]
    annealed: list[int] = []
    batches: list[int] = []
    rates: list[float] = []
    rhos: list[float] = []
    at_epochs: int = 32
    retrain_steps: int
    retrain_rate: float
    retrain_batch: int
    retrains: int = 2


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One dense training of one family: its temperature, and on which axis it was varied."""

    family: str
    axis: str
    epochs: int
    batch: int
    rate: float
    stop_rate: float
    rho: float = 0.0


def families(spec: StudySpec) -> dict[str, Family]:
    """Return the families that a study's file declares.

    **Raises:** `DataError` for a table that is no family.
    """
    try:
        return msgspec.convert(spec.options.get("families", {}), dict[str, Family])
    except msgspec.ValidationError as error:
        message = f"study {spec.name}, options.families: {error}"
        raise DataError(message) from None


def conditions(name: str, family: Family) -> Iterator[Condition]:
    """Yield the dense trainings of a family."""
    base = {"family": name, "batch": family.batch, "rate": family.rate, "stop_rate": family.rate}
    for epochs in family.epochs:
        yield Condition(axis="epochs", epochs=epochs, **base)
    for epochs in family.annealed:
        yield Condition(axis="annealed", epochs=epochs, **(base | {"stop_rate": family.rate / 10}))
    there: dict[str, Any] = base | {"epochs": family.at_epochs}
    for batch in family.batches:
        yield Condition(axis="batch", **(there | {"batch": batch}))
    for rate in family.rates:
        yield Condition(axis="rate", **(there | {"rate": rate, "stop_rate": rate}))
    for rho in family.rhos:
        yield Condition(axis="rho", **there, rho=rho)


def key_of(condition: Condition, family: Family, seed: int) -> str:
    """Return the key of a condition's cells: a hash of all that decides what comes out."""
    apart = {"epochs": [], "annealed": [], "batches": [], "rates": [], "rhos": [], "at_epochs": 0}
    fixed = msgspec.to_builtins(family) | apart
    body = msgspec.json.encode([msgspec.to_builtins(condition), fixed, seed], order="deterministic")
    return hashlib.sha256(body).hexdigest()[:16]
