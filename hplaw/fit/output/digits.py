"""How many digits the numbers of a fitted law have in its file: as many as somebody could need of them.

Draws keep all of theirs in `posterior.npz`, and the medians beside them in `law.toml` are for people. A value without draws
is what the law answers with, so that it keeps more: its examples hold as they did before.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import msgspec

from hplaw.errors import LawError
from hplaw.law.format import CovarianceSpec, EvidenceSpec, ExampleSpec, LawSpec, ParameterSpec
from hplaw.law.rules import check_covariance


MEDIANS = 6
"""Digits of values that have draws, and of covariances, whose own error is percents."""
ALONE = 9
"""Digits of values without draws: an exponent's ninth moves an answer by 1e-8, a hundredth of what an example allows."""
SCORES = 4
"""Digits of the scores of what was held out."""
SAMPLER = 5
"""Digits of what a sampler says of itself: an R-hat differs from one in its fourth."""
EXAMPLES = 8
"""Digits of what an example expects: two more than its tolerance of 1e-6."""


def rounded(value: float, digits: int) -> float:
    """Return a number of so many significant digits.

    >>> rounded(0.43525855285817927, 6)
    0.435259
    """
    return float(f"{value:.{digits}g}") if math.isfinite(value) else value


def with_digits(spec: LawSpec, drawn: Collection[str]) -> LawSpec:
    """Return the tables of a law that a fit made, the numbers in them with as many digits as they need.

    **Arguments:**

    - `drawn`: the parameters that the law has draws of.
    """
    discrepancy = spec.predict.discrepancy
    predict = spec.predict
    if discrepancy is not None:
        covariance = _covariance(discrepancy.covariance)
        predict = msgspec.structs.replace(
            predict, discrepancy=msgspec.structs.replace(discrepancy, covariance=covariance)
        )
    return msgspec.structs.replace(
        spec,
        parameters={
            name: _parameter(item, MEDIANS if name in drawn else ALONE) for name, item in spec.parameters.items()
        },
        covariance=[CovarianceSpec(of=block.of, matrix=_covariance(block.matrix)) for block in spec.covariance],
        effects={
            name: effect
            if effect.covariance is None
            else msgspec.structs.replace(effect, covariance=_covariance(effect.covariance))
            for name, effect in spec.effects.items()
        },
        predict=predict,
        evidence=None if spec.evidence is None else _evidence(spec.evidence),
    )


def expected(example: ExampleSpec) -> ExampleSpec:
    """Return an example, what it expects with as many digits as its check needs."""
    found = {n: rounded(v, EXAMPLES) if isinstance(v, float) else v for n, v in example.expect.items()}
    return msgspec.structs.replace(example, expect=found)


def _parameter(item: ParameterSpec, digits: int) -> ParameterSpec:
    return msgspec.structs.replace(item, value=_value(item.value, digits), sd=_value(item.sd, MEDIANS))


def _value(value: float | list[float] | None, digits: int) -> float | list[float] | None:
    if isinstance(value, list):
        return [rounded(number, digits) for number in value]
    return value if value is None else rounded(value, digits)


def _covariance(matrix: list[list[float]]) -> list[list[float]]:
    """Return a covariance of few digits; of more where few would make it none, as they may where names all but coincide."""
    for digits in (MEDIANS, 9, 12):
        found = [[rounded(value, digits) for value in row] for row in matrix]
        try:
            check_covariance(found, len(found), "covariance")
        except LawError:
            continue
        return found
    return matrix


def _evidence(evidence: EvidenceSpec) -> EvidenceSpec:
    return msgspec.structs.replace(
        evidence,
        r_hat=None if evidence.r_hat is None else rounded(evidence.r_hat, SAMPLER),
        ess=None if evidence.ess is None else rounded(evidence.ess, SAMPLER),
        held_out={name: rounded(value, SCORES) for name, value in evidence.held_out.items()},
    )
