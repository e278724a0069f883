"""Derivatives of trees agree with differences."""

import math

import pytest

from hplaw.expression import Kind, Scope, Symbol, compile_expression, parse
from hplaw.expression.backends import FLOATS
from hplaw.expression.differentiate import Derivative, NoRule


LETS = {"n": "log(x / 3)", "power": "a * x ** b", "total": "power + y", "product": "(n - 0.5) * power"}
NAMES = ("x", "y", "a", "b", *LETS)
SCOPE = Scope({name: Symbol(Kind.INPUT) for name in NAMES}, {}, frozenset())
TREES = {name: parse(text) for name, text in LETS.items()}


def value(tree, scope, lets, x):
    environment = {"x": x, "y": 1.3, "a": 0.7, "b": -0.4}
    for name, let in lets.items():
        environment[name] = compile_expression(let, scope, FLOATS)(environment)
    return compile_expression(tree, scope, FLOATS)(environment)


def derivative(text, form, x):
    found = Derivative("x", TREES)
    tree = getattr(found, form)(parse(text))
    if tree is None:
        return 0.0
    scope = SCOPE
    for name in found.lets_made:
        scope = scope.with_symbol(name, Symbol(Kind.LET))
    return value(tree, scope, TREES | found.lets_made, x)


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "-x",
        "2 * x + y",
        "y - x",
        "x * y / (1 + x)",
        "y / x",
        "x ** 2 * y ** x",
        "a ** x",
        "exp(-x / 4)",
        "sqrt(x + y)",
        "log(x) * y",
        "expm1(x / 3)",
        "log1p(x)",
        "expm2(n)",
        "expm2(-n * b)",
        "where(x > 1, x * y, 2)",
        "where(x < 1, x, log(x))",
        "total",
        "product",
        "exp(n * power) + total ** 2",
        "1 / total",
        "min(a, b) * x",
        "y + 2",
    ],
)
@pytest.mark.parametrize("x", [0.4, 2.0, 5.5])
def test_derivatives_agree_with_differences(text, x):
    tree, step = parse(text), 1e-5
    up, down = (value(tree, SCOPE, TREES, x * math.exp(side * step)) for side in (1, -1))
    change = (up - down) / (2 * step)
    assert derivative(text, "change", x) == pytest.approx(change, rel=1e-7, abs=1e-8)
    here = value(tree, SCOPE, TREES, x)
    assert derivative(text, "relative", x) == pytest.approx(change / here, rel=1e-7, abs=1e-8)


def test_a_change_is_had_where_a_product_is_zero():
    assert derivative("(x - 2) * power", "change", 2.0) == pytest.approx(2.0 * 0.7 * 2**-0.4)


@pytest.mark.parametrize("text", ["floor(x)", "max(x, y)", "y + abs(n)", "sigmoid(power)"])
def test_functions_without_derivative_are_refused(text):
    with pytest.raises(NoRule):
        derivative(text, "relative", 2.0)


def test_what_moves_only_elsewhere_does_not_move():
    found = Derivative("x", TREES)
    assert found.change(parse("max(y, a) + floor(b)")) is None
    assert found.relative(parse("y * a")) is None
