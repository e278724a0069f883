"""Formulas, priors and likelihoods of a law file, checked one at a time, each refusal naming table and key."""

from __future__ import annotations

from collections.abc import Mapping

from hplaw.errors import LawError, refuse
from hplaw.expression import Symbol, Type
from hplaw.expression.parse import parse_call
from hplaw.expression.scope import infer
from hplaw.expression.tree import Call
from hplaw.law.scope import Formula, Namespace, check_work


def one_formula(
    namespace: Namespace,
    text: str,
    table: str,
    key: str,
    kind: Type | None = Type.NUMBER,
    *,
    extra: Mapping[str, Symbol] | None = None,
) -> Formula:
    """Return a checked formula of one value and of the kind wanted."""
    found = namespace.formula(text, table=table, key=key, extra=extra)
    if kind is not None and found.type is not kind:
        refuse(f"{kind.value} is needed here, not {found.type.value}", table=table, key=key)
    refuse_free(found, (), table, key)
    check_work(namespace, found, table=table, key=key)
    return found


def refuse_free(found: Formula, over: tuple[str, ...], table: str, key: str) -> None:
    """Refuse a formula that is free in an index which nothing closes."""
    stray = [index for index in found.free if index not in over]
    if stray:
        message = f"it uses every {stray[0]} at once; use sum({stray[0]}, ...), pick one with [...], or say over = '{stray[0]}'"
        refuse(message, table=table, key=key)


def check_call(
    namespace: Namespace,
    text: str,
    functions: Mapping[str, int],
    table: str,
    key: str,
    *,
    over: Mapping[str, Symbol] | None = None,
) -> Call:
    """Return the tree of a prior or likelihood whose arguments are formulas of this law.

    **Raises:** `LawError` naming table and key.
    """
    scope = namespace.scope
    for name, symbol in (over or {}).items():
        scope = scope.with_symbol(name, symbol)
    try:
        call = parse_call(text, functions)
        for argument in call.arguments:
            kind, free = infer(argument, scope)
            if kind is not Type.NUMBER or free - set(over or {}):
                message = "its arguments are numbers, one value each"
                raise LawError(message)
            check_work(namespace, Formula(text, argument, kind, ()), table=table, key=key)
    except LawError as error:
        raise error.within(table=table, key=key) from None
    return call
