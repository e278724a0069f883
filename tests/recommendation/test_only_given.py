"""Inputs that a law takes from a question alone: the answer does not depend on what else is asked."""

import pytest

from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend
from tests.helpers import shipped


RUN = {"n_params": 7e9, "tokens": 1e12, "hardware": "h100-sxm", "devices": 512}


@pytest.mark.parametrize("want", [[], ["batch_tokens", "accelerator_hours"], ["accelerator_hours", "batch_tokens"]])
def test_hours_are_the_same_with_a_batch_recommended_beside_them(want: list[str]) -> None:
    alone = recommend(Query(**RUN, want=["accelerator_hours"]), shipped()).answers["accelerator_hours"]
    found = recommend(Query(**RUN, want=want), shipped())
    assert found.answers["accelerator_hours"].value == alone.value
    laws = [step.law for step in found.answers["accelerator_hours"].derivation]
    assert not any("surface" in law for law in laws)


def test_a_batch_that_is_given_counts() -> None:
    small, large = (
        recommend(Query(**RUN, batch_tokens=batch, want=["accelerator_hours"]), shipped()).answers["accelerator_hours"]
        for batch in (5e5, 1.6e7)
    )
    assert float(str(small.value)) > 1.2 * float(str(large.value))
