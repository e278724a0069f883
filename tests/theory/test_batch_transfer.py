"""From one batch to another: golden values, which rules apply, where they agree, and what is refused."""

import math
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hplaw import recommend
from hplaw.errors import QueryError
from hplaw.messages.transfer import Transfer, TransferRequest, TransferRule
from hplaw.theory.batch_transfer import transfer
from tests.helpers import is_one_sentence, shipped


def ask(**fields: Any) -> Transfer:
    query = TransferRequest(**{"peak_lr": 1e-3, "batch_tokens": 256, **fields})
    return transfer(query, shipped())


def rule(found: Transfer, name: str) -> TransferRule:
    return next(r for r in found.rules if r.law.partition("@")[0] == name)


def test_rules_give_the_golden_values() -> None:
    adam = ask(to_batch_tokens=1024, optimizer="adam")
    assert rule(adam, "square-root-rule").values["peak_lr"] == pytest.approx(2e-3, rel=1e-12)
    by_sde = rule(adam, "adam-sde-rule").values
    assert [by_sde[name] for name in ("peak_lr", "beta1", "beta2", "adam_epsilon")] == pytest.approx(
        [2e-3, 0.6, 0.996, 5e-9], rel=1e-12
    )
    assert rule(adam, "adam-half-life-rule").values["beta2"] == pytest.approx(0.996005996001, rel=1e-12)
    sgd = ask(peak_lr=0.1, to_batch_tokens=8192, optimizer="sgd")
    assert rule(sgd, "linear-rule").values["peak_lr"] == pytest.approx(3.2, rel=1e-12)


def test_rules_for_adam_agree_far_below_the_noise_scale() -> None:
    found = ask(to_batch_tokens=1024, given={"noise_scale_tokens": 1e7, "surge_batch_tokens": 1e7})
    (only,) = found.agreements
    names = {law.partition("@")[0] for law in only.laws}
    assert names == {"adam-sde-rule", "square-root-rule", "noise-scale-rule-adam", "surge-rule"}
    assert only.high / only.low < 1.001
    assert "agree" in found.decides[0]


def test_the_noise_scale_decides_above_it() -> None:
    found = ask(to_batch_tokens=8192, optimizer="sgd", given={"noise_scale_tokens": 1024.0})
    assert rule(found, "linear-rule").status == "out_of_validity"
    assert [a.laws[0].partition("@")[0] for a in found.agreements] == ["noise-scale-rule"]


def test_a_negative_beta_is_refused_and_the_half_life_rule_offered() -> None:
    found = ask(to_batch_tokens=4096)
    refused = rule(found, "adam-sde-rule")
    assert (refused.status, refused.values) == ("undefined", {})
    assert "adam-half-life-rule" in (refused.say or "")
    betas = rule(found, "adam-half-life-rule").values
    assert 0 < betas["beta1"] < betas["beta2"] < 1


def test_rules_that_differ_say_by_how_much_and_what_each_rests_on() -> None:
    found = ask(to_batch_tokens=4096, optimizer="sgd")
    assert [round(a.low, 6) for a in found.agreements] == [0.004, 0.016]
    assert "factor of 4" in found.decides[0]
    assert all(is_one_sentence(sentence) for sentence in found.decides)
    assert sum("rests on this" in sentence for sentence in found.decides) == 2


def test_a_measured_rule_has_an_interval_and_stands_beside_those_of_theory() -> None:
    found = ask(to_batch_tokens=1024, optimizer="sgd")
    measured = rule(found, "batch-rule-sgd")
    low, high = measured.intervals["peak_lr"]
    assert low < measured.values["peak_lr"] < high
    assert all("batch-rule-sgd" not in law for agreement in found.agreements for law in agreement.laws)
    assert not any(each.intervals for each in found.rules if "batch-rule" not in each.law)
    assert rule(found, "batch-rule-adam").status == "other-optimizer"


def test_decay_that_goes_with_a_rate_keeps_the_timescale() -> None:
    found = ask(to_batch_tokens=1024, given={"base_weight_decay": 0.1})
    by_root = rule(found, "square-root-rule")
    assert by_root.follows["weight_decay"] * by_root.values["peak_lr"] / 1024 == pytest.approx(
        0.1 * 1e-3 / 256, rel=1e-12
    )


def test_what_is_lacking_is_named() -> None:
    found = ask(to_batch_tokens=1024)
    assert rule(found, "noise-scale-rule-adam").lacks == ["noise_scale_tokens"]
    assert rule(found, "random-matrix-rule-adam").lacks == ["hessian_edge", "hessian_noise"]
    assert rule(found, "linear-rule").status == "other-optimizer"


@given(
    st.floats(-6, 1).map(lambda x: 10.0**x),
    st.floats(0, 8).map(lambda x: 10.0**x),
    st.floats(0, 8).map(lambda x: 10.0**x),
    st.sampled_from(["sgd", "momentum", "adam", "adamw", "lion"]),
    st.none() | st.floats(0, 9).map(lambda x: 10.0**x),
)
def test_there_and_back_is_where_one_started(
    rate: float, batch: float, to: float, optimizer: str, noise: float | None
) -> None:
    more = {} if noise is None else {"noise_scale_tokens": noise, "surge_batch_tokens": noise}
    there = ask(peak_lr=rate, batch_tokens=batch, to_batch_tokens=to, optimizer=optimizer, given=more)
    for found in there.rules:
        new = found.values.get("peak_lr")
        if new is None or not 0 < new <= 1e6 or found.intervals:  # the median of a posterior has no way back
            continue
        back = ask(peak_lr=new, batch_tokens=to, to_batch_tokens=batch, optimizer=optimizer, given=more)
        again = rule(back, found.law.partition("@")[0]).values.get("peak_lr")
        if again is not None:
            assert math.isclose(again, rate, rel_tol=1e-9)


@pytest.mark.parametrize(
    ("fields", "field", "allowed"),
    [
        ({"batch_tokens": 0.0}, "batch_tokens", "not positive"),
        ({"to_batch_tokens": -1.0}, "to_batch_tokens", "not positive"),
        ({"to_batch_tokens": math.inf}, "to_batch_tokens", "not finite"),
        ({"peak_lr": math.nan}, "peak_lr", "not finite"),
        ({"batch_tokens": 1e-9, "to_batch_tokens": 1e9}, "to_batch_tokens", "within a factor"),
        ({"given": {"base_beta1": 1.0}}, "given.base_beta1", "not below 1"),
        ({"given": {"base_beta2": 1.5}}, "given.base_beta2", "not below 1"),
        ({"given": {"noise_scale_tokens": 0.0}}, "given.noise_scale_tokens", "not positive"),
        ({"given": {"noise_scale": 10.0}}, "given", "noise_scale_tokens"),
        ({"given": {"tokens": 1e9}}, "given.tokens", "no rule"),
        ({"given": {"peak_lr": 1e-3}}, "given.peak_lr", "field"),
        ({"optimizer": "adm"}, "optimizer", "adamw"),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_sentence(fields: dict[str, Any], field: str, allowed: str) -> None:
    with pytest.raises(QueryError, match=allowed) as caught:
        ask(**{"to_batch_tokens": 1024.0, **fields})
    assert caught.value.field == field
    assert is_one_sentence(caught.value.text)


def test_rules_from_batch_to_batch_never_answer_before_fitted_laws() -> None:
    question = {"n_params": 7e9, "tokens": 1.4e12}
    rules = {r.law for r in ask(to_batch_tokens=1024).rules}
    plain = recommend(**question).answers["peak_lr"]
    assert not rules & {plain.law, *(other.law for other in plain.alternatives)}
    based = recommend(**question, given={"base_peak_lr": 3e-4, "base_batch_tokens": 1e6}).answers
    assert (based["peak_lr"].law, based["peak_lr"].value) == (plain.law, plain.value)
    assert rules & {other.law for other in based["peak_lr"].alternatives}


def test_nothing_follows_a_rate_that_no_run_could_take() -> None:
    asked = {"peak_lr": 9e5, "optimizer": "adamw", "given": {"base_weight_decay": 0.1}}
    far = rule(ask(**asked, to_batch_tokens=256e10), "square-root-rule")
    assert far.values["peak_lr"] == pytest.approx(9e10)
    assert not far.follows
    assert rule(ask(**asked, to_batch_tokens=257), "square-root-rule").follows
