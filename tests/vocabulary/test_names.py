"""Names in other spellings: categories in any case, quantities by the words of other programs."""

import pytest

from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.listing import categories, full_quantities, read_category
from hplaw.errors import QueryError
from hplaw.evaluation.inputs import categories_of
from hplaw.messages.query import Query
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.record import recommend
from hplaw.vocabulary.hardware_names import SHORT
from hplaw.vocabulary.names import OTHER_NAMES, by_fold, folded, meant_quantity, spelled
from hplaw.vocabulary.quantities import vocabulary
from tests.helpers import catalogue_of, fixture_law, shipped


RUN = {"n_params": 7e9, "tokens": 1e12}


def test_every_other_name_leads_to_a_quantity() -> None:
    assert set(OTHER_NAMES.values()) <= set(vocabulary())
    assert all(name == folded(name) for name in OTHER_NAMES)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("params", "n_params"),
        ("Toks", "tokens"),
        ("lr", "peak_lr"),
        ("batch-size", "batch_tokens"),
        ("N_PARAMS", "n_params"),
        ("hidden_size", "d_model"),
        ("peak_rl", "peak_lr"),
    ],
)
def test_a_name_offers_the_quantity_that_it_stands_for(name: str, meant: str) -> None:
    assert meant_quantity(name, vocabulary()) == f"; did you mean '{meant}'?"


def test_two_categories_that_differ_in_case_alone_stay_two() -> None:
    words = by_fold(["a", "A"])
    assert [spelled("recipe", name, words) for name in ("a", "A", "b")] == ["a", "A", "b"]


def test_the_case_of_a_name_changes_no_answer() -> None:
    plain = {"optimizer": "adamw", "precision": "fp8", "hardware": "h100-sxm", "devices": 8.0}
    loud = {"optimizer": "AdamW", "precision": "FP8", "hardware": "H100-SXM", "devices": 8.0}
    one = Query(**RUN, **plain, given={"country": "US", "architecture": "dense", "schedule": "cosine"})
    other = Query(**RUN, **loud, given={"country": "us", "architecture": "DENSE", "schedule": "Cosine"})
    assert recommend(one, shipped()).answers == recommend(other, shipped()).answers
    rows = recommend_many([one, other], shipped())
    assert rows[0] == rows[1]
    assert rows[0].answers["carbon_kg"].value


def test_the_default_optimizer_in_any_case_is_the_same_question() -> None:
    plain, loud = (recommend(Query(**RUN, optimizer=name), shipped()) for name in ("adamw", "AdamW"))
    assert plain == loud


@pytest.mark.parametrize("given", [{"country": "us"}, {"country": "US"}])
def test_one_law_reads_names_in_any_case(given: dict[str, str]) -> None:
    found = evaluate(shipped().get("grid-carbon"), given, shipped()).outputs["carbon_g_per_kwh"].value
    assert found == pytest.approx(383.5, abs=1)


def test_one_law_refuses_a_country_that_it_has_not() -> None:
    with pytest.raises(QueryError, match="country='XX' is not known to grid-carbon") as caught:
        evaluate(shipped().get("grid-carbon"), {"country": "XX"}, shipped())
    assert caught.value.field == "country"


def test_names_of_accelerators_and_countries_are_those_of_the_laws() -> None:
    words = full_quantities(shipped())
    assert set(words["hardware"].categories) == SHORT
    assert {"world", "US", "DE"} <= set(words["country"].categories)
    assert {"unknown", "step-law", "practice"} <= set(words["recipe"].categories)


def test_a_table_of_a_law_names_what_it_can_be_asked_for() -> None:
    law = fixture_law("training-energy")
    assert {"a100_sxm4_80gb", "h100_sxm5_80gb"} <= set(categories_of(law, "hardware"))
    catalogue = catalogue_of(law, *shipped().laws)
    assert read_category(catalogue, "hardware", "A100_SXM4_80GB", field="hardware") == "a100_sxm4_80gb"
    assert read_category(catalogue, "hardware", "H100", field="hardware") == "h100-sxm"


def test_without_laws_that_know_accelerators_any_is_taken() -> None:
    catalogue = catalogue_of(fixture_law("step-law"))
    assert not categories(catalogue, "country")
    assert read_category(catalogue, "country", "Atlantis", field="country") == "Atlantis"
