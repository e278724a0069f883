"""What a formula uses, its lets followed; and formulas that have a value before anything is known of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hplaw.errors import LawError, refuse
from hplaw.expression import Undefined, compile_expression, names_in
from hplaw.expression.backends import FLOATS
from hplaw.expression.scope import Kind
from hplaw.expression.tree import Node
from hplaw.law.program import Environment, unroll
from hplaw.law.scope import Namespace, index_symbol


def spoken(namespace: Namespace, tree: Node) -> frozenset[str]:
    """Return every name that a formula uses, those of the lets it uses among them."""
    found: set[str] = set()
    stack = list(names_in(tree))
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            if name in namespace.lets:
                stack.extend(names_in(namespace.lets[name].tree))
    return frozenset(found)


def refuse_names(
    namespace: Namespace,
    tree: Node,
    kinds: Collection[Kind],
    why: str,
    *,
    over: str | None = None,
    table: str,
    key: str,
) -> None:
    """Refuse a formula that uses names of some kinds.

    **Arguments:**

    - `why`: what to say of the name, as in "is not known when a scale is computed".
    - `over`: an index that the formula goes over, which is known.

    **Raises:** `LawError`.
    """
    symbols = namespace.scope.symbols
    names = spoken(namespace, tree) - {over}
    bad = sorted(n for n in names if n in symbols and symbols[n].kind in kinds)
    if bad:
        refuse(f"'{bad[0]}' {why}", table=table, key=key)


def settled(
    namespace: Namespace, constants: Mapping[str, float], tree: Node, at: Mapping[str, int], *, table: str, key: str
) -> float:
    """Return the value of a formula that uses constants and tables only.

    **Arguments:**

    - `at`: the entry of each index that the formula is free in.

    **Raises:** `LawError` where it has none.
    """
    lets = {
        name: unroll(namespace, namespace.lets[name], FLOATS, namespace.lets[name].free)
        for name in spoken(namespace, tree)
        if name in namespace.lets
    }
    scope = namespace.scope
    for name in at:
        scope = scope.with_symbol(name, index_symbol(name))
    environment = Environment({**constants, **namespace.tables}, lets)
    try:
        return float(compile_expression(tree, scope, FLOATS, at)(environment))
    except Undefined as error:
        message = f"has no value: {error}"
        raise LawError(message, table=table, key=key) from None
