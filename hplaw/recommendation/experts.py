"""Mixtures of experts in a question: what is answered for them, and which numbers cannot be together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hplaw.errors import ConflictingQuery


EXPERTS, USED = "n_experts", "n_active_experts"

EXPERTS_WANT = ("n_active_params", "expert_sparsity", "granularity")
"""What is also answered where experts are given, as far as it was not given."""

LEVERAGE = "efficiency_leverage"
"""What is answered too where a token leaves some of the experts out."""


def is_routed(known: Mapping[str, Any]) -> bool:
    """Return whether a model has experts to choose from, so that a token need not use all its parameters.

    >>> is_routed({"n_experts": 64.0}), is_routed({"n_experts": 1.0}), is_routed({})
    (True, False, False)
    """
    return known.get(EXPERTS, 1.0) > 1


def sized_by_experts(known: Mapping[str, Any]) -> bool:
    """Return whether all parameters follow from those of one token, by how many experts it uses."""
    return is_routed(known) and USED in known and "n_active_params" in known


def experts_want(known: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is also answered for a mixture of experts.

    >>> list(experts_want({"n_experts": 64.0, "n_active_experts": 4.0, "granularity": 8.0}))
    ['n_active_params', 'expert_sparsity', 'efficiency_leverage']
    """
    if is_routed(known) and USED in known:
        yield from (name for name in EXPERTS_WANT if name not in known)
        if known[USED] < known[EXPERTS]:
            yield LEVERAGE
        if sized_by_experts(known) and "n_params" not in known:
            yield "n_params"


def refuse_experts(known: Mapping[str, Any]) -> None:
    """Refuse experts that a token cannot use, and counts of parameters that no such model has.

    **Raises:** `ConflictingQuery` naming the quantity.
    """
    experts, used = known.get(EXPERTS), known.get(USED)
    if experts is None:
        if used is not None:
            message = f"{USED}={used:g} needs {EXPERTS}; give the routed experts of a layer too"
            raise ConflictingQuery(message, field=USED)
        return
    if used is not None and used > experts:
        message = f"{USED}={used:g} is above {EXPERTS}={experts:g}; a token uses some of the experts, at most all"
        raise ConflictingQuery(message, field=USED)
    if not is_routed(known):
        return
    if known.get("architecture") == "dense":
        message = f"{EXPERTS}={experts:g} and architecture=dense exclude each other; leave one of them out"
        raise ConflictingQuery(message, field=EXPERTS)
    if used is None and "n_active_params" not in known:
        message = f"{EXPERTS}={experts:g} needs {USED} or n_active_params; give how many experts a token uses"
        raise ConflictingQuery(message, field=USED)
    n, active = known.get("n_params"), known.get("n_active_params")
    if used is not None and n is not None and active is not None and active < n * used / experts:
        message = f"n_active_params={active:g} is below {used:g}/{experts:g} of n_params={n:g}, which the experts of a token alone have; give a larger one, or leave it out"
        raise ConflictingQuery(message, field="n_active_params")
