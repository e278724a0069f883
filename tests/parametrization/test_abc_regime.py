"""Regimes of abc-parametrizations: the theorem's table, its gauge, and the theorem itself computed apart from the law."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from hplaw import classify
from hplaw.errors import QueryError
from hplaw.parametrization.factors import PARAMETRIZATIONS
from tests.helpers import is_one_sentence


ROLES = ("input", "hidden", "output")
HALF = Fraction(1, 2)

halves = st.fractions(-2, 2, max_denominator=4)
shifts = st.fractions(-3, 3, max_denominator=12)


def roles(*exponents: Any) -> dict[str, str]:
    return dict(zip(ROLES, map(str, exponents), strict=True))


# a, b, c, matrices from hidden to hidden, r, regime
TABLE = {
    "standard, rate 1": ((0, 0, 0), (0, HALF, HALF), 0, 1, "-1", "unstable"),
    "standard, rate 1/n": ((0, 0, 0), (0, HALF, HALF), 1, 1, "1/2", "kernel"),
    "ntk": ((0, HALF, HALF), (0, 0, 0), 0, 1, "1/2", "kernel"),
    "mup": ((-HALF, 0, HALF), (HALF, HALF, HALF), 0, 1, "0", "feature"),
    "mean field, one hidden layer": ((0, 0, 1), (0, 0, 0), -1, 0, "0", "feature"),
    "mup, one hidden layer": ((-HALF, 0, HALF), (HALF, HALF, HALF), 0, 0, "0", "feature"),
    "mup, rate n^-1/2": ((-HALF, 0, HALF), (HALF, HALF, HALF), HALF, 1, "1/2", "trivial"),
}


@pytest.mark.parametrize(("a", "b", "c", "layers", "r", "regime"), TABLE.values(), ids=TABLE)
def test_the_table_of_the_theorem(a: Any, b: Any, c: Any, layers: int, r: str, regime: str) -> None:
    found = classify(a=roles(*a), b=roles(*b), c=str(c), hidden_layers=layers)
    assert (found.r, found.regime) == (r, regime)


@st.composite
def plausible(draw: st.DrawFn) -> tuple[list[Fraction], list[Fraction], list[Fraction]]:
    """Draw exponents, most of them near enough to stable ones for every regime to occur."""
    a = [draw(halves) for _ in ROLES]
    start = (Fraction(0), HALF, draw(st.sampled_from([HALF, Fraction(1), Fraction(3, 4)])))
    b = [draw(st.one_of(st.just(s - x), halves)) for s, x in zip(start, a, strict=True)]
    c = [draw(halves)] * 3 if draw(st.booleans()) else [draw(halves) for _ in ROLES]
    return a, b, c


@given(plausible(), st.tuples(shifts, shifts, shifts), st.sampled_from([0, 1]))
@settings(max_examples=60, deadline=None)
def test_the_gauge_changes_nothing(exponents: Any, shift: Any, layers: int) -> None:
    a, b, c = exponents
    for optimizer, power in (("sgd", 2), ("adam", 1)):
        moved = (
            [x + t for x, t in zip(a, shift, strict=True)],
            [x - t for x, t in zip(b, shift, strict=True)],
            [x - power * t for x, t in zip(c, shift, strict=True)],
        )
        found = [
            classify(a=roles(*x), b=roles(*y), c=roles(*z), optimizer=optimizer, hidden_layers=layers)
            for x, y, z in ((a, b, c), moved)
        ]
        assert (found[0].regime, found[0].r) == (found[1].regime, found[1].r)
        # what stays is the rate that is largest, in the same gauge
        for role, t in zip(ROLES, shift, strict=True):
            before, after = (Fraction(f.largest_rates[role]) for f in found)
            assert after == before - power * t


def theorem(a: Any, b: Any, c: Fraction, layers: int) -> tuple[Fraction, str]:
    """Return r and the regime as the theorem has them, layer by layer, with one rate for all."""
    between = range(layers)
    al, bl = [a[0], *(a[1] for _ in between)], [b[0], *(b[1] for _ in between)]
    r = min(a[2] + b[2], 2 * a[2] + c) + c - 1
    r += min(2 * x + (1 if place == 0 else 0) for place, x in enumerate(al))
    stable = (
        al[0] + bl[0] == 0
        and all(x + y == HALF for x, y in zip(al[1:], bl[1:], strict=True))
        and a[2] + b[2] >= HALF
        and r >= 0
        and 2 * a[2] + c >= 1
        and a[2] + b[2] + r >= 1
    )
    if not stable:
        return r, "unstable"
    if not (a[2] + b[2] + r == 1 or 2 * a[2] + c == 1):
        return r, "trivial"
    return r, "feature" if r == 0 else "kernel"


@given(plausible(), halves, st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_the_law_is_the_theorem(exponents: Any, c: Fraction, layers: int) -> None:
    a, b, _ = exponents
    found = classify(a=roles(*a), b=roles(*b), c=str(c), hidden_layers=layers)
    assert (Fraction(found.r), found.regime) == theorem(a, b, c, layers)


def test_every_regime_is_told_in_words() -> None:
    found = [
        classify(a=roles(*a), b=roles(*b), c=str(c), hidden_layers=layers) for a, b, c, layers, _, _ in TABLE.values()
    ]
    assert {f.regime for f in found} == {"unstable", "trivial", "kernel", "feature"}
    assert len({f.say for f in found}) == 4


def test_rates_of_adam_fall_more_slowly_where_nothing_aligns() -> None:
    zero = roles(0, 0, 0)
    full, none = (
        classify(a=zero, b=zero, optimizer="adam", alignment=alignment).largest_rates for alignment in (1, 0.5)
    )
    assert full == {"input": "0", "hidden": "1", "output": "1"}
    assert none == {"input": "0", "hidden": "1/2", "output": "1/2"}


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_parametrizations_that_transfer_learn_features(name: str) -> None:
    import hplaw

    regime = hplaw.parametrize(scheme=name, optimizer="sgd", width=512, base_width=64).regime
    assert regime == {"standard": "unstable", "ntk": "kernel"}.get(name, "feature")


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"a": {"input": 0}}, "a", "lacks hidden, output"),
        ({"a": {"inptu": 0}}, "a", "did you mean 'input'"),
        ({"a": roles("x", 0, 0)}, "abc_a", "not a number or a fraction"),
        ({"a": roles("1/0", 0, 0)}, "abc_a", "not a number or a fraction"),
        ({"optimizer": "adma"}, "optimizer", "did you mean 'adam'"),
        ({"alignment": 0.5}, "alignment", "for Adam only"),
        ({"alignment": 2}, "alignment", "<= 1"),
        ({"hidden_layers": -1}, "hidden_layers", ">= 0"),
        ({"c": float("inf")}, "c", "not finite"),
        ({"a": roles(0, -1.7e308, 0)}, "a", "too large to write down"),
    ],
)
def test_wrong_exponents_are_one_sentence(fields: Any, field: str, says: str) -> None:
    asked = {"a": roles(0, 0, 0), "b": roles(0, HALF, HALF), **fields}
    with pytest.raises(QueryError, match=says) as caught:
        classify(**asked)
    assert caught.value.field == field
    assert is_one_sentence(caught.value.text)
