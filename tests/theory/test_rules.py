"""What rules give for a quantity: exponents from the laws themselves, conflicts with the batch that distinguishes them."""

import math

import pytest

from hplaw.answer.evaluate_law import evaluate
from hplaw.errors import QueryError
from hplaw.messages.theory import Dependence
from hplaw.theory.rules import dependences, theory, theory_lines
from hplaw.vocabulary.quantities import vocabulary
from tests.helpers import catalogue_of, is_one_sentence, make_law, shipped


def move(law: str, output: str, quantity: str, entry: str = "") -> Dependence:
    found = [d for d in dependences(shipped().get(law), output) if (d.quantity, d.entry) == (quantity, entry)]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("law", "output", "quantity", "slope"),
    [
        ("step-law-2025", "peak_lr", "n_params", -0.713),
        ("step-law-2025", "peak_lr", "tokens", 0.307),
        ("bjorck-2024", "peak_lr", "tokens", -0.32),
        ("compute-6nd", "compute_flop", "tokens", 1.0),
        ("bilevel-iterations", "iterations_ratio", "gradient_norm", -4.0),
    ],
)
def test_a_power_law_has_one_exponent_everywhere(law, output, quantity, slope):
    found = move(law, output, quantity)
    assert (found.low, found.high, found.everywhere) == (slope, slope, True)
    assert found.direction == ("rises" if slope > 0 else "falls")


def test_the_slope_of_a_fitted_law_is_that_of_its_answers():
    law = shipped().get("pretrain-surface")
    found = move("pretrain-surface", "peak_lr", "tokens")
    rates = [
        evaluate(law, {"n_params": 4e8, "tokens": tokens}, shipped()).outputs["peak_lr"].value for tokens in (8e9, 16e9)
    ]
    # what it chooses follows from a closed form, so that its exponent holds everywhere
    assert (found.everywhere, found.low) == (True, found.high)
    assert math.log(rates[1] / rates[0], 2) == pytest.approx(found.low, abs=0.02)


def test_a_table_has_a_slope_for_each_entry():
    assert move("parametrization-mup", "lr_factor", "width_multiplier", "hidden").direction == "falls"
    assert move("parametrization-mup", "lr_factor", "depth_multiplier", "hidden").direction == "flat"


def test_a_rule_that_turns_goes_either_way():
    law = make_law(
        '[outputs]\nsteps = "tokens + 1 / tokens"',
        inputs='["tokens"]',
        examples="[[examples]]\ngiven = { tokens = 0.1 }\nexpect = { steps = 10.1 }\n"
        "[[examples]]\ngiven = { tokens = 10 }\nexpect = { steps = 10.1 }",
    )
    (found,) = dependences(law, "steps")
    assert found.direction == "either"
    assert found.low == pytest.approx(-99 / 101, abs=1e-4)
    assert found.high == pytest.approx(99 / 101, abs=1e-4)


def test_rate_against_tokens_is_a_conflict_that_the_batch_tells_apart():
    found = theory(shipped(), "peak_lr")
    by_tokens = next(c for c in found.comparisons if c.by == "tokens")
    assert not by_tokens.agree
    assert any(law.startswith("step-law-2025") for law in by_tokens.rises)
    assert any(law.startswith("bjorck-2024") for law in by_tokens.falls)
    rules = {rule.law.partition("@")[0]: rule for rule in found.rules}
    assert rules["bjorck-2024"].batch == "at a batch of 500k to 530k tokens"
    assert rules["step-law-2025"].batch == "at its own best batch"
    (step,) = (d for d in rules["step-law-2025"].by if d.quantity == "tokens")
    assert step.at_fixed_batch["square-root rule"] == pytest.approx(0.307 - 0.571 / 2, abs=1e-4)
    assert step.at_fixed_batch["linear rule"] == pytest.approx(0.307 - 0.571, abs=1e-4)
    assert "bjorck-2024 -0.32 at a batch of 500k to 530k tokens" in by_tokens.say
    by_size = next(c for c in found.comparisons if c.by == "n_params")
    assert by_size.agree
    assert by_size.say == ""


def test_batch_against_size_is_a_conflict_that_the_data_held_tells_apart():
    found = theory(shipped(), "batch_tokens")
    by_size = next(c for c in found.comparisons if c.by == "n_params")
    assert not by_size.agree
    assert "porian-2024 +0.70 with nothing else held" in by_size.say
    assert "with tokens held" in by_size.say


def test_every_quantity_of_every_law_has_its_theory():
    lines = {line.quantity for line in theory_lines(shipped())}
    assert lines == {name for law in shipped().laws for name in shipped().gives(law)}
    for name in {*lines, *vocabulary()}:
        found = theory(shipped(), name)
        assert bool(found.rules) == (name in lines)
        for rule in (*found.rules, *found.kin, *found.affects):
            for d in rule.by:
                assert d.low <= d.high
                assert math.isfinite(d.low)
                assert math.isfinite(d.high)


def test_rules_of_a_users_folder_take_part():
    law = make_law(
        '[outputs]\npeak_lr = "tokens ** 0.5 / 1e9"',
        inputs='["tokens"]',
        name="mine",
        examples="[[examples]]\ngiven = { tokens = 4 }\nexpect = { peak_lr = 2e-9 }",
    )
    found = theory(catalogue_of(law), "peak_lr")
    assert [(rule.law.partition("@")[0], rule.by[0].low) for rule in found.rules] == [("mine", 0.5)]
    assert found.comparisons == []


def test_an_unknown_quantity_is_refused_in_a_sentence():
    with pytest.raises(QueryError) as caught:
        theory(shipped(), "peak_rl")
    assert "peak_lr" in str(caught.value)
    assert caught.value.field == "quantity"
    assert is_one_sentence(str(caught.value))
