"""Which law is evaluated: the order of preference, laws that belong together, targets, circles, and what is said instead."""

import itertools as it
from typing import Any

import pytest

from hplaw.errors import QueryError
from hplaw.law import Law, parse_law
from hplaw.messages.query import Query
from hplaw.messages.recommendation import Recommendation
from hplaw.recommendation.record import recommend
from tests.helpers import (
    catalogue_of,
    fixture_law,
    fixture_text,
    is_one_sentence,
    law_text,
    make_law,
    replaced,
    shipped,
)


def rule(
    name: str,
    outputs: dict[str, str],
    *,
    inputs: str = '["tokens"]',
    status: str = "published",
    checked: str = "primary",
    rest: str = "",
) -> Law:
    body = "[outputs]\n" + "\n".join(f'{q} = "{text}"' for q, text in outputs.items()) + "\n" + rest
    return make_law(
        body, name=name, inputs=inputs, status=status, checked=checked, examples="[[examples]]\ngiven = { tokens = 1 }"
    )


def rate(name: str, value: str = "1e-3", **parts: Any) -> Law:
    return rule(name, {"peak_lr": f"{value} + 0 * tokens"}, **parts)


def ask(laws: list[Law], /, **query: Any) -> Recommendation:
    return recommend(Query(**({"tokens": 1e9} | query)), catalogue_of(*laws))


def used(found: Recommendation, name: str) -> str:
    law = found.answers[name].law
    assert law is not None
    return law.split("@")[0]


# The order


def ordered(*laws: Law, **query: Any) -> list[str]:
    """Return the laws in the order in which they are taken, the same for every order of finding."""
    orders = set()
    for found in it.permutations(laws):
        answer = ask(list(found), want=["peak_lr"], **query).answers["peak_lr"]
        orders.add(
            (
                used(ask(list(found), want=["peak_lr"], **query), "peak_lr"),
                *(a.law.split("@")[0] for a in answer.alternatives),
            )
        )
    (order,) = orders
    return list(order)


def test_status_comes_first() -> None:
    laws = [
        rate("a", status="theory"),
        rate("b", status="published", rest="[domain]\ntokens = [1, 2]"),
        rate("c", status="calibrated", checked="recalled", rest="[domain]\ntokens = [1, 2]"),
    ]
    assert ordered(*laws) == ["c", "b", "a"]


def test_then_the_domain_inside_before_outside_nearer_before_farther() -> None:
    laws = [
        rate("far", rest="[domain]\ntokens = [1, 1e3]"),
        rate("near", rest="[domain]\ntokens = [1, 5e8]"),
        rate("inside", checked="recalled", rest="[domain]\ntokens = [1e8, 1e10]"),
        rate("other-recipe", rest='[domain]\noptimizer = ["sgd"]'),
    ]
    assert ordered(*laws) == ["inside", "near", "far", "other-recipe"]


def test_then_how_it_was_checked_then_runs_then_the_id() -> None:
    runs = "[evidence]\nruns = {}"
    laws = [
        rate("a", checked="recalled"),
        rate("b", checked="secondary"),
        rate("c", checked="derived"),
        rate("e", checked="primary", rest=runs.format(5)),
        rate("d", checked="primary", rest=runs.format(50)),
    ]
    assert ordered(*laws) == ["d", "e", "c", "b", "a"]
    assert ordered(rate("z"), rate("y"), rate("x")) == ["x", "y", "z"]


def test_a_named_law_comes_before_all_others() -> None:
    laws = [rate("a", status="calibrated"), rate("b", status="theory"), rate("c", status="theory")]
    assert ordered(*laws, laws=["c"]) == ["c", "a", "b"]
    assert ordered(*laws, laws=["c", "b"]) == ["c", "b", "a"]
    assert ordered(*laws, laws=["b@1"]) == ["b", "a", "c"]


def test_alternatives_tell_what_others_say_and_how_far_they_are() -> None:
    laws = [rate("a", "1e-3"), rate("b", "2e-3", rest='[domain]\ntokens = [1, 1e8]\noptimizer = ["sgd"]')]
    (other,) = ask(laws, want=["peak_lr"]).answers["peak_lr"].alternatives
    assert (other.value, other.outside_efolds, other.outside) == (2e-3, 2.3026, ["optimizer"])


# Laws that belong together


def test_rate_and_batch_come_from_one_law_and_the_loss_apart() -> None:
    whole = rule(
        "whole",
        {"peak_lr": "1e-3 * tokens ** 0", "batch_tokens": "1e6", "loss": "2"},
        rest="[domain]\ntokens = [1, 10]",
    )
    better = [
        rate("rate"),
        rule("batch", {"batch_tokens": "5e5 * tokens ** 0"}),
        rule("loss", {"loss": "3 * tokens ** 0"}),
    ]
    found = ask([whole, *better], want=["peak_lr", "batch_tokens", "loss"])
    assert {name: used(found, name) for name in found.answers} == {
        "peak_lr": "whole",
        "batch_tokens": "whole",
        "loss": "loss",
    }
    assert [a.law.split("@")[0] for a in found.answers["loss"].alternatives] == ["whole"]


def test_without_such_a_law_rate_and_batch_come_from_one() -> None:
    pair = rule("pair", {"peak_lr": "1e-3 * tokens ** 0", "batch_tokens": "1e6"}, rest="[domain]\ntokens = [1, 10]")
    found = ask(
        [pair, rate("rate"), rule("loss", {"loss": "3 * tokens ** 0"})], want=["peak_lr", "batch_tokens", "loss"]
    )
    assert [used(found, n) for n in ("peak_lr", "batch_tokens", "loss")] == ["pair", "pair", "loss"]


def test_what_is_asked_for_does_not_change_who_answers() -> None:
    pair = rule("pair", {"peak_lr": "1e-3 * tokens ** 0", "batch_tokens": "1e6"}, rest="[domain]\ntokens = [1, 10]")
    laws = [pair, rate("rate"), rule("batch", {"batch_tokens": "5e5 * tokens ** 0"})]
    alone = ask(laws, want=["peak_lr"])
    both = ask(laws, want=["peak_lr", "batch_tokens"])
    assert used(alone, "peak_lr") == used(both, "peak_lr") == used(both, "batch_tokens") == "pair"


def test_a_named_law_breaks_the_group() -> None:
    whole = rule("whole", {"peak_lr": "1e-3 * tokens ** 0", "batch_tokens": "1e6", "loss": "2"})
    found = ask([whole, rate("mine")], want=["peak_lr", "batch_tokens", "loss"], laws=["mine"])
    assert [used(found, n) for n in ("peak_lr", "batch_tokens", "loss")] == ["mine", "whole", "whole"]


def test_a_given_batch_is_not_answered_again() -> None:
    whole = rule("whole", {"peak_lr": "1e-3 * tokens ** 0", "batch_tokens": "1e6"})
    found = ask([whole], batch_tokens=3e5, want=["peak_lr", "batch_tokens"])
    assert list(found.answers) == ["peak_lr"]
    (warning,) = found.warnings
    assert (warning.code, warning.quantity, warning.law) == ("ignores-given", "batch_tokens", whole.address)
    assert is_one_sentence(warning.text)


# Chains


def test_quantities_on_the_way_are_derived_once_and_shown() -> None:
    laws = [
        rule("flop", {"compute_flop": "6 * n_params * tokens"}, inputs='["n_params", "tokens"]', status="theory"),
        rule("rate", {"peak_lr": "compute_flop ** -0.125"}, inputs='["compute_flop"]'),
        rule("batch", {"batch_tokens": "compute_flop ** 0.3"}, inputs='["compute_flop"]'),
        rule("steps", {"steps": "tokens / batch_tokens"}, inputs='["tokens", "batch_tokens"]', status="theory"),
    ]
    found = ask(laws, n_params=1e9, want=["steps", "peak_lr"])
    assert found.answers["steps"].value == pytest.approx(1e9 / 6e18**0.3)
    assert [s.law.split("@")[0] for s in found.answers["steps"].derivation] == ["flop", "batch", "steps"]
    assert [s.law.split("@")[0] for s in found.answers["peak_lr"].derivation] == ["flop", "rate"]
    last = found.answers["steps"].derivation[-1]
    assert last.inputs == {"tokens": 1e9, "batch_tokens": pytest.approx(6e18**0.3)}
    assert last.outputs == {"steps": found.answers["steps"].value}
    assert "steps = tokens / batch_tokens" in last.formula
    assert [c.law.split("@")[0] for c in found.citations] == ["flop", "batch", "steps", "rate"]
    assert found.answers["steps"].elasticities == {"tokens": 0.7, "n_params": -0.3}


def test_what_cannot_be_had_says_what_to_give() -> None:
    laws = [
        rule("one", {"peak_lr": "compute_flop ** -0.1"}, inputs='["compute_flop"]'),
        rule("two", {"compute_flop": "6 * n_params * tokens"}, inputs='["n_params", "tokens"]'),
    ]
    found = ask(laws, want=["peak_lr", "compute_flop", "loss"])
    reasons = {name: e.reason for name, e in found.answers.items()}
    assert reasons["compute_flop"] == "compute_flop needs n_params for two; give it"
    assert reasons["peak_lr"] == "peak_lr needs compute_flop for one; give it"
    assert reasons["loss"] == "no law here gives loss"
    assert all(e.value is None and e.law is None for e in found.answers.values())


# Targets


def target_law() -> Law:
    return rule("critical", {"batch_tokens": "2e8 * loss ** -4"}, inputs='[{ quantity = "loss", role = "target" }]')


def test_a_target_is_used_only_when_the_user_gives_it() -> None:
    laws = [target_law(), rule("loss", {"loss": "3 * tokens ** 0"})]
    without = ask(laws, want=["batch_tokens", "loss"])
    assert without.answers["batch_tokens"].value is None
    assert without.answers["batch_tokens"].reason == "batch_tokens needs target_loss for critical; give it"
    given = ask(laws, target_loss=2.0, want=["batch_tokens", "loss"])
    assert given.answers["batch_tokens"].value == pytest.approx(1.25e7)
    assert given.answers["loss"].value == 3.0


def test_a_target_cannot_be_wanted_into_being() -> None:
    found = ask([target_law()], want=["target_loss"])
    assert found.answers["target_loss"].reason == "target_loss is the user's to say; give it"


# Circles


def test_a_circle_is_refused_with_its_path() -> None:
    laws = [
        rule("one", {"peak_lr": "batch_tokens ** 0.5"}, inputs='["batch_tokens"]'),
        rule("two", {"batch_tokens": "steps * 2"}, inputs='["steps"]'),
        rule("three", {"steps": "peak_lr * 2"}, inputs='["peak_lr"]'),
    ]
    found = ask(laws, want=["steps"])
    reason = found.answers["steps"].reason or ""
    assert found.answers["steps"].value is None
    assert "peak_lr" in reason
    alone = ask([rule("self", {"peak_lr": "peak_lr * 2"}, inputs='["peak_lr"]')], want=["peak_lr"])
    assert (
        alone.answers["peak_lr"].reason
        == "laws derive peak_lr in a circle only (peak_lr -> peak_lr); give one of these quantities"
    )
    two = [
        rule("one", {"peak_lr": "steps"}, inputs='["steps"]'),
        rule("two", {"steps": "peak_lr"}, inputs='["peak_lr"]'),
    ]
    inner = ask(two, want=["peak_lr"]).answers["peak_lr"].reason or ""
    assert "steps" in inner


def test_a_circle_with_a_way_in_is_no_obstacle() -> None:
    laws = [
        rule("there", {"n_params": "n_params_with_embedding * 0.9"}, inputs='["n_params_with_embedding"]'),
        rule("back", {"n_params_with_embedding": "n_params / 0.9"}, inputs='["n_params"]'),
        rule("in", {"n_params": "12 * n_layers * d_model ** 2"}, inputs='["n_layers", "d_model"]', checked="recalled"),
    ]
    shape = {"n_layers": 2.0, "d_model": 10.0, "vocab_size": 7.0}
    for want in (
        ["n_params"],
        ["n_params_with_embedding"],
        ["n_params", "n_params_with_embedding"],
        ["n_params_with_embedding", "n_params"],
    ):
        for order in it.permutations(laws):
            found = ask(list(order), given=shape, want=want)
            for name, value in (("n_params", 2400.0), ("n_params_with_embedding", 2400 / 0.9)):
                if name in want:
                    assert found.answers[name].value == pytest.approx(value)


def test_a_quantity_that_failed_in_a_circle_is_tried_again() -> None:
    # loss needs both; batch comes from the rate only, and the rate also from the batch
    laws = [
        rule("a", {"peak_lr": "batch_tokens"}, inputs='["batch_tokens"]'),
        rule("b", {"batch_tokens": "2 * peak_lr"}, inputs='["peak_lr"]'),
        rule("c", {"peak_lr": "tokens * 3"}),
        rule("d", {"loss": "peak_lr + batch_tokens"}, inputs='["peak_lr", "batch_tokens"]'),
    ]
    for order in it.permutations(laws):
        for want in (["loss"], ["peak_lr", "loss"], ["batch_tokens"]):
            found = ask(list(order), tokens=1.0, want=want)
            assert all(e.value is not None for e in found.answers.values())
    assert found.answers["batch_tokens"].value == 6.0


# Preferences


def test_a_named_law_that_can_give_nothing_here_is_an_error() -> None:
    laws = [rate("a"), rule("flop", {"compute_flop": "n_params"}, inputs='["n_params"]')]
    with pytest.raises(QueryError) as caught:
        ask(laws, want=["peak_lr"], laws=["flop"])
    assert "flop can give none of peak_lr from" in str(caught.value)
    assert "it takes n_params and gives compute_flop" in str(caught.value)
    assert caught.value.field == "laws"
    assert is_one_sentence(caught.value)


def test_a_named_law_on_the_way_counts() -> None:
    laws = [
        rule("flop", {"compute_flop": "6 * tokens"}),
        rule("other", {"compute_flop": "7 * tokens"}, checked="recalled"),
        rule("rate", {"peak_lr": "1 / compute_flop"}, inputs='["compute_flop"]'),
    ]
    found = ask(laws, want=["peak_lr"], laws=["other"])
    assert found.answers["peak_lr"].value == pytest.approx(1 / 7e9)


# Laws that do not apply here

CASE = '[[cases]]\nwhen = "tokens > 1e8"\nstatus = "{}"\nsay = "Too many tokens."'


@pytest.mark.parametrize("status", ["refused", "undefined"])
def test_a_law_that_does_not_speak_is_passed_over(status: str) -> None:
    laws = [rate("silent", rest=CASE.format(status)), rate("speaks", "2e-3", checked="recalled")]
    found = ask(laws, want=["peak_lr"])
    assert used(found, "peak_lr") == "speaks"
    warning = next(w for w in found.warnings if w.code == "passed-over")
    assert warning.text == "silent was passed over for peak_lr: Too many tokens."
    alone = ask(laws[:1], want=["peak_lr"])
    assert alone.answers["peak_lr"].value is None
    assert alone.answers["peak_lr"].reason == "Too many tokens."


@pytest.mark.parametrize("status", ["saturated", "out_of_validity"])
def test_a_law_that_doubts_itself_comes_after_one_that_does_not(status: str) -> None:
    laws = [rate("doubts", rest=CASE.format(status)), rate("sure", "2e-3", checked="recalled")]
    assert used(ask(laws, want=["peak_lr"]), "peak_lr") == "sure"
    alone = ask(laws[:1], want=["peak_lr"])
    assert used(alone, "peak_lr") == "doubts"
    assert (alone.warnings[0].code, alone.warnings[0].text) == (status.replace("_", "-"), "Too many tokens.")
    assert used(ask(laws, want=["peak_lr"], laws=["doubts"]), "peak_lr") == "doubts"


def test_a_law_whose_formula_has_no_value_is_passed_over() -> None:
    laws = [rate("broken", "log(tokens - 2e9)"), rate("sure", "2e-3", checked="recalled")]
    found = ask(laws, want=["peak_lr"])
    assert used(found, "peak_lr") == "sure"
    assert "broken has no value at tokens=1e+09: log of -1e+09 has no value" in found.warnings[-1].text


def test_a_table_is_not_an_answer_but_a_reason() -> None:
    law = make_law(
        '[index]\nk = ["a", "b"]\n[outputs]\npeak_lr = { formula = "where(k == a, 1, 2) * tokens", over = "k" }',
        inputs='["tokens"]',
        name="table",
        examples="[[examples]]\ngiven = { tokens = 1 }",
    )
    found = recommend(Query(tokens=1e9, want=["peak_lr"]), catalogue_of(law))
    assert found.answers["peak_lr"].reason == "table gives a table of peak_lr; ask it with evaluate"


# Warnings of an answer


def test_warnings_say_how_far_and_what_differs() -> None:
    law = rate("a", checked="recalled", rest='[domain]\ntokens = [1e10, 1e11]\nschedule = ["wsd"]')
    found = ask([law], want=["peak_lr"], given={"schedule": "cosine"})
    assert [w.code for w in found.warnings] == ["outside-domain", "recipe-differs", "recalled"]
    outside = found.warnings[0]
    assert (outside.law, outside.quantity, outside.efolds) == (law.address, "tokens", 2.3026)
    assert all(is_one_sentence(w.text) for w in found.warnings)


def test_a_fit_accepted_with_failures_says_so() -> None:
    law = rate("a", status="calibrated", rest='[evidence]\naccepted_with = ["R-hat 1.1"]')
    assert "R-hat 1.1" in next(w.text for w in ask([law], want=["peak_lr"]).warnings)


# One count of parameters for another


def with_embedding(name: str = "total") -> Law:
    return rule(name, {"loss": "n_params_with_embedding ** -0.1"}, inputs='["n_params_with_embedding"]')


@pytest.mark.parametrize(("n", "warned"), [(7e9, True), (1e8, True), (1e11, True), (1e12, False)])
def test_one_count_stands_for_the_other_and_says_how_wrong_that_may_be(n: float, warned: bool) -> None:
    found = recommend(Query(n_params=n, tokens=1e9, want=["loss"]), catalogue_of(with_embedding()))
    assert found.answers["loss"].value == pytest.approx(n**-0.1)
    assert ("params-convention" in [w.code for w in found.warnings]) is warned


def test_the_error_of_a_stand_in_shrinks_with_size_and_is_not_said_where_the_count_is_given() -> None:
    from hplaw.recommendation.question import embedding_share

    shares = [embedding_share(10**k) for k in range(7, 14)]
    assert shares == sorted(shares, reverse=True)
    catalogue = catalogue_of(with_embedding())
    query = Query(n_params=7e9, tokens=1e9, want=["loss"], given={"n_params_with_embedding": 7.5e9})
    found = recommend(query, catalogue)
    assert found.warnings == []
    assert found.answers["loss"].value == pytest.approx(7.5e9**-0.1)


def test_a_shape_turns_one_count_into_the_other() -> None:
    laws = [
        with_embedding(),
        *(shipped().get(name) for name in ("transformer-params", "transformer-params-with-embedding")),
    ]
    shape = {"n_layers": 32, "d_model": 4096, "d_ff": 14336, "n_heads": 32, "n_kv_heads": 8, "vocab_size": 128256}
    found = recommend(Query(model=shape, tokens=1e9, want=["loss"]), catalogue_of(*laws))
    assert found.answers["loss"].value == pytest.approx(8_030_261_248**-0.1)
    assert "params-convention" not in [w.code for w in found.warnings]


# Dense models and mixtures of experts


def test_dense_questions_go_to_the_dense_surface_and_experts_to_the_other() -> None:
    catalogue = catalogue_of(fixture_law("dense-surface"), fixture_law("expert-surface"))
    dense = recommend(Query(n_params=1e9, tokens=2e10), catalogue)
    moe = recommend(Query(n_params=1e9, n_active_params=2e8, tokens=2e10), catalogue)
    for name in ("peak_lr", "batch_tokens", "loss"):
        assert used(dense, name) == "pretrain-surface"
        assert used(moe, name) == "pretrain-surface-moe"


def test_a_surface_comes_before_published_rules_for_all_three() -> None:
    catalogue = catalogue_of(fixture_law("dense-surface"), *shipped().laws)
    found = recommend(Query(n_params=1e9, tokens=2e10), catalogue)
    for name in ("peak_lr", "batch_tokens", "loss"):
        assert used(found, name) == "pretrain-surface"
    assert "step-law-2025" in [a.law.split("@")[0] for a in found.answers["peak_lr"].alternatives]


def test_two_versions_of_a_law_are_told_apart() -> None:
    text = fixture_text("step-law")
    newer = parse_law(replaced(text, ("version = 1", "version = 2"), ("value = -0.713", "value = -0.7")).encode())
    catalogue = catalogue_of(newer, fixture_law("step-law"))
    query = {"n_params": 1e9, "tokens": 1e11, "want": ["peak_lr"]}
    assert recommend(Query(**query), catalogue).answers["peak_lr"].law == newer.address
    older = recommend(Query(**query, laws=["step-law-2025@1"]), catalogue)
    assert older.answers["peak_lr"].law == fixture_law("step-law").address


def test_a_law_file_of_a_thousand_lets_is_planned_with() -> None:
    lets = '[let]\na0 = "tokens"\n' + "\n".join(f'a{i} = "a{i // 2} + 1"' for i in range(1, 900))
    law = parse_law(
        law_text(
            f'{lets}\n[outputs]\npeak_lr = "a899"', inputs='["tokens"]', examples="[[examples]]\ngiven = { tokens = 1 }"
        ).encode()
    )
    assert recommend(Query(tokens=1.0, want=["peak_lr"]), catalogue_of(law)).answers["peak_lr"].value == 11.0
