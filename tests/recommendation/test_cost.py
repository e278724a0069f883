"""Money: what runs cost, with the interval of their hours, and budgets of it."""

import pytest

from hplaw.errors import QueryError
from hplaw.messages.query import Query
from hplaw.messages.recommendation import Estimate
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.record import recommend
from tests.helpers import shipped


RUN = {"n_params": 7e9, "tokens": 1e12, "hardware": "h100-sxm"}


def ends(estimate: Estimate) -> list[float]:
    found = [estimate.value, estimate.low, estimate.low50, estimate.high50, estimate.high]
    assert all(isinstance(end, float) for end in found)
    return [float(str(end)) for end in found]


def test_cost_is_hours_times_the_price_and_as_unsure() -> None:
    found = recommend(Query(**RUN, given={"price_per_hour": 2.5}), shipped()).answers
    assert ends(found["cost"]) == pytest.approx([2.5 * end for end in ends(found["accelerator_hours"])])
    assert found["cost"].unit == "$"


def test_cost_alone_has_the_same_interval() -> None:
    query = Query(**RUN, given={"price_per_hour": 2.5}, want=["cost"])
    alone = recommend(query, shipped()).answers["cost"]
    beside = recommend(Query(**RUN, given={"price_per_hour": 2.5}), shipped()).answers["cost"]
    assert ends(alone) == ends(beside)
    rows = recommend_many([query] * 9, shipped())
    assert {row.answers["cost"].high for row in rows} == {alone.high}


def test_there_is_no_cost_without_a_price() -> None:
    assert "cost" not in recommend(Query(**RUN), shipped()).answers
    reason = recommend(Query(**RUN, want=["cost"]), shipped()).answers["cost"].reason
    assert reason == "cost needs price_per_hour for accelerator-cost; give it"


def test_a_budget_of_money_is_a_budget_of_the_hours_it_pays_for() -> None:
    given = {"price_per_hour": 2.0, "cost": 1e6}
    money = recommend(Query(hardware="h100-sxm", given=given), shipped()).answers
    hours = recommend(Query(hardware="h100-sxm", given={"accelerator_hours": 5e5}), shipped()).answers
    for name in ("n_params", "tokens", "loss", "energy_kwh"):
        assert money[name].value == pytest.approx(hours[name].value, rel=1e-6)
    assert money["n_params"].low == pytest.approx(hours["n_params"].low, rel=1e-6)
    assert "cost" not in money


@pytest.mark.slow
def test_money_pays_for_serving_too() -> None:
    given = {"price_per_hour": 2.0, "cost": 1e6, "serve_tokens": 1e12}
    want = ["n_params", "tokens", "lifetime_cost", "serve_cost", "loss"]
    found = recommend(Query(hardware="h100-sxm", given=given, want=want), shipped()).answers
    assert found["lifetime_cost"].value == pytest.approx(1e6, rel=1e-3)
    without = recommend(Query(hardware="h100-sxm", given={**given, "serve_tokens": 1e6}, want=want), shipped()).answers
    assert float(str(found["loss"].value)) > float(str(without["loss"].value))


def test_a_budget_of_money_without_an_accelerator_or_a_price_is_refused() -> None:
    with pytest.raises(QueryError, match="give hardware"):
        recommend(Query(given={"cost": 1e6, "price_per_hour": 2.0}), shipped())
    with pytest.raises(QueryError, match="price_per_hour"):
        recommend(Query(hardware="h100-sxm", given={"cost": 1e6}), shipped())
