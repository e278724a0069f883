"""Tree -> LaTeX, with the letters of the vocabulary and no parentheses that precedence makes idle."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hplaw.expression.tree import Binary, Call, Item, Name, Node, Number, Reduce, Unary


_GREEK = re.compile(
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|kappa|lambda|mu|nu|xi|rho|sigma|tau|phi|pi|chi|psi|omega"
)
"""Letters that LaTeX has by their names."""
_STRENGTH = {"or": 1, "and": 2, "<": 4, "<=": 4, ">": 4, ">=": 4, "==": 4, "+": 5, "-": 5, "*": 6, "/": 9, "**": 8}
_SIGN = {"or": r" \lor ", "and": r" \land ", "<=": r" \le ", ">=": r" \ge ", "==": " = ", "*": r" \, "}
_FUNCTION = {"log": r"\ln", **{name: rf"\{name}" for name in ("exp", "min", "max", "sin", "cos", "tanh")}}
_FRAMED = {
    "where": r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
    "sqrt": r"\sqrt{{{0}}}",
    "abs": r"\left|{0}\right|",
    "floor": r"\left\lfloor {0} \right\rfloor",
}
"""Functions that stand around their arguments."""
_ATOM = 10
_LOGARITHM = 5.5
"""Of a name that is set as a logarithm: a term of a sum, no factor."""


def latex(node: Node, symbols: Mapping[str, str] | None = None) -> str:
    """Return the formula as LaTeX.

    **Arguments:**

    - `node`: the tree.
    - `symbols`: LaTeX by name, for quantities; other names are set from their letters.

    >>> from hplaw.expression.parse import parse
    >>> latex(parse("c * n_params ** alpha / 2"), {"n_params": "N"})
    '\\\\frac{c \\\\, N^{\\\\alpha}}{2}'
    """
    return _render(node, symbols or {})[0]


def _render(node: Node, symbols: Mapping[str, str]) -> tuple[str, float]:
    """Return the text of a node and how strongly it holds together."""
    match node:
        case Number(text=text):
            return _number(text)
        case Name(name=name):
            text = symbols.get(name) or latex_name(name)
            return text, _LOGARITHM if text.startswith(r"\ln ") else _ATOM
        case Item(name=name, keys=keys):
            below = ",".join(latex_name(key.name) for key in keys)
            return f"{{{symbols.get(name) or latex_name(name)}}}_{{{below}}}", _ATOM
        case Unary(operator=operator, x=x):
            return (rf"\lnot {_held(x, symbols, 4.5)}", 3) if operator == "not" else (f"-{_held(x, symbols, 6)}", 5)
        case Reduce(function=function, index=index, body=body):
            if function == "before":
                return rf"{{{_held(body, symbols, _ATOM)}}}_{{{_escape(index)}-1}}", _ATOM
            if function == "running":
                return rf"\sum_{{\tau \le {_escape(index)}}} {_held(body, symbols, 6)}", 6
            sign = r"\sum" if function == "sum" else r"\prod"
            return rf"{sign}_{{\mathrm{{{_escape(index)}}}}} {_held(body, symbols, 6)}", 6
        case Binary():
            return _binary(node, symbols)
        case Call():
            return _call(node, symbols)
        case _:
            raise AssertionError(node)


def _held(node: Node, symbols: Mapping[str, str], strength: float) -> str:
    text, own = _render(node, symbols)
    return text if own >= strength else rf"\left({text}\right)"


def _binary(node: Binary, symbols: Mapping[str, str]) -> tuple[str, float]:
    operator, strength = node.operator, _STRENGTH[node.operator]
    if operator == "/":
        return rf"\frac{{{_render(node.left, symbols)[0]}}}{{{_render(node.right, symbols)[0]}}}", 9
    if operator == "**":
        return f"{_held(node.left, symbols, _ATOM)}^{{{_render(node.right, symbols)[0]}}}", 8
    right = _held(node.right, symbols, strength + 0.5)
    return (f"{_held(node.left, symbols, strength)}{_SIGN.get(operator, f' {operator} ')}{right}", strength)


def _call(node: Call, symbols: Mapping[str, str]) -> tuple[str, float]:
    inner = [_render(argument, symbols)[0] for argument in node.arguments]
    if node.function in _FRAMED:
        return _FRAMED[node.function].format(*inner), _ATOM
    if node.function == "exp":
        return rf"e^{{{inner[0]}}}", 8
    name = _FUNCTION.get(node.function, rf"\mathrm{{{node.function}}}")
    return rf"{name}\left({', '.join(inner)}\right)", _ATOM


def _number(text: str) -> tuple[str, int]:
    mantissa, _, exponent = text.lower().partition("e")
    if not exponent:
        return text, _ATOM
    power = f"10^{{{int(exponent)}}}"
    return (power, 8) if float(mantissa) == 1 else (rf"{mantissa} \cdot {power}", 6)


def latex_name(name: str) -> str:
    """Return a name as a letter with a subscript: `log_c` is log c, `alpha` the Greek, `p0` a p with index 0.

    >>> latex_name("p0")
    'p_{\\\\mathrm{0}}'
    """
    if name.startswith("log_") and len(name) > 4:
        return rf"\ln {latex_name(name.removeprefix('log_'))}"
    head, _, tail = name.partition("_")
    stem = head.rstrip("0123456789")
    if not stem:
        return rf"\mathrm{{{_escape(name)}}}"
    below = ",".join(part for part in (head[len(stem) :], _escape(tail)) if part)
    if _GREEK.fullmatch(stem):
        letter = rf"\{stem}"
    else:
        letter = stem if len(stem) <= 1 else rf"\mathrm{{{stem}}}"
    return rf"{letter}_{{\mathrm{{{below}}}}}" if below else letter


def _escape(text: str) -> str:
    return text.replace("_", r"\_")
