"""The arithmetic that a compiled formula runs on: floats, numpy, jax.numpy, or exact rationals.

Floats raise `Undefined` where a formula has no value and evaluate only the branch of `where` that is taken; arrays
give NaN there, as one row of a batch must not stop the others. JAX is handed in by the caller, never imported here.
"""

from __future__ import annotations

import functools as ft
import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import msgspec


class Undefined(ArithmeticError):
    """A formula has no value at the point given; the text says why."""


class Curve(msgspec.Struct, frozen=True):
    """A table by number: linear between its points, in x or in log x, held at its ends."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    log: bool = False


class Backend(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Operators and functions by name, how a number is read from text, and whether only one branch is evaluated.

    - `truth`: what a condition is to whoever takes one branch alone.
    - `choose`: picks by row among values by word, for arrays, where a category may be a column of words.
    """

    name: str
    operators: Mapping[str, Callable[..., Any]]
    functions: Mapping[str, Callable[..., Any]]
    number: Callable[[str], Any]
    lazy: bool
    truth: Callable[[Any], bool] = bool
    choose: Callable[[Any, Mapping[str, Any]], Any] | None = None


def _guard(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return `function` with every arithmetic failure turned into words."""

    def guarded(*x: object) -> float:
        try:
            y = function(*x)
        except OverflowError:
            message = f"{name} is too large to write down"
            raise Undefined(message) from None
        except (ValueError, ZeroDivisionError):
            y = math.nan
        if y == y:
            return y
        numbers = [f"{v:g}" for v in x if isinstance(v, int | float)]  # a curve is no number
        message = f"{name} of {', '.join(numbers)} has no value"
        raise Undefined(message)

    return guarded


def _divide(a: float, b: float) -> float:
    if b == 0:
        message = "a division by zero"
        raise Undefined(message)
    return a / b


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


_NEAR = 0.05
"""Size of t up to which e^t - 1 - t is taken from its series; beyond, the difference keeps 14 digits."""

_SERIES = tuple(1 / math.factorial(k) for k in range(10, 1, -1))
"""Coefficients of e^t - 1 - t, highest power first; nine of them are exact to double precision so near to 0."""


def _expm2(t: Any) -> Any:
    total = 0.0
    for coefficient in _SERIES:
        total = total * t + coefficient
    return total * t * t


def _expm2_float(t: float) -> float:
    return float(_expm2(t)) if abs(t) <= _NEAR else math.expm1(t) - t


def _floor(x: float) -> float:
    return float(math.floor(x))


def _clip(x: Any, low: Any, high: Any) -> Any:
    return min(max(x, low), high)


def _interp(x: float, curve: Curve) -> float:
    xs, ys = curve.x, curve.y
    if x != x:
        return x
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    i = next(k for k in range(1, len(xs)) if x <= xs[k])
    scale = math.log if curve.log else float
    share = (scale(x) - scale(xs[i - 1])) / (scale(xs[i]) - scale(xs[i - 1]))
    return ys[i - 1] + share * (ys[i] - ys[i - 1])


_ARITHMETIC: dict[str, Callable[..., Any]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_OPERATORS: dict[str, Callable[..., Any]] = _ARITHMETIC | {
    "neg": operator.neg,
    "not": operator.not_,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
"""What Python's operators do in all arithmetics, where it is not said otherwise."""
_FOLDED: dict[str, Callable[..., Any]] = {"min": min, "max": max, "clip": _clip, "abs": abs}
_NAMED_ALIKE = ("log", "exp", "expm1", "log1p", "sqrt", "sin", "cos")
"""Functions that have one name in formulas, in `math` and in array modules, and fail outside their domain."""


FLOATS = Backend(
    name="floats",
    operators=_OPERATORS | {"/": _divide, "**": _guard(math.pow, "a power")},
    functions=_FOLDED
    | {name: _guard(getattr(math, name), name) for name in _NAMED_ALIKE}
    | {
        "expm2": _guard(_expm2_float, "expm2"),
        "floor": _guard(_floor, "floor"),
        "tanh": math.tanh,
        "sigmoid": _guard(_sigmoid, "sigmoid"),
        "erf": math.erf,
        "interp": _guard(_interp, "interp"),
    },
    number=float,
    lazy=True,
)
"""One point at a time, in plain Python: the fastest for a single question."""


_EXACT_BITS = 4096
"""Bits that a numerator or denominator may have, so that exact arithmetic ends."""


def _exact(function: Callable[..., Fraction]) -> Callable[..., Fraction]:
    """Return `function` with its failures in words and its results kept to a size."""

    def guarded(*x: Fraction) -> Fraction:
        try:
            y = function(*x)
        except ZeroDivisionError:
            message = "a division by zero"
            raise Undefined(message) from None
        if y.numerator.bit_length() > _EXACT_BITS or y.denominator.bit_length() > _EXACT_BITS:
            message = "a number too large for exact arithmetic"
            raise Undefined(message)
        return y

    return guarded


def _exact_divide(a: Fraction, b: Fraction) -> Fraction:
    return a / b


def _exact_floor(x: Fraction) -> Fraction:
    return Fraction(math.floor(x))


_EXACT_DIGITS = 400
"""Characters, and decimal exponent, that a number may be written with in exact arithmetic."""


def exact_number(text: str) -> Fraction:
    """Return the rational that a decimal number or a fraction writes.

    **Raises:** `ValueError` for anything else, and for what is too long to be worked with.

    >>> exact_number("1.5e-1")
    Fraction(3, 20)
    """
    exponent = text.lower().partition("e")[2]
    if len(text) > _EXACT_DIGITS or abs(int(exponent or "0")) > _EXACT_DIGITS:
        message = f"{text[:20]}{'...' * (len(text) > 20)} is too large or small for exact arithmetic"
        raise ValueError(message)
    try:
        return Fraction(text)
    except ZeroDivisionError:
        message = f"{text} divides by zero"
        raise ValueError(message) from None


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or abs(exponent.numerator) > 64:
        message = f"an exact law takes whole powers up to 64, not {exponent}"
        raise Undefined(message)
    return base**exponent.numerator


RATIONALS = Backend(
    name="rationals",
    operators=_OPERATORS
    | {sign: _exact(function) for sign, function in _ARITHMETIC.items()}
    | {"/": _exact(_exact_divide), "**": _exact(_exact_power)},
    functions=_FOLDED | {"floor": _exact_floor},
    number=exact_number,
    lazy=True,
)
"""Exact arithmetic for laws with `exact = true`."""


def _all(pair: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Return a function of two values as one of any number of them."""
    return lambda *x: ft.reduce(pair, x)


@ft.cache
def columns_backend() -> Backend:
    """Return the arithmetic of floats for columns, an entry for each row; see `hplaw.rows`.

    Branches are taken as by floats: rows that take different ones are parted.
    """
    from hplaw import rows

    def divide(a: Any, b: Any) -> Any:
        if not rows.is_column(b):
            return a / b if b else _divide(1.0, b)
        rows.part(b == 0)
        return a / b

    def negate(x: object) -> bool:
        return not rows.shared(x)

    fast = {"log": math.log, "exp": math.exp, "sqrt": math.sqrt, "expm1": math.expm1, "log1p": math.log1p}
    functions: dict[str, Callable[..., Any]] = {
        name: rows.by_row(fast.get(name, function), function) for name, function in FLOATS.functions.items()
    }
    return Backend(
        name="columns",
        operators={**FLOATS.operators, "/": divide, "**": rows.by_row(math.pow, FLOATS.operators["**"]), "not": negate},
        functions={**functions, "min": _all(rows.smaller), "max": _all(rows.larger), "clip": rows.clamp, "abs": abs},
        number=float,
        lazy=True,
        truth=rows.shared,
    )


def array_backend(xp: Any, *, erf: Callable[[Any], Any], name: str) -> Backend:
    """Return the backend over an array module with numpy's names.

    **Arguments:**

    - `xp`: `numpy` or `jax.numpy`.
    - `erf`: the error function over its arrays.
    """

    def expm2(t: Any) -> Any:
        near = xp.abs(t) <= _NEAR
        small = xp.where(near, t, 0.0)
        return xp.where(near, _expm2(small), xp.expm1(t) - t)

    def sigmoid(x: Any) -> Any:
        small = xp.exp(-xp.abs(x))
        return xp.where(xp.asarray(x) >= 0, 1.0, small) / (1.0 + small)

    def interp(x: Any, curve: Curve) -> Any:
        xs, ys = xp.asarray(curve.x), xp.asarray(curve.y)
        if curve.log:
            x, xs = xp.log(xp.maximum(x, curve.x[0])), xp.log(xs)
        return xp.interp(x, xs, ys)

    def choose(words: Any, entries: Mapping[str, Any]) -> Any:
        values = xp.stack(xp.broadcast_arrays(*entries.values()), axis=-1)
        chosen = xp.stack([xp.asarray(words == word) for word in entries], axis=-1)
        return xp.where(chosen, values, 0.0).sum(axis=-1)

    def total(x: Any) -> Any:
        return xp.sum(x, axis=-1)

    def running(x: Any) -> Any:
        return xp.cumsum(x, axis=-1)

    def before(x: Any) -> Any:
        return xp.concatenate([xp.zeros_like(x[..., :1]), x[..., :-1]], axis=-1)

    over_steps: dict[str, Callable[..., Any]] = {"sum": total, "running": running, "before": before}

    return Backend(
        name=name,
        operators=_OPERATORS
        | {"/": xp.true_divide, "**": xp.power, "not": xp.logical_not, "and": xp.logical_and, "or": xp.logical_or},
        functions={word: getattr(xp, word) for word in (*_NAMED_ALIKE, "where", "clip", "abs", "floor", "tanh")}
        | {"min": _all(xp.minimum), "max": _all(xp.maximum)}
        | {"expm2": expm2, "sigmoid": sigmoid, "erf": erf, "interp": interp}
        | {f"{word} over steps": function for word, function in over_steps.items()},
        number=float,
        lazy=False,
        choose=choose,
    )


@ft.cache
def numpy_backend() -> Backend:
    """Return the backend over numpy; numpy has no error function, so that one goes element by element."""
    import numpy as np

    def erf(x: Any) -> Any:
        return np.asarray(np.frompyfunc(math.erf, 1, 1)(x), dtype=np.float64)

    return array_backend(np, erf=erf, name="numpy")


@ft.cache
def jax_backend() -> Backend:
    """Return the backend over jax.numpy, for fitting and for schedules inside a training step."""
    import jax.numpy as jnp
    from jax.scipy.special import erf

    return array_backend(jnp, erf=erf, name="jax")
