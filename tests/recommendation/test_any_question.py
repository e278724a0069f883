"""Any question within the vocabulary's bounds is answered, or refused in one sentence; nothing else comes out."""

import math
import random
from typing import Any

import pytest

from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import full_quantities
from hplaw.errors import HplawError
from hplaw.messages.query import Bounds, Query
from hplaw.messages.record import encode
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.question import FIELDS
from hplaw.recommendation.record import recommend
from hplaw.vocabulary.quantities import Quantity
from tests.helpers import FIXTURE_NAMES, catalogue_of, fixture_law, is_one_sentence, shipped


FIXTURES = catalogue_of(*(fixture_law(name) for name in FIXTURE_NAMES if name != "step-law"), *shipped().laws)
CATALOGUES = [shipped(), FIXTURES]


def value(rng: random.Random, quantity: Quantity) -> float | str:
    """Return a value that the quantity allows, its edges among them."""
    found = drawn(rng, quantity)
    return float(round(found)) if quantity.whole and isinstance(found, float) else found


def drawn(rng: random.Random, quantity: Quantity) -> float | str:
    """Return a value between the quantity's bounds."""
    if quantity.categorical:
        return rng.choice(quantity.categories or ("new", "a100_sxm4_80gb", "ampere"))
    low = quantity.low if quantity.low is not None else -1e6
    high = quantity.high if quantity.high is not None else 1e6
    if quantity.open_high:
        high = math.nextafter(high, low)
    if rng.random() < 0.15:
        return high
    if rng.random() < 0.1:
        return low if not quantity.open_low else math.ulp(0.0) if rng.random() < 0.3 else 1e-30
    if low >= 0:
        return min(max(math.exp(rng.uniform(math.log(max(low, 1e-8)), math.log(max(high, 1e-7)))), low), high)
    return rng.uniform(low, high)


def question(rng: random.Random, catalogue: Catalogue) -> Query:
    """Return a random question; half of them about a plain run, so that something can be answered."""
    words = {name: q for name, q in full_quantities(catalogue).items() if name != "loss"}
    fields: dict[str, Any] = {}
    if rng.random() < 0.9:
        fields |= {"n_params": 10 ** rng.uniform(6, 13), "tokens": 10 ** rng.uniform(8, 15)}
    for name in rng.sample(FIELDS, rng.choice([0, 0, 0, 0, 1, 2, 4])):
        fields[name] = value(rng, words[name])
    names = [name for name in words if name not in FIELDS]
    fields["given"] = {n: value(rng, words[n]) for n in rng.sample(names, rng.choice([0, 0, 0, 1, 2, 5]))}
    fields["want"] = rng.sample(list(words), rng.choice([0, 0, 1, 3]))
    if rng.random() < 0.2:
        name = rng.choice(["peak_lr", "batch_tokens"])
        ends = sorted(float(value(rng, words[name])) for _ in range(2))
        fields["bounds"] = {name: Bounds(low=rng.choice([None, ends[0]]), high=rng.choice([None, ends[1]]))}
    if rng.random() < 0.1:
        fields["laws"] = [rng.choice(catalogue.laws).id]
    if rng.random() < 0.1:
        fields["model"] = {
            "n_layers": rng.randint(1, 200),
            "d_model": 2 ** rng.randint(1, 16),
            "n_heads": 2 ** rng.randint(0, 7),
            "d_ff": rng.randint(1, 10**5),
            "vocab_size": rng.randint(1, 10**6),
        }
    return Query(**fields)


def ask(seed: int, count: int) -> int:
    """Ask random questions; return how many had some answer."""
    rng, answered = random.Random(seed), 0
    refusals: list[str] = []
    for _ in range(count):
        catalogue = rng.choice(CATALOGUES)
        query = question(rng, catalogue)
        try:
            found = recommend(query, catalogue)
        except HplawError as error:
            refusals.append(str(error))
            continue
        body = encode(found)
        assert b"NaN" not in body, query
        assert b"Infinity" not in body, query
        for name, e in found.answers.items():
            assert e.value is not None or e.reason, (query, name)
            numbers = [
                e.value,
                e.low,
                e.high,
                e.low50,
                e.high50,
                e.same_recipe_low,
                e.same_recipe_high,
                e.plateau_low,
                e.plateau_high,
            ]
            assert all(math.isfinite(x) for x in numbers if isinstance(x, float)), (query, name, e)
            told = [x for x in numbers[1:] if x is not None]
            assert e.low is None or e.high is None or e.low < e.high, (query, name, e)
            assert all(isinstance(x, float) for x in told)
        answered += any(e.value is not None for e in found.answers.values())
    assert [text for text in refusals if not is_one_sentence(text)] == []
    return answered


def test_random_questions_are_answered_or_refused() -> None:
    assert ask(0, 300) > 100


def test_a_batch_of_random_questions_is_answered() -> None:
    rng = random.Random(1)
    queries = [question(rng, FIXTURES) for _ in range(60)]
    queries += [q for query in queries[:3] for q in [query] * 9]
    rows = recommend_many(queries, FIXTURES)
    assert len(rows) == len(queries)
    assert b"NaN" not in encode(rows)
    for row in rows:
        assert row.error is None or is_one_sentence(row.error)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_very_many_random_questions_are_answered_or_refused(seed: int) -> None:
    assert ask(seed, 5_000) > 2_000
