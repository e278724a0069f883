"""Running a sweep: what is still to be trained is packed and launched, round by round, until nothing is left."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from hplaw.errors import DataError, QueryError
from hplaw.runs.store import Problem, Store
from hplaw_experiments.launch.abstract import AbstractLauncher
from hplaw_experiments.launch.job import TRAINER, Job, begun, forget_begun
from hplaw_experiments.sweep.live import Live
from hplaw_experiments.sweep.plan import PACK_WIDTH, make_packs
from hplaw_experiments.sweep.walkers import next_trials
from hplaw_experiments.trial import SweepSpec, Trial, key


SWEEPS = ".sweeps"
"""The folder in a store that holds the sweeps that were run into it."""

Report = Callable[[Live], object]
"""Called with how far a sweep is."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How far a sweep is.

    **Arguments:**

    - `asked`: trials asked for so far; later rounds of a walker may ask for more.
    - `done`, `diverged`: of these, stored, and among those stored diverged.
    - `begun`: packs that were begun and not ended, by a run that still goes on or was interrupted.
    - `problems`: files of the store that are omitted.
    """

    asked: int
    done: int
    diverged: int
    begun: int
    problems: tuple[Problem, ...] = ()

    @property
    def complete(self) -> bool:
        """Return whether nothing is left to train."""
        return self.done == self.asked


def losses_of(store: Store) -> dict[str, float | None]:
    """Return the loss of every stored run by its key, None where it diverged."""
    return _losses(store)[0]


def standing(spec: SweepSpec, store: Store) -> Standing:
    """Return how far a sweep is."""
    losses, problems = _losses(store)
    asked = [key(trial) for trial in next_trials(spec, losses)]
    done = [name for name in asked if name in losses]
    return Standing(
        asked=len(asked),
        done=len(done),
        diverged=sum(losses[name] is None for name in done),
        begun=len(begun(store.place)),
        problems=problems,
    )


def run_sweep(
    spec: SweepSpec,
    store: Store,
    *,
    launcher: AbstractLauncher,
    width: int | Callable[[Trial], int] = PACK_WIDTH,
    trainer: str = TRAINER,
    report: Report | None = None,
    within: Callable[[], bool] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Standing:
    """Train what a sweep asks for and is not stored yet, and return how far it came.

    **Arguments:**

    - `width`: most trials of a pack, or what says it for a trial; 1 for a metered sweep.
    - `within`: false ends the sweep before the next pack: a budget that is spent.
    - `report`: called after each pack, and within packs that run in this process.
    - `clock`: seconds, of any origin, for the time left.

    Killed at any moment and run again, it ends with the same table: packs that were begun are run again in the
    same company, and runs that are stored stay as they are.
    """
    save_spec(spec, store)
    live = None if report is None else Live(spec.name, report, clock)
    while True:
        losses = losses_of(store)
        asked = next_trials(spec, losses)
        missing = {key(trial) for trial in asked} - set(losses)
        if not missing:
            forget_begun(store.place)
            return standing(spec, store)
        jobs = [
            Job(store=store.address, sweep=spec.name, trials=tuple(pack), trainer=trainer, metered=spec.metered)
            for pack in packs_of(asked, missing, begun(store.place), width=1 if spec.metered else width)
        ]
        if live is not None:
            later = make_packs(_later(spec, losses, asked), width=1 if spec.metered else width)
            live.begins(asked, losses, jobs, later)
        for job, _ in launcher.run(jobs, told=None if live is None else live.told):
            if live is not None:
                live.ended(job)
            if within is not None and not within():
                return standing(spec, store)


def _later(spec: SweepSpec, losses: Mapping[str, float | None], asked: Sequence[Trial]) -> list[Trial]:
    """Return trials like those that later rounds will ask for."""
    known = {key(trial) for trial in asked}
    return [trial for trial in next_trials(spec, losses, guess=True) if key(trial) not in known]


def packs_of(
    asked: Sequence[Trial],
    missing: set[str],
    started: Sequence[tuple[Trial, ...]],
    *,
    width: int | Callable[[Trial], int],
) -> list[list[Trial]]:
    """Return the packs that are to be run: those begun before as they were, then the rest in new ones."""
    left = set(missing)
    again: list[list[Trial]] = []
    for pack in started:
        if left & {key(trial) for trial in pack}:
            again.append(list(pack))
            left -= {key(trial) for trial in pack}
    return again + make_packs([trial for trial in asked if key(trial) in left], width=width)


# Sweeps kept beside their runs


def save_spec(spec: SweepSpec, store: Store) -> None:
    """Write a sweep into its store, so that it can be resumed from there."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", spec.name):
        message = f"name = '{spec.name}' cannot name a file; give letters, digits, - and _"
        raise QueryError(message, field="name")
    name = f"{spec.name}.json"
    body = msgspec.json.format(msgspec.json.encode(spec))
    place = store.place
    if name not in place.names(SWEEPS) or place.read(f"{SWEEPS}/{name}") != body:
        place.write(f"{SWEEPS}/{name}", body)


def saved_specs(store: Store) -> list[SweepSpec]:
    """Return the sweeps that were run into a store.

    **Raises:** `DataError` for one that cannot be read.
    """
    found: list[SweepSpec] = []
    for name in store.place.names(SWEEPS):
        if not name.endswith(".json"):
            continue
        where = f"{SWEEPS}/{name}"
        body = store.place.read(where)
        try:
            found.append(msgspec.json.decode(body, type=SweepSpec))
        except msgspec.DecodeError as error:
            problem = body if isinstance(body, str) else f"is no sweep: {error}"
            message = f"{store.place.label(where)} {problem}; run the sweep from its file"
            raise DataError(message) from None
    return found


def _losses(store: Store) -> tuple[dict[str, float | None], tuple[Problem, ...]]:
    good, problems = store.tables()
    losses: dict[str, float | None] = {}
    for _, table in good:
        found = table["loss"] if "loss" in table.columns else [None] * len(table)
        for name, loss in zip(table["key"], found, strict=True):
            losses.setdefault(name, loss)
    return losses, tuple(problems)
