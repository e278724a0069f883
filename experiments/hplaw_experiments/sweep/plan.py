"""From a sweep file to trials, from trials to packs, and what they will cost here."""

from __future__ import annotations

import itertools as it
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hplaw.errors import DataError, QueryError, nearest
from hplaw.toml import decode_toml
from hplaw_experiments.sweep.defaults import default_context
from hplaw_experiments.sweep.space import Point, Record, names_in
from hplaw_experiments.sweep.space_toml import read_space
from hplaw_experiments.trial import SweepSpec, Trial, shape_key, steps


PACK_WIDTH = 16
"""Most trials of one pack where nothing is known of the device's memory."""

STEP_RATIO = 2.0
"""Longest over shortest trial of a pack, in steps: the shorter ones idle until the longest ends."""

LENGTHS = ("tokens", "steps", "tokens_per_param")
"""The words that say how long a trial is; exactly one is given."""

DATA_NAMES = {"source": "data", "options": "data_options", "seed": "data_seed"}
"""The names that fields of a trial have in the table `data`."""


def read_spec(path: Path) -> SweepSpec:
    """Return the sweep that a TOML file declares.

    **Raises:** `DataError` naming the file and the key at fault.
    """
    try:
        spec = decode_toml(path.read_bytes(), SweepSpec)
    except OSError as error:
        message = f"{path}: {error.strerror}; give a sweep file"
        raise DataError(message) from None
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        message = f"{path} is no sweep file: {error}"
        raise DataError(message) from None
    try:
        check_spec(spec)
    except QueryError as error:
        message = f"{path}: {error.text}"
        raise DataError(message) from None
    return spec


def check_spec(spec: SweepSpec) -> None:
    """Raise `QueryError` where a sweep names what no trial has, or omits what every trial needs."""
    if spec.schema != 1:
        message = f"schema = {spec.schema} is not known; give schema = 1"
        raise QueryError(message, field="schema")
    if not spec.seeds:
        message = "seeds is empty; give one seed or more"
        raise QueryError(message, field="seeds")
    known = {*Trial.__struct_fields__, *LENGTHS}
    fixed = fixed_fields(spec)
    for name in (*fixed, *space_of(spec).fields):
        if name not in known and not _only_groups(spec, name):
            message = f"'{name}' is no field of a trial{nearest(name, known)}; give one of {', '.join(sorted(known))}"
            raise QueryError(message, field=name)
    if "seed" in fixed:
        message = "seed is given under training; give seeds = [..] at the top"
        raise QueryError(message, field="seed")
    first = next(iter(_sample_points(spec)))
    make_trial(spec, first, seed=spec.seeds[0])


def space_of(spec: SweepSpec) -> Record:
    """Return the space of a sweep."""
    return read_space(spec.space)


def fixed_fields(spec: SweepSpec) -> dict[str, Any]:
    """Return the fields that all trials of a sweep share."""
    data = {DATA_NAMES.get(name, name): value for name, value in spec.data.items()}
    return {**spec.model, **data, **spec.training}


def given_fields(spec: SweepSpec) -> set[str]:
    """Return the fields that a sweep says, by fixed values or by its space; how long a trial is counts as tokens."""
    space = space_of(spec)
    given = {*fixed_fields(spec), *space.fields, *names_in(space)}
    return given | {"tokens"} if given & set(LENGTHS) else given


def make_trial(spec: SweepSpec, point: Point, *, seed: int, share: float = 1.0) -> Trial:
    """Return the trial at a point of a sweep's space.

    **Arguments:**

    - `share`: of the tokens, for the early rounds of successive halving.

    **Raises:** `QueryError` naming the field at fault.
    """
    fields = {**fixed_fields(spec), **point, "seed": seed}
    if fields.get("family") == "transformer" and "seq_len" not in fields:
        context = default_context(fixed_fields(spec), space_of(spec))
        fields |= {} if context is None else {"seq_len": context}
    lengths = [name for name in LENGTHS if name in fields]
    if len(lengths) != 1:
        given = " and ".join(lengths) or "none"
        message = f"a trial's length is given by {given}; give exactly one of {', '.join(LENGTHS)}"
        raise QueryError(message, field="tokens")
    length = float(fields.pop(lengths[0]))
    if lengths[0] == "steps":
        length *= float(fields.get("batch_tokens", 0))
    try:
        trial = msgspec.convert({**_whole(fields), "tokens": max(length, 1.0)}, Trial)
    except msgspec.ValidationError as error:
        message = f"a trial of sweep {spec.name}: {error}"
        raise QueryError(message) from None
    if lengths[0] == "tokens_per_param":
        from hplaw_experiments.training.train import n_params

        length *= n_params(trial)
    batch = trial.batch_tokens
    if not (length > 0 and batch > 0 and trial.peak_lr > 0):
        message = f"tokens={length:g}, batch_tokens={batch}, peak_lr={trial.peak_lr:g}: give positive numbers"
        raise QueryError(message, field="tokens")
    whole = max(1, round(length * share / batch)) * batch
    return msgspec.structs.replace(trial, tokens=float(whole))


def _whole(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with whole numbers of a grid as integers, which sizes and batches are."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in fields.items()
    }


def make_trials(spec: SweepSpec, points: Iterable[Point], *, share: float = 1.0) -> list[Trial]:
    """Return the trials at points of a sweep's space, one seed after another, each trial once."""
    found = [make_trial(spec, point, seed=seed, share=share) for seed, point in it.product(spec.seeds, list(points))]
    return list({msgspec.json.encode(trial): trial for trial in found}.values())


def make_packs(trials: Sequence[Trial], *, width: int | Callable[[Trial], int] = PACK_WIDTH) -> list[list[Trial]]:
    """Return trials in packs that can run as one program, of like length; the order depends on nothing else.

    **Arguments:**

    - `width`: most trials of a pack, or what says it for a trial of the pack's shape.
    """
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(shape_key(trial), []).append(trial)
    packs: list[list[Trial]] = []
    for group in groups.values():
        most = width if isinstance(width, int) else width(group[0])
        pack: list[Trial] = []
        for trial in sorted(group, key=steps):
            if pack and (len(pack) >= most or steps(trial) > STEP_RATIO * steps(pack[0])):
                packs.append(pack)
                pack = []
            pack.append(trial)
        packs.append(pack)
    return packs


# Cost


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What trials will cost.

    **Arguments:**

    - `trials`, `packs`, `shapes`: how many; each shape is compiled once.
    - `training_flop`: of all trials together, FLOP.
    - `seconds`: estimated, s, or None where the device was not probed.
    - `energy_j`: estimated, J, or None where no meter reads the device.
    """

    trials: int
    packs: int
    shapes: int
    training_flop: float
    seconds: float | None = None
    energy_j: float | None = None


COMPILE_S = 4.0
"""Seconds to compile one shape: an assumption, of small models on two CPU cores."""


def cost_of(
    packs: Sequence[Sequence[Trial]],
    *,
    flop: Callable[[Trial], float],
    rate: Callable[[Trial], float] | None = None,
    power_w: float | None = None,
) -> Cost:
    """Return what packs will cost.

    **Arguments:**

    - `flop`: compute of a trial, FLOP.
    - `rate`: FLOP/s that the device reaches on a trial's matrix products, by a probe.
    - `power_w`: W that the device draws under load.
    """
    trials = [trial for pack in packs for trial in pack]
    shapes = len({shape_key(trial) for trial in trials})
    total = sum(flop(trial) for trial in trials)
    seconds = None
    if rate is not None:
        seconds = shapes * COMPILE_S + sum(sum(flop(trial) for trial in pack) / rate(pack[0]) for pack in packs if pack)
    energy = None if seconds is None or power_w is None else seconds * power_w
    return Cost(
        trials=len(trials), packs=len(packs), shapes=shapes, training_flop=total, seconds=seconds, energy_j=energy
    )


def _only_groups(spec: SweepSpec, name: str) -> bool:
    """Return whether a name of the space only holds fields together: cases without values."""
    from hplaw_experiments.sweep.space import Case, Choice

    node = space_of(spec).fields.get(name)
    options = node.options if isinstance(node, Choice) else (node,)
    return all(isinstance(option, Case) and option.value is None for option in options)


def _sample_points(spec: SweepSpec) -> Iterable[Mapping[str, Any]]:
    from hplaw_experiments.sweep.space import dimensions, place

    space = space_of(spec)
    yield place(space, [0.0] * dimensions(space))
