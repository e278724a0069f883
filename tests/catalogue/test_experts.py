"""The shipped surface of mixtures of experts: how its optimum goes on where its runs end."""

import math

import pytest

from hplaw.answer.answer import answer
from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend
from tests.helpers import shipped


RATE, BATCH = "peak_lr", "batch_tokens"
SIZE = 2.15e9


def optimum(law: str, active: float, tokens: float) -> dict[str, float]:
    known = {"n_params": SIZE, "n_active_params": active, "tokens": tokens, "optimizer": "adamw"}
    return answer(shipped().get(law), known).values


def slope(name: str, tokens: float) -> float:
    """Return the exponent of tokens around a number of them."""
    near, far = (optimum("pretrain-surface-moe", 3e8, tokens * factor)[name] for factor in (0.9, 1.1))
    return math.log(far / near) / math.log(1.1 / 0.9)


@pytest.mark.parametrize("name", [RATE, BATCH])
def test_a_mixture_that_uses_all_parameters_is_near_the_dense_model(name: str) -> None:
    for tokens in (4e9, 4e10):
        all_used = optimum("pretrain-surface-moe", SIZE, tokens)[name]
        dense = optimum("pretrain-surface", SIZE, tokens)[name]
        assert abs(math.log(all_used / dense)) < 0.5


@pytest.mark.parametrize(("name", "long"), [(RATE, 0.26), (BATCH, 0.60)])
def test_short_runs_hardly_move_the_optimum_and_long_ones_as_for_dense_models(name: str, long: float) -> None:
    found = [slope(name, tokens) for tokens in (2e9, 8e9, 3e10, 2e11)]
    assert found == sorted(found)
    assert found[0] < long - 0.1
    assert found[-1] == pytest.approx(long, abs=0.1)


def test_the_sparser_a_mixture_the_larger_its_rate_and_batch() -> None:
    for name in (RATE, BATCH):
        found = [optimum("pretrain-surface-moe", active, 2e10)[name] for active in (1.5e8, 3e8, 6e8, 1.2e9)]
        assert found == sorted(found, reverse=True)


def test_a_mixture_of_the_recipe_is_answered_by_it() -> None:
    asked = Query(n_params=2.15e9, n_active_params=3e8, tokens=4e9, given={"recipe": "step-law"}, want=[RATE, BATCH])
    found = recommend(asked, shipped()).answers
    alone = optimum("pretrain-surface-moe", 3e8, 4e9)
    for name in (RATE, BATCH):
        assert str(found[name].law).startswith("pretrain-surface-moe@")
        assert found[name].value == pytest.approx(alone[name], rel=0.05)
