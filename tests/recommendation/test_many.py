"""A batch answers every row as the question alone is answered."""

import math
import random
from typing import Any

import pytest

from hplaw.catalogue.catalogue import Catalogue
from hplaw.messages.decode import decode
from hplaw.messages.query import Bounds, Query
from hplaw.messages.recommendation import BatchReply, BriefRecommendation
from hplaw.messages.record import encode
from hplaw.recommendation.many import recommend_many
from hplaw.recommendation.record import recommend
from tests.helpers import catalogue_of, fixture_law, make_law, shipped
from tests.vocabulary.test_model_shape import LLAMA_3_8B, MIXTRAL_8X7B


def log_uniform(rng: random.Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def random_query(rng: random.Random, signature: int) -> Query:
    """Return a query of one of several signatures: what is given is the same, the numbers are not."""
    n, d = log_uniform(rng, 1e6, 1e12), log_uniform(rng, 1e7, 1e14)
    base: dict[str, Any] = {"n_params": n, "tokens": d}
    return Query(
        **[
            base,
            {**base, "batch_tokens": log_uniform(rng, 1e4, 1e8)},
            {**base, "n_active_params": n * rng.uniform(0.05, 1.0)},
            {**base, "target_loss": rng.uniform(1.5, 4.0)},
            {**base, "optimizer": "sgd", "precision": "bf16"},
            {**base, "given": {"peak_lr": log_uniform(rng, 1e-5, 1e-1)}},
            {**base, "given": {"n_params_with_embedding": n * 1.1}},
            {"tokens": d, "model": LLAMA_3_8B},
            {"tokens": d, "model": {**MIXTRAL_8X7B, "num_hidden_layers": rng.randint(2, 90)}},
            {"n_params": n},
            {"tokens": d, "target_loss": rng.uniform(1.5, 4.0)},
            {**base, "want": ["peak_lr", "batch_tokens", "loss"]},
            {**base, "want": ["steps", "compute_flop", "training_state_bytes", "weight_decay"]},
            {**base, "laws": ["deepseek-llm-2024"]},
            {**base, "laws": ["kaplan-lr-2020"], "want": ["peak_lr", "loss"]},
            {**base, "bounds": {"peak_lr": Bounds(high=1e-3)}},
            {"given": {"compute_flop": log_uniform(rng, 1e15, 1e27)}},
            {**base, "n_active_params": n},
            {
                "hardware": "h100-sxm",
                "devices": 8.0,
                "given": {"duration_s": log_uniform(rng, 1e4, 1e8)},
                "want": ["energy_kwh"],
            },
            {**base, "hardware": "h1000-sxm"},
            {**base, "hardware": "H100-SXM", "precision": "FP8", "given": {"country": "us"}},
        ][signature]
    )


SIGNATURES = range(21)


def brief(query: Query, catalogue: Catalogue) -> BriefRecommendation:
    """Return one question's answer in the form of a row."""
    (row,) = recommend_many([query], catalogue)
    return row


def close(a: float | str | None, b: float | str | None) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9)
    return a == b


def compare(queries: list[Query], catalogue: Catalogue) -> None:
    rows = recommend_many(queries, catalogue)
    assert len(rows) == len(queries)
    for query, row in zip(queries, rows, strict=True):
        alone = brief(query, catalogue)
        assert row.error == alone.error, query
        assert list(row.answers) == list(alone.answers), query
        for name, found in row.answers.items():
            want = alone.answers[name]
            for field in ("value", "low", "high", "same_recipe_low", "same_recipe_high", "law"):
                a, b = getattr(found, field), getattr(want, field)
                assert close(a, b), (query, name, field, a, b)
            assert (found.reason is None) == (want.reason is None), (query, name)
        assert sorted(row.warnings) == sorted(alone.warnings), query


@pytest.mark.parametrize("signature", SIGNATURES)
def test_rows_of_one_signature_equal_single_answers(signature: int) -> None:
    rng = random.Random(signature)
    compare([random_query(rng, signature) for _ in range(24)], shipped())


def test_rows_of_mixed_signatures_equal_single_answers() -> None:
    rng = random.Random(99)
    compare([random_query(rng, rng.choice(SIGNATURES)) for _ in range(150)], shipped())


@pytest.mark.parametrize("signature", [0, 1, 2, 5, 7, 11])
@pytest.mark.parametrize("name", ["dense-surface", "expert-surface"])
def test_rows_of_a_surface_equal_single_answers(name: str, signature: int) -> None:
    rng = random.Random(signature)
    catalogue = catalogue_of(fixture_law(name), *shipped().laws)
    compare([random_query(rng, signature) for _ in range(20)], catalogue)


def test_rows_of_the_fixtures_equal_single_answers() -> None:
    rng = random.Random(5)
    catalogue = catalogue_of(
        *(fixture_law(n) for n in ("step-law", "training-energy", "schedule-uba", "abc-classification"))
    )
    queries = [
        Query(
            n_params=(n := log_uniform(rng, 1e8, 1e12)),
            tokens=log_uniform(rng, 1e9, 1e13),
            n_active_params=n,
            hardware="a100_sxm4_80gb",
            precision="bf16",
            given={"accelerator_generation": "ampere", "power_limit_ratio": rng.uniform(0.3, 2)},
            want=["energy_j", "accelerator_hours", "peak_lr"],
        )
        for _ in range(20)
    ]
    compare(queries, catalogue)


CASES = '[[cases]]\nwhen = "tokens > 1e10"\nstatus = "refused"\nsay = "Too many."\n[[cases]]\nwhen = "tokens > 1e9"\nstatus = "saturated"\nsay = "Many."\n'


def test_rows_on_both_sides_of_a_case_equal_single_answers() -> None:
    laws = [
        make_law(
            f'[outputs]\npeak_lr = "1e-3 * log(tokens - 1e8)"\n{CASES}',
            inputs='["tokens"]',
            name="first",
            status="calibrated",
            examples="[[examples]]\ngiven = { tokens = 1 }",
        ),
        make_law(
            '[outputs]\npeak_lr = "where(tokens > 1e12, 2e-3, log(5e10 - tokens))"\n[domain]\ntokens = [1e9, 1e11]',
            inputs='["tokens"]',
            name="second",
            examples="[[examples]]\ngiven = { tokens = 1 }",
        ),
        make_law(
            '[outputs]\npeak_lr = "3e-3 * batch_tokens ** 0"\nbatch_tokens = "tokens"',
            inputs='["tokens", { quantity = "batch_tokens", missing = "tokens / 1000" }]',
            name="third",
            checked="recalled",
            examples="[[examples]]\ngiven = { tokens = 1 }",
        ),
    ]
    rng = random.Random(3)
    queries = [Query(tokens=log_uniform(rng, 1e6, 1e14), want=["peak_lr"]) for _ in range(60)]
    for catalogue in (catalogue_of(*laws), catalogue_of(*laws[:2]), catalogue_of(laws[0])):
        compare(queries, catalogue)
    named = [Query(tokens=q.tokens, want=["peak_lr"], laws=["first"]) for q in queries]
    compare(named, catalogue_of(*laws))


def test_few_rows_many_rows_and_none() -> None:
    query = Query(n_params=1e9, tokens=1e11)
    assert recommend_many([], shipped()) == []
    for count in (1, 7, 8, 9, 300):
        rows = recommend_many([query] * count, shipped())
        assert len(rows) == count
        for row in rows[1:]:
            assert row.answers.keys() == rows[0].answers.keys()


def test_a_row_of_a_batch_is_what_the_whole_record_says() -> None:
    queries = [Query(n_params=1e9 * i, tokens=1e11) for i in range(1, 12)]
    for query, row in zip(queries, recommend_many(queries, shipped()), strict=True):
        whole = recommend(query, shipped())
        for name, found in row.answers.items():
            e = whole.answers[name]
            assert close(found.value, e.value)
            assert close(found.low, e.low)
            assert close(found.same_recipe_high, e.same_recipe_high)
            assert found.law == e.law


def test_a_batch_is_json_with_nothing_infinite() -> None:
    rng = random.Random(8)
    queries = [random_query(rng, rng.choice(SIGNATURES)) for _ in range(60)]
    queries += [Query(n_params=1e18, tokens=1e22)] * 9 + [Query(n_params=1e-3, tokens=1e-3)] * 9
    reply = BatchReply(results=recommend_many(queries, shipped()))
    body = encode(reply)
    assert b"NaN" not in body
    assert b"Infinity" not in body
    for row in decode(body, BatchReply).results:
        for found in row.answers.values():
            assert found.value is not None or found.reason
            if isinstance(found.value, float):
                assert math.isfinite(found.value)
            if found.low is not None and found.high is not None:
                assert found.low <= found.high


@pytest.mark.slow
def test_many_random_rows_equal_single_answers() -> None:
    rng = random.Random(2026)
    catalogue = catalogue_of(fixture_law("dense-surface"), fixture_law("expert-surface"), *shipped().laws)
    for _ in range(10):
        compare([random_query(rng, rng.choice(SIGNATURES)) for _ in range(300)], rng.choice([catalogue, shipped()]))
