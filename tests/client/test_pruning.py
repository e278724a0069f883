"""Pruning by every client: the same records and errors."""

import pytest

import hplaw
from hplaw.errors import LawNotFound, QueryError
from hplaw.pruning.regime_map import regime_map
from tests.helpers import shipped


def test_advice_and_maps_are_those_of_the_library(client):
    assert client.prune_advice(density=0.1, epochs=80) == hplaw.prune_advice(density=0.1, epochs=80)
    cases = [{"model": "a", "lmc": -0.01, "cka": 0.9}, {"model": "b", "lmc": -0.02, "cka": 0.95}]
    found = client.prune_advice(cases=cases)
    assert found == hplaw.prune_advice(cases=cases)
    assert found.choice.model == "b"
    assert client.regime_map("pruning-preresnet20-cifar10") == regime_map("pruning-preresnet20-cifar10", shipped())


def test_wrong_cases_raise_the_same_errors(client):
    errors = []
    for who in (client, hplaw):
        with pytest.raises(QueryError) as caught:
            who.prune_advice(density=7, epochs=80)
        errors.append((caught.value.text, caught.value.field, type(caught.value)))
    assert errors[0] == errors[1]
    for wrong in ("nosuch", "../x"):
        with pytest.raises(LawNotFound):
            client.regime_map(wrong)
