"""Answers for the recipe of the one who asks: which law leads, what is ignored, whom an interval is for, what is near."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import QueryError
from hplaw.evaluation.inputs import inputs
from hplaw.messages.query import Bounds, Query
from hplaw.messages.recommendation import Recommendation
from hplaw.recommendation.budget import limits_of
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.nearest import trainings
from hplaw.recommendation.record import recommend
from hplaw.vocabulary.quantities import Quantity, vocabulary
from tests.helpers import shipped


SIZE: dict[str, Any] = {"n_params": 1e9, "tokens": 2e10}

OTHERWISE = {"loss", "n_params", "tokens", "reference_loss", "reference_n_params", "reference_tokens"}
"""Quantities that are the question itself, an outcome, or given together."""


FOLLOWS = {"epochs": "unique_tokens"}
"""Quantities that laws take another of, which follows from them."""


def ask(**fields: Any) -> Recommendation:
    return recommend(Query(**{**SIZE, **fields}), shipped())


def some_value(quantity: Quantity) -> float | str:
    """Return a value that a quantity may have."""
    if quantity.categorical:
        return {"hardware": "h100-sxm", "country": "US", "recipe": "step-law"}.get(
            quantity.name, quantity.categories[-1] if quantity.categories else "mine"
        )
    low = 0.0 if quantity.low is None else quantity.low
    high = math.inf if quantity.high is None else quantity.high
    value = {"n_active_params": 5e8, "n_params_with_embedding": 1.2e9, "unique_tokens": 1e10}.get(quantity.name)
    value = value or next((x for x in (1024.0, 2.0, 0.5, 0.05) if low < x < high), (low + high) / 2)
    return float(round(value)) if quantity.whole else value


def taken(found: Recommendation, catalogue: Catalogue) -> set[str]:
    """Return the names that the laws behind an answer take."""
    laws = {step.law for e in found.answers.values() for step in e.derivation}
    return {
        item.known
        for address in laws
        for member in catalogue.members(catalogue.get(address))
        for item in inputs(member)
    }


@pytest.mark.parametrize("name", [name for name in vocabulary() if name not in OTHERWISE])
def test_every_fact_is_used_or_ignored_with_a_reason(name: str) -> None:
    value = some_value(vocabulary()[name])
    fields = {name: value} if name in Query.__struct_fields__ else {"given": {name: value}}
    try:
        found = ask(**fields)
    except QueryError:
        return  # refused with a reason, not dropped
    if name == "recipe":
        assert found.recipe == value
        return
    known = {**SIZE, name: value}
    used = FOLLOWS.get(name, name)
    assert (name in found.ignored) != (used in taken(found, shipped()) | limits_of(known))
    assert found.ignored.get(name, "a reason")
    [row] = recommend_many([Query(**{**SIZE, **fields})], shipped())
    assert row.ignored == list(found.ignored)


def test_the_law_of_recipes_leads_where_no_recipe_is_named() -> None:
    for fields in ({}, {"n_active_params": 2e8}, {"n_params": 7e10, "tokens": 1e13}):
        found = ask(**fields)
        assert found.recipe == "unknown"
        for name in ("peak_lr", "batch_tokens"):
            assert str(found.answers[name].law).startswith("recipe@")


def test_a_named_recipe_asks_its_laws_and_has_their_interval() -> None:
    named = ask(given={"recipe": "step-law"}, want=["peak_lr", "batch_tokens", "loss"])
    unnamed = ask(laws=["pretrain-surface"], want=["peak_lr", "batch_tokens", "loss"])
    for name in ("peak_lr", "batch_tokens"):
        a, b = named.answers[name], unnamed.answers[name]
        assert a.law == b.law
        assert (a.value, a.low, a.high) == (b.value, b.same_recipe_low, b.same_recipe_high)
        assert a.same_recipe_low is None
        assert (b.low or math.nan) < (a.low or math.nan)
    assert str(named.answers["loss"].law).startswith("pretrain-surface@")
    experts = ask(n_params=2.15e9, n_active_params=3e8, tokens=4e9, given={"recipe": "step-law"})
    assert str(experts.answers["peak_lr"].law).startswith("pretrain-surface-moe@")


def test_practice_by_law_and_by_recipe_is_the_same() -> None:
    by_law, by_recipe = ask(laws=["practice"]), ask(given={"recipe": "practice"})
    for name in ("peak_lr", "batch_tokens"):
        a, b = by_law.answers[name], by_recipe.answers[name]
        assert (a.law, a.value, a.low, a.high) == (b.law, b.value, b.low, b.high)


def test_an_unknown_recipe_is_refused_with_the_nearest() -> None:
    with pytest.raises(QueryError, match="did you mean 'step-law'"):
        ask(given={"recipe": "steplaw"})


def test_a_law_named_for_the_rate_does_not_move_the_loss() -> None:
    plain = ask().answers["loss"]
    for law in ("pretrain-surface", "step-law-2025", "practice"):
        other = ask(laws=[law]).answers["loss"]
        assert (other.law, other.value, other.low, other.high) == (plain.law, plain.value, plain.low, plain.high)
    assert str(ask(laws=["pretrain-surface"], want=["loss"]).answers["loss"].law).startswith("pretrain-surface@")


@pytest.mark.parametrize("optimizer", ["sgd", "adafactor"])
def test_an_optimizer_without_evidence_has_no_rate(optimizer: str) -> None:
    found = ask(optimizer=optimizer)
    assert found.answers["peak_lr"].value is None
    assert f"no law here has evidence on {optimizer}" in str(found.answers["peak_lr"].reason)


def test_optimizers_with_evidence_have_rates_of_their_own() -> None:
    rates = {name: ask(optimizer=name).answers["peak_lr"].value for name in ("adamw", "muon", "lion")}
    assert all(isinstance(rate, float) for rate in rates.values())
    assert rates["lion"] < rates["adamw"] / 3
    assert rates["muon"] > rates["adamw"] * 1.5
    scaled = ask(optimizer="muon", given={"muon_scale": "rms"}).answers["peak_lr"].value
    assert scaled != rates["muon"]


def test_a_loss_of_ones_own_narrows_the_loss() -> None:
    reference = {"reference_loss": 2.9, "reference_n_params": 5e8, "reference_tokens": 1e10}
    known, unknown = ask(given=reference).answers["loss"], ask().answers["loss"]
    assert known.high / known.low < (unknown.high / unknown.low) ** 0.25
    there = ask(n_params=5e8, tokens=1e10, given=reference, want=["loss"]).answers["loss"]
    assert there.value == pytest.approx(2.9, rel=5e-3)
    with pytest.raises(QueryError, match="reference_loss needs reference_n_params and reference_tokens"):
        ask(given={"reference_loss": 2.9})


def test_published_trainings_nearby_have_sources_and_are_near() -> None:
    found = ask(n_params=6.5e9, tokens=2e12).nearest
    assert found[0].name == "Llama-2 7B"
    assert [item.apart for item in found] == sorted(item.apart or 0 for item in found)
    assert all(item.source for item in trainings())
    assert ask(n_params=1e5, tokens=1e7).nearest == []


def test_a_given_batch_moves_the_rate_as_far_as_the_evidence_says() -> None:
    """Below the best batch the rate falls between the square root and the linear rule; a batch nobody tried warns."""
    free = ask(tokens=4e10)
    rates = [ask(tokens=4e10, batch_tokens=float(batch)).answers["peak_lr"].value for batch in (2**16, 2**17)]
    assert 0.4 < math.log(rates[1] / rates[0]) / math.log(2) < 1
    assert rates[1] < free.answers["peak_lr"].value
    tiny = ask(tokens=4e10, batch_tokens=512.0)
    assert tiny.answers["peak_lr"].value > 2e-6
    assert any(w.code == "outside-domain" and w.quantity == "batch_tokens" for w in tiny.warnings)


def test_a_bound_on_the_batch_is_kept_and_moves_the_rate() -> None:
    free = ask(n_params=7e9, tokens=1.4e12)
    bound = ask(n_params=7e9, tokens=1.4e12, bounds={"batch_tokens": Bounds(high=1e6)})
    given = ask(n_params=7e9, tokens=1.4e12, batch_tokens=1e6)
    batch = bound.answers["batch_tokens"]
    assert (batch.value, batch.low) == (1e6, None), "the bound leaves one value"
    assert bound.answers["peak_lr"].value == given.answers["peak_lr"].value < free.answers["peak_lr"].value
    loose = ask(n_params=7e9, tokens=1.4e12, bounds={"batch_tokens": Bounds(low=1.0, high=1e12)})
    assert loose.answers["peak_lr"] == free.answers["peak_lr"]


def drawn(count: int, seed: int) -> list[Query]:
    """Return questions drawn over all that people train, and beyond."""
    rng = np.random.default_rng(seed)
    queries: list[Query] = []
    for _ in range(count):
        n = 10 ** rng.uniform(5, 13)
        fields: dict[str, Any] = {"n_params": n, "tokens": n * 10 ** rng.uniform(-1, 5)}
        if rng.random() < 0.3:
            fields["n_active_params"] = n * rng.uniform(0.02, 1)
        if rng.random() < 0.3:
            fields["batch_tokens"] = fields["tokens"] * 10 ** rng.uniform(-8, -1)
        if rng.random() < 0.3:
            fields["optimizer"] = str(rng.choice(["adamw", "muon", "lion", "soap", "sophia"]))
        if rng.random() < 0.2:
            fields["given"] = {"recipe": "step-law"}
        if rng.random() < 0.2:
            fields["laws"] = [str(rng.choice(["pretrain-surface", "practice", "pretrain-surface-moe"]))]
        queries.append(Query(**fields))
    return queries


def check_values_inside(count: int, seed: int) -> None:
    queries = drawn(count, seed)
    for query, row in zip(queries, recommend_many(queries, shipped()), strict=True):
        for name, e in row.answers.items():
            if e.low is not None and e.high is not None:
                assert e.low <= e.value <= e.high, (query, name, e)


def test_a_value_lies_inside_its_interval() -> None:
    check_values_inside(1_000, 0)


@pytest.mark.slow
def test_a_value_lies_inside_its_interval_in_many_questions() -> None:
    check_values_inside(100_000, 1)
