"""Which batch and power limit take minimum energy on one GPU, and what joules cost in seconds, from probes of a training.

The law `device-energy` says energy and time of a sample; here it is evaluated at every batch and limit to choose among, over
its scenarios at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hplaw.answer.intervals import Run, draw_noise
from hplaw.answer.quantiles import quantiles
from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import ConflictingQuery, QueryError
from hplaw.evaluation.point import Point, point
from hplaw.expression.backends import numpy_backend
from hplaw.formatting import number
from hplaw.law import Law
from hplaw.law.derived import derived
from hplaw.law.law import numpy_environment
from hplaw.law.likelihood import read_likelihood
from hplaw.messages.device import DeviceEnergy, DeviceEnergyRequest, DevicePoint, Probe
from hplaw.messages.recommendation import AnswerWarning
from hplaw.posterior.scenarios import scenarios


Array = NDArray[np.float64]

LAW = "device-energy"
STEPS_W = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0)
"""Widths of a step from one limit to the next."""
MOST_LIMITS = 41
"""Limits that are looked at where none are named."""
ENERGY, TIME = "energy_per_sample_j", "time_per_sample_s"
PROBES = "give two probes under the maximum limit, with a small and a large batch, and one of the large batch under a low limit, about 0.4 of the maximum"


def device_energy(request: DeviceEnergyRequest, catalogue: Catalogue) -> DeviceEnergy:
    """Return the batch and limit of minimum energy, the fastest, and the points that nothing beats in both.

    Energy and time are medians over the law's scenarios. A saving is 1 - E / E_default in each scenario, in which what the
    workload as a whole deviates by drops out. The noise of a single setting, which the law was fitted with, stays in: once
    where the default is one of the probes, which was measured, and twice where it was not.

    **Raises:** `QueryError` for probes that the law cannot be given, and where it does not cover the default.
    """
    law = catalogue.get(LAW)
    small, large, capped = _roles(request.probes)
    known = _known(small, large, capped)
    default = request.batch_samples or large.batch_samples
    most = large.power_limit_w
    batches = sorted({*(request.batches or _doublings(small, large)), default})
    above = [limit for limit in request.limits if limit > most]
    if above:
        message = f"a limit of {above[0]:g} W is above {most:g} W, the maximum that was probed; give no more than that"
        raise ConflictingQuery(message, field="limits")
    limits = sorted({*(request.limits or _limits(capped.power_limit_w, most)), most}, reverse=True)
    rows = _Settings(law, known, default, most)
    # of settings that are alike, as limits that bind nowhere are, the maximum limit comes first
    found = [item for batch in batches for item in rows.of(batch, limits)]
    silent = {*request.limits} - {item.power_limit_w for item in found}
    by_energy = sorted(found, key=lambda p: (p.energy_per_sample_j, p.time_per_sample_s))
    by_time = sorted(found, key=lambda p: (p.time_per_sample_s, p.energy_per_sample_j))
    return DeviceEnergy(
        default=rows.default,
        least_energy=by_energy[0],
        fastest=by_time[0],
        front=pareto(by_time),
        considered=len(found),
        law=law.address,
        warnings=_warnings(law, large, capped, best=by_energy[0], silent=silent),
    )


def pareto(by_time: Sequence[DevicePoint]) -> list[DevicePoint]:
    """Return those of points sorted by time, and by energy where times are equal, that no other beats in both."""
    kept: list[DevicePoint] = []
    for item in by_time:
        if not kept or item.energy_per_sample_j < kept[-1].energy_per_sample_j:
            kept.append(item)
    return kept


def _roles(probes: Sequence[Probe]) -> tuple[Probe, Probe, Probe]:
    """Return the small, the large and the limited probe."""
    most = max(probe.power_limit_w for probe in probes)
    free = sorted((p for p in probes if p.power_limit_w == most), key=lambda p: p.batch_samples)
    capped = [probe for probe in probes if probe.power_limit_w < most]
    if len(free) != 2 or len(capped) != 1:
        message = f"there are {len(free)} probes under the maximum limit, {most:g} W, and {len(capped)} under lower ones; {PROBES}"
        kind = ConflictingQuery if len(probes) == 3 else QueryError
        raise kind(message, field="probes")
    small, large = free
    if small.batch_samples == large.batch_samples:
        message = f"both probes under {most:g} W have batch_samples={large.batch_samples:g}; {PROBES}"
        raise ConflictingQuery(message, field="probes")
    if capped[0].batch_samples != large.batch_samples:
        message = f"the probe under {capped[0].power_limit_w:g} W has batch_samples={capped[0].batch_samples:g}, the large one {large.batch_samples:g}; give it the large batch"
        raise ConflictingQuery(message, field="probes")
    return small, large, capped[0]


def _known(small: Probe, large: Probe, capped: Probe) -> dict[str, Any]:
    return {
        "probe_small_samples": small.batch_samples,
        "probe_small_j": small.energy_per_sample_j,
        "probe_small_s": small.time_per_sample_s,
        "probe_large_samples": large.batch_samples,
        "probe_large_j": large.energy_per_sample_j,
        "probe_large_s": large.time_per_sample_s,
        "probe_power_limit_w": large.power_limit_w,
        "probe_capped_w": capped.power_limit_w,
        "probe_capped_j": capped.energy_per_sample_j,
        "probe_capped_s": capped.time_per_sample_s,
    }


def _doublings(small: Probe, large: Probe) -> list[float]:
    """Return the small probe's batch, its doublings, and the large probe's."""
    times = math.log2(large.batch_samples / small.batch_samples)
    doublings = [small.batch_samples * 2.0**i for i in range(math.ceil(times))]
    return [*doublings, large.batch_samples]


def _limits(least: float, most: float) -> list[float]:
    """Return limits at even steps, from the third probe's up to the maximum."""
    step = next((w for w in STEPS_W if (most - least) / w < MOST_LIMITS - 1), STEPS_W[-1])
    return [least, *(step * i for i in range(math.ceil(least / step), math.floor(most / step) + 1))]


class _Settings:
    """The law at batches and limits, against the default."""

    def __init__(self, law: Law, known: dict[str, Any], batch: float, limit: float) -> None:
        self.law, self.known = law, known
        self.base = self._samples(batch, np.array([float(limit)]))
        self.at = batch, limit
        measured = batch in (known["probe_small_samples"], known["probe_large_samples"])
        self.noise = _noise(law, self.base[ENERGY].shape[1], settings=1 if measured else 2)
        here = self.of(batch, [limit])
        if not here:
            say = self._point(batch, limit).say
            message = f"{law.id} does not cover batch_samples={batch:g} under {limit:g} W: {say}"
            raise ConflictingQuery(message, field="probes")
        self.default = here[0]

    def of(self, batch: float, limits: Sequence[float]) -> list[DevicePoint]:
        """Return a batch under those limits of which the law gives something."""
        usable = [limit for limit in limits if self._point(batch, limit).status == "ok"]
        if not usable:
            return []
        found = self._samples(batch, np.array(usable, dtype=np.float64))
        middle = {name: quantiles(values)[:, 2] for name, values in found.items()}
        change = {name: found[name] / self.base[name] for name in (ENERGY, TIME)}
        centre = {name: quantiles(values)[:, 2] for name, values in change.items()}
        ends = {name: quantiles(change[name] * self.noise[name])[:, [0, -1]] for name in change}
        items: list[DevicePoint] = []
        for row, limit in enumerate(usable):
            itself = (batch, limit) == self.at
            less, more = ends[ENERGY][row].tolist(), ends[TIME][row].tolist()
            items.append(
                DevicePoint(
                    batch_samples=batch,
                    power_limit_w=limit,
                    energy_per_sample_j=float(middle[ENERGY][row]),
                    time_per_sample_s=float(middle[TIME][row]),
                    power_w=float(middle["power_w"][row]),
                    saving=1 - float(centre[ENERGY][row]),
                    longer=float(centre[TIME][row]) - 1,
                    saving_low=None if itself else 1 - less[1],
                    saving_high=None if itself else 1 - less[0],
                    longer_low=None if itself else more[0] - 1,
                    longer_high=None if itself else more[1] - 1,
                )
            )
        return items

    def _point(self, batch: float, limit: float) -> Point:
        return point(self.law, {**self.known, "batch_samples": batch, "power_limit_w": limit})

    def _samples(self, batch: float, limits: Array) -> dict[str, Array]:
        """Return outputs, `[limit, scenario]`."""
        here = self._point(batch, float(limits[0]))
        values = {name: here.environment[name] for name in self.law.inputs}
        run = Run(self.law, {**values, "power_limit_w": limits}, stretch=1.0)
        return {name: run.output(name) for name in (ENERGY, TIME, "power_w")}


@derived
def _noise(law: Law, size: int, *, settings: int) -> dict[str, Array]:
    """Return the factor that the noise of one setting makes, or of two against each other, by output and scenario."""
    environment = numpy_environment(law, scenarios(law).parameters)
    rng = np.random.default_rng(5)
    found: dict[str, Array] = {}
    items = law.spec.fit.likelihoods if law.spec.fit else ()
    for item in (item for item in items if item.observed in (ENERGY, TIME)):
        scale = law.function(item.scale, numpy_backend(), table="fit", key="scale")(environment)
        told = read_likelihood(law.namespace, law.spec.constants, item.likelihood, table="fit.likelihoods")
        found[item.observed] = np.exp(scale * draw_noise(told, rng, (settings, size)).sum(axis=0))
    return found


def _warnings(law: Law, large: Probe, capped: Probe, *, best: DevicePoint, silent: set[float]) -> list[AnswerWarning]:
    found: list[tuple[str, str]] = []
    if silent:
        text = f"the law does not cover {', '.join(f'{limit:g}' for limit in sorted(silent))} W, too low for it; such limits are omitted"
        found.append(("left-out", text))
    if best.batch_samples > large.batch_samples:
        text = f"a batch of {number(best.batch_samples)} is above the large probe's, {number(large.batch_samples)}; measure it before you rely on it"
        found.append(("extrapolates", text))
    if best.power_limit_w < capped.power_limit_w:
        text = f"a limit of {best.power_limit_w:g} W is below the third probe's, {capped.power_limit_w:g} W; measure it before you rely on it"
        found.append(("extrapolates", text))
    return [AnswerWarning(code=code, law=law.address, text=text) for code, text in found]


def chart(found: DeviceEnergy) -> dict[str, Any]:
    """Return the front as a Vega-Lite plot: energy over time of a sample, the default and the minimum energy marked."""
    x = {"field": "s", "type": "quantitative", "scale": {"zero": False}, "title": "time of a sample, s"}
    y = {"field": "j", "type": "quantitative", "scale": {"zero": False}, "title": "energy of a sample, J"}
    marked = [("default", found.default), ("minimum energy", found.least_energy)]
    named = [{**_place(item), "which": which} for which, item in marked]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": 480,
        "height": 280,
        "layer": [
            {
                "data": {"values": [_place(item) for item in found.front]},
                "mark": {"type": "line", "point": True},
                "encoding": {"x": x, "y": y},
            },
            {
                "data": {"values": named},
                "mark": {"type": "point", "filled": True, "size": 80},
                "encoding": {"x": x, "y": y, "color": {"field": "which", "type": "nominal", "title": None}},
            },
        ],
    }


def _place(item: DevicePoint) -> dict[str, float]:
    return {"s": item.time_per_sample_s, "j": item.energy_per_sample_j}
