"""Where a group's members lie before their effect is added: what an effect is centered on when it is sampled.

In `best = p0 + p1 * n + cell`, runs pin `best` member by member, and hardly the parameters. Drawing `best` around
`p0 + p1 * n` and taking the difference as `cell` is the same density in coordinates that hardly depend on each other.
"""

from __future__ import annotations

from collections.abc import Iterator

from hplaw.expression import Kind, names_in
from hplaw.expression.tree import Binary, Name, Node
from hplaw.law import Law


def centre_of(law: Law, effect: str, columns: list[str]) -> list[Node]:
    """Return the terms that are beside an effect in its sum and are the same for all rows of a member.

    **Arguments:**

    - `effect`: the flat name of one effect.
    - `columns`: the columns that distinguish members.

    **Returns:** nothing where the effect is in no sum, or in several places.
    """
    trees = [let.tree for let in law.namespace.lets.values()]
    trees += [formula.tree for formula, _ in law.outputs.values()]
    places = [terms for tree in trees for terms in _sums_with(tree, effect)]
    if len(places) != 1 or sum(effect in names_in(tree) for tree in trees) != 1:
        return []
    known = {name for name in columns if not law.quantity(name).categorical}
    return [term for term in places[0] if _constant_in(law, term, known)]


def _sums_with(tree: Node, effect: str) -> Iterator[list[Node]]:
    """Yield the other terms of every sum of which the effect is a term."""
    terms = list(_terms(tree))
    if any(isinstance(term, Name) and term.name == effect for term in terms) and len(terms) > 1:
        yield [term for term in terms if not (isinstance(term, Name) and term.name == effect)]
        return
    for term in terms:
        for part in term.parts():
            yield from _sums_with(part, effect)


def _terms(tree: Node) -> Iterator[Node]:
    if isinstance(tree, Binary) and tree.operator == "+":
        yield from _terms(tree.left)
        yield from _terms(tree.right)
    else:
        yield tree


def _constant_in(law: Law, term: Node, known: set[str]) -> bool:
    """Return whether a term uses nothing but parameters and what distinguishes members; effects held at zero are nothing."""
    still = {of for e in law.spec.effects.values() if e.predict == "transfer" for of in e.of}
    pending, seen = [term], set[str]()
    while pending:
        for name in names_in(pending.pop()):
            if name in seen:
                continue
            seen.add(name)
            if name in law.namespace.lets:
                pending.append(law.namespace.lets[name].tree)
                continue
            symbol = law.namespace.scope.symbols.get(name)
            if symbol is None or symbol.kind in (Kind.PARAMETER, Kind.CONSTANT, Kind.INDEX):
                continue
            if symbol.kind is Kind.EFFECT and name in still:
                continue
            if symbol.kind is Kind.EFFECT or (symbol.kind is Kind.INPUT and name not in known):
                return False
            if symbol.kind in (Kind.TABLE, Kind.CURVE) and not symbol.indices:
                return False
    return True
