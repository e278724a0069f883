"""Every rule of the law file has a file that keeps it and one that breaks it, refused with file, table and key."""

from pathlib import Path

import numpy as np
import pytest

from hplaw.answer.answer import plain_outputs
from hplaw.answer.check import check_law
from hplaw.errors import LawError
from hplaw.expression.backends import numpy_backend
from hplaw.law import parse_law, read_law
from hplaw.law.read import MAX_FILE
from tests.helpers import check_refused, fixture_text, is_one_sentence, law_text, make_law, refused, replaced


OUT = '[outputs]\nsteps = "tokens / batch_tokens"\n'


# What the file is


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "missing required field"),
        (b"a = ", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        (b"\x00", "is not TOML"),
        (b"schema = 1\nschema = 1", "is not TOML"),
        (b"a = " + b"[" * 5_000, "nest"),
        (b"a = " + b"{b = " * 3_000 + b"1", "nest"),
        (b"a." * 40_000 + b"a = 1", "nest"),
        (b"a = 1" + b"0" * 6_000, "is not TOML"),
        (b"\xef\xbb\xbfschema = 1", "is not TOML"),
    ],
)
def test_what_is_no_toml_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(LawError, match=says) as caught:
        parse_law(text)
    assert is_one_sentence(str(caught.value)[:600])


def test_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text(law_text('[outputs]\nsteps = "tokns"'))
    with pytest.raises(LawError) as caught:
        read_law(file)
    error = caught.value
    assert (error.file, error.table, error.key) == (str(file), "outputs", "steps")
    assert str(error) == f"{file}: outputs.steps: column 1: 'tokns' is not a name of this law; did you mean 'tokens'?"


def test_a_folder_stands_for_the_law_in_it(tmp_path: Path) -> None:
    (tmp_path / "law.toml").write_text(law_text())
    assert read_law(tmp_path).id == "test-law"


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LawError, match=r"absent\.toml: cannot be read: No such file"):
        read_law(tmp_path / "absent.toml")
    with pytest.raises(LawError, match="cannot be read"):
        read_law(tmp_path)
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * (MAX_FILE + 1))
    with pytest.raises(LawError, match="larger than 1,000,000 bytes"):
        read_law(large)


@pytest.mark.parametrize(
    ("old", "new", "place", "says"),
    [
        ("schema = 1", "schema = 2", "schema", "invalid enum value 2"),
        ("schema = 1\n", "", "", "missing required field `schema`"),
        ('id = "test-law"', 'id = "Test_Law"', "id", "'Test_Law' is not kebab-case"),
        ('id = "test-law"', 'id = "a--b"', "id", "kebab-case"),
        ('id = "test-law"', 'id = "-a"', "id", "kebab-case"),
        ('id = "test-law"', 'id = ""', "id", "kebab-case"),
        ('id = "test-law"', f'id = "{"a" * 81}"', "id", "kebab-case"),
        ('id = "test-law"', "id = 7", "id", "expected `str`"),
        ("version = 1", "version = 0", "version", "count from 1"),
        ("version = 1", "version = 1.5", "version", "expected `int`"),
        ("version = 1", "version = true", "version", "expected `int`"),
        ('title = "A law of the tests"\n', "", "", "missing required field `title`"),
        ('status = "theory"', 'status = "guessed"', "status", "invalid enum value 'guessed'"),
        ('checked = "derived"', 'checked = "maybe"', "checked", "invalid enum value 'maybe'"),
        ('[source]\ntitle = "The tests"', "", "", "missing required field `source`"),
        ('title = "The tests"', 'author = "x"', "source", "unknown field `author`"),
        ("[source]", "tittle = 1\n[source]", "", "unknown field `tittle`"),
        ("[source]", 'kind = "formulas"\n[source]', "kind", "invalid enum value"),
        ("[source]", "exact = 1\n[source]", "exact", "expected `bool`"),
        ('["tokens", "batch_tokens"]', '"tokens"', "inputs", "expected `array`"),
        ('["tokens", "batch_tokens"]', '["tokns"]', "inputs", "'tokns' is not a quantity; did you mean 'tokens'?"),
        (
            '["tokens", "batch_tokens"]',
            '["tokens", "batch_tokens", "tokens"]',
            "inputs.tokens",
            "is a name of [inputs] already",
        ),
        ('"batch_tokens"]', '{ quantity = "batch_tokens", roll = "target" }]', "inputs", "unknown field `roll`"),
        ('"batch_tokens"]', '{ quantity = "batch_tokens", role = "aim" }]', "inputs", "invalid enum value 'aim'"),
        (
            '"batch_tokens"]',
            '{ quantity = "batch_tokens", over = "kind" }]',
            "inputs.batch_tokens",
            "'kind' is not an index",
        ),
        (
            "[[examples]]\ngiven = { tokens = 8, batch_tokens = 2 }\nexpect = { steps = 4 }",
            "",
            "examples",
            "at least one worked example",
        ),
        ("expect = { steps = 4 }", "expect = 4", "examples", "expected `object`"),
        ("expect = { steps = 4 }", "rtol = -1", "examples", "rtol is a relative tolerance"),
        ("expect = { steps = 4 }", "rtol = nan", "examples", "rtol is a relative tolerance"),
        ("expect = { steps = 4 }", "rtol = 2", "examples", "rtol is a relative tolerance"),
        ("expect = { steps = 4 }", 'status = "ok"', "examples", "invalid enum value 'ok'"),
    ],
)
def test_the_head_is_checked(old: str, new: str, place: str, says: str) -> None:
    error = refused(replaced(law_text(), (old, new)))
    assert says in error.problem
    found = ".".join(part for part in (error.table, error.key) if part)
    assert found.split("[")[0].split(".")[0] == place.split(".")[0]


# Outputs, names


@pytest.mark.parametrize(
    ("body", "place", "says"),
    [
        ("", "outputs", "a law gives at least one quantity"),
        ("[outputs]", "outputs", "a law gives at least one quantity"),
        ('[outputs]\nstesp = "tokens"', "outputs.stesp", "'stesp' is not a quantity; did you mean 'step'?"),
        ('[outputs]\nsteps = "tokens <"', "outputs.steps", "column 9: the formula ends too soon"),
        ('[outputs]\nsteps = "tokens < 1"', "outputs.steps", "steps is a number, the formula gives a condition"),
        ('[outputs]\nschedule = "tokens"', "outputs.schedule", "schedule is a category, the formula gives a number"),
        ('[outputs]\nsteps = { formul = "tokens" }', "outputs.steps", "unknown"),
        ('[outputs]\nsteps = { formula = "tokens", over = "kind" }', "outputs.steps", "'kind' is not an index"),
        ("[outputs]\nsteps = 3", "outputs.steps", "expected `str | object`"),
        (
            OUT
            + '[index]\nk = 2\n[parameters]\nw = { value = [1, 2], over = "k" }\n[let]\na = "w"\n[[cases]]\nwhen = "a > 1"\nstatus = "refused"\nsay = ""',
            "cases.1.when",
            "it uses every k at once",
        ),
        (
            replaced(OUT, ("tokens /", "w * tokens /"))
            + '[index]\nk = 2\n[parameters]\nw = { value = [1, 2], over = "k" }',
            "outputs.steps",
            "use sum(k, ...)",
        ),
    ],
)
def test_outputs_are_formulas_of_quantities(body: str, place: str, says: str) -> None:
    error = refused(law_text(body))
    assert says in error.problem
    assert ".".join(p for p in (error.table, error.key) if p).startswith(place.split(".")[0])


@pytest.mark.parametrize(
    ("body", "place", "other"),
    [
        ("[parameters]\ntokens = { value = 1 }", "parameters.tokens", "inputs"),
        ("[parameters]\na = { value = 1 }\n[constants]\na = 1", "constants.a", "parameters"),
        ("[constants]\na = 1\n[index]\na = 2", "index.a", "constants"),
        ("[index]\na = 2\n[tables.a]\nx = 1", "tables.a", "index"),
        ('[constants]\na = 1\n[let]\na = "1"', "let.a", "constants"),
        ('[let]\ntokens = "1"', "let.tokens", "inputs"),
        ('[constants]\nu = 1\n[effects.g]\nby = ["run"]\nof = ["u"]\nscale = { u = "1" }', "effects.u", "constants"),
        (
            '[effects.g]\nby = ["run"]\nof = ["u"]\nscale = { u = "1" }\n[effects.h]\nby = ["run"]\nof = ["u"]\nscale = { u = "1" }',
            "effects.u",
            "effects",
        ),
        ('[effects.g]\nby = ["run"]\nof = ["u", "u"]\nscale = { u = "1" }', "effects.u", "effects"),
    ],
)
def test_a_clash_of_names_tells_both_places(body: str, place: str, other: str) -> None:
    check_refused(law_text(OUT + body), place, f"is a name of [{other}] already; choose another")


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("constants", "log"),
        ("let", "where"),
        ("parameters", "pi"),
        ("constants", "and"),
        ("index", "sum"),
        ("let", "expm2"),
    ],
)
def test_the_words_of_formulas_are_no_names(table: str, name: str) -> None:
    value = {"constants": "1", "let": '"1"', "parameters": "{ value = 1 }", "index": "2"}[table]
    check_refused(law_text(OUT + f"[{table}]\n{name} = {value}"), f"{table}.{name}", "is a word of formulas")


@pytest.mark.parametrize("name", ["a-b", "2a", "a b", "é", "", "a.b"])
def test_a_name_has_letters_digits_and_underscores(name: str) -> None:
    check_refused(
        law_text(OUT + f'[constants]\n"{name}" = 1'), f"constants.{name}".rstrip("."), "is not a name of letters"
    )


def test_a_law_has_a_thousand_names_at_most() -> None:
    lets = "\n".join(f'a{i} = "1"' for i in range(1_100))
    assert "at most 1,000 names" in refused(law_text(f"{OUT}[let]\n{lets}")).problem
    own = "\n".join(f'[quantities.q{i}]\nunit = "1"\nmeaning = ""' for i in range(1_100))
    assert "at most 1,000 quantities" in refused(law_text(f"{OUT}{own}")).problem


@pytest.mark.parametrize(
    ("body", "place", "says"),
    [
        (
            '[quantities.tokens]\nunit = "1"\nmeaning = "mine"',
            "quantities.tokens",
            "is a quantity of the vocabulary already",
        ),
        ('[quantities.log]\nunit = "1"\nmeaning = "mine"', "quantities.log", "choose another"),
        ('[quantities."a-b"]\nunit = "1"\nmeaning = "mine"', "quantities.a-b", "choose another"),
        ('[quantities.mine]\nunit = "1"', "quantities.mine", "missing required field `meaning`"),
        ('[quantities.mine]\nmeaning = "x"\nunits = "1"', "quantities.mine", "unknown field `units`"),
    ],
)
def test_own_quantities_are_checked(body: str, place: str, says: str) -> None:
    check_refused(law_text(OUT + body), place, says)


def test_own_quantities_serve_as_inputs_and_outputs() -> None:
    own = '[quantities.speed]\nunit = "token/s"\nmeaning = "tokens per second"\nlow = 0\n[quantities.mood]\nmeaning = "m"\ncategories = ["good", "bad"]\n'
    body = own + '[outputs]\nduration_s = "tokens / speed"\nmood = "where(speed > 1e6, good, bad)"'
    law = make_law(
        body,
        inputs='["tokens", "speed"]',
        examples="[[examples]]\ngiven = { tokens = 8, speed = 2 }\nexpect = { duration_s = 4, mood = 'bad' }",
    )
    assert check_law(law) == []
    assert law.quantity("mood").categorical
    assert (
        "speed=-1 is below 0"
        in check_law(
            make_law(body, inputs='["tokens", "speed"]', examples="[[examples]]\ngiven = { tokens = 8, speed = -1 }")
        )[0]
    )


# Lets


def test_lets_may_stand_in_any_order() -> None:
    body = '[let]\nc = "b * 2"\nb = "a + 1"\na = "tokens"\n[outputs]\nsteps = "c / batch_tokens"'
    assert (
        check_law(
            make_law(body, examples="[[examples]]\ngiven = { tokens = 8, batch_tokens = 2 }\nexpect = { steps = 9 }")
        )
        == []
    )


@pytest.mark.parametrize(
    ("lets", "path"),
    [
        ('a = "a + 1"', "a -> a"),
        ('a = "b"\nb = "a"', "a -> b -> a"),
        ('x = "1"\na = "b + x"\nb = "c * 2"\nc = "log(a)"', "a -> b -> c -> a"),
        ('z = "a"\na = "b"\nb = "a"', "a -> b -> a"),
    ],
)
def test_lets_that_need_one_another_are_refused_with_their_path(lets: str, path: str) -> None:
    error = refused(law_text(f"{OUT}[let]\n{lets}"))
    assert error.table == "let"
    assert f"in a circle: {path}; break it" in error.problem


def test_a_wrong_let_is_refused_though_nothing_uses_it() -> None:
    check_refused(law_text(OUT + '[let]\na = "tokens +"'), "let.a", "column 9: the formula ends too soon")
    check_refused(law_text(OUT + '[let]\na = "tokens + nothing"'), "let.a", "column 10: 'nothing' is not a name")
    check_refused(law_text(OUT + '[let]\na = "steps * 2"'), "let.a", "'steps' is not a name of this law")


def test_lets_may_nest_256_levels_and_take_20000_operations() -> None:
    def chain(count: int) -> str:
        lets = '[let]\na0 = "tokens"\n' + "\n".join(f'a{i} = "-a{i - 1}"' for i in range(1, count))
        return law_text(f'{lets}\n[outputs]\nsteps = "a{count - 1} / batch_tokens"')

    law = parse_law(chain(125).encode())
    assert plain_outputs(law, {"tokens": 8.0, "batch_tokens": 2.0})[1]["steps"] == 4.0
    assert "nests deeper than 256 levels" in refused(chain(300)).problem
    wide = '[index]\ni = 40\nj = 40\nk = 40\n[outputs]\nsteps = "sum(i, sum(j, sum(k, tokens)))"'
    assert "more than 20,000 operations" in refused(law_text(wide)).problem
    twice = "\n".join(f'a{i} = "a{i - 1} + a{i - 1}"' for i in range(1, 120))
    body = f'[let]\na0 = "tokens"\n{twice}\n[outputs]\nsteps = "a119"'
    law = make_law(body)
    assert plain_outputs(law, {"tokens": 1.0, "batch_tokens": 1.0})[1]["steps"] == 2.0**119


# Index, tables


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ("k = 0", "1 to 64 different entries, 0 given"),
        ("k = -3", "1 to 64 different entries, -3 given"),
        ("k = 65", "1 to 64 different entries, 65 given"),
        ("k = 999999999999", "1 to 64 different entries"),
        ("k = []", "1 to 64 different entries, 0 given"),
        ('k = ["a", "a"]', "different entries"),
        ("k = [1, 2]", "expected `str`"),
        ("k = 1.5", "expected"),
    ],
)
def test_an_index_has_1_to_64_entries(index: str, says: str) -> None:
    error = refused(law_text(OUT + f"[index]\n{index}"))
    assert error.table == "index"
    assert error.key in ("k", "k.1")
    assert says in error.problem


TABLES = """
[index]
layer = ["input", "hidden", "output"]
[tables.by_word]
bf16 = 2.0
fp8 = 1
[tables.nested]
a100 = { bf16 = 312e12, fp16 = 312e12 }
h100 = { bf16 = 989e12, fp8 = 1979e12 }
[tables.by_number]
x = [1, 2, 4]
y = [10, 20, 0]
[tables.by_log]
x = [1, 100]
y = [0, 2]
in = "log"
[tables.over_index]
over = "layer"
values = [1, 2, 3]
[outputs]
"""


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("by_word[precision] * tokens", 16.0),
        ("by_word[fp8]", 1.0),
        ("nested[hardware, precision] / 1e12", 989.0),
        ("nested[a100, fp16] / 1e12", 312.0),
        ("interp(3, by_number)", 10.0),
        ("interp(0, by_number) + interp(9, by_number)", 10.0),
        ("interp(10, by_log)", 1.0),
        ("sum(layer, over_index * tokens)", 48.0),
        ("over_index[hidden]", 2.0),
        ("prod(layer, over_index + 1)", 24.0),
    ],
)
def test_tables_come_in_four_forms(formula: str, value: float) -> None:
    law = make_law(
        TABLES + f'steps = "{formula}"',
        inputs='["tokens", "precision", "hardware"]',
        examples=f'[[examples]]\ngiven = {{ tokens = 8, precision = "bf16", hardware = "h100" }}\nexpect = {{ steps = {value} }}',
    )
    assert check_law(law) == []


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("", "one number per category"),
        ('a = ""', "one number per category"),
        ('a = "x"\nb = 1', "one number per category"),
        ('a = ["x"]', "one number per category"),
        ("a = true", "one number per category"),
        ("a = nan", "one number per category"),
        ("a = 1\nb = { c = 1 }", "all equally deep"),
        ("a = [1, 2]", "one number per category"),
        ("x = [1, 2]\ny = [1]", "equal length"),
        ("x = [1]\ny = [1]", "two or more numbers"),
        ("x = [2, 1]\ny = [1, 2]", "x must rise"),
        ("x = [1, 1]\ny = [1, 2]", "x must rise"),
        ('x = [0, 1]\ny = [1, 2]\nin = "log"', "x must rise and be positive"),
        ('x = [1, 2]\ny = [1, 2]\nin = "sqrt"', "in = 'log' or 'linear'"),
        ("x = [1, 2]\ny = [1, 2]\nz = 1", "a table by number has x, y"),
        ("x = [1, inf]\ny = [1, 2]", "two or more numbers"),
        ("over = { a = 1 }\nvalues = [1, 2]", "a table over an index has 'over'"),
        (f"x = [1, 1{'0' * 400}]\ny = [1, 2]", "two or more numbers"),
        ('over = "layer"\nvalues = [1]', "values must be 2 numbers"),
        ('over = "layers"\nvalues = [1, 2]', "'over' (an index of this law)"),
        ('over = "layer"\nvalues = [1, "a"]', "values must be 2 numbers"),
        ('over = "layer"\nvalues = 3', "values must be 2 numbers"),
        ('over = "layer"\nvalues = [1, 2]\nunit = "1"', "nothing else"),
    ],
)
def test_a_table_of_no_known_form_is_refused(table: str, says: str) -> None:
    check_refused(law_text(OUT + f"[index]\nlayer = 2\n[tables.t]\n{table}"), "tables.t", says)


def test_an_index_may_be_an_input_too() -> None:
    body = '[index]\nprecision = ["bf16", "fp8"]\n[parameters]\nw = { value = [1, 2], over = "precision" }\n[outputs]\nsteps = "tokens * w[precision]"'
    law = make_law(
        body,
        inputs='["tokens", "precision"]',
        examples="[[examples]]\ngiven = { tokens = 3, precision = 'fp8' }\nexpect = { steps = 6 }",
    )
    assert check_law(law) == []
    problems = check_law(
        make_law(
            body,
            inputs='["tokens", "precision"]',
            examples="[[examples]]\ngiven = { tokens = 3, precision = 'fp16' }\nexpect = { steps = 6 }",
        )
    )
    assert "precision=fp16 is not known to this law; it has bf16, fp8" in problems[0]


def test_the_first_of_two_faults_is_named() -> None:
    constants = "[constants]\nhalf = 0.5\nthird = 'x'\n\n[index]\nkind = 0.5\n\n"
    error = refused(replaced(law_text(), ("[[examples]]", f"{constants}[[examples]]")))
    assert (error.table, error.key) == ("constants", "third")


def test_unknown_keys_are_refused_at_every_level() -> None:
    text = fixture_text("dense-surface")
    for head in (
        "[effects.cell]",
        "[predict.discrepancy]",
        "[decision]",
        "[fit]",
        "[[fit.factors]]",
        "[evidence]",
        "[[examples]]",
        "[source]",
    ):
        error = refused(replaced(text, (head, f"{head}\nsurprise = 1")).replace("surprise = 1", "", 0))
        assert "unknown field `surprise`" in error.problem


@pytest.mark.parametrize(
    "text",
    [
        law_text('[outputs]\nsteps = "' + "x" * 3_900 + '"'),
        law_text(OUT, head="x" * 100_000 + " = 1"),
        law_text(OUT, name="a" * 100_000),
        law_text(OUT + f'[constants]\n"{"x" * 9_000}-" = 1'),
        law_text(OUT + f"[domain]\n{'x' * 9_000} = [1, 2]"),
        law_text(f'[outputs]\n{"x" * 9_000} = "tokens"'),
        law_text(OUT + f'[parameters]\na = {{ prior = "{"x" * 9_000}" }}'),
    ],
)
def test_a_refusal_stays_short_however_long_a_name_is(text: str) -> None:
    assert len(str(refused(text))) < 700


WORDS = """
[quantities.maker]
meaning = "who makes an accelerator"
[tables.made_by]
a100 = "green"
h100 = "green"
mi300 = "red"
[tables.best]
a100 = { small = "bf16", large = "bf16" }
h100 = { small = "bf16", large = "fp8" }
[tables.factor]
bf16 = 1.0
fp8 = 2.0
[let]
word = "best[hardware, large]"
[outputs]
maker = "made_by[hardware]"
steps = "factor[word] * where(made_by[hardware] == red, 0, tokens)"
"""


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("hardware", "maker", "steps"), [("a100", "green", 8), ("h100", "green", 16)])
def test_a_table_of_categories_is_put_out_compared_and_used_as_a_key(
    hardware: str, maker: str, steps: float, exact: bool
) -> None:
    law = make_law(
        WORDS,
        head="exact = true" if exact else "",
        inputs='["tokens", "hardware"]',
        examples=f'[[examples]]\ngiven = {{ tokens = 8, hardware = "{hardware}" }}\n'
        f'expect = {{ maker = "{maker}", steps = {steps} }}',
    )
    assert check_law(law) == []


def test_a_table_of_categories_gives_the_same_by_row_and_alone() -> None:
    law = make_law(
        WORDS,
        inputs='["tokens", "hardware"]',
        examples='[[examples]]\ngiven = { tokens = 8, hardware = "a100" }\nexpect = { maker = "green" }',
    )
    program = law.program(numpy_backend())
    environment = program.environment({"tokens": np.array([1.0, 2.0]), "hardware": "h100"})
    assert program.outputs["steps"](environment).tolist() == [2.0, 4.0]
    assert program.outputs["maker"](environment) == "green"


def test_a_table_of_categories_is_no_number() -> None:
    text = law_text(WORDS.replace("factor[word] *", "made_by[hardware] *"), inputs='["tokens", "hardware"]')
    with pytest.raises(LawError, match="needs a number here, not a category"):
        parse_law(text.encode())
