"""A rate that was tuned at another batch or width: the answer starts from it, by the measured law, with its interval."""

import pytest

from hplaw.errors import ConflictingQuery, MalformedQuery
from hplaw.messages.query import Query
from hplaw.messages.query_text import tuned_pairs
from hplaw.recommendation.record import recommend
from tests.helpers import shipped


BATCH = {"base_peak_lr": 1e-3, "base_batch_tokens": 256.0}


@pytest.mark.parametrize(
    ("optimizer", "law"),
    [
        ("sgd", "batch-rule-sgd"),
        ("momentum", "batch-rule-momentum"),
        ("adam", "batch-rule-adam"),
        ("adamw", "batch-rule-adam"),
    ],
)
def test_the_measured_rule_of_the_optimizer_answers(optimizer: str, law: str) -> None:
    found = recommend(Query(batch_tokens=1024, optimizer=optimizer, given=BATCH), shipped())
    assert list(found.answers) == ["peak_lr"]
    rate = found.answers["peak_lr"]
    assert str(rate.law).startswith(f"{law}@")
    assert rate.low is not None
    assert rate.high is not None
    assert 0.5e-3 < rate.low < float(rate.value or 0) < rate.high < 5e-3
    # the rules of theory are there beside it
    assert any("rule" in alternative.law for alternative in rate.alternatives)


def test_a_tuned_rate_comes_before_laws_that_know_only_the_size() -> None:
    sized = Query(n_params=1e9, tokens=20e9, batch_tokens=1024, given=BATCH)
    found = recommend(sized, shipped())
    assert str(found.answers["peak_lr"].law).startswith("batch-rule-adam@")
    assert found.answers["loss"].value is not None
    plain = recommend(Query(n_params=1e9, tokens=20e9, batch_tokens=1024), shipped())
    assert str(plain.answers["peak_lr"].law).startswith("recipe@")


def test_the_noise_scale_narrows_and_moves_the_answer() -> None:
    def rate(**more: float) -> tuple[float, float]:
        found = recommend(Query(batch_tokens=2048, optimizer="sgd", given={**BATCH, **more}), shipped())
        estimate = found.answers["peak_lr"]
        return float(estimate.value or 0), float(estimate.high or 0) / float(estimate.low or 1)

    far_below, narrow = rate(noise_scale_tokens=1e6)
    far_above, _ = rate(noise_scale_tokens=10.0)
    unknown, wide = rate()
    assert far_above < unknown < far_below
    assert far_below == pytest.approx(8e-3, rel=0.25)
    assert far_above < 2e-3
    assert wide > 1.5 * narrow


@pytest.mark.parametrize("scheme", ["mup", "standard"])
def test_a_width_is_answered_from_a_tuned_one(scheme: str) -> None:
    tuned = {"base_peak_lr": 3e-3, "base_width": 256.0, "width": 1024.0, "parametrization": scheme}
    rate = recommend(Query(given=tuned), shipped()).answers["peak_lr"]
    assert str(rate.law).startswith("width-transfer@")
    low, value, high = (float(end or 0) for end in (rate.low, rate.value, rate.high))
    assert low < value < high
    if scheme == "mup":
        assert low < 3e-3 < high
    else:
        assert value < 1.5e-3


def test_what_is_tuned_is_read_from_words() -> None:
    assert tuned_pairs("width=256, lr=3e-3", "--tuned-base") == ["base_width=256", "base_peak_lr=3e-3"]
    with pytest.raises(MalformedQuery, match="did you mean 'batch'"):
        tuned_pairs("btch=256,lr=1", "--tuned-base")
    for text in ("lr=1e-3", "batch=256"):
        with pytest.raises(ConflictingQuery, match="give the rate and where it was tuned"):
            tuned_pairs(text, "--tuned-base")
    with pytest.raises(ConflictingQuery, match="given twice"):
        tuned_pairs("lr=1,lr=2,batch=3", "--tuned-base")


def test_without_the_new_batch_the_answer_says_what_lacks() -> None:
    found = recommend(Query(given=BATCH), shipped())
    rate = found.answers.get("peak_lr")
    reasons = [warning.text for warning in found.warnings] + ([rate.reason or ""] if rate else [])
    assert any("batch_tokens" in reason and "give" in reason for reason in reasons)
