"""Intervals in closed form: where Gaussian names enter the logarithm of an output linearly, it is exactly log-normal.

A law is run once over its directions of uncertainty, one standard deviation each; no draws are needed, and ten
thousand rows cost hardly more than one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw import rows
from hplaw.evaluation.inputs import inputs
from hplaw.expression.backends import numpy_backend
from hplaw.forms.affine import log_affine
from hplaw.law.derived import derived
from hplaw.law.law import Law, numpy_environment
from hplaw.law.priors import HYPERPRIORS, is_call
from hplaw.law.settled import spoken
from hplaw.posterior.discrepancy import stray_variance
from hplaw.posterior.scenarios import factor, group_covariance, scenarios


Array = NDArray[np.float64]

NORMAL_QUANTILES = np.array([-1.6448536269514722, -0.6744897501960817, 0.0, 0.6744897501960817, 1.6448536269514722])
"""Of the standard normal at 5, 25, 50, 75 and 95%."""


class Directions(msgspec.Struct, frozen=True):
    """Names of a law with one entry for the point and one per direction, a standard deviation away; `own` of the
    law's recipe, `transfer` also those of another recipe."""

    own: Mapping[str, Array]
    transfer: Mapping[str, Array]
    own_size: int


@derived
def directions(law: Law) -> Directions | None:
    """Return a law's directions of uncertainty, or None where it is not Gaussian: fitted draws, scales that vary."""
    spec = law.spec
    if law.arrays is not None or any(isinstance(p.sd, list) for p in spec.parameters.values()):
        return None
    steps: list[dict[str, float]] = []
    correlated: set[str] = set()
    for block in spec.covariance:
        steps += _columns(block.of, factor(np.asarray(block.matrix)))
        correlated |= set(block.of)
    for name, parameter in spec.parameters.items():
        if isinstance(parameter.sd, float) and name not in correlated:
            steps.append({name: parameter.sd})
    outer: list[dict[str, float]] = []
    for group, effect in spec.effects.items():
        if effect.predict == "zero":
            continue
        found = _effect_columns(law, group)
        if found is None:
            return None
        (outer if effect.predict == "transfer" else steps).extend(found)
    point = scenarios(law).point
    return Directions(_spread(point, steps), _spread(point, [*steps, *outer]) if outer else {}, len(steps))


def _columns(names: list[str], matrix: Array) -> list[dict[str, float]]:
    return [dict(zip(names, map(float, column), strict=True)) for column in matrix.T if np.any(column)]


def _effect_columns(law: Law, group: str) -> list[dict[str, float]] | None:
    effect = law.spec.effects[group]
    if effect.tail is not None:
        return None
    texts = [] if effect.covariance else [*effect.scale.values(), *filter(None, [effect.correlation])]
    if any(is_call(text, HYPERPRIORS) for text in texts):
        return None
    uncertain = {n for block in law.spec.covariance for n in block.of} | {
        n for n, p in law.spec.parameters.items() if p.sd is not None
    }
    formulas = [law.namespace.formula(text, table="effects", key="scale") for text in texts]
    correlated = effect.covariance is None and len(effect.of) > 2
    if correlated or any(spoken(law.namespace, formula.tree) & uncertain for formula in formulas):
        return None
    covariance = group_covariance(law, group, numpy_environment(law, scenarios(law).point))
    return _columns(effect.of, factor(np.array([[float(covariance[a, b]) for b in effect.of] for a in effect.of])))


def _spread(point: Mapping[str, object], steps: list[dict[str, float]]) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name in {name for step in steps for name in step}:
        found[name] = point[name] + np.array([0.0, *(step.get(name, 0.0) for step in steps)])
    return found


@derived
def closed(law: Law, output: str, *, transfer: bool = False) -> bool:
    """Return whether an output of a law has its interval in closed form."""
    found = directions(law)
    discrepancy = law.spec.predict.discrepancy
    strays = discrepancy is not None and any(name in law.chosen for name in discrepancy.of)
    if found is None or law.exact or strays:
        return False
    spoken_of = spoken(law.namespace, law.outputs[output][0].tree)
    if any(item.prior and item.name in spoken_of for item in inputs(law)):
        return False
    fit = law.spec.fit
    if fit is not None and fit.observed == output:
        return False
    return log_affine(law, output, (found.transfer if transfer else found.own).keys())


def log_deviation(
    law: Law, output: str, inputs: Mapping[str, object], stretch: rows.Number, *, transfer: bool = False
) -> rows.Number:
    """Return the standard deviation of ln(output), 0 where the law states none.

    **Arguments:**

    - `inputs`: values by name, numbers or columns.
    - `stretch`: by how much the discrepancy is wider outside the domain, a number or a column.
    """
    found = directions(law)
    assert found is not None
    names = found.transfer if transfer else found.own
    variance: Any = stray_variance(law, output) * stretch * stretch
    if names:
        values = {name: rows.across(value) for name, value in inputs.items()}
        with np.errstate(all="ignore"):
            logs = np.log(
                law.program(numpy_backend()).outputs[output](
                    numpy_environment(law, {**scenarios(law).point, **values, **names})
                )
            )
        if logs.ndim:
            moved = np.square(logs[..., 1:] - logs[..., :1]).sum(axis=-1)
            variance = rows.plain(moved) + variance
    return rows.plain(np.sqrt(variance))
