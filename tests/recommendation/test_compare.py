"""One question for several values of a quantity, side by side."""

import pytest

from hplaw.cli.compare import read_compared
from hplaw.errors import ConflictingQuery, MalformedQuery, QueryError
from hplaw.messages.compare import AnswerComparison, CompareRequest
from hplaw.messages.query import Query
from hplaw.messages.recommendation import Estimate
from hplaw.recommendation.compare import compare
from hplaw.recommendation.record import recommend
from tests.helpers import shipped


RUN = {"n_params": 7e9, "tokens": 1.4e12}


def compared(values: dict[str, list[float | str]], **fields: object) -> AnswerComparison:
    return compare(CompareRequest(query=Query(**{**RUN, **fields}), compare=values), shipped())


def row(found: AnswerComparison, name: str) -> list[float]:
    estimates: list[Estimate] = [option.answer.answers[name] for option in found.options if option.answer is not None]
    return [float(one.value or 0) for one in estimates]


def test_precisions_trade_loss_for_hours_and_joules() -> None:
    found = compared({"precision": ["bf16", "fp8", "fp4"]}, hardware="b200-sxm")
    loss, hours, joules = (row(found, name) for name in ("loss", "accelerator_hours", "energy_j"))
    assert loss[0] <= loss[1] < loss[2]
    assert hours[0] > hours[1] > hours[2]
    assert joules[0] > joules[1] > joules[2]
    assert found.best["loss"] == "bf16"
    assert found.best["accelerator_hours"] == "fp4"
    same = found.same_cost
    assert same is not None
    assert same.best == min(same.options, key=lambda one: one.loss or 9).value
    assert same.accelerator_hours == hours[0]
    assert (same.options[0].tokens, same.options[0].loss) == (pytest.approx(1.4e12), pytest.approx(loss[0]))


def test_each_option_is_the_answer_to_its_own_question() -> None:
    found = compared({"optimizer": ["adamw", "muon"]})
    for option in found.options:
        assert option.answer == recommend(Query(**RUN, optimizer=str(option.value)), shipped())
    assert found.best == {"loss": "muon"}
    assert not found.unchanged


def test_a_wrong_value_stops_no_other() -> None:
    found = compared({"precision": ["bf16", "fp9"]})
    assert found.options[0].answer is not None
    assert "precision='fp9' is not known" in str(found.options[1].error)


def test_what_changes_nothing_is_said() -> None:
    assert compared({"seq_len": [2048.0, 4096.0]}, want=["loss"]).unchanged


@pytest.mark.parametrize(
    ("values", "fields", "said"),
    [
        ({}, {}, "0 quantities"),
        ({"precision": ["bf16"]}, {}, "1 different value"),
        ({"precision": ["bf16", "bf16"]}, {}, "1 different value"),
        ({"precision": ["bf16", "fp8"]}, {"precision": "fp8"}, "given and compared"),
        ({"seq_len": [1.0, 2.0]}, {"given": {"seq_len": 4.0}}, "given and compared"),
        ({"prcision": ["bf16", "fp8"]}, {}, "did you mean 'precision'"),
    ],
)
def test_what_cannot_be_compared_is_refused(values: dict, fields: dict, said: str) -> None:
    with pytest.raises((ConflictingQuery, QueryError), match=said):
        compared(values, **fields)


def test_words_of_the_command_line() -> None:
    assert read_compared("params=1B,7B") == {"n_params": [1e9, 7e9]}
    with pytest.raises(MalformedQuery, match="a value is empty"):
        read_compared("precision=bf16,,fp8")


def test_what_is_wrong_with_the_model_is_wrong_with_every_value() -> None:
    asked = CompareRequest(query=Query(tokens=1e10, model={"n_layers": "x"}), compare={"precision": ["bf16", "fp8"]})
    with pytest.raises(QueryError, match="n_layers='x' is not a number"):
        compare(asked, shipped())
    twice = Query(tokens=1e10, model={"n_layers": 2, "d_model": 64, "d_ff": 256, "n_heads": 2})
    options = compare(CompareRequest(query=twice, compare={"n_heads": [2.0, 4.0]}), shipped()).options
    assert options[0].error is None
    assert "n_heads is given twice" in str(options[1].error)
