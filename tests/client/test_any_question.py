"""Whatever is asked: an answer whose numbers are finite or null with a reason, or one sentence that says what is wrong."""

import math

import pytest
from hypothesis import example, given, settings, strategies as st

from hplaw.catalogue.listing import full_quantities
from hplaw.client import LocalClient
from hplaw.errors import ConflictingQuery, HplawError, QueryError
from hplaw.messages.recommendation import Estimate
from hplaw.messages.record import encode
from hplaw.recommendation.sense import SMALLEST, highest_loss
from hplaw.vocabulary.quantities import vocabulary
from tests.helpers import shipped


WORDS = {name: word for name, word in full_quantities(shipped()).items() if name in vocabulary() and name != "loss"}
NUMBERS = sorted(name for name, word in WORDS.items() if not word.categorical)
FIELDS = {"n_params", "tokens", "n_active_params", "batch_tokens", "target_loss", "devices"}


def values(name: str) -> st.SearchStrategy[float | str]:
    """Return allowed values of a quantity, spread over its orders of magnitude, its ends among them."""
    word = WORDS[name]
    if word.categorical:
        return st.sampled_from(word.categories) if word.categories else st.sampled_from(["", "x"])
    low = word.low if word.low and not word.open_low else 5e-324 if word.open_low else 0.0
    high = word.high if word.high is not None else 1e40
    high = math.nextafter(high, low) if word.open_high else high
    inner = st.floats(-30, 30).map(lambda x: min(max(10.0**x, low), high))
    found = inner | st.sampled_from([low, high])
    return found.map(lambda value: float(round(value))) if word.whole else found


@st.composite
def questions(draw: st.DrawFn) -> dict[str, object]:
    """Return questions that contradict themselves nowhere, each quantity given once, bounded, or omitted."""
    names = draw(st.lists(st.sampled_from(sorted(WORDS)), max_size=6, unique=True))
    some = draw(st.lists(st.sampled_from(["n_params", "tokens"]), max_size=2, unique=True))
    known = {name: draw(values(name)) for name in {*names, *some}}
    if "n_params" in known and "n_active_params" in known:
        known["n_active_params"] = min(known["n_active_params"], known["n_params"])
    for name in ("n_params", "n_params_with_embedding", "steps"):
        if name in known:
            known[name] = max(known[name], 1.0 if name == "steps" else SMALLEST)
    if "tokens" in known and "batch_tokens" in known:
        known["batch_tokens"] = min(known["batch_tokens"], known["tokens"])
    if "task" in known:
        known["task"] = "language"  # another one is refused
    if "target_loss" in known:
        known["target_loss"] = min(known["target_loss"], highest_loss(known) or 5e-324)
    free = st.sampled_from([name for name in NUMBERS if name not in known])
    bounds = {}
    for name in draw(st.lists(free, max_size=2, unique=True)):
        low, high = sorted([draw(values(name)), draw(values(name))])
        bounds[name] = {"low": low, "high": high}
    return {
        **{name: value for name, value in known.items() if name in FIELDS},
        "given": {name: value for name, value in known.items() if name not in FIELDS},
        "bounds": bounds,
        # a question that gives too little must say what it wants
        "want": draw(st.lists(st.sampled_from(sorted(vocabulary())), min_size=1 - len(some) // 2, max_size=4)),
    }


@pytest.fixture(scope="module")
def local():
    return LocalClient()


def check(estimate: Estimate) -> None:
    numbers = [getattr(estimate, name) for name in Estimate.__struct_fields__]
    assert all(math.isfinite(x) for x in numbers if isinstance(x, float))
    assert (estimate.value is None) <= bool(estimate.reason)
    if estimate.low is not None:
        assert estimate.low <= estimate.high


def outcome(ask):
    """Return an answer, or the error in its place."""
    try:
        return ask()
    except HplawError as error:
        return error


@given(question=questions())
def test_any_consistent_question_is_answered(local, question):
    answer = outcome(lambda: local.recommend(**question))
    if isinstance(answer, QueryError):
        # the schema allows it, so it can be nothing but a contradiction
        assert isinstance(answer, ConflictingQuery), answer
        return
    for estimate in answer.answers.values():
        check(estimate)
    assert b"NaN" not in encode(answer)


VANISHING = {
    "n_params": 1e5,
    "tokens": 5e-324,
    "given": {"gradient_bytes": 1.0, "flop_per_token": 0.1},
    "want": ["batch_seqs"],
}
"""A question whose way leads over numbers that are too small to write down."""


NOWHERE = {"n_params": 1e9, "tokens": 1e11, "hardware": ""}
"""A question about an accelerator that no table of any law has."""


COUNTLESS = {"n_params": 1e5, "tokens": 1e22}
"""A question so far from all runs that rounding moves what is chosen."""


@example(questions=[VANISHING], copies=8)
@example(questions=[NOWHERE], copies=8)
@example(questions=[COUNTLESS], copies=8)
@given(questions=st.lists(questions(), min_size=1, max_size=3), copies=st.integers(1, 10))
@settings(max_examples=50)
def test_a_batch_says_of_each_row_what_the_question_alone_says(local, questions, copies):
    rows = local.recommend_batch(questions * copies)
    for question, row in zip(questions * copies, rows, strict=True):
        alone = outcome(lambda question=question: local.recommend(**question))
        if isinstance(alone, HplawError):
            assert row.error == str(alone)
            continue
        assert row.error is None
        assert row.answers.keys() == alone.answers.keys()
        for name, brief in row.answers.items():
            whole = alone.answers[name]
            assert brief.law == whole.law, name
            if isinstance(whole.value, float) and isinstance(brief.value, float):
                assert brief.value == pytest.approx(whole.value, rel=1e-6), name
            else:
                assert brief.value == whole.value, name


@given(address=st.text(max_size=30), name=st.text(max_size=30), number=st.floats())
def test_any_words_are_refused_in_words(local, address, name, number):
    for wrong in (
        lambda: local.law(address),
        lambda: local.recommend(want=[name]),
        lambda: local.recommend(given={name: number}),
        lambda: local.recommend(laws=[address]),
        lambda: local.evaluate("step-law-2025", {name: number}),
    ):
        answer = outcome(wrong)
        assert not isinstance(answer, HplawError) or str(answer)
