"""Scores in words, with their verdicts: those that the judge gives."""

from __future__ import annotations

import pytest

from hplaw.fit.check.judge import judge
from hplaw.fit.check.scores import read_scores
from hplaw.fit.infer.fitting import Fitted
from tests.helpers import shipped


@pytest.mark.parametrize(
    ("name", "value", "words", "shown", "verdict"),
    [
        ("groups", 10.0, "groups held out, one at a time", "10", ""),
        ("error_percent", 0.2285, "mean error on held-out runs", "0.229%", ""),
        ("coverage_runs", 0.9682, "held-out runs inside their 90% intervals", "97%", "passed (at least 70%)"),
        (
            "coverage_largest",
            0.69,
            "the largest runs, held out, inside their 90% intervals",
            "69%",
            "FAILED (at least 70%)",
        ),
        (
            "coverage_peak_lr",
            0.7,
            "the best peak_lr of held-out groups inside their 90% intervals",
            "70%",
            "passed (at least 70%)",
        ),
        (
            "check_tail",
            0.01,
            "replicates above the data in the tail of the noise, share",
            "0.010",
            "passed (0.005 to 0.995)",
        ),
        (
            "check_bias",
            1.0,
            "replicates above the data in the bias of groups, share",
            "1.000",
            "FAILED (0.005 to 0.995)",
        ),
        (
            "check_noise_2",
            0.5,
            "replicates of loss above the data in the size of the noise, share",
            "0.500",
            "passed (0.005 to 0.995)",
        ),
        ("something_else", 1.5, "something else", "1.5", ""),
    ],
)
def test_a_score_is_said_in_words_with_its_verdict(
    name: str, value: float, words: str, shown: str, verdict: str
) -> None:
    (found,) = read_scores({name: value}, ["steps", "loss"])
    assert (found.words, found.value, found.verdict) == (words, shown, verdict)


def test_no_score_of_a_shipped_fit_is_an_internal_name() -> None:
    for law in shipped().laws:
        evidence, fit = law.spec.evidence, law.spec.fit
        if evidence is None or fit is None:
            continue
        observed = [fit.observed, *(item.observed for item in fit.likelihoods)]
        for score in read_scores(evidence.held_out, [name for name in observed if name]):
            assert not {"check", "coverage", "regret"} & set(score.words.replace("_", " ").split()), score


def test_the_verdicts_are_those_of_the_judge(fitted: Fitted) -> None:
    verdict = judge(fitted).verdict
    scores = read_scores({**verdict.held_out, **verdict.checks}, ["loss"])
    assert any(score.passed is not None for score in scores)
    assert [score for score in scores if score.passed is False] == [] or verdict.failed
    assert (verdict.failed == []) == all(score.passed is not False for score in scores)
