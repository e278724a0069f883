"""Intervals: a law run over its scenarios, and quantiles of what comes out."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from hplaw import rows
from hplaw.answer.quantiles import Spread, quantiles, spreads_of
from hplaw.arrays import Array
from hplaw.decide.decide import Decision
from hplaw.evaluation.domain import UNKNOWN, distance
from hplaw.evaluation.inputs import inputs
from hplaw.evaluation.point import Point, point, positive_outputs
from hplaw.expression.backends import numpy_backend
from hplaw.expression.compile import Function
from hplaw.forms.folding import folded
from hplaw.forms.log_normal import NORMAL_QUANTILES, closed, log_deviation
from hplaw.forms.power_law import power_law
from hplaw.law.derived import derived
from hplaw.law.law import Law
from hplaw.law.likelihood import Likelihood, read_likelihood
from hplaw.law.priors import centre
from hplaw.law.program import Environment
from hplaw.law.settled import spoken
from hplaw.posterior.discrepancy import stray_variance, stretch
from hplaw.posterior.priors import prior_arguments
from hplaw.posterior.scenarios import input_normals, scenarios


_NORMAL: list[float] = NORMAL_QUANTILES.tolist()
WIDEST = 100.0
"""Standard deviation of a logarithm from which on an interval is too wide to be written down."""


class Intervals(msgspec.Struct, frozen=True, eq=False):
    """Intervals by quantity, those for another recipe, the medians that are the values of a fitted law, and the samples
    behind the intervals, `[scenario]` or `[row, scenario]`, of those that have no closed form."""

    spreads: dict[str, Spread] = {}
    transfers: dict[str, Spread] = {}
    medians: dict[str, Any] = {}
    samples: dict[str, Array] = {}


def intervals_of(
    here: Point,
    known: Mapping[str, object],
    wanted: Mapping[str, object],
    decision: Decision | None,
    *,
    seen: Collection[str] | None = None,
) -> Intervals:
    """Return the intervals of a law's values.

    **Arguments:**

    - `here`: the law at the point `known`, values by quantity, chosen ones included: numbers or columns.
    - `wanted`: the outputs to look at, with their values.
    - `decision`: what was chosen, with its scatter.
    - `seen`: quantities whose intervals are looked at; all by default.
    """
    law = here.law
    drawn = scenarios(law)
    spreads: dict[str, Spread] = {}
    transfers: dict[str, Spread] = {}

    def looked_at(samples: Mapping[str, Array]) -> dict[str, Array]:
        return {name: found for name, found in samples.items() if seen is None or name in seen}

    recipe = known.get("recipe", UNKNOWN)
    elsewhere = bool(drawn.transfer) and (recipe == UNKNOWN or recipe not in law.spec.domain.get("recipe", []))
    inner = looked_at(decision.samples) if decision else {}
    outer = looked_at(decision.transfer) if decision and elsewhere else {}
    numbers: list[str] = []
    uncertain_inputs = any(item.prior and known.get(item.known) is None for item in inputs(law))
    if drawn.uncertain or uncertain_inputs:
        numbers = [name for name in wanted if law.outputs[name][1] is None and not law.quantity(name).categorical]
        if seen is not None:  # the values of a fitted law are medians, seen or not
            numbers = [n for n in numbers if n in seen or (drawn.fitted and n not in followers(law))]
    wider = stretch(law, distance(law, known).total)
    if decision is None:
        values_of = {name: wanted[name] for name in numbers}
        numbers = _closed_spreads(here, known, wider, values_of, spreads, transfers if elsewhere else None)
    following = [name for name in numbers if name in followers(law)]
    numbers = [name for name in numbers if name not in following]
    decided = law.spec.decision.minimise if law.spec.decision else None
    others = [name for name in numbers if name != decided]  # losses of other recipes are not comparable
    values = {name: here.environment[name] for name in law.inputs}
    drawn_in = drawn_inputs(law, known)
    if numbers:
        run = Run(law, values, drawn_in, stretch=wider, lets=decision.lets if decision else None)
        with np.errstate(all="ignore"):
            inner |= {name: run.output(name) * run.noise(name) for name in numbers}
    if elsewhere and others:
        there = Run(law, values, drawn_in, stretch=wider, transfer=True)
        outer |= {name: there.output(name) for name in others}
    if following:
        with_it = Run(law, values, drawn_in, stretch=wider, chosen=decision.samples if decision else {})
        inner |= {name: with_it.output(name) for name in following}
        if elsewhere:
            chosen = decision.transfer if decision else {}
            with_it = Run(law, values, drawn_in, stretch=wider, transfer=True, chosen=chosen)
            outer |= {name: with_it.output(name) for name in following}
    _collect(spreads, transfers, inner, outer)
    fitted = [name for name in numbers if name in spreads] if drawn.fitted else []
    medians = {name: _median(law, name, spreads[name].median, wanted[name]) for name in fitted}
    return Intervals(spreads, transfers, medians, inner)


def _median(law: Law, name: str, median: Any, value: Any) -> Any:
    """Return the median as the value, or the value itself where there is none or it is not positive as it must be."""
    told = median == median
    if name in positive_outputs(law):
        told = told & (median > 0)
    return rows.pick(told, median, value)


@derived
def followers(law: Law) -> frozenset[str]:
    """Return the outputs that follow what a law chooses, as a warm-up counted in steps does; not what it minimizes.

    Their value is the one that goes with the values chosen, and they are uncertain as far as the best values are.
    """
    decision, chosen = law.spec.decision, {*law.chosen}
    if decision is None:
        return frozenset()
    return frozenset(
        name
        for name in law.outputs
        if name != decision.minimise and any(chosen & law.words_of(word) for word in (name, *law.lets_behind([name])))
    )


@derived
def leaders(law: Law) -> dict[str, str]:
    """Return the chosen quantity that an output follows, where it follows one alone, as beta2 does its steps."""
    behind = {
        name: {chosen for word in (name, *law.lets_behind([name])) for chosen in law.words_of(word) & {*law.chosen}}
        for name in followers(law)
    }
    return {name: next(iter(chosen)) for name, chosen in behind.items() if len(chosen) == 1}


def _closed_spreads(
    here: Point,
    known: Mapping[str, Any],
    wider: rows.Number,
    wanted: Mapping[str, Any],
    spreads: dict[str, Spread],
    transfers: dict[str, Spread] | None,
) -> list[str]:
    """Fill in the intervals that have a closed form; return the names of the rest."""
    law = here.law
    values = {name: here.environment[name] for name in law.inputs}
    rest: list[str] = []
    for name, value in wanted.items():
        if not closed(law, name):
            rest.append(name)
            continue
        for into, transfer in ((spreads, False), (transfers, True)):
            if into is None:
                continue
            power = None if transfer else power_law(law, name)
            if power is not None:
                deviation = rows.root(power.log_variance(known) + stray_variance(law, name) * wider * wider)
            else:
                deviation = log_deviation(law, name, values, wider, transfer=transfer)
            told = (deviation > 0) & (deviation < WIDEST) & (value > 0)
            if rows.some(told):
                width = rows.pick(told, deviation, 0.0)
                into[name] = Spread(*[rows.pick(told, value * rows.exp(z * width), math.nan) for z in _NORMAL])
    return rest


def _collect(
    spreads: dict[str, Spread], transfers: dict[str, Spread], inner: Mapping[str, Array], outer: Mapping[str, Array]
) -> None:
    """Add the quantiles of samples by name, computed together."""
    samples = [*inner.values(), *outer.values()]
    if not samples:
        return
    places = [(spreads, name) for name in inner] + [(transfers, name) for name in outer]
    for (into, name), found in zip(places, spreads_of(quantiles(np.stack(samples))), strict=True):
        if found is not None:
            into[name] = found


class Run:
    """A law run over its scenarios: parameters, effects of a new group and discrepancy together.

    **Arguments:**

    - `values`: the law's inputs, chosen ones included: numbers or columns.
    - `drawn_in`: inputs that are not known, scenario by scenario.
    - `stretch`: by how much discrepancy is wider there, a number or a column.
    - `lets`: names of the law that are known already, scenario by scenario.
    - `chosen`: for what follows the chosen quantities, where these are best, scenario by scenario, discrepancy included;
      those that are missing are as given.
    """

    def __init__(
        self,
        law: Law,
        values: Mapping[str, object],
        drawn_in: Mapping[str, Array] | None = None,
        *,
        stretch: rows.Number,
        transfer: bool = False,
        lets: Mapping[str, Array] | None = None,
        chosen: Mapping[str, Array] | None = None,
    ) -> None:
        self.law, self.drawn = law, scenarios(law)
        self.stretch = rows.across(stretch)
        size = rows.count(values.values())
        self.shape = (self.drawn.size,) if size is None else (size, self.drawn.size)
        names = {name: rows.across(value) for name, value in values.items()}
        moved = chosen
        if moved is None:
            with np.errstate(all="ignore"):
                moved = {
                    name: names[name] * np.exp(-self.stretch * self.drawn.discrepancy[name])
                    for name in law.chosen
                    if name in self.drawn.discrepancy
                }
        self.program = folded(law, transfer=transfer)
        self.environment = self.program.environment({**names, **(drawn_in or {}), **moved, **(lets or {})})

    def output(self, name: str) -> Array:
        """Return an output scenario by scenario, without the noise of a run: `[scenario]`, or `[row, scenario]`."""
        with np.errstate(all="ignore"):
            value = self.program.outputs[name](self.environment)
            shift = self.drawn.discrepancy.get(name) if name not in self.law.chosen else None
            if shift is not None:
                value = value * np.exp(self.stretch * shift)
        if self.drawn.uncertain:
            return np.broadcast_to(value, self.shape)
        return np.asarray(value) + np.zeros(1)

    def noise(self, name: str) -> float | Array:
        """Return the factor that the noise of one run puts on an output; 1 where the law states none."""
        fit = self.law.spec.fit
        if fit is None or fit.observed != name or fit.transform != "log" or not fit.scale:
            return 1.0
        settled = _settled_noise(self.law)
        return _noise(self.law, self.environment) if settled is None else settled


def samples(
    law: Law, known: Mapping[str, object], wanted: Sequence[str], *, transfer: bool = False
) -> dict[str, Array]:
    """Return outputs scenario by scenario, inputs that are not known drawn from their priors."""
    environment = point(law, known).environment
    values = {name: environment[name] for name in law.inputs}
    wider = stretch(law, distance(law, known).total)
    run = Run(law, values, drawn_inputs(law, known), stretch=wider, transfer=transfer)
    return {name: run.output(name) for name in wanted}


@derived
def _settled_noise(law: Law) -> Array | None:
    """Return the factor that noise puts on an output, or None where it changes with the inputs."""
    assert law.spec.fit is not None
    scale = law.namespace.formula(law.spec.fit.scale, table="fit", key="scale")
    if not spoken(law.namespace, scale.tree).isdisjoint(law.inputs):
        return None
    return _noise(law, folded(law, transfer=False).environment({}))


def _noise(law: Law, environment: Environment) -> Array:
    """Return the factor that noise puts on an output in an environment of scenarios."""
    with np.errstate(all="ignore"):
        return np.exp(_noise_scale(law)(environment) * _standard_noise(law))


@derived
def _noise_scale(law: Law) -> Function:
    """Return the function of the scale of a run's noise."""
    assert law.spec.fit is not None
    return law.function(law.spec.fit.scale, numpy_backend(), table="fit", key="scale")


def drawn_inputs(law: Law, known: Mapping[str, object]) -> dict[str, Array]:
    """Return draws of the inputs that are not known and have a prior."""
    names = [item for item in inputs(law) if item.prior and known.get(item.known) is None]
    if not names:
        return {}
    z = input_normals(law, len(names))
    found: dict[str, Array] = {}
    for row, item in zip(z, names, strict=True):
        assert item.prior is not None
        word, arguments = prior_arguments(law, item.prior)
        found[item.name] = _draw(word, arguments, row)
    return found


def _draw(word: str, x: list[float], z: Array) -> Array:
    """Return draws of a prior from standard normals."""
    match word:
        case "normal":
            return x[0] + x[1] * z
        case "lognormal":
            return np.exp(x[0] + x[1] * z)
        case "halfnormal":
            return x[0] * np.abs(z)
        case "truncnormal":
            return np.clip(x[0] + x[1] * z, x[2], x[3])
        case "uniform":
            share = np.asarray(np.frompyfunc(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), 1, 1)(z), dtype=np.float64)
            return x[0] + (x[1] - x[0]) * share
        case _:
            return np.full_like(z, centre(word, *x))


@derived
def _standard_noise(law: Law) -> Array:
    """Return fixed draws of the noise of a law's runs at unit scale, in pairs of opposite sign."""
    assert law.spec.fit is not None
    likelihood = read_likelihood(law.namespace, law.spec.constants, law.spec.fit.likelihood, table="fit")
    size = scenarios(law).size
    rng = np.random.default_rng(4)
    z = draw_noise(likelihood, rng, ((size + 1) // 2,))
    return rng.permutation(np.concatenate([z, -z])[:size])


def draw_noise(likelihood: Likelihood, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return draws of a likelihood's noise at unit scale, of its logarithm for a lognormal one."""
    return rng.standard_normal(shape) if likelihood.freedom is None else rng.standard_t(likelihood.freedom, shape)
