"""Formulas as LaTeX: what a table of them looks like, and that none is ambiguous."""

import re

import pytest

from hplaw.expression import latex, parse
from tests.helpers import FIXTURE_NAMES, fixture_law, shipped


SYMBOLS = {"n_params": "N", "tokens": "D", "peak_lr": r"\eta", "loss": "L"}


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("2 * n_params", r"2 \, N"),
        ("n_params ** alpha", r"N^{\alpha}"),
        ("(n_params + 1) ** 2", r"\left(N + 1\right)^{2}"),
        ("-n_params ** 2", "-N^{2}"),
        ("(-n_params) ** 2", r"\left(-N\right)^{2}"),
        ("2 ** -x", "2^{-x}"),
        ("a ** b ** c", "a^{b^{c}}"),
        ("(a ** b) ** c", r"\left(a^{b}\right)^{c}"),
        ("a - b - c", "a - b - c"),
        ("a - (b - c)", r"a - \left(b - c\right)"),
        ("a - (b + c)", r"a - \left(b + c\right)"),
        ("a * (b + c)", r"a \, \left(b + c\right)"),
        ("a * -b", r"a \, \left(-b\right)"),
        ("a + -b", r"a + \left(-b\right)"),
        ("a / (b + c)", r"\frac{a}{b + c}"),
        ("a / b / c", r"\frac{\frac{a}{b}}{c}"),
        ("(a / b) ** 2", r"\left(\frac{a}{b}\right)^{2}"),
        ("a * b / c", r"\frac{a \, b}{c}"),
        ("1.79 * n_params ** -0.713 * tokens ** 0.307", r"1.79 \, N^{-0.713} \, D^{0.307}"),
        ("2e8 * loss", r"2 \cdot 10^{8} \, L"),
        ("1e-5", "10^{-5}"),
        ("loss ** 2e8", r"L^{2 \cdot 10^{8}}"),
        ("1e8 ** 2", r"\left(10^{8}\right)^{2}"),
        ("exp(log_c) * n_params", r"e^{\ln c} \, N"),
        ("exp(a) ** 2", r"\left(e^{a}\right)^{2}"),
        ("log_c * n_params", r"\left(\ln c\right) \, N"),
        ("n_params * log_c", r"N \, \left(\ln c\right)"),
        ("log_c ** 2", r"\left(\ln c\right)^{2}"),
        ("log_c + a * log_d", r"\ln c + a \, \left(\ln d\right)"),
        ("a - log_c", r"a - \ln c"),
        ("log(n_params / n_ref)", r"\ln\left(\frac{N}{n_{\mathrm{ref}}}\right)"),
        ("sqrt(a + b)", r"\sqrt{a + b}"),
        ("abs(a - b)", r"\left|a - b\right|"),
        ("floor(a)", r"\left\lfloor a \right\rfloor"),
        ("min(a, b)", r"\min\left(a, b\right)"),
        ("expm2(t)", r"\mathrm{expm2}\left(t\right)"),
        ("sigmoid(a)", r"\mathrm{sigmoid}\left(a\right)"),
        ("interp(a, curve)", r"\mathrm{interp}\left(a, \mathrm{curve}\right)"),
        ("sum(ridge, a * b)", r"\sum_{\mathrm{ridge}} a \, b"),
        ("sum(ridge, a + b)", r"\sum_{\mathrm{ridge}} \left(a + b\right)"),
        ("c * sum(k, a)", r"c \, \left(\sum_{\mathrm{k}} a\right)"),
        ("prod(k, a)", r"\prod_{\mathrm{k}} a"),
        ("p0 + p1 * n", r"p_{\mathrm{0}} + p_{\mathrm{1}} \, n"),
        ("alpha_B", r"\alpha_{\mathrm{B}}"),
        ("cell_lr", r"\mathrm{cell}_{\mathrm{lr}}"),
        ("gN", r"\mathrm{gN}"),
        ("pi * a", r"\pi \, a"),
        ("a <= b", r"a \le b"),
        ("a == b", "a = b"),
        ("not (a < b)", r"\lnot \left(a < b\right)"),
        ("a < b and c > d or e == f", r"a < b \land c > d \lor e = f"),
        ("a < b and (c > d or e == f)", r"a < b \land \left(c > d \lor e = f\right)"),
        ("where(a < b, 1, 2)", r"\begin{cases} 1 & a < b \\ 2 & \text{otherwise} \end{cases}"),
        ("w[hidden]", r"{w}_{\mathrm{hidden}}"),
    ],
)
def test_a_formula_is_set_as_a_person_would(text: str, tex: str) -> None:
    assert latex(parse(text), SYMBOLS) == tex


def balanced(tex: str) -> bool:
    depth = 0
    for match in re.finditer(r"\\.|[{}]", tex):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth < 0:
            return False
    return depth == 0 and tex.count(r"\left") == tex.count(r"\right")


@pytest.mark.parametrize(
    "law", [*shipped().laws, *(fixture_law(name) for name in FIXTURE_NAMES)], ids=lambda law: law.id
)
def test_every_formula_of_every_law_is_balanced_and_bare_of_underscores(law) -> None:
    texts = [*law.formulas().values(), *law.spec.let.values(), *(c.when for c in law.spec.cases)]
    for tex in [*law.latex.values(), *(latex(parse(text)) for text in texts)]:
        assert balanced(tex), tex
        assert not re.search(r"[a-zA-Z0-9]_[a-zA-Z0-9]{2}", tex), tex
        assert "**" not in tex
        assert "*" not in tex


@pytest.mark.parametrize("name", ["_", "__", "_a", "a_", "log_", "x9_y_z", "a__b", "Z1"])
def test_odd_names_are_set_too(name: str) -> None:
    tex = latex(parse(f"{name} * 2"))
    assert balanced(tex)
    assert not tex.startswith((" ", "_", r"\ln  "))
