"""Maps, mixtures and procedures: the laws that are no formula."""

from pathlib import Path

import numpy as np
import pytest

from hplaw.answer.answer import answer, plain_outputs
from hplaw.answer.check import check_law
from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.catalogue import Catalogue, load_catalogue
from hplaw.catalogue.listing import law_record, law_summary, list_laws
from hplaw.errors import LawError, QueryError
from hplaw.law import Law, read_law
from hplaw.law.procedures import call
from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend
from tests.helpers import catalogue_of, is_one_sentence, law_text, make_law, problems_in, write_arrays


# Maps


MAP = law_text(
    '[quantities.regime]\nmeaning = "regime of pruning"\ncategories = ["one", "two"]\n[grid]\naxes = ["tokens", "batch_tokens"]\nvalues = "map.npz"\nclasses = ["one", "two"]\nreject_below = 0.6\n[outputs]\nregime = "most_likely"\ndownstream_error = "probability[two]"',
    head='kind = "grid"',
    examples='[[examples]]\ngiven = { tokens = 1, batch_tokens = 10 }\nexpect = { regime = "one", downstream_error = 0.1 }',
)
AXES = {"tokens": np.array([1.0, 3.0]), "batch_tokens": np.array([10.0, 20.0, 40.0])}
TWO = np.array([[0.1, 0.2, 0.3], [0.9, 0.8, 0.5]])
PROBABILITIES = np.stack([1 - TWO, TWO], axis=-1)


def map_law(folder: Path, **arrays: np.ndarray) -> Law:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "map.toml").write_text(MAP)
    write_arrays(folder / "map.npz", **(AXES | {"probabilities": PROBABILITIES} | arrays))
    return read_law(folder / "map.toml")


@pytest.mark.parametrize(
    ("tokens", "batch", "regime", "probability"),
    [
        (1.0, 10.0, "one", 0.1),
        (3.0, 10.0, "two", 0.9),
        (1.0, 15.0, "one", 0.15),
        (1.0, 30.0, "one", 0.25),
        (2.5, 10.0, "two", 0.7),
        (0.1, 5.0, "one", 0.1),
        (99.0, 12.0, "two", 0.88),
    ],
)
def test_a_map_is_interpolated_and_held_at_its_edges(
    tmp_path: Path, tokens: float, batch: float, regime: str, probability: float
) -> None:
    law = map_law(tmp_path)
    found = plain_outputs(law, {"tokens": tokens, "batch_tokens": batch})
    assert found[0] == "ok"
    assert found[1]["regime"] == regime
    assert found[1]["downstream_error"] == pytest.approx(probability)


def test_a_map_says_nothing_where_no_class_is_likely(tmp_path: Path) -> None:
    law = map_law(tmp_path)
    assert check_law(law) == []
    found = evaluate(law, {"tokens": 2.0, "batch_tokens": 10.0})
    assert found.status == "undefined"
    assert found.say == "no class is likelier than 0.6 here; the map does not tell"
    assert found.outputs["regime"].value is None
    assert found.outputs["regime"].reason == found.say


def test_a_map_answers_questions_of_the_planner(tmp_path: Path) -> None:
    catalogue = catalogue_of(map_law(tmp_path))
    # the map is held at its edges
    found = recommend(Query(tokens=1e6, batch_tokens=10.0, want=["regime", "downstream_error"]), catalogue)
    assert found.answers["regime"].value == "two"
    assert found.answers["downstream_error"].value == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"extra": np.zeros(2)}, "holds the arrays tokens, batch_tokens and probabilities, nothing else"),
        ({"tokens": np.array([3.0, 1.0])}, "two or more rising coordinates"),
        ({"tokens": np.array([1.0])}, "two or more rising coordinates"),
        ({"tokens": np.array([[1.0, 3.0]])}, "two or more rising coordinates"),
        ({"probabilities": PROBABILITIES[:1]}, "not one entry per point and class"),
        ({"probabilities": PROBABILITIES * 2}, "sum to 1"),
        ({"probabilities": np.stack([1.5 - TWO, TWO - 0.5], axis=-1)}, "not negative"),
        ({"probabilities": np.full_like(PROBABILITIES, np.nan)}, "finite float64"),
    ],
)
def test_a_wrong_map_is_a_problem_of_the_catalogue(tmp_path: Path, arrays: dict, says: str) -> None:
    map_law(tmp_path, **arrays)
    (problem,) = problems_in(load_catalogue([tmp_path], environ={}), tmp_path)
    assert says in str(problem)
    assert is_one_sentence(problem)


def test_a_map_without_its_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(MAP)
    with pytest.raises(LawError, match=r"map\.npz cannot be read"):
        read_law(tmp_path / "map.toml")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"map.npz"', '"../map.npz"', "the name of an npz file beside the law"),
        ('"map.npz"', '"/etc/map.npz"', "the name of an npz file beside the law"),
        ('"map.npz"', '"map.npy"', "the name of an npz file beside the law"),
        ('"map.npz"', '"ma\\u0000p.npz"', "the name of an npz file beside the law"),
        ('"most_likely"', '"most_likley"', "did you mean 'most_likely'?"),
        ("probability[two]", "probability[three]", "'probability' has no entry 'three'"),
        (
            "[grid]",
            '[[cases]]\nwhen = "probability[two] > 0.5"\nstatus = "refused"\nsay = ""\n[grid]',
            "a case comes before the map",
        ),
        ("[grid]", '[decision]\nminimise = "downstream_error"\nchoose = ["tokens"]\n[grid]', "a map chooses nothing"),
    ],
)
def test_a_wrong_map_file_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in MAP
    (tmp_path / "map.toml").write_text(MAP.replace(old, new))
    write_arrays(tmp_path / "map.npz", **AXES, probabilities=PROBABILITIES)
    with pytest.raises(LawError, match=says.replace("?", r"\?").replace("[", r"\[")):
        read_law(tmp_path / "map.toml")


# Mixtures


def rule(name: str, constant: float, sd: float | None = 0.1) -> Law:
    stated = f", sd = {sd}" if sd else ""
    return make_law(
        f'[parameters]\nlog_c = {{ value = {constant}{stated} }}\n[outputs]\npeak_lr = "exp(log_c) * tokens ** -0.5"',
        name=name,
        status="published",
        inputs='["tokens"]',
        examples="[[examples]]\ngiven = { tokens = 4 }",
    )


def mixture(members: str, weights: str, name: str = "both") -> Law:
    return make_law(
        f"[mixture]\nmembers = {members}\nweights = {weights}",
        name=name,
        head='kind = "mixture"',
        inputs="[]",
        status="calibrated",
        examples="[[examples]]\ngiven = { tokens = 4 }\nexpect = { peak_lr = 0.5 }\nrtol = 0.2",
    )


def test_a_mixture_has_its_members_draws_in_proportion() -> None:
    one, two = rule("one", 0.0), rule("two", 1.0)
    for weights, low, high in (("[1, 0]", 0.42, 0.6), ("[0, 1]", 1.1, 1.7), ("[0.5, 0.5]", 0.42, 1.7)):
        catalogue = catalogue_of(one, two, law := mixture('["one@1", "two"]', weights))
        found = answer(law, {"tokens": 4.0}, catalogue=catalogue).spreads["peak_lr"]
        assert low < found.low < found.high < high
    assert found.low < 0.5 < 1.0 < found.high


def test_the_planner_takes_a_mixture_as_a_law_of_its_members_outputs() -> None:
    law = mixture('["one", "two"]', "[0.5, 0.5]")
    catalogue = catalogue_of(rule("one", 0.0), rule("two", 0.1), law)
    assert check_law(law, catalogue) == []
    found = recommend(Query(tokens=4.0, want=["peak_lr"]), catalogue).answers["peak_lr"]
    assert found.law == law.address
    assert {other.law.split("@")[0] for other in found.alternatives} == {"one", "two"}


def test_a_mixture_is_listed_with_what_its_members_take_and_give() -> None:
    law = mixture('["one", "two"]', "[0.5, 0.5]")
    catalogue = catalogue_of(rule("one", 0.0), rule("two", 0.1), law)
    for line in (law_summary(catalogue, law), law_record(catalogue, law).summary):
        assert (line.inputs, line.outputs) == (["tokens"], ["peak_lr"])
    assert law in [catalogue.get(line.id) for line in list_laws(catalogue, quantity="peak_lr")]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tokens": "x"}, "tokens='x' is not a number"),
        ({"tokens": -1.0}, "tokens=-1 is not positive"),
        ({"tokens": None}, "is not a number"),
        ({"batch_tokens": 3.0}, "'batch_tokens' is not an input of both; its members take tokens"),
        ({}, "needs tokens; give it"),
    ],
)
def test_a_mixture_checks_what_it_is_given(given: dict, says: str) -> None:
    catalogue = catalogue_of(rule("one", 0.0), rule("two", 1.0), law := mixture('["one", "two"]', "[0.5, 0.5]"))
    with pytest.raises(QueryError) as caught:
        evaluate(law, given, catalogue)
    assert says in str(caught.value)
    assert is_one_sentence(caught.value)


def test_a_mixture_alone_says_what_it_lacks() -> None:
    (problem,) = check_law(mixture('["one", "two"]', "[0.5, 0.5]"))
    assert "its members one, two must be at hand" in problem


def test_a_mixture_without_its_members_or_of_mixtures_is_left_out(tmp_path: Path) -> None:
    for law in (
        rule("one", 0.0),
        mixture('["one", "absent"]', "[0.5, 0.5]", "orphan"),
        mixture('["one", "nested"]', "[0.5, 0.5]", "nested"),
    ):
        (tmp_path / f"{law.id}.toml").write_bytes(law.text)
    catalogue = load_catalogue([tmp_path], environ={})
    assert sorted(str(p).split(": ")[0].split("/")[-1] for p in problems_in(catalogue, tmp_path)) == [
        "nested.toml",
        "orphan.toml",
    ]
    assert "no law is called 'absent'" in " ".join(map(str, problems_in(catalogue, tmp_path)))
    assert "a mixture is made of formulas and grids" in " ".join(map(str, problems_in(catalogue, tmp_path)))
    assert not {"orphan", "nested"} & {law.id for law in catalogue.laws}


# Procedures


def test_a_procedure_is_listed_and_never_planned_with() -> None:
    law = make_law(
        "",
        head='kind = "procedure"\ncall = "spectrum.largest_stable_rate"',
        inputs="[]",
        examples="[[examples]]\ngiven = {}",
    )
    assert check_law(law) == []
    assert Catalogue([(law, "x")]).givers == {}
    with pytest.raises(QueryError, match="is a procedure"):
        answer(law, {})
    with pytest.raises(KeyError):
        call("os.system", "true")
