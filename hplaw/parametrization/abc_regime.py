"""The regime of an abc-parametrization in exact rationals, by the laws abc-classification and adam-lr-exponents."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from hplaw.answer.answer import plain_outputs
from hplaw.errors import ConflictingQuery, QueryError, nearest
from hplaw.expression.backends import Undefined
from hplaw.law import Law
from hplaw.law.shipped import theory_law
from hplaw.messages.parametrization import AbcReply, AbcRequest


ROLES = ("input", "hidden", "output")
"""What a layer is in an abc-parametrization."""

_WORDS = {
    "unstable": "activations or updates grow without bound with the width, at the start or in the first steps",
    "trivial": "nothing changes in training as the width grows: the rate is too small",
    "kernel": "the network learns as a fixed kernel does: features are fixed as the width grows",
    "feature": "features change by order one at every width",
}
"""The regimes in words."""


def adam_like(optimizer: str) -> bool:
    """Return whether an optimizer's updates have entries of size one.

    >>> adam_like("adamw"), adam_like("momentum")
    (True, False)
    """
    return optimizer not in ("sgd", "momentum")


def classify(request: AbcRequest) -> AbcReply:
    """Return what an infinitely wide network does under a parametrization.

    **Raises:** `QueryError` naming the exponents at fault.

    >>> a, b = {"input": "-1/2", "hidden": 0, "output": "1/2"}, {"input": "1/2", "hidden": "1/2", "output": "1/2"}
    >>> classify(AbcRequest(a=a, b=b)).regime
    'feature'
    """
    a, b, c = (_by_role(name, getattr(request, name)) for name in ("a", "b", "c"))
    law = theory_law(f"abc-classification{'-adam' if request.optimizer == 'adam' else ''}")
    given = {"abc_a": a, "abc_b": b, "abc_c": c, "hidden_to_hidden_layers": request.hidden_layers}
    found = _work_out(law, given, "abc_regime", "abc_r")
    regime = found["abc_regime"]
    rates = {role: str(value) for role, value in largest_rates(request).items()}
    return AbcReply(regime=regime, r=str(found["abc_r"]), say=_WORDS[regime], largest_rates=rates, law=law.address)


def largest_rates(request: AbcRequest) -> Mapping[str, Fraction]:
    """Return the exponents c of each role's largest rate n^-c: for Adam by alignment, for SGD fully aligned.

    >>> zero = {"input": 0, "hidden": 0, "output": 0}
    >>> largest_rates(AbcRequest(a=zero, b=zero, optimizer="adam"))["hidden"]
    Fraction(1, 1)
    """
    given: dict[str, Any] = {"abc_a": _by_role("a", request.a)}
    if request.optimizer == "adam":
        given["alignment"] = request.alignment
        return _largest(theory_law("adam-lr-exponents"), given)
    if request.alignment != 1.0:
        message = (
            f"alignment={request.alignment:g} has a rule for Adam only; leave it out, or give an optimizer such as adam"
        )
        raise ConflictingQuery(message, field="alignment")
    given |= {"abc_b": _by_role("b", request.b), "abc_c": _by_role("c", request.c)}
    return _largest(theory_law("abc-classification"), given)


def _largest(law: Law, given: Mapping[str, object]) -> Mapping[str, Fraction]:
    return _work_out(law, given, "layer_lr_exponent")["layer_lr_exponent"]


def _work_out(law: Law, given: Mapping[str, object], *want: str) -> Mapping[str, Any]:
    """Return what a law gives in exact rationals, or raise `QueryError` where that is no number one can write."""
    try:
        return plain_outputs(law, given, want=want)[1]
    except Undefined:
        message = "the exponents a, b and c lead to numbers too large to write down; give exponents such as 1/2"
        raise ConflictingQuery(message, field="a") from None


def _by_role(name: str, value: Mapping[str, Any] | float | str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return dict.fromkeys(ROLES, value)
    for role in value:
        if role not in ROLES:
            message = f"{name}.{role[:80]} is no role{nearest(role[:80], ROLES)}; give {', '.join(ROLES)}"
            raise QueryError(message, field=name)
    missing = [role for role in ROLES if role not in value]
    if missing:
        message = f"{name} lacks {', '.join(missing)}; give an exponent for each of {', '.join(ROLES)}, numbers or fractions such as 1/2"
        raise QueryError(message, field=name)
    return dict(value)
