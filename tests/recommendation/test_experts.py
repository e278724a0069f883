"""Mixtures of experts in a question: what follows from the experts, and numbers that cannot be together."""

from typing import Any

import pytest

from hplaw.errors import ConflictingQuery, QueryError
from hplaw.messages.query import Query
from hplaw.messages.recommendation import Recommendation
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.record import recommend
from tests.helpers import MIXTRAL_8X7B, is_one_sentence, shipped


EXPERTS: dict[str, float | str] = {"n_experts": 64.0, "n_active_experts": 4.0, "granularity": 8.0}


def ask(**fields: Any) -> Recommendation:
    return recommend(Query(**fields), shipped())


def law_of(answer: Recommendation, name: str) -> str:
    return str(answer.answers[name].law).partition("@")[0]


def test_active_parameters_sparsity_and_leverage_follow_from_experts() -> None:
    found = ask(n_params=5.2e9, tokens=1e12, given=EXPERTS)
    assert found.answers["n_active_params"].value == pytest.approx(7e8)
    assert law_of(found, "n_active_params") == "active-params-of-experts"
    assert found.answers["compute_flop"].value == pytest.approx(6 * 7e8 * 1e12)
    assert found.answers["expert_sparsity"].value == pytest.approx(1 - 4 / 64)
    assert "granularity" not in found.answers
    leverage = found.answers["efficiency_leverage"].value
    assert isinstance(leverage, float)
    assert 3 < leverage < 8
    assert not found.ignored


def test_a_dense_question_says_nothing_of_experts() -> None:
    assert not {"expert_sparsity", "efficiency_leverage", "granularity"} & ask(n_params=5e9, tokens=1e12).answers.keys()


def test_one_expert_is_a_dense_model() -> None:
    one = ask(n_params=5e9, tokens=1e12, given={"n_experts": 1.0, "n_active_experts": 1.0})
    plain = ask(n_params=5e9, tokens=1e12)
    assert {n: e.value for n, e in one.answers.items()} == {n: e.value for n, e in plain.answers.items()}


def test_granularity_is_that_of_a_usual_block_where_nobody_gives_it() -> None:
    found = ask(n_params=5.2e9, tokens=1e12, given={"n_experts": 64.0, "n_active_experts": 8.0})
    assert (found.answers["granularity"].value, law_of(found, "granularity")) == (6, "usual-granularity")


def test_counts_of_parameters_imply_the_granularity() -> None:
    given = {"n_experts": 64.0, "n_active_experts": 4.0}
    found = ask(n_params=5.2e9, n_active_params=7e8, tokens=1e12, given=given)
    assert (found.answers["granularity"].value, law_of(found, "granularity")) == (
        pytest.approx(8),
        "granularity-of-counts",
    )
    shaped = ask(model=MIXTRAL_8X7B, n_params=4.7e10, n_active_params=1.3e10, tokens=1e12)
    assert law_of(shaped, "granularity") == "expert-granularity"


def test_shared_experts_count_as_used() -> None:
    given = {**EXPERTS, "n_shared_experts": 1.0}
    found = ask(n_params=5.2e9, tokens=1e12, given=given, want=["activation_ratio", "n_active_params"])
    assert found.answers["activation_ratio"].value == pytest.approx(5 / 65)
    assert found.answers["n_active_params"].value == pytest.approx(5.2e9 * 7.75 / 52.75)


def test_a_shape_gives_experts_exactly() -> None:
    found = ask(model=MIXTRAL_8X7B, tokens=1e12)
    assert found.answers["n_active_params"].value == 12617781248
    assert found.answers["expert_sparsity"].value == 0.75
    assert (found.answers["granularity"].value, law_of(found, "granularity")) == (
        2 * 4096 / 14336,
        "expert-granularity",
    )


def test_all_parameters_follow_from_active_ones() -> None:
    found = ask(n_active_params=7e8, tokens=1e12, given=EXPERTS)
    assert found.answers["n_params"].value == pytest.approx(5.2e9)
    assert law_of(found, "n_params") == "total-params-of-experts"
    whole = ask(n_params=5.2e9, n_active_params=7e8, tokens=1e12, given=EXPERTS)
    for name in ("peak_lr", "loss", "steps", "efficiency_leverage"):
        assert found.answers[name].value == pytest.approx(whole.answers[name].value, rel=1e-9)


def test_a_budget_buys_tokens_for_the_active_parameters_given() -> None:
    found = ask(n_active_params=7e8, given={**EXPERTS, "compute_flop": 4.2e21})
    assert found.answers["n_params"].value == pytest.approx(5.2e9)
    assert found.answers["tokens"].value == pytest.approx(1e12)


def test_a_budget_chooses_size_and_data_of_a_mixture() -> None:
    found = ask(given={**EXPERTS, "compute_flop": 1e22})
    n, active, tokens = (found.answers[name].value for name in ("n_params", "n_active_params", "tokens"))
    assert isinstance(n, float)
    assert isinstance(active, float)
    assert isinstance(tokens, float)
    assert active / n == pytest.approx(7 / 52)
    assert 6 * active * tokens == pytest.approx(1e22, rel=1e-3)


def test_laws_of_experts_are_alternatives_where_experts_are_given() -> None:
    def others(name: str, **fields: Any) -> set[str]:
        return {one.law.partition("@")[0] for one in ask(tokens=1e11, **fields).answers[name].alternatives}

    assert {"clark-2022", "krajewski-2024", "joint-moe-2025"} <= others("loss", n_params=5.2e9, given=EXPERTS)
    assert {"ling-2025", "joint-moe-2025"} <= others("peak_lr", n_params=5.2e9, given=EXPERTS)
    assert not {"clark-2022", "krajewski-2024", "joint-moe-2025"} & others("loss", n_params=5.2e9)


def test_many_questions_are_answered_as_each_alone() -> None:
    queries = [
        Query(n_params=n * 1e9, tokens=1e12, given={**EXPERTS, "n_active_experts": float(k)})
        for n, k in [(3, 2), (5, 4), (8, 8), (9, 4), (20, 1), (21, 2), (22, 32), (40, 6), (2, 4)]
    ]
    for query, brief in zip(queries, recommend_many(queries, shipped()), strict=True):
        alone = recommend(query, shipped())
        for name in ("n_active_params", "efficiency_leverage", "loss", "peak_lr"):
            assert brief.answers[name].value == pytest.approx(alone.answers[name].value, rel=1e-12)


def test_a_model_of_which_every_token_uses_all_experts_has_no_leverage_to_show() -> None:
    found = ask(n_params=5e9, tokens=1e12, given={**EXPERTS, "n_active_experts": 64.0})
    assert found.answers["expert_sparsity"].value == 0
    assert found.answers["n_active_params"].value == 5e9
    assert "efficiency_leverage" not in found.answers


@pytest.mark.parametrize(
    ("fields", "kind", "field", "says"),
    [
        ({"n_experts": 4.0, "n_active_experts": 8.0}, ConflictingQuery, "n_active_experts", "is above n_experts=4"),
        ({"n_active_experts": 4.0}, ConflictingQuery, "n_active_experts", "needs n_experts"),
        ({"n_experts": 64.0}, ConflictingQuery, "n_active_experts", "needs n_active_experts or n_active_params"),
        ({**EXPERTS, "granularity": 0.5}, QueryError, "given.granularity", "granularity=0.5 is below 1"),
        ({**EXPERTS, "n_experts": 2.5}, QueryError, "given.n_experts", "is not a whole number"),
        ({**EXPERTS, "n_experts": 0.0}, QueryError, "given.n_experts", "is below 1"),
        ({**EXPERTS, "architecture": "dense"}, ConflictingQuery, "n_experts", "exclude each other"),
    ],
)
def test_experts_that_no_model_has_are_refused(fields: Any, kind: type, field: str, says: str) -> None:
    with pytest.raises(kind, match=says) as caught:
        ask(n_params=5e9, tokens=1e12, given=fields)
    assert caught.value.field == field
    assert is_one_sentence(caught.value)


def test_fewer_active_parameters_than_the_experts_of_a_token_have_are_refused() -> None:
    with pytest.raises(ConflictingQuery, match="below 32/64 of n_params") as caught:
        ask(n_params=1e10, n_active_params=1e9, tokens=1e12, given={"n_experts": 64.0, "n_active_experts": 32.0})
    assert caught.value.field == "n_active_params"
    assert is_one_sentence(caught.value)
