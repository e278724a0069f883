"""`hplaw theory`: what rules give for a quantity, and the cards of works."""

import json
from typing import Any

import pytest

from hplaw.catalogue.catalogue import load_catalogue
from hplaw.messages.record import encode
from hplaw.theory.rules import theory
from hplaw.theory.works import works


def test_a_quantity_is_told_with_exponents_assumptions_and_conflict(run: Any) -> None:
    done = run("theory", "peak_lr", "--all")
    assert (done.status, done.err) == (0, "")
    text = " ".join(done.out.split())
    assert (
        "step-law-2025@1 (published, primary): falls with n_params, exponent -0.713; rises with tokens, exponent +0.307"
        in text
    )
    assert "at a batch of 500k to 530k tokens; seen on n_params 50M to 2.7B" in text
    assert "with tokens, conflict; rises:" in text
    assert (
        "step-law-2025 +0.31 at its own best batch (at a batch that stays: +0.02 by the square-root rule, -0.26 by the linear rule)"
        in text
    )
    assert "with n_params, agree" in text
    assert "decay-timescale-rule@1 weight_decay: peak_lr -1" in text


def test_json_is_the_record_of_the_library(run: Any) -> None:
    expected = encode(theory(load_catalogue(), "peak_lr")) + b"\n"
    assert run("theory", "peak_lr", "--json").out.encode() == expected


def test_all_quantities_are_listed(run: Any) -> None:
    lines = json.loads(run("theory", "--json").out)
    rate = next(line for line in lines if line["quantity"] == "peak_lr")
    assert rate["given_by"] >= 7
    text = run("theory").out
    assert f"{len(lines)} quantities" in text


def test_works_have_a_line_each(run: Any) -> None:
    done = run("theory", "--works")
    assert done.status == 0
    for card in works():
        assert f"  {card.id} " in done.out
    assert "49 works" in done.out
    assert len(json.loads(run("theory", "--works", "--json").out)) == 49
    some = run("theory", "peak_lr", "--works").out
    assert "step-law" in some
    assert "hypergraph-projection" not in some


def test_a_card_is_shown(run: Any) -> None:
    text = " ".join(run("theory", "--work", "hard-samples").out.split())
    assert "Can we learn better with hard samples?" in text
    assert "laws hard-sample-cost" in text
    assert "no rule to compute" in run("theory", "--work", "weight-compander").out
    assert json.loads(run("theory", "--work", "step-law", "--json").out)["laws"] == ["step-law-2025"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["peak_rl"], "peak_lr"),
        (["--work", "step-lw"], "step-law"),
        (["peak_lr", "--work", "step-law"], "one card"),
        (["warmup_steps", "--works"], "no work covers warmup_steps"),
    ],
)
def test_what_does_not_exist_is_refused_in_a_sentence(run: Any, words: list[str], hint: str) -> None:
    done = run("theory", *words)
    assert (done.status, done.out) == (2, "")
    assert hint in done.err
    assert len(done.err.splitlines()) == 1
