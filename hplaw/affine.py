"""Whether the logarithm of an output is affine in some names: then Gaussian names make it exactly log-normal."""

from __future__ import annotations

from collections.abc import Collection

from hplaw.expression.tree import Binary, Call, Item, Name, Node, Number, Unary, walk
from hplaw.law.law import Law
from hplaw.law.scope import Namespace


def log_affine(law: Law, output: str, names: Collection[str]) -> bool:
    """Return whether ln(output) is affine in `names` by the form of its formula; a no may be a form not recognised.

    >>> from hplaw.catalogue import load_catalogue
    >>> log_affine(load_catalogue().get("step-law-2025"), "peak_lr", ["log_c", "a", "b"])
    True
    """
    formula, over = law.outputs[output]
    return over is None and _log_degree(formula.tree, law.namespace, names) is not None


def _free(node: Node, namespace: Namespace, names: Collection[str]) -> bool:
    """Return whether a formula speaks of none of the names, its lets followed."""
    for part in walk(node):
        spoken = (
            [part.name, *(key.name for key in part.keys)]
            if isinstance(part, Item)
            else [part.name]
            if isinstance(part, Name)
            else []
        )
        for name in spoken:
            let = namespace.lets.get(name)
            if name in names or (let is not None and not _free(let.tree, namespace, names)):
                return False
    return True


def _degree(node: Node, namespace: Namespace, names: Collection[str]) -> int | None:
    """Return 0 for a formula free of the names, 1 for one affine in them, None for any other."""
    if _free(node, namespace, names):
        return 0
    match node:
        case Name(name=name):
            return 1 if name in names else _degree(namespace.lets[name].tree, namespace, names)
        case Unary(operator="-", x=x):
            return _degree(x, namespace, names)
        case Binary(operator="+" | "-", left=left, right=right):
            return _most(_degree(left, namespace, names), _degree(right, namespace, names))
        case Binary(operator="*", left=left, right=right):
            if _free(left, namespace, names):
                return _degree(right, namespace, names)
            return _degree(left, namespace, names) if _free(right, namespace, names) else None
        case Binary(operator="/", left=left, right=right):
            return _degree(left, namespace, names) if _free(right, namespace, names) else None
        case Call(function="log", arguments=(x,)):
            return _log_degree(x, namespace, names)
        case _:
            return None


def _log_degree(node: Node, namespace: Namespace, names: Collection[str]) -> int | None:
    """Return the degree of a formula's logarithm."""
    if isinstance(node, Number) or _free(node, namespace, names):
        return 0
    match node:
        case Name(name=name) if name in namespace.lets:
            return _log_degree(namespace.lets[name].tree, namespace, names)
        case Binary(operator="*" | "/", left=left, right=right):
            return _most(_log_degree(left, namespace, names), _log_degree(right, namespace, names))
        case Binary(operator="**", left=base, right=power):
            if _free(power, namespace, names):
                return _log_degree(base, namespace, names)
            return _degree(power, namespace, names) if _free(base, namespace, names) else None
        case Call(function="exp", arguments=(x,)):
            return _degree(x, namespace, names)
        case Call(function="sqrt", arguments=(x,)):
            return _log_degree(x, namespace, names)
        case _:
            return None


def _most(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else max(a, b)
