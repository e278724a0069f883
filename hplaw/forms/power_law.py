"""Power laws read off their formulas: a constant, an exponent per input, and how both move with what is uncertain.

Most published laws are of this form. Their values, slopes and log-normal widths then take a few multiplications.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from hplaw import rows
from hplaw.evaluation.inputs import inputs
from hplaw.evaluation.point import standing
from hplaw.expression import Undefined
from hplaw.forms.affine import monomial
from hplaw.law import Law
from hplaw.law.derived import derived


class PowerLaw(msgspec.Struct, frozen=True):
    """ln(output) = constant + sum of exponent times ln(input), by the name under which an input is known.

    - `directions`: by how much constant and exponents move along each direction of uncertainty, one deviation each.
    """

    constant: float
    exponents: tuple[tuple[str, float], ...]
    directions: tuple[tuple[float, tuple[float, ...]], ...]

    def value(self, known: Mapping[str, Any]) -> float:
        """Return the output at known inputs, all positive.

        **Raises:** `Undefined` where an input is not, or the result overflows.

        >>> round(PowerLaw(0.0, (("tokens", 2.0),), ()).value({"tokens": 3.0}), 9)
        9.0
        """
        try:
            value = math.exp(self.constant + sum([e * math.log(known[name]) for name, e in self.exponents]))
        except (ValueError, OverflowError):
            value = 0.0
        if value > 0:
            return value
        message = "an input is zero, or the result too large or too small to write down"
        raise Undefined(message)

    def log_variance(self, known: Mapping[str, object]) -> rows.Number:
        """Return the variance of ln(output) at known inputs, numbers or columns."""
        logs = [rows.log(known[name]) for name, _ in self.exponents]
        total: rows.Number = 0.0
        for constant, moves in self.directions:
            shift: rows.Number = constant
            for move, log in zip(moves, logs, strict=True):
                shift += move * log
            total += shift * shift
        return total


@derived
def power_law(law: Law, output: str) -> PowerLaw | None:
    """Return an output as a power law of all its inputs, or None where it has another form, cases, or defaults."""
    plain = law.spec.kind == "formula" and not law.exact and output in law.outputs
    if not plain or law.cases or any(not item.required for item in inputs(law)):
        return None
    found = _read(law, output, {})
    if found is None:
        return None
    constant, exponents = found
    directions: list[tuple[float, tuple[float, ...]]] = []
    for moved in _directions(law, output):
        there = _read(law, output, moved)
        if there is None:
            return None
        moves = tuple(there[1].get(name, 0.0) - exponent for name, exponent in exponents.items())
        directions.append((there[0] - constant, moves))
    known = {item.name: item.known for item in inputs(law)}
    return PowerLaw(constant, tuple((known[name], e) for name, e in exponents.items()), tuple(directions))


@derived
def best_exponents(law: Law, chosen: str) -> Mapping[str, float] | None:
    """Return d ln(best value) / d ln(input) of a quantity that a law chooses by a closed form, all others free too.

    By the name under which an input is known; None where the form is no power law.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> sorted(best_exponents(load_catalogue().get("pretrain-surface"), "peak_lr"))
    ['n_params', 'tokens']
    """
    exponents = monomial(law, chosen) if chosen in law.optimum else None
    if exponents is None:
        return None
    return {item.known: exponents[item.name] for item in inputs(law) if item.name in exponents}


def _read(law: Law, output: str, moved: Mapping[str, float]) -> tuple[float, dict[str, float]] | None:
    """Return the logarithm of the constant and the exponents, with some parameters elsewhere."""
    exponents = monomial(law, output, moved)
    if exponents is None:
        return None
    environment = standing(law)
    environment.update(moved)
    environment.update(dict.fromkeys(law.inputs, 1.0))
    try:
        value = float(law.point.outputs[output](environment))
    except Undefined:
        return None
    return (math.log(value), exponents) if 0 < value < math.inf else None


def _directions(law: Law, output: str) -> list[dict[str, float]]:
    """Return the parameters along each direction of uncertainty, none where the law states none."""
    spec = law.spec
    if not (spec.covariance or spec.effects or any(p.sd is not None for p in spec.parameters.values())):
        return []
    from hplaw.forms.log_normal import closed, directions

    found = directions(law)
    if found is None or not closed(law, output):
        return []
    return [{name: float(values[j]) for name, values in found.own.items()} for j in range(1, found.own_size + 1)]
