"""The served law of width transfer: slopes for a model that was not measured, from the slopes of those that were."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.errors import DataError
from hplaw.fit.output.law_folder import SERVED, write_served
from hplaw.law.format import EvidenceSpec
from hplaw.law.read import decode_spec
from hplaw.parametrization.abc_regime import adam_like
from hplaw_experiments.studies.width_transfer.model import CHAINS, DRAWS, SLOPE_SD
from hplaw_experiments.studies.width_transfer.results import DEPTH, Result, Results, summary


BETWEEN_SD = 0.2
"""Scale of the standard deviation between models of one parametrization and kind of optimizer, before data."""

MOST_BETWEEN = 1.2
"""Largest standard deviation between models that is considered."""

Array = NDArray[np.float64]


class Measured(NamedTuple):
    """The slope of one model: its scheme, kind of optimizer (`adam` or `sgd`), mean and standard deviation, widths."""

    model: str
    scheme: str
    kind: str
    mean: float
    sd: float
    sizes: Array


class NewModel(NamedTuple):
    """Draws for a model that was not measured: slopes by scheme and kind, and how models differ by family of schemes."""

    slopes: Mapping[tuple[str, str], Array]
    between: Mapping[str, Array]


def measured(sets: Sequence[Result]) -> list[Measured]:
    """Return the slopes over widths that the law is made from."""
    found: list[Measured] = []
    for one in sets:
        labels, slope = one.runs.labels, one.draws.slope
        kind = "adam" if adam_like(labels["optimizer"]) else "sgd"
        mean, sd = float(np.mean(slope)), float(np.std(slope))
        found.append(Measured(labels["family"], labels["parametrization"], kind, mean, sd, one.runs.sizes))
    return found


def new_model(slopes: Sequence[Measured], *, draws: int = SERVED, seed: int = 0) -> NewModel:
    """Return draws of the slope of a new model: c_new ~ N(C_group, sigma), where c_model ~ N(C_group, sigma).

    C_group ~ N(0, 1) for each scheme and kind of optimizer; sigma ~ half-N(0.2), one for the standard parametrization and
    one for those whose slope is zero in theory. sigma on a grid, the rest in closed form.
    """
    rng = np.random.default_rng(seed)
    found: dict[tuple[str, str], Array] = {}
    between: dict[str, Array] = {}
    for name in dict.fromkeys(map(_family, slopes)):
        members = [one for one in slopes if _family(one) == name]
        between[name] = _alike(members, draws, rng, found)
    return NewModel(found, between)


def _family(one: Measured) -> str:
    return one.scheme if one.scheme == "standard" else "others"


def _alike(
    slopes: Sequence[Measured], draws: int, rng: np.random.Generator, found: dict[tuple[str, str], Array]
) -> Array:
    """Add draws by scheme and kind to `found`, and return those of sigma."""
    groups = {
        (one.scheme, one.kind): [s for s in slopes if (s.scheme, s.kind) == (one.scheme, one.kind)] for one in slopes
    }
    sigma = np.linspace(0.01, MOST_BETWEEN, 240)
    log_weight = -0.5 * (sigma / BETWEEN_SD) ** 2
    centers: dict[tuple[str, str], tuple[Array, Array]] = {}
    for key, group in groups.items():
        mean = np.array([s.mean for s in group])
        precision = 1.0 / (np.array([s.sd for s in group]) ** 2 + sigma[:, None] ** 2)
        total = precision.sum(axis=1) + SLOPE_SD**-2
        center = (precision * mean).sum(axis=1) / total
        log_weight += 0.5 * (np.log(precision).sum(axis=1) - np.log(total))
        log_weight -= 0.5 * ((precision * mean**2).sum(axis=1) - total * center**2)
        centers[key] = center, total**-0.5
    weight = np.exp(log_weight - log_weight.max())
    place = rng.choice(len(sigma), size=draws, p=weight / weight.sum())
    for key, (center, sd) in centers.items():
        spread = np.hypot(sd[place], sigma[place])
        found[key] = center[place] + spread * rng.standard_normal(draws)
    return sigma[place]


def write_law(to: Path, found: Results, *, seed: int = 0) -> Path:
    """Write the law into a folder of laws; return where it is.

    **Raises:** `DataError` where a scheme was not measured, or the folder holds other things than a fitted law.
    """
    spec = decode_spec((files("hplaw_experiments") / "templates" / "width-transfer.toml").read_bytes())
    sets = [one for one in found.sets if one.kind != DEPTH]
    slopes = measured(sets)
    new = new_model(slopes, seed=seed)
    schemes = _schemes(spec.index["parametrization"])
    wanted = [*((scheme, "adam") for scheme in schemes), ("standard", "sgd"), ("mup", "sgd")]
    missing = [f"{scheme} with {kind}" for scheme, kind in wanted if (scheme, kind) not in new.slopes]
    if missing:
        message = f"no slope of {missing[0]} was measured; train all sweeps of the study before its law is written"
        raise DataError(message)
    rng = np.random.default_rng(seed + 1)
    scales = np.concatenate([one.draws.wander for one in sets])
    served: dict[str, Array] = {
        "slope_adam": np.stack([new.slopes[scheme, "adam"] for scheme in schemes], axis=1),
        "sgd_standard": new.slopes["standard", "sgd"],
        "sgd_mup": new.slopes["mup", "sgd"],
        "wander": _centered(rng.choice(scales, SERVED) * rng.standard_normal(SERVED)),
    }
    parameters = {
        name: msgspec.structs.replace(item, value=np.median(served[name], axis=0).tolist())
        for name, item in spec.parameters.items()
    }
    sizes = np.concatenate([one.sizes for one in slopes])
    seen: list[float | str] = [float(sizes.min()), float(sizes.max())]
    evidence = EvidenceSpec(
        runs=sum(one.runs.runs for one in sets),
        groups=len(slopes),
        data_sha256=found.digest,
        data="runs of the study width-transfer, and tables of others by their files",
        code_version=f"hplaw {version('hplaw')}",
        hardware=f"{platform.machine()}, {os.cpu_count()} cores",
        sampler=f"NUTS, {CHAINS} chains of {DRAWS} draws for each model, seed 0; models together on a grid",
        fitted=dt.datetime.now(dt.UTC).date().isoformat(),
        r_hat=max(one.draws.r_hat for one in sets),
        divergences=sum(one.draws.divergences for one in sets),
        held_out=summary(sets),
    )
    domain = {**spec.domain, "width": seen, "base_width": seen}
    whole = msgspec.structs.replace(spec, parameters=parameters, evidence=evidence, domain=domain)
    write_served(to / spec.id, whole, served, _card(spec.title, spec.notes, slopes, new))
    return to / spec.id / "law.toml"


def _card(title: str, notes: str, slopes: Sequence[Measured], new: NewModel) -> str:
    """Return the card: what was measured, and what follows for a new model."""
    lines = [f"# {title}", "", notes.strip(), "", "## Slopes measured", ""]
    lines += ["| model | optimizer | parametrization | widths | slope | sd |", "| --- | --- | --- | --- | --- | --- |"]
    for one in slopes:
        widths = f"{one.sizes[0]:g} to {one.sizes[-1]:g}"
        lines.append(f"| {one.model} | {one.kind} | {one.scheme} | {widths} | {one.mean:+.2f} | {one.sd:.2f} |")
    lines += ["", "## A model that was not measured", ""]
    lines += ["| optimizer | parametrization | median slope | 90% interval |", "| --- | --- | --- | --- |"]
    for (scheme, kind), draws in sorted(new.slopes.items()):
        low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95])
        lines.append(f"| {kind} | {scheme} | {middle:+.2f} | {low:+.2f} to {high:+.2f} |")
    lines.append("")
    for name, draws in new.between.items():
        low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95])
        which = "the standard parametrization" if name == "standard" else "each other scheme"
        lines.append(
            f"* Slopes of {which} differ between models by a standard deviation of {middle:.2f} ({low:.2f} to {high:.2f})."
        )
    lines += ["", "## How it was made", "", "```"]
    lines += ["hplaw study report width-transfer --laws-to FOLDER", "```", ""]
    lines += ["with `HPLAW_DATA` naming the folder of the tables of others."]
    return "\n".join(lines) + "\n"


def _centered(draws: Array) -> Array:
    """Return draws whose median is zero: a value is that of the line."""
    return draws - np.median(draws)


def _schemes(index: int | list[str]) -> list[str]:
    return index if isinstance(index, list) else []
