"""Formulas: text -> checked tree -> function over floats, numpy, JAX or exact rationals; also LaTeX."""

from hplaw.expression.compile import Undefined, compile_expression
from hplaw.expression.latex import latex, latex_name
from hplaw.expression.parse import parse
from hplaw.expression.scope import Kind, Scope, Symbol, Type, infer
from hplaw.expression.tree import names_in


__all__ = [
    "Kind",
    "Scope",
    "Symbol",
    "Type",
    "Undefined",
    "compile_expression",
    "infer",
    "latex",
    "latex_name",
    "names_in",
    "parse",
]
