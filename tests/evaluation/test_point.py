"""What laws take and how they are computed: tables as inputs, targets, defaults, cases, exact laws, examples."""

import pytest

from hplaw.answer.answer import plain_outputs
from hplaw.answer.check import check_law
from tests.helpers import check_refused, is_one_sentence, law_text, make_law, refused


OUT = '[outputs]\nsteps = "tokens / batch_tokens"\n'


# Inputs over an index, targets, defaults


def test_an_input_may_be_a_table() -> None:
    body = '[index]\nk = ["a", "b"]\n[outputs]\nsteps = "sum(k, tokens) / batch_tokens"'
    inputs = '[{ quantity = "tokens", over = "k" }, "batch_tokens"]'
    law = make_law(
        body,
        inputs=inputs,
        examples="[[examples]]\ngiven = { tokens = { a = 1, b = 5 }, batch_tokens = 2 }\nexpect = { steps = 3 }",
    )
    assert check_law(law) == []
    for given, says in [
        ("{ a = 1 }", "tokens needs one value for each of a, b"),
        ("{ a = 1, b = 2, c = 3 }", "tokens needs one value for each of a, b"),
        ("3", "tokens is a table: give one value for each of a, b"),
        ("{ a = 1, b = -2 }", "tokens=-2 is not positive"),
        ("{ a = 1, b = 'x' }", "tokens='x' is not a number"),
        ("{ a = 1, b = { c = 1 } }", "is not a number"),
    ]:
        examples = f"[[examples]]\ngiven = {{ tokens = {given}, batch_tokens = 2 }}"
        (problem,) = check_law(make_law(body, inputs=inputs, examples=examples))
        assert says in problem


def test_a_target_is_another_quantity_than_the_outcome() -> None:
    law = make_law(
        '[outputs]\nsteps = "1e6 / loss"',
        inputs='[{ quantity = "loss", role = "target" }]',
        examples="[[examples]]\ngiven = { target_loss = 2 }\nexpect = { steps = 5e5 }",
    )
    assert check_law(law) == []
    assert law.inputs["loss"].role == "target"


STAND_INS = '["tokens", "d_model", { quantity = "batch_tokens", missing = %s }]'


@pytest.mark.parametrize(
    ("missing", "value"),
    [
        ("2", 4.0),
        ("4.0", 2.0),
        ('"d_model / 2"', 1.0),
        ('"half"', 1.0),
        ('"lognormal(log(base), 0.1)"', 2.0),
        ('"fixed(8)"', 1.0),
    ],
)
def test_a_missing_input_has_a_stand_in(missing: str, value: float) -> None:
    law = make_law(
        '[constants]\nbase = 4\n[let]\nhalf = "d_model / 2"\n' + OUT,
        inputs=STAND_INS % missing,
        examples=f"[[examples]]\ngiven = {{ tokens = 8, d_model = 16 }}\nexpect = {{ steps = {value} }}",
    )
    assert check_law(law) == []


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ('"nothing"', "'nothing' is not a name of this law"),
        ('"log("', "column 5"),
        ('"d_model <  2"', "a number is needed here"),
        ('"batch_tokens"', "'batch_tokens' is not known by then"),
        ('"late"', "'batch_tokens' is not known by then"),
        ('"normal(0)"', "normal takes 2 arguments"),
        ('"normal(0, -1)"', "normal needs a positive scale, not -1"),
        ('"normal(d_model, 1)"', "'d_model' is not known when a prior is computed"),
        ('"normal(log(0), 1)"', "has no value: log of 0"),
        ("-3", "batch_tokens=-3 is not positive"),
        ("inf", "batch_tokens=inf is not finite"),
        ("true", "expected"),
    ],
)
def test_a_stand_in_that_cannot_serve_is_refused(missing: str, says: str) -> None:
    error = refused(law_text('[let]\nlate = "batch_tokens * 2"\n' + OUT, inputs=STAND_INS % missing))
    assert says in error.problem
    if says != "expected":
        assert (error.table, error.key) == ("inputs", "batch_tokens")


def test_a_category_stands_in_by_name() -> None:
    inputs = '["tokens", "batch_tokens", { quantity = "optimizer", missing = %s }]'
    assert check_law(make_law(inputs=inputs % '"sgd"')) == []
    check_refused(law_text(inputs=inputs % '"sgdd"'), "inputs.optimizer", "optimizer='sgdd' is not known")
    check_refused(law_text(inputs=inputs % "3"), "inputs.optimizer", "is not a name")


# Cases


def test_cases_are_looked_at_in_order_before_the_outputs() -> None:
    body = (
        OUT
        + """
    [[cases]]
    when = "tokens > 100"
    status = "refused"
    say = "Too many."
    [[cases]]
    when = "tokens > 10"
    status = "saturated"
    say = "Many."
    [[cases]]
    when = "log(tokens - 1) < 0"
    status = "undefined"
    say = "Few."
    """
    )
    law = make_law(body)
    for tokens, status, steps in (
        (1000.0, "refused", None),
        (50.0, "saturated", 25.0),
        (1.5, "undefined", None),
        (8.0, "ok", 4.0),
    ):
        found = plain_outputs(law, {"tokens": tokens, "batch_tokens": 2.0})
        assert (found[0], found[1].get("steps")) == (status, steps)
    status, found = plain_outputs(law, {"tokens": 0.5, "batch_tokens": 2.0})
    assert (status, found) == ("undefined", {})


@pytest.mark.parametrize(
    ("case", "place", "says"),
    [
        ('when = "tokens"\nstatus = "refused"\nsay = ""', "cases.1.when", "a condition is needed here, not a number"),
        ('when = "tokens >"\nstatus = "refused"\nsay = ""', "cases.1.when", "column 9"),
        ('when = "steps > 1"\nstatus = "refused"\nsay = ""', "cases.1.when", "'steps' is not a name"),
        ('when = "tokens > 1"\nstatus = "wrong"\nsay = ""', "cases", "invalid enum value 'wrong'"),
        ('when = "tokens > 1"\nstatus = "refused"', "cases", "missing required field `say`"),
    ],
)
def test_a_case_is_a_condition_a_status_and_words(case: str, place: str, says: str) -> None:
    error = refused(law_text(OUT + f"[[cases]]\n{case}"))
    assert says in error.problem
    assert error.table == "cases" or error.key.startswith("cases") or place in str(error)


# Exact laws


def test_an_exact_law_reads_decimals_and_fractions_as_written() -> None:
    law = make_law(
        '[constants]\na = 0.1\n[tables.t]\nbf16 = 0.7\n[outputs]\nsteps = "tokens * a + 1 / 3 - batch_tokens + t[bf16]"',
        head="exact = true",
        examples='[[examples]]\ngiven = { tokens = 3, batch_tokens = "1/3" }\nexpect = { steps = 1 }\n[[examples]]\ngiven = { tokens = 0.2, batch_tokens = 0.05 }\nexpect = { steps = "301/300" }',
    )
    assert check_law(law) == []


@pytest.mark.parametrize(
    ("body", "table", "says"),
    [
        ('[outputs]\nsteps = "log(tokens)"', "outputs", "log has no exact value"),
        ('[let]\na = "sqrt(tokens)"\n[outputs]\nsteps = "tokens"', "let", "sqrt has no exact value"),
        ('[outputs]\nsteps = "tokens * pi"', "outputs", "pi has no exact value"),
        (
            '[outputs]\nsteps = "tokens"\n[[cases]]\nwhen = "exp(tokens) > 1"\nstatus = "refused"\nsay = ""',
            "cases",
            "exp has no exact value",
        ),
        (
            '[outputs]\nsteps = "interp(tokens, t)"\n[tables.t]\nx = [1, 2]\ny = [1, 2]',
            "outputs",
            "interp has no exact value",
        ),
        ('[outputs]\nsteps = "tokens * 1e-99999999"', "outputs", "too large or small for exact arithmetic"),
        ('[outputs]\nsteps = "tokens * 1.' + "1" * 500 + '"', "outputs", "too large or small for exact arithmetic"),
    ],
)
def test_an_exact_law_has_rational_formulas(body: str, table: str, says: str) -> None:
    error = refused(law_text(body, head="exact = true"))
    assert error.table == table
    assert says in error.problem


@pytest.mark.parametrize("value", ["1e99999999", "1/0", "x", "1" * 5_000, "nan", "1e999", "", "1e-1000000000"])
def test_an_exact_law_refuses_what_is_no_plain_number(value: str) -> None:
    law = make_law(
        '[outputs]\nsteps = "tokens"',
        head="exact = true",
        inputs='["tokens"]',
        examples=f'[[examples]]\ngiven = {{ tokens = "{value}" }}',
    )
    (problem,) = check_law(law)
    assert "is not a number or a fraction such as 1/2" in problem
    assert is_one_sentence(problem)


def test_an_exact_result_too_large_to_write_down_has_no_value() -> None:
    law = make_law(
        '[outputs]\nsteps = "tokens ** 40"',
        head="exact = true",
        inputs='["tokens"]',
        examples="[[examples]]\ngiven = { tokens = 1e20 }\nexpect = { steps = 1 }",
    )
    assert "too large to write down" in check_law(law)[0]


# Examples


@pytest.mark.parametrize(
    ("example", "says"),
    [
        ("given = { tokens = 8, batch_tokens = 2 }\nexpect = { steps = 5 }", "steps is 4.0, not 5"),
        ("given = { tokens = 8, batch_tokens = 2 }\nexpect = { steps = '4' }", "steps is 4.0, not 4"),
        ("given = { tokens = 8, batch_tokens = 2 }\nexpect = { steps = true }", "steps is 4.0, not True"),
        ("given = { tokens = 8, batch_tokens = 2 }\nexpect = { steps = [4] }", "steps is 4.0, not [4]"),
        ("given = { tokens = 8, batch_tokens = 2 }\nexpect = { steps = { a = 4 } }", "steps is not a table"),
        ("given = { tokens = 8, batch_tokens = 2 }\nexpect = { steps = nan }", "steps is 4.0, not nan"),
        ("given = { tokens = 8, batch_tokens = 2 }\nexpect = { loss = 4 }", "loss is None, not 4"),
        (f"given = {{ tokens = 8, batch_tokens = 2 }}\nexpect = {{ steps = 1{'0' * 400} }}", "steps is 4.0"),
        ("given = { tokens = 8, batch_tokens = 2 }\nstatus = 'refused'", "the status is ok, not refused"),
        ("given = { tokens = 8 }", "test-law needs batch_tokens; give it"),
        ("given = { tokens = 8, batch_token = 2 }", "'batch_token' is not an input of test-law"),
        ("given = { tokens = 0, batch_tokens = 2 }", "tokens=0 is not positive"),
        ("given = { tokens = inf, batch_tokens = 2 }", "tokens=inf is not finite"),
        ("given = { tokens = '8', batch_tokens = 2 }", "tokens='8' is not a number"),
        ("given = { tokens = 2020-01-01, batch_tokens = 2 }", "is not a number"),
        ("given = { tokens = [8], batch_tokens = 2 }", "is not a number"),
        ("given = { tokens = { a = 8 }, batch_tokens = 2 }", "tokens is one value, not a table"),
    ],
)
def test_an_example_that_does_not_hold_says_how(example: str, says: str) -> None:
    (problem,) = check_law(make_law(examples=f"[[examples]]\n{example}"))
    assert problem.startswith("examples 1: ")
    assert says in problem
    assert len(problem) < 700


def test_an_example_holds_within_its_tolerance() -> None:
    example = "[[examples]]\ngiven = {{ tokens = 8, batch_tokens = 2 }}\nexpect = {{ steps = {0} }}\nrtol = {1}"
    assert check_law(make_law(examples=example.format(4.0004, 1.1e-4))) == []
    assert check_law(make_law(examples=example.format(4.0004, 0.9e-4))) != []
    assert check_law(make_law(examples=example.format(4, 0))) == []


def test_the_smallest_law_is_small() -> None:
    assert check_law(make_law()) == []
