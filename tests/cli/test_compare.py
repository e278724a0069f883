"""`hplaw recommend --compare`."""

import json

from tests.cli.conftest import Run


SIZE = ("--params", "7B", "--tokens", "1.4T")


def test_one_table_shows_all_values(run: Run) -> None:
    done = run("recommend", *SIZE, "--compare", "precision=bf16,fp8,fp4", "--hardware", "b200-sxm")
    assert done.status == 0
    assert "For the same 30.8k accelerator hours the best is fp8" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_json_has_the_answers_whole(run: Run) -> None:
    done = run("recommend", *SIZE, "--compare", "precision=bf16,fp8", "--json")
    assert [option["value"] for option in json.loads(done.out)["options"]] == ["bf16", "fp8"]


def test_wrong_words_are_refused_in_one_sentence(run: Run) -> None:
    both = ("--compare", "precision=bf16,fp8")
    run("recommend", *SIZE, *both, "--precision", "fp8").check_misused("given and compared")
    run("recommend", *SIZE, *both, "--from", "runs.csv").check_misused("--compare is for one question")
    run("recommend", *SIZE, "--compare", "precision").check_misused("give name=value")
    run("recommend", *SIZE, "--compare", "precision=bf16").check_misused("give 2 to 8")


def test_a_value_that_cannot_be_asked_says_so_and_stops_no_other(run: Run) -> None:
    done = run("recommend", *SIZE, "--compare", "precision=bf16,fp9")
    assert done.status == 0
    assert "fp9: precision='fp9' is not known" in done.out


def test_every_section_is_shown_for_each_value(run: Run) -> None:
    done = run("recommend", *SIZE, "--compare", "precision=bf16,fp8", "--all")
    for title in ("Derivation", "Sources", "Published trainings nearby"):
        assert done.out.count(f"\n{title}\n") == 2, title


def test_values_that_differ_little_have_columns_of_their_own(run: Run) -> None:
    done = run("recommend", "--tokens", "1.4T", "--compare", "params=7.001B,7.002B", "--want", "loss")
    assert "7.001B" in done.out
    assert "7.002B" in done.out
