"""The first screen of answers: how long it is, what is on it, and the sections behind it."""

import json
import re
from typing import Any

import pytest

from hplaw.cli.details import law_only
from hplaw.cli.energy import SECTIONS as ENERGY
from hplaw.cli.evaluate import SECTIONS as EVALUATE
from hplaw.cli.formula import readable
from hplaw.cli.frontier import BEHIND, BEHIND_FRONT
from hplaw.cli.render import SECTIONS as RECOMMEND, render
from hplaw.cli.sections import Sections
from hplaw.cli.theory import SECTIONS as THEORY
from hplaw.cli.transfer import SECTIONS as TRANSFER
from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend
from tests.helpers import shipped


PLAIN = "recommend --params 7B --tokens 1.4T"
HARDWARE = "--hardware h100-sxm --devices 64 --country US"
RUN = f"energy --params 70B --tokens 15T {HARDWARE}"
QUESTIONS: dict[str, tuple[Sections, int]] = {
    PLAIN: (RECOMMEND, 30),
    f"{PLAIN} {HARDWARE}": (RECOMMEND, 40),
    "recommend --params 2B --active-params 400M --tokens 8B": (RECOMMEND, 30),
    "recommend --params 10B --tokens 1T --experts 64 --experts-active 4": (RECOMMEND, 40),
    "evaluate step-law-2025 --set n_params=7e9 tokens=1e11": (EVALUATE, 30),
    "evaluate pretrain-surface --set n_params=7e9 tokens=1e11": (EVALUATE, 30),
    RUN: (ENERGY, 30),
    "energy --params 70B --tokens 15T --hardware h100-sxm b200-sxm --precision bf16 fp8": (ENERGY, 40),
    "frontier --budget 10MWh --hardware h100-sxm": (BEHIND, 30),
    "frontier --from 10MWh --to 100MWh --points 2 --hardware h100-sxm a100-sxm": (BEHIND_FRONT, 30),
    "theory peak_lr": (THEORY, 30),
    "theory loss": (THEORY, 30),
    "transfer --lr 3e-4 --batch 256 --to-batch 2048": (TRANSFER, 30),
}
"""Questions with the sections behind their first screens, and the lines that those may have at 80 columns."""

TITLES = {"derivation": "Derivation", "sizes": "All sizes", "inputs": "Rules that need more inputs"}
TITLES |= {"excluded": "Rules that do not apply", "related": "Rules for related quantities"}
TITLES |= {"nearest": "Published trainings nearby"}
TITLES |= {"dominated": "Dominated runs"}
TITLES |= {"affects": "Quantities that depend on it"}
"""How sections begin that do not begin with their name."""


def heading(section: str, text: str) -> bool:
    title = TITLES.get(section, section.capitalize())
    return re.search(rf"^{title}$", text, re.MULTILINE) is not None


@pytest.mark.parametrize("words", QUESTIONS)
def test_the_first_screen_is_short(run: Any, words: str) -> None:
    done = run(*words.split())
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert len(lines) <= QUESTIONS[words][1], done.out
    assert all(len(line) <= 80 for line in lines), done.out
    assert "\x1b" not in done.out
    assert lines[-1].startswith("More: ") or lines[-2].startswith("More: ")


@pytest.mark.parametrize("words", QUESTIONS)
def test_each_section_comes_when_it_is_named(run: Any, words: str) -> None:
    sections, _ = QUESTIONS[words]
    first = run(*words.split()).out
    body = first.partition("\nMore: ")[0]
    for name in sections.names:
        shown = run(*words.split(), "--show", name)
        assert shown.status == 0
        assert heading(name, shown.out)
        assert not heading(name, body)
        others = [other for other in sections.names if other != name]
        assert not any(heading(other, shown.out) for other in others)
    explained = run(*words.split(), "--explain").out
    assert [name for name in sections.names if heading(name, explained)] == list(sections.explained)
    everything = run(*words.split(), "--all").out
    assert all(heading(name, everything) for name in sections.names)
    assert "More: " not in everything


@pytest.mark.parametrize("words", QUESTIONS)
def test_an_unknown_section_is_refused_with_the_nearest(run: Any, words: str) -> None:
    sections, _ = QUESTIONS[words]
    run(*words.split(), "--show", f"{sections.names[0]}x").check_misused(f"did you mean '{sections.names[0]}'?")
    run(*words.split(), "--show", "weather").check_misused(", ".join(sections.names))


def test_several_sections_come_in_one_order(run: Any) -> None:
    one = run(*PLAIN.split(), "--show", "sources,intervals").out
    other = run(*PLAIN.split(), "--show", "Intervals", "--show", "sources").out
    assert one == other
    assert one.index("\nIntervals\n") < one.index("\nSources\n")


def test_sections_are_for_one_question(run: Any) -> None:
    run(*PLAIN.split(), "--from", "questions.csv", "--all").check_misused("for one question")


def test_json_is_the_same_whatever_is_shown(run: Any) -> None:
    plain = run(*PLAIN.split(), "--json").out
    assert run(*PLAIN.split(), "--all", "--json").out == plain
    assert "h100-sxm" not in plain


def test_warnings_stand_before_details_in_a_line_each(run: Any) -> None:
    text = run(*PLAIN.split(), "--all").out
    assert text.index("\nWarnings\n") < text.index("\nAlternatives\n")
    block = text.partition("\nWarnings\n")[2].partition("\n\n")[0].splitlines()
    assert block == [
        "  compute_flop=5.88e22 is 4.5x above the 1.4e18 to 1.3e22 that pretrain-loss was",
        "    fitted on",
        "  pretrain-loss took another count of parameters for n_params_with_embedding,",
        "    which embeddings may change by up to 32%; give it, or the model's shape",
    ]


def test_the_interval_of_the_table_is_the_one_for_the_users_recipe(run: Any) -> None:
    words = [*PLAIN.split(), "--law", "pretrain-surface"]
    answers = recommend(Query(n_params=7e9, tokens=1.4e12, laws=["pretrain-surface"]), shipped()).answers
    assert answers["peak_lr"].same_recipe_low is not None
    record = json.loads(run(*words, "--json").out)["answers"]["peak_lr"]
    row = next(line for line in run(*words).out.splitlines() if line.startswith("  peak_lr"))
    low, high = (float(part) for part in re.split(r"\s{2,}", row.strip())[2].split(" to "))
    assert low == pytest.approx(record["low"], rel=0.01)
    assert high == pytest.approx(record["high"], rel=0.01)


def test_the_interval_of_a_loss_by_name_is_marked_as_that_of_the_laws_recipe(run: Any) -> None:
    query = Query(n_params=7e9, tokens=1.4e12, laws=["pretrain-surface"], want=["peak_lr", "loss"])
    assert law_only("loss", recommend(query, shipped()).answers)
    text = run(*PLAIN.split(), "--law", "pretrain-surface", "--want", "peak_lr,loss").out
    assert "; * for the law's recipe only" in text


def test_what_is_ignored_is_on_the_second_line(run: Any) -> None:
    lines = run(*PLAIN.split(), "--given", "seq_len=4096", "schedule=wsd").out.splitlines()
    assert lines[1].startswith("Ignored: seq_len (no law used here depends on it)") or "Ignored: " in lines[2]


def test_an_example_stands_where_no_accelerator_is_named(run: Any) -> None:
    lines = run(*PLAIN.split()).out.splitlines()
    example = [line for line in lines if line.startswith("Example: on h100-sxm ")]
    assert len(example) == 1
    asked = json.loads(run(*PLAIN.split(), "--hardware", "h100-sxm", "--json").out)["answers"]
    hours = float(re.search(r"([\d.]+)k accelerator hours", example[0])[1])
    assert 1000 * hours == pytest.approx(asked["accelerator_hours"]["value"], rel=0.01)
    assert "Example" not in run(*PLAIN.split(), *HARDWARE.split()).out
    assert "Example" not in run(*PLAIN.split(), "--want", "peak_lr").out
    assert "Example" not in run("recommend", "--params", "7B").out


def test_what_has_no_value_is_a_warning_and_no_row_of_dashes(run: Any) -> None:
    text = run("recommend", "--params", "7B", "--want", "peak_lr", "steps").out
    assert "tokens" in text.partition("\nWarnings\n")[2]
    assert not re.search(r"-\s+-\s+-", text)


def test_no_formula_with_where_meets_the_user(run: Any) -> None:
    text = run(*PLAIN.split(), *HARDWARE.split(), "--all").out
    assert "where(" not in text
    assert "{0 if hours_basis == steps;" in text


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        ("a + b", "a + b"),
        ("where(x, 1, 2)", "{1 if x; else 2}"),
        ("somewhere(x) + where(a > f(b, c), m[i, j], where(d, 1, 2) * 3)", None),
        ("where(a, where(b, 1, 2), 3) * 2", "{{1 if b; else 2} if a; else 3} * 2"),
        ("where(a, 1, where(b, 2, where(c, 3, where(d, 4, 5))))", "{1 if a; 2 if b; 2 more cases; else 5}"),
    ],
)
def test_choices_are_written_as_cases(formula: str, shown: str | None) -> None:
    shown = shown or "somewhere(x) + {m[i, j] if a > f(b, c); else {1 if d; else 2} * 3}"
    assert readable(formula) == shown


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_narrow_pages_keep_their_tables(columns: int) -> None:
    answer = recommend(Query(n_params=7e9, tokens=1.4e12, hardware="h100-sxm"), shipped())
    lines = render(answer, columns, bold=False, shown=RECOMMEND.names).splitlines()
    long = [line for line in lines if len(line) > columns and len(line.split()) > 1]
    assert not [line for line in long if not line.startswith("  id of this answer")]


def test_budgets_in_money_and_days_name_the_options(run: Any) -> None:
    run("frontier", "--budget", "1e6$").check_misused("--price")
    run("frontier", "--budget", "30d").check_misused("--devices")
