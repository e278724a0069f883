"""Floats, numpy, JAX and rationals give the same values, as far as an expression is well conditioned."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from hplaw.expression import Kind, Scope, Symbol, Type, Undefined, compile_expression, infer, parse
from hplaw.expression.backends import FLOATS, RATIONALS, Backend, Curve, jax_backend, numpy_backend
from hplaw.expression.tree import Binary, Call, Name, Node, Number, Reduce, Unary


CURVE = Curve((1.0, 2.0, 4.0), (3.0, -1.0, 5.0))
LOG_CURVE = Curve((0.5, 1.0, 8.0), (1.0, 2.0, -2.0), log=True)
WEIGHTS = (0.5, -1.25, 2.0)
SCOPE = Scope(
    {
        **{name: Symbol(Kind.INPUT) for name in "xyz"},
        "w": Symbol(Kind.PARAMETER, Type.NUMBER, ("k",)),
        "curve": Symbol(Kind.CURVE),
        "log_curve": Symbol(Kind.CURVE),
        "kind": Symbol(Kind.INPUT, Type.CATEGORY),
    },
    {"k": ("a", "b", "c")},
    frozenset(["adam", "sgd"]),
)
FIXED = {"w": WEIGHTS, "curve": CURVE, "log_curve": LOG_CURVE}
TOLERANCE = 1e-12


def compiled(text: str, backend: Backend) -> Callable[[Mapping[str, Any]], Any]:
    tree = parse(text)
    infer(tree, SCOPE)
    run = compile_expression(tree, SCOPE, backend)
    return lambda values: run({**FIXED, **values})


@pytest.fixture(scope="module")
def jax() -> Backend:
    """Return the backend over JAX, its functions compiled for the shapes of these tests."""
    backend = jax_backend()
    import jax.numpy as jnp

    for shape in ((), (4,)):
        x = jnp.full(shape, 0.7)
        for function in (
            "log",
            "exp",
            "expm1",
            "log1p",
            "expm2",
            "sqrt",
            "abs",
            "floor",
            "sin",
            "cos",
            "tanh",
            "sigmoid",
            "erf",
        ):
            backend.functions[function](x)
        for curve in (CURVE, LOG_CURVE):
            backend.functions["interp"](x, curve)
    return backend


# The reference: a value and how far it moves when every number and operation is off by a relative one


class Unfit(Exception):
    """No value here, or one where an error of rounding may jump."""


_SLOPES: dict[str, Callable[[float], float]] = {
    "log": lambda x: 1 / x,
    "exp": math.exp,
    "expm1": math.exp,
    "log1p": lambda x: 1 / (1 + x),
    "expm2": math.expm1,
    "sqrt": lambda x: 0.5 / math.sqrt(x),
    "abs": lambda x: 1.0,
    "sin": math.cos,
    "cos": math.sin,
    "tanh": lambda x: 1 - math.tanh(x) ** 2,
    "sigmoid": lambda x: 0.25,
    "erf": lambda x: 2 / math.sqrt(math.pi) * math.exp(-x * x),
}
_VALUES: dict[str, Callable[[float], float]] = {
    **{name: getattr(math, name) for name in ("log", "exp", "expm1", "log1p", "sqrt", "sin", "cos", "tanh", "erf")},
    "expm2": lambda t: (
        t * t * sum(t**i / math.factorial(i + 2) for i in range(18)) if abs(t) < 1 else math.expm1(t) - t
    ),
    "abs": abs,
    "sigmoid": lambda x: 0.5 * (1 + math.tanh(x / 2)),
}


def reference(node: Node, values: Mapping[str, float], at: int | None = None) -> tuple[float, float]:
    """Return a formula's value and its error for relative errors of one everywhere, to first order."""
    try:
        value, error = _reference(node, values, at)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise Unfit from None
    if not (abs(value) < 1e250 and error < 1e250) or (value and abs(value) < 1e-250):
        raise Unfit
    return value, error + abs(value)


def _reference(node: Node, values: Mapping[str, float], at: int | None) -> tuple[float, float]:
    match node:
        case Number(text=text):
            return float(text), 0.0
        case Name(name="pi"):
            return math.pi, 0.0
        case Name(name="w"):
            assert at is not None
            return WEIGHTS[at], 0.0
        case Name(name=name):
            return values[name], 0.0
        case Unary(x=x):
            value, error = reference(x, values, at)
            return -value, error
        case Reduce(function=function, body=body):
            terms = [reference(body, values, i) for i in range(len(WEIGHTS))]
            if function == "sum":
                partial = [sum(v for v, _ in terms[: i + 1]) for i in range(3)]
                return partial[-1], sum(e for _, e in terms) + sum(map(abs, partial))
            value = math.prod(v for v, _ in terms)
            return value, sum(
                e * abs(math.prod(v for j, (v, _) in enumerate(terms) if j != i)) for i, (_, e) in enumerate(terms)
            ) + 2 * abs(value)
        case Binary(operator=operator, left=left, right=right):
            (a, da), (b, db) = reference(left, values, at), reference(right, values, at)
            match operator:
                case "+":
                    return a + b, da + db
                case "-":
                    return a - b, da + db
                case "*":
                    return a * b, da * abs(b) + db * abs(a)
                case "/":
                    return a / b, da / abs(b) + db * abs(a / b / b)
                case _:
                    value = math.pow(a, b)
                    slope = abs(value * math.log(abs(a))) if a else 0.0
                    if a == 0 and db:
                        raise Unfit
                    return value, da * abs(b * math.pow(a, b - 1)) + db * slope
        case Call(function="where", arguments=(condition, yes, no)):
            assert isinstance(condition, Binary)
            (a, da), (b, db) = (reference(n, values, at) for n in (condition.left, condition.right))
            if abs(a - b) <= 1e-9 * (da + db):
                raise Unfit
            holds = a < b if condition.operator in ("<", "<=") else a > b
            both = [reference(part, values, at) for part in (yes, no)]
            return both[0] if holds else both[1]
        case Call(function=function, arguments=arguments):
            parts = [
                reference(a, values, at) if not (isinstance(a, Name) and "curve" in a.name) else (0.0, 0.0)
                for a in arguments
            ]
            numbers, errors = [v for v, _ in parts], [e for _, e in parts]
            match function:
                case "min" | "max":
                    return (min if function == "min" else max)(numbers), max(errors)
                case "clip":
                    return min(max(numbers[0], numbers[1]), numbers[2]), max(errors)
                case "floor":
                    if abs(numbers[0] - round(numbers[0])) <= 1e-9 * errors[0]:
                        raise Unfit
                    return float(math.floor(numbers[0])), 0.0
                case "interp":
                    curve = FIXED[arguments[1].name]  # type: ignore[union-attr]
                    x = math.log(max(numbers[0], curve.x[0])) if curve.log else numbers[0]
                    xs = np.log(curve.x) if curve.log else np.asarray(curve.x)
                    steepest = float(np.abs(np.diff(curve.y) / np.diff(xs)).max())
                    inner = errors[0] / max(numbers[0], curve.x[0]) if curve.log else errors[0]
                    return float(np.interp(x, xs, curve.y)), steepest * (inner + 5) + 10
                case _:
                    (x,) = numbers
                    value = _VALUES[function](x)
                    return value, abs(_SLOPES[function](x)) * errors[0]
        case _:
            raise AssertionError(node)


def _texts(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def call(function: str, count: int) -> st.SearchStrategy[str]:
        return st.tuples(*[parts] * count).map(lambda found: f"{function}({', '.join(found)})")

    return st.one_of(
        st.tuples(parts, st.sampled_from(["+", "-", "*", "/"]), parts).map(" ".join).map("({})".format),
        parts.map("(-{})".format),
        st.tuples(parts, st.sampled_from(["2", "3", "-1", "0.5", "-1.5"])).map(lambda p: f"abs({p[0]}) ** {p[1]}"),
        st.tuples(parts, st.sampled_from(["2", "3", "-2", "0"])).map(lambda p: f"({p[0]}) ** {p[1]}"),
        *(call(name, 1) for name in ("exp", "expm1", "expm2", "sin", "cos", "tanh", "sigmoid", "erf", "abs", "floor")),
        parts.map("log(abs({}) + 0.1)".format),
        parts.map("log1p(abs({}))".format),
        parts.map("sqrt(abs({}))".format),
        call("min", 2),
        call("max", 3),
        call("clip", 3),
        parts.map("sum(k, w * {})".format),
        parts.map("prod(k, w + {})".format),
        parts.map("interp({}, curve)".format),
        parts.map("interp({}, log_curve)".format),
        st.tuples(parts, st.sampled_from(["<", "<=", ">", ">="]), parts, parts, parts).map(
            lambda p: f"where({p[0]} {p[1]} {p[2]}, {p[3]}, {p[4]})"
        ),
    )


_LEAVES = st.sampled_from(["x", "y", "z", "2", "0.3", "1e-3", "17.5", "pi"])
FORMULAS = st.recursive(_LEAVES, _texts, max_leaves=10)
NUMBERS = st.one_of(st.floats(-4, 4, allow_subnormal=False), st.sampled_from([0.0, 1.0, -1.0, 1e-8, 40.0, 1e6]))
POINTS = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=4, max_size=4)


def _compare(text: str, points: list[tuple[float, float, float]], backend: Backend) -> int:
    """Hold floats and an array backend to the reference; return at how many points that could be done."""
    tree = parse(text)
    columns = {name: np.array(column) for name, column in zip("xyz", zip(*points, strict=True), strict=True)}
    with np.errstate(all="ignore"):
        if backend.name == "jax":
            import jax.numpy as jnp

            columns = {name: jnp.asarray(column) for name, column in columns.items()}
        array = np.broadcast_to(np.asarray(compiled(text, backend)(columns)), (len(points),))
    single, used = compiled(text, FLOATS), 0
    for row, point in enumerate(points):
        values = dict(zip("xyz", point, strict=True))
        try:
            value, error = reference(tree, values)
        except Unfit:
            continue
        assert abs(single(values) - value) <= TOLERANCE * error, (text, values, "floats")
        assert abs(float(array[row]) - value) <= TOLERANCE * error, (text, values, backend.name)
        used += 1
    return used


@given(FORMULAS, POINTS)
@settings(max_examples=120)
@example("expm2(x)", [(1e-8, 0, 0), (0.5, 0, 0), (-0.5000001, 0, 0), (-40.0, 0, 0)])
@example("x ** 0", [(0.0, 0, 0), (1.0, 0, 0), (-4.0, 0, 0), (1e6, 0, 0)])
@example("interp(x, log_curve)", [(-4.0, 0, 0), (0.0, 0, 0), (1.0, 0, 0), (40.0, 0, 0)])
def test_numpy_and_floats_agree(text: str, points: list[tuple[float, float, float]]) -> None:
    _compare(text, points, numpy_backend())


@given(FORMULAS, POINTS)
@settings(max_examples=20)
@example("expm2(x)", [(1e-8, 0, 0), (0.5, 0, 0), (-0.5000001, 0, 0), (-40.0, 0, 0)])
@example("interp(x, log_curve)", [(-4.0, 0, 0), (0.0, 0, 0), (1.0, 0, 0), (40.0, 0, 0)])
def test_jax_and_floats_agree(jax: Backend, text: str, points: list[tuple[float, float, float]]) -> None:
    _compare(text, points, jax)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["numpy", "jax"])
def test_backends_agree_on_many_formulas(jax: Backend, name: str) -> None:
    @given(FORMULAS, POINTS)
    @settings(max_examples=4000 if name == "numpy" else 600, database=None)
    def compare(text: str, points: list[tuple[float, float, float]]) -> None:
        _compare(text, points, jax if name == "jax" else numpy_backend())

    compare()


def test_most_random_formulas_can_be_compared() -> None:
    seen: list[int] = []

    @given(FORMULAS, POINTS)
    @settings(max_examples=100, database=None)
    def count(text: str, points: list[tuple[float, float, float]]) -> None:
        seen.append(_compare(text, points, numpy_backend()))

    count()
    assert sum(seen) > 2 * len(seen)


# Rationals as the truth


def _rational_texts(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(parts, st.sampled_from(["+", "-", "*", "/"]), parts).map(" ".join).map("({})".format),
        parts.map("(-{})".format),
        parts.map("abs({})".format),
        parts.map("floor({})".format),
        st.tuples(parts, st.sampled_from(["2", "3", "-1", "0"])).map(lambda p: f"({p[0]}) ** {p[1]}"),
        st.tuples(parts, parts).map(lambda p: f"min({p[0]}, {p[1]}, 2)"),
        st.tuples(parts, parts).map(lambda p: f"clip({p[0]}, {p[1]}, 3)"),
        st.tuples(parts, st.sampled_from(["<", ">="]), parts, parts, parts).map(
            lambda p: f"where({p[0]} {p[1]} {p[2]}, {p[3]}, {p[4]})"
        ),
    )


RATIONAL_FORMULAS = st.recursive(
    st.sampled_from(["x", "y", "z", "2", "0.25", "1.5e-1", "3"]), _rational_texts, max_leaves=12
)
RATIONAL_NUMBERS = st.fractions(-5, 5, max_denominator=64)


@given(RATIONAL_FORMULAS, RATIONAL_NUMBERS, RATIONAL_NUMBERS, RATIONAL_NUMBERS)
@settings(max_examples=150)
def test_rationals_are_the_truth_for_floats_and_numpy(text: str, x: Fraction, y: Fraction, z: Fraction) -> None:
    tree, exact_values = parse(text), {"x": x, "y": y, "z": z}
    values = {name: float(value) for name, value in exact_values.items()}
    try:
        exact = compiled(text, RATIONALS)(exact_values)
        _, error = reference(tree, values)
    except (Undefined, Unfit):
        return
    assert isinstance(exact, Fraction)
    with np.errstate(all="ignore"):
        found = [compiled(text, FLOATS)(values), float(compiled(text, numpy_backend())(values))]
    for value in found:
        assert abs(Fraction(value) - exact) <= Fraction(TOLERANCE) * Fraction(error), text


def test_rationals_do_not_round() -> None:
    exact = compiled("(x + 1 / 3) * 3 - 1 - 3 * x", RATIONALS)
    assert exact({"x": Fraction(1, 7)}) == 0
    assert compiled("0.1 + 0.2 == 0.3", RATIONALS)({}) is True
    assert compiled("0.1 + 0.2 == 0.3", FLOATS)({}) is False
    assert compiled("1e-3 * 1e3 == 1", RATIONALS)({}) is True


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 / x", "a division by zero"),
        ("x ** -1", "a division by zero"),
        ("2 ** 0.5", "whole powers up to 64, not 1/2"),
        ("2 ** 65", "whole powers up to 64, not 65"),
        ("((3 ** 64) ** 64) ** 64", "too large for exact arithmetic"),
        ("((1 / 3) ** 64) ** 64", "too large for exact arithmetic"),
    ],
)
def test_rationals_end(text: str, says: str) -> None:
    with pytest.raises(Undefined, match=says):
        compiled(text, RATIONALS)({"x": Fraction(0)})


# expm2, the one function of our own


def _expm2(t: float) -> Fraction:
    """Return e^t - 1 - t by its series, exactly enough."""
    x = Fraction(t)
    term, total, k = x * x / 2, Fraction(0), 2
    while abs(term) > abs(total) / 2**70:
        total += term
        k += 1
        term = term * x / k
    return total


SMALL = [0.0, 1e-150, 3e-90, 1e-20, 1e-9, 7e-5, 0.013, 0.21, 0.4999999, 0.5, 0.5000001, 0.77, 1.9, 5.0]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_expm2_is_exact_near_zero(jax: Backend, sign: float) -> None:
    t = sign * np.array(SMALL)
    truth = [_expm2(float(v)) if v else Fraction(0) for v in t]
    for backend in (numpy_backend(), jax):
        import jax.numpy as jnp

        found = backend.functions["expm2"](jnp.asarray(t) if backend is jax else t)
        for value, exact in zip(np.asarray(found).tolist(), truth, strict=True):
            assert abs(Fraction(value) - exact) <= Fraction(2e-14) * exact
    for v, exact in zip(t.tolist(), truth, strict=True):
        assert abs(Fraction(FLOATS.functions["expm2"](v)) - exact) <= Fraction(2e-14) * exact


def test_expm2_is_never_negative_and_zero_only_at_zero() -> None:
    t = np.concatenate([-np.geomspace(1e-150, 700, 500), np.geomspace(1e-150, 700, 500)])
    assert (numpy_backend().functions["expm2"](t) > 0).all()
    assert numpy_backend().functions["expm2"](np.zeros(1))[0] == 0


# Branches, failures


def test_where_works_out_only_the_branch_taken() -> None:
    run = compiled("where(x > 0, log(x), 1 / (x + 1))", FLOATS)
    assert run({"x": math.e}) == pytest.approx(1)
    assert run({"x": 0.0}) == 1.0
    with pytest.raises(Undefined, match="division by zero"):
        run({"x": -1.0})


def test_and_and_or_stop_where_the_answer_is_known() -> None:
    assert compiled("x == 0 or 1 / x > 1", FLOATS)({"x": 0.0}) is True
    assert compiled("x > 0 and log(x) > 1", FLOATS)({"x": -1.0}) is False


def test_a_bad_row_does_not_stop_the_others(jax: Backend) -> None:
    import jax.numpy as jnp

    x = np.array([-1.0, 0.0, 1.0, math.e])
    with np.errstate(all="ignore"):
        found = compiled("log(x)", numpy_backend())({"x": x})
        chosen = compiled("where(x > 0, log(x), 7)", numpy_backend())({"x": x})
    other = compiled("where(x > 0, log(x), 7)", jax)({"x": jnp.asarray(x)})
    assert np.isnan(found[0])
    assert found[2:].tolist() == [0.0, 1.0]
    assert chosen.tolist() == np.asarray(other).tolist() == [7.0, 7.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("text", "x", "says"),
    [
        ("log(x)", 0.0, "log of 0 has no value"),
        ("log(x)", -2.5, "log of -2.5 has no value"),
        ("log1p(x)", -1.0, "log1p of -1 has no value"),
        ("sqrt(x)", -4.0, "sqrt of -4 has no value"),
        ("1 / x", 0.0, "a division by zero"),
        ("x ** -1", 0.0, "a power of 0, -1 has no value"),
        ("x ** 0.5", -1.0, "a power of -1, 0.5 has no value"),
        ("exp(x)", 1e4, "exp is too large to write down"),
        ("expm1(x)", 1e4, "expm1 is too large"),
        ("expm2(x)", 1e4, "expm2 is too large"),
        ("x ** 400", 1e10, "a power is too large"),
        ("floor(x)", math.inf, "floor is too large"),
        ("sin(x)", math.inf, "sin of inf has no value"),
        ("interp(x * 1e300 * 1e300 - x * 1e300 * 1e300, curve)", 1.0, "interp of nan has no value"),
        ("log(x * 1e300 * 1e300 - x * 1e300 * 1e300)", 1.0, "log of nan has no value"),
    ],
)
def test_floats_say_why_there_is_no_value(text: str, x: float, says: str) -> None:
    with pytest.raises(Undefined) as caught:
        compiled(text, FLOATS)({"x": x})
    assert str(caught.value).startswith(says)


def test_categories_are_compared_by_name() -> None:
    for backend in (FLOATS, numpy_backend(), RATIONALS):
        run = compiled("where(kind == adam, 1, 2)", backend)
        assert float(run({"kind": "adam"})) == 1
        assert float(run({"kind": "muon"})) == 2


def test_a_table_is_held_at_its_ends(jax: Backend) -> None:
    for backend in (FLOATS, numpy_backend(), jax):
        run = compiled("interp(x, log_curve)", backend)
        for x, y in ((-3.0, 1.0), (0.0, 1.0), (0.1, 1.0), (0.5, 1.0), (8.0, -2.0), (1e9, -2.0)):
            assert float(run({"x": x})) == pytest.approx(y, abs=1e-15)
        assert float(run({"x": math.sqrt(8)})) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("name", ["numpy", "jax"])
def test_a_column_of_words_picks_entries_by_row(jax: Backend, name: str) -> None:
    scope = Scope(
        {
            "x": Symbol(Kind.INPUT),
            "w": Symbol(Kind.PARAMETER, Type.NUMBER, ("k",)),
            "t": Symbol(Kind.TABLE, Type.NUMBER),
            "one": Symbol(Kind.INPUT, Type.CATEGORY),
            "two": Symbol(Kind.INPUT, Type.CATEGORY),
        },
        {"k": ("a", "b", "c")},
        frozenset(["a", "b", "c"]),
    )
    table = {"a": {"a": 1.0, "b": 2.0}, "c": {"a": 3.0, "b": 4.0}}
    fixed = {"w": WEIGHTS, "t": table}
    tree = parse("w[one] * x + t[one, two] + where(two == b, 10, 0)")
    ones, twos = np.array(["c", "a", "c", "a"], dtype=object), np.array(["a", "b", "b", "b"], dtype=object)
    run = compile_expression(tree, scope, jax if name == "jax" else numpy_backend())
    found = run({**fixed, "x": np.arange(4.0), "one": ones, "two": twos})
    single = compile_expression(tree, scope, FLOATS)
    expected = [
        single({**fixed, "x": float(i), "one": one, "two": two})
        for i, (one, two) in enumerate(zip(ones, twos, strict=True))
    ]
    assert np.asarray(found).tolist() == expected
    with pytest.raises(Undefined, match="k=d is not known to this law"):
        run({**fixed, "x": 0.0, "one": np.array(["a", "d"], dtype=object), "two": "a"})
    with pytest.raises(Undefined, match="3 is a number, and only a category picks an entry"):
        run({**fixed, "x": 0.0, "one": 3.0, "two": "a"})
