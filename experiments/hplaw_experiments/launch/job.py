"""One pack as a job: what a worker is given, and what it does."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from hplaw.errors import DataError, DeviceError
from hplaw.metering.devices import find_meter
from hplaw.metering.meter import AbstractMeter, Energy
from hplaw.runs.place import AbstractPlace
from hplaw.runs.store import Store
from hplaw_experiments.launch.record import Provenance, make_record, provenance
from hplaw_experiments.trial import Outcome, Progress, Seen, Trial, key


TRAINER = "hplaw_experiments.training.train:train_pack"
"""The function that trains a pack, by module and name."""

BEGUN = ".begun"
"""The folder in a store that holds the packs that were begun: what is interrupted is run again in the same company,
since the last digits of a result may depend on the pack that a trial ran in."""

IDLE_S = 1.0
"""Seconds over which idle power is read before a metered sweep."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A pack to be trained.

    **Arguments:**

    - `store`: the address of the runs; `sweep` the name of the sweep.
    - `trials`: the pack.
    - `trainer`: the function that trains it, as `module:function`.
    - `metered`: refuse to run without a meter.
    """

    store: str
    sweep: str
    trials: tuple[Trial, ...]
    trainer: str = TRAINER
    metered: bool = False

    @property
    def name(self) -> str:
        """Return a hash of the pack."""
        return hashlib.sha256("".join(map(key, self.trials)).encode()).hexdigest()[:16]


class Reply(msgspec.Struct, frozen=True):
    """What a worker answers: the keys that are new, or what went wrong."""

    keys: list[str] = []
    error: str = ""


class Place:
    """What a worker keeps from one pack to the next: its meter and where it computes."""

    def __init__(self, *, meter: AbstractMeter, where: Provenance) -> None:
        self.meter, self.where = meter, where

    @classmethod
    def here(cls, *, metered: bool = False) -> Place:
        """Return the place of this process.

        **Raises:** `DeviceError` where a meter is wanted and there is none.
        """
        where = provenance()
        meter = find_meter(where.platform)
        if metered:
            meter.start()
            found = meter.stop()
            if found.basis == "none":
                message = f"the sweep is to be metered, and nothing can be read here: {found.note}"
                raise DeviceError(message)
            meter.idle(IDLE_S)
        return cls(meter=meter, where=where)


def run_job(
    job: Job, place: Place, *, now: Callable[[], dt.datetime] | None = None, told: Progress | None = None
) -> list[str]:
    """Train a pack and store those of its runs that are not stored yet; return the keys of these.

    The pack is noted as begun until all its runs are stored.
    """
    store = Store(job.store)
    note = f"{BEGUN}/{job.name}.json"
    store.place.write(note, msgspec.json.encode(job.trials))
    started = dt.datetime.now(dt.UTC) if now is None else now()
    outcomes, energy = train_metered(job.trials, load_trainer(job.trainer), place.meter, told=told)
    fresh = [
        key(trial)
        for trial, outcome, share in zip(job.trials, outcomes, shares_of(outcomes, energy), strict=True)
        if store.put(make_record(trial, outcome, sweep=job.sweep, where=place.where, energy=share, started=started))
    ]
    store.place.delete(note)
    return fresh


def train_metered(
    trials: Sequence[Trial], train: Callable[..., list[Outcome]], meter: AbstractMeter, *, told: Progress | None = None
) -> tuple[list[Outcome], Energy]:
    """Return the outcomes of a pack, and the energy of its steps without compilation where the trainer tells."""
    found: list[Energy] = []

    def progress(share: float, seen: Sequence[Seen] = ()) -> None:
        if share <= 0:
            meter.start()
        elif share >= 1 and not found:
            found.append(meter.stop())
        if told is not None:
            told(share, seen)

    meter.start()
    outcomes = train(trials, progress=progress)
    if not found:
        found.append(meter.stop())
    if len(outcomes) != len(trials):
        message = f"the trainer returned {len(outcomes)} outcomes of {len(trials)} trials"
        raise DataError(message)
    return outcomes, found[0]


def shares_of(outcomes: Sequence[Outcome], energy: Energy) -> list[Energy]:
    """Return each trial's share of a pack's energy, by compute; what every step costs, a diverged trial pays too."""
    weights = [outcome.training_flop or 1.0 for outcome in outcomes]
    total = sum(weights)

    def part(whole: float | None, weight: float) -> float | None:
        return None if whole is None else whole * weight / total

    return [
        msgspec.structs.replace(energy, energy_j=part(energy.energy_j, w), check_j=part(energy.check_j, w))
        for w in weights
    ]


def begun(place: AbstractPlace) -> list[tuple[Trial, ...]]:
    """Return the packs of a store that were begun and not ended, in a fixed order; broken notes are passed over."""
    found: list[tuple[Trial, ...]] = []
    for name in place.names(BEGUN):
        body = place.read(f"{BEGUN}/{name}")
        try:
            found.append(msgspec.json.decode(body, type=tuple[Trial, ...]))
        except msgspec.DecodeError:
            continue
    return found


def forget_begun(place: AbstractPlace) -> None:
    """Remove the notes of packs that were begun."""
    for name in place.names(BEGUN):
        place.delete(f"{BEGUN}/{name}")


def load_trainer(name: str) -> Callable[..., list[Outcome]]:
    """Return a function by `module:function`."""
    module, _, function = name.partition(":")
    found: Any = getattr(importlib.import_module(module), function)
    return found
