"""The column of docs/laws.md that says what a law changes: commands that print the numbers, laws that change nothing."""

import re
import shlex

import pytest

from hplaw.catalogue.catalogue import Catalogue
from hplaw.cli import main
from tests.helpers import make_law, shipped
from tools.law_effects import LONGEST, Answers, effect_text


@pytest.fixture(scope="module")
def answers() -> Answers:
    return Answers(shipped())


def text_of(law: str, answers: Answers) -> str:
    return effect_text(shipped().get(law), answers)


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        ("recipe", r"`hplaw recommend --params 7B --tokens 1.4T`: peak_lr \S+, without it \S+"),
        ("compute-6nd", r"`hplaw recommend --params 7B --tokens 1.4T`: compute_flop 5.88e22 FLOP, without it none"),
        ("step-law-2025", r"`hplaw recommend .* --law step-law-2025`: peak_lr 9.17e-4, without the option \S+"),
        ("square-root-rule", r"`hplaw transfer .*`: peak_lr 8.49e-4, without it none"),
        ("schedule-cosine", r"`hplaw schedule cosine`: mean rate 0.501, without it none"),
        ("hessian-spectrum", r"no answer: a procedure of the library, `spectrum.largest_stable_rate`"),
        ("u-mup-rates", r"no answer: a formula for `hplaw evaluate u-mup-rates`"),
        ("ling-2025", r"`hplaw recommend .*--granularity 8`: efficiency_leverage 5.06, without it none"),
    ],
)
def test_a_law_is_shown_by_a_command_and_two_numbers(law: str, expected: str, answers: Answers) -> None:
    assert re.fullmatch(expected, text_of(law, answers))


@pytest.mark.parametrize(
    "law", ["weight-decay-warmup", "hoffmann-2022", "half-fine-tuning-memory", "usual-granularity"]
)
def test_the_command_prints_the_number(
    law: str, answers: Answers, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = re.match(r"`hplaw (?P<words>[^`]+)`: (?P<name>\w+) (?P<value>[^\s,]+)", text_of(law, answers))
    assert found
    assert main(shlex.split(found["words"])) == 0
    assert found["value"] in capfdbinary.readouterr().out.decode()


def test_a_law_that_another_comes_before_and_agrees_with_says_so() -> None:
    twin = make_law('[outputs]\nsteps = "tokens / batch_tokens"', name="steps-twin")
    both = Catalogue([*((law, "theory") for law in shipped().laws), (twin, "own")])
    given = "`steps` comes before it and gives the same to three digits"
    assert effect_text(twin, Answers(both)) == f"an alternative only: {given}"


def test_a_new_law_is_shown_by_its_own_example() -> None:
    fresh = make_law(
        '[quantities.fresh_number]\nmeaning = "a number"\nunit = "1"\n\n[outputs]\nfresh_number = "tokens / batch_tokens"',
        name="fresh",
        examples="[[examples]]\ngiven = { tokens = 8e9, batch_tokens = 2 }\nexpect = { fresh_number = 4e9 }",
    )
    found = effect_text(fresh, Answers(Catalogue([(fresh, "own")])))
    assert (
        found
        == "`hplaw recommend --given tokens=8e9 batch_tokens=2 --want fresh_number`: fresh_number 4B, without it none"
    )
    assert len(found) < 2 * LONGEST
