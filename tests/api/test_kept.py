"""What the service remembers of what was asked: bounded in number and in bytes, whatever callers send."""

import tracemalloc

import pytest

from hplaw.answer.evaluate_law import evaluate
from hplaw.errors import QueryError
from hplaw.messages.query import Query
from hplaw.recommendation.derivation import ROUTES
from hplaw.recommendation.record import recommend
from hplaw.vocabulary.quantities import vocabulary
from hplaw_api.law_store import LawStore, Replies
from tests.helpers import catalogue_of, make_law, shipped


NUMBERS = [quantity.name for quantity in vocabulary().values() if quantity.name.startswith(("n_", "d_"))][3:]
"""Quantities that may be given in all combinations."""


def test_kept_replies_are_bounded_in_number():
    replies = Replies(3)
    for k in range(5):
        replies.keep(b"%d" % k, b"reply")
    assert [replies.get(b"%d" % k) for k in range(5)] == [None, None, b"reply", b"reply", b"reply"]


def test_kept_replies_are_bounded_in_bytes():
    replies = Replies(4096)
    tracemalloc.start()
    try:
        for k in range(4096):
            replies.keep(b"%d" % k, bytes(60_000))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 4_500_000
    assert replies.get(b"4095") is not None


@pytest.mark.parametrize(("question", "reply"), [(b"q", bytes(100_000)), (bytes(100_000), b"r")])
def test_long_questions_and_replies_are_not_kept(question, reply):
    replies = Replies(4096)
    replies.keep(question, reply)
    assert replies.get(question) is None


def test_reply_used_again_outlives_others():
    replies = Replies(2)
    for k in range(5):
        replies.keep(b"often", b"reply")
        replies.keep(b"%d" % k, b"reply")
        assert replies.get(b"often") == b"reply"


def test_description_is_made_once_for_the_same_laws():
    made = []
    serving = LawStore().now
    for _ in range(2):
        assert serving.description(lambda _: made.append("made") or b"description") == b"description"
    assert made == ["made"]


def test_routes_are_bounded():
    catalogue = catalogue_of(make_law())
    for turn in range(2 * ROUTES):
        given: dict[str, float | str] = {name: 1.0 for bit, name in enumerate(NUMBERS) if turn >> bit & 1}
        recommend(Query(tokens=8.0, batch_tokens=2.0, given=given, want=["steps"]), catalogue)
    assert 0 < len(catalogue.routes) <= ROUTES


def test_long_names_that_a_table_lacks_are_not_kept():
    law = shipped().get("accelerators")
    tracemalloc.start()
    try:
        for k in range(50):
            name = f"{k}{'x' * 100_000}"
            with pytest.raises(QueryError, match="is not known"):
                evaluate(law, {"hardware": name})
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_000_000


@pytest.mark.parametrize("address", ["/v1/laws/" + "x" * 300, "/v1/recommendations?want=" + "x" * 9_000])
def test_long_addresses_are_refused_before_the_router_remembers_them(http, problem, address):
    assert "ask with POST" in str(problem(http.get(address), 400)["detail"])
