"""Every law that is shipped: where it comes from, where it holds, and that its examples are right."""

import re

import pytest

from hplaw.answer.check import check_law
from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.catalogue import SHELVES
from hplaw.errors import QueryError
from hplaw.law import Law
from hplaw.vocabulary.quantities import vocabulary
from tests.helpers import is_one_sentence, shipped


LAWS = shipped().laws
each_law = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.id)


def test_the_published_shelf_is_whole() -> None:
    published = {law.id for law in LAWS if shipped().shelf(law) == "published"}
    assert published >= {
        "step-law-2025",
        "deepseek-llm-2024",
        "porian-2024",
        "bjorck-2024",
        "kaplan-lr-2020",
        "kaplan-critical-batch-2020",
        "minicpm-batch-2024",
        "gpt3-table-2020",
        "power-lines-batch-2025",
        "power-lines-weight-decay-2025",
        "hoffmann-2022",
        "besiroglu-2024",
        "gadre-2024",
    }


@each_law
def test_its_examples_hold(law: Law) -> None:
    assert check_law(law, shipped()) == []
    assert any(example.expect for example in law.spec.examples) or law.spec.kind == "procedure"


@each_law
def test_it_says_where_it_comes_from(law: Law) -> None:
    source = law.spec.source
    assert source.title
    assert source.where, "the place in the source: an equation, a table, a section"
    assert source.year is None or 1950 <= source.year <= 2100
    if shipped().shelf(law) == "published":
        assert source.authors
        assert source.year
        assert source.arxiv or source.doi or source.url
    if source.arxiv:
        assert re.fullmatch(r"\d{4}\.\d{4,5}", source.arxiv)
        assert source.arxiv in law.citation().bibtex
    assert law.citation().bibtex.startswith("@")


@each_law
def test_its_status_is_that_of_its_shelf(law: Law) -> None:
    assert law.spec.status == shipped().shelf(law)
    assert shipped().shelf(law) in SHELVES
    if law.spec.checked == "recalled":
        assert law.spec.notes, "what is recalled, and from where"


@each_law
def test_it_says_where_it_holds(law: Law) -> None:
    assert law.spec.domain
    if law.spec.status != "theory":
        assert any(not law.quantity(name).categorical for name in law.spec.domain)


@each_law
def test_it_reads_and_names_only_what_it_needs(law: Law) -> None:
    assert law.spec.title
    assert law.spec.version >= 1
    assert set(law.gives)
    for name in law.spec.quantities:
        assert name not in vocabulary()


@each_law
def test_an_example_evaluated_is_a_finite_record(law: Law) -> None:
    if law.spec.kind == "procedure":
        with pytest.raises(QueryError, match="is a procedure"):
            evaluate(law, law.spec.examples[0].given, shipped())
        return
    for example in law.spec.examples:
        found = evaluate(law, example.given, shipped())
        assert found.status == (example.status or "ok")
        for estimate in found.outputs.values():
            assert estimate.value is not None or estimate.reason
            if isinstance(estimate.value, float):
                assert abs(estimate.value) < 1e300
                ends = [estimate.low, estimate.low50, estimate.high50, estimate.high]
                if None not in ends:
                    assert ends == sorted(ends)  # type: ignore[type-var]
                else:
                    assert ends == [None] * 4
                    assert estimate.reason
                    assert is_one_sentence(estimate.reason)


@each_law
def test_its_formulas_are_shown(law: Law) -> None:
    record = law.record()
    for name in law.outputs:
        assert record.formulas[name]
        assert record.latex[name].count("{") == record.latex[name].count("}")
