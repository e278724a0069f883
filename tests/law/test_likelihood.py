"""Likelihoods as a law file writes them, read into family, degrees of freedom and scale."""

from __future__ import annotations

import pytest

from hplaw.expression import names_in
from hplaw.law.likelihood import Likelihood, read_likelihood
from hplaw.law.read import parse_law
from tests.helpers import law_text, shipped


LAW = parse_law(
    law_text("[constants]\nk = 3\n[let]\ntwice = '2 * k'\n[outputs]\nsteps = 'tokens / batch_tokens'").encode()
)


def read(text: str) -> Likelihood:
    return read_likelihood(LAW.namespace, LAW.spec.constants, text, table="fit")


@pytest.mark.parametrize(
    ("text", "family", "freedom", "speaks_of"),
    [
        ("normal(scale)", "normal", None, ["scale"]),
        ("lognormal(k * scale)", "lognormal", None, ["k", "scale"]),
        ("student_t(4, scale)", "student_t", 4.0, ["scale"]),
        ("student_t(twice, 2 * scale)", "student_t", 6.0, ["scale"]),
        (" student_t( k + 1 , scale ) ", "student_t", 4.0, ["scale"]),
    ],
)
def test_a_likelihood_is_its_family_freedom_and_scale(
    text: str, family: str, freedom: float | None, speaks_of: list[str]
) -> None:
    found = read(text)
    assert (found.family, found.freedom) == (family, freedom)
    assert found.scale is not None
    assert sorted(names_in(found.scale)) == speaks_of


def test_a_likelihood_of_truths_has_no_scale() -> None:
    assert read("bernoulli_logits()") == Likelihood("bernoulli_logits", None, None)


def test_the_likelihoods_of_every_shipped_law_are_read() -> None:
    count = 0
    for law in shipped().laws:
        fit = law.spec.fit
        texts = [] if fit is None else [fit.likelihood, *(item.likelihood for item in fit.likelihoods)]
        for text in filter(None, texts):
            found = read_likelihood(law.namespace, law.spec.constants, text, table="fit")
            assert (found.freedom is None) == (found.family != "student_t")
            count += 1
    assert count >= 5
