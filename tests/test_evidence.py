"""Scores of the law of recipes, and the page made of them; the measuring itself is no test."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.evidence import main, page
from benchmarks.ranks import inside, ranks
from benchmarks.recipes import Found, Seen, report, score, score_families, team_scores
from hplaw_experiments.recipes.recipe import read_prior
from tests.helpers import shipped


def seen(found: float, value: float, *, team: str = "a", quantity: str = "peak_lr", bounds: Any = None) -> Seen:
    """Return one value whose intervals reach ln 1.5 and ln 3 to each side of what was predicted."""
    half, most = math.log(1.5), math.log(3)
    place, said = math.log(found), math.log(value)
    known = {"n_params": 1e9, "tokens": 2e10, "optimizer": "adamw"}
    return Seen(
        team,
        quantity,
        known,
        place,
        bounds or (place, place),
        said,
        (said - half, said + half),
        (said - most, said + most),
    )


def test_a_score_is_of_the_values_that_are_enclosed() -> None:
    bound = seen(1e-3, 1e-2, bounds=(math.log(5e-4), math.inf))
    found = score([seen(1e-3, 1.2e-3), seen(1e-3, 2e-3), seen(1e-3, 0.25e-3), bound])
    assert found is not None
    assert (found.told, found.all) == (3, 4)
    assert found.factor == pytest.approx(2)
    assert found.within == pytest.approx(2 / 3)
    assert found.within50 == pytest.approx(1 / 3)
    assert found.width == pytest.approx(3)
    assert found.met == pytest.approx(3 / 4)
    assert score([bound]) is None


def test_a_family_of_many_models_counts_once() -> None:
    found = score_families([*[seen(1.0, 2.0, team="many")] * 9, seen(1.0, 8.0, team="one")])
    assert found.told == 2
    assert found.factor == pytest.approx(4)
    assert found.within == pytest.approx(0.5)


def example() -> Found:
    pairs = [seen(1e-3, 1.5e-3), seen(1e6, 0.5e6, quantity="batch_tokens")]
    far = [seen(1e-3, 9e-3, team="Far"), seen(1e-3, 8e-3, team="Far")]
    lion = [seen(1e-4, 1.2e-4, team="lion", bounds=(math.log(7e-5), math.log(1.4e-4)))]
    edge = [seen(1e-3, 1.2e-3, team="mars", bounds=(math.log(7e-4), math.inf))]
    return Found({"Near": pairs, "Far": far}, pairs, pairs, {"lion": lion, "mars": edge})


def test_the_lines_of_the_benchmark_say_what_is_asked_for() -> None:
    lines = {line["name"]: line for line in report(example())}
    teams = lines["median over teams of that factor, rate"]
    middle = (1.5 + math.sqrt(9 * 8)) / 2
    assert teams["value"] == pytest.approx(middle, rel=1e-3)
    assert not teams["ok"]
    assert lines["published families held out, practice: rate, factor"]["ok"]
    assert lines["largest size of each optimizer held out: rate, median factor"]["value"] == pytest.approx(1.2)
    assert set(team_scores(example())) == {("Near", "peak_lr"), ("Near", "batch_tokens"), ("Far", "peak_lr")}


def test_the_page_shows_each_group_and_where_the_law_is_wrong() -> None:
    text = page(example())
    assert "| Near: rate | 1 of 1 | 1.50 | +0.41 |" in text
    assert "| a | 1B | 20B | 1.00e-3 | 1.50e-3 (5.00e-4 to 4.50e-3) |" in text
    assert "Bounds only: mars; 100% of 1 bound met." in text
    assert "The rate of a team held out lies outside the 90% interval more often than not: Far (factor 8.5" in text


def test_without_the_tables_it_stops_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HPLAW_DATA", raising=False)
    assert main(["--to", str(tmp_path / "evidence.md")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("benchmarks.evidence: HPLAW_DATA names no folder")
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_ranks_beside_the_card_are_those_of_the_law_and_uniform() -> None:
    """Of 64 recipes simulated from the law, intervals after three tuned optima hold what they promise."""
    law = shipped().get("recipe")
    assert law.path is not None
    written = json.loads((law.path.parent / "ranks.json").read_text())
    found = ranks(read_prior(law))
    for name, values in written["ranks"].items():
        assert len(values) == written["tables"] == 64
        assert found[name] == pytest.approx(values, abs=1e-3)
        assert 0.82 <= inside(values, 0.9) <= 0.98
        assert 0.35 <= inside(values, 0.5) <= 0.65
        assert 0.38 <= sum(values) / len(values) <= 0.62
