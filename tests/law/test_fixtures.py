"""The six fixtures of the law format: they load, evaluate, and read back what is written of them."""

import math
from fractions import Fraction

import numpy as np
import pytest

from hplaw.answer.answer import plain_outputs
from hplaw.answer.check import check_law
from hplaw.answer.evaluate_law import evaluate
from hplaw.answer.intervals import samples
from hplaw.errors import QueryError
from hplaw.evaluation.inputs import read_given
from hplaw.law import parse_law
from hplaw.law.format import LawSpec
from hplaw.law.read import decode_spec
from hplaw.law.write import write_law
from tests.helpers import FIXTURE_NAMES, fixture_law, fixture_text, replaced, shipped


def test_there_are_six() -> None:
    assert FIXTURE_NAMES == (
        "abc-classification",
        "dense-surface",
        "expert-surface",
        "schedule-uba",
        "step-law",
        "training-energy",
    )


@pytest.mark.parametrize("name", FIXTURE_NAMES)
def test_a_fixture_loads_and_its_examples_hold(name: str) -> None:
    law = fixture_law(name)
    assert len(law.spec.examples) >= 2
    assert check_law(law) == []


@pytest.mark.parametrize("name", FIXTURE_NAMES)
def test_a_fixture_reads_back_as_it_was_written(name: str) -> None:
    spec = fixture_law(name).spec
    text = write_law(spec)
    assert decode_spec(text.encode()) == spec
    assert check_law(parse_law(text.encode())) == []
    assert write_law(decode_spec(text.encode())) == text


@pytest.mark.parametrize("law", shipped().laws, ids=lambda law: law.id)
def test_a_shipped_law_reads_back_as_it_was_written(law) -> None:
    assert decode_spec(write_law(law.spec).encode()) == law.spec


@pytest.mark.parametrize(
    "notes",
    [
        "plain",
        'with "quotes" and \\ backslash',
        "two\nlines",
        '"""',
        "\\\n",
        "tab\tbell\x07del\x7f",
        "é ∑ 數",
        "\n",
        '\n"',
        "end\\",
    ],
)
def test_any_text_is_written_so_that_it_reads_back(notes: str) -> None:
    spec = fixture_law("step-law").spec
    fields = {name: getattr(spec, name) for name in spec.__struct_fields__}
    changed = LawSpec(**(fields | {"notes": notes}))
    assert decode_spec(write_law(changed).encode()).notes == notes


@pytest.mark.parametrize("name", FIXTURE_NAMES)
def test_a_changed_example_is_found(name: str) -> None:
    text = fixture_text(name)
    _, _, tail = text.rpartition("expect = { ")
    quantity, _, rest = tail.partition(" = ")
    value = rest.split(",")[0].split(" }")[0]
    wrong = '"kernel"' if value.startswith('"') else f"1{value}"
    broken = text.replace(f"expect = {{ {quantity} = {value}", f"expect = {{ {quantity} = {wrong}")
    problems = check_law(parse_law(broken.encode()))
    assert problems
    assert any(quantity in problem for problem in problems)


@pytest.mark.parametrize("name", FIXTURE_NAMES)
def test_a_record_shows_formulas_as_text_and_latex(name: str) -> None:
    law = fixture_law(name)
    record = law.record()
    assert set(law.outputs) <= set(record.formulas)
    assert set(record.latex) >= set(law.outputs)
    assert record.text == fixture_text(name)
    for tex in record.latex.values():
        assert tex.count("{") == tex.count("}")
        assert tex.count(r"\left") == tex.count(r"\right")


def test_a_digest_is_of_the_file() -> None:
    text = fixture_text("schedule-uba")
    law, same, other = (parse_law(t.encode()) for t in (text, text, text + "\n"))
    assert law.digest == same.digest != other.digest
    assert law.address == f"schedule-uba@1+{law.digest}"
    assert len(law.digest) == 12


# What each of them is there for


def test_exact_exponents_are_worked_out_in_rationals() -> None:
    law = fixture_law("abc-classification")
    third = {"input": "-1/6", "hidden": "-1/7", "output": "9/10"}
    b = {"input": "1/6", "hidden": "9/14", "output": "1/10"}
    c = {"input": "-2/3", "hidden": "2/7", "output": "-4/5"}
    status, found = plain_outputs(law, {"abc_a": third, "abc_b": b, "abc_c": c})
    assert (status, found["abc_r"], found["abc_regime"]) == ("ok", Fraction(0), "feature")
    assert isinstance(found["abc_r"], Fraction)


def test_a_category_output_and_a_table_output_are_shown() -> None:
    law = fixture_law("abc-classification")
    found = evaluate(law, law.spec.examples[4].given)
    assert found.outputs["abc_regime"].value == "feature"
    assert found.outputs["abc_regime"].reason == "a category has no interval"
    assert {word: e.value for word, e in found.tables["layer_lr_exponent"].items()} == {
        "input": 0.0,
        "hidden": 0.0,
        "output": 0.0,
    }


@pytest.mark.parametrize(
    ("changes", "regime"),
    [
        ({}, "feature"),
        ({"abc_c": {"input": 0.5, "hidden": 0.5, "output": 0.5}}, "trivial"),
        ({"abc_c": {"input": -1, "hidden": -1, "output": -1}}, "unstable"),
        ({"abc_b": {"input": 0.5, "hidden": 0.5, "output": 1}}, "feature"),
        ({"abc_b": {"input": 0.5, "hidden": 0.5, "output": 0}}, "unstable"),
    ],
)
def test_the_regime_follows_the_learning_rate(changes: dict, regime: str) -> None:
    mup = fixture_law("abc-classification").spec.examples[4].given
    _, found = plain_outputs(fixture_law("abc-classification"), {**mup, **changes})
    assert found["abc_regime"] == regime


@pytest.mark.parametrize("name", ["dense-surface", "expert-surface"])
def test_the_bowl_is_zero_at_its_optimum_and_positive_elsewhere(name: str) -> None:
    law = fixture_law(name)
    cell = {"n_params": 6e8, "tokens": 2e10}
    best = plain_outputs(law, cell)[1]
    for u in (-1.0, -0.3, 0.2, 0.9):
        for v in (-0.8, 0.0, 0.5):
            if (u, v) == (0.0, 0.0):
                continue
            moved = {"peak_lr": best["peak_lr"] * math.exp(u), "batch_tokens": best["batch_tokens"] * math.exp(v)}
            assert plain_outputs(law, {**cell, **moved})[1]["loss"] > best["loss"]


def test_a_dense_model_of_the_expert_surface_answers_as_the_dense_surface() -> None:
    given = {"n_params": 7e8, "tokens": 5e10, "peak_lr": 1e-3, "batch_tokens": 3e5}
    dense = plain_outputs(fixture_law("dense-surface"), given)
    assert plain_outputs(fixture_law("expert-surface"), given) == dense
    same = {**given, "n_active_params": 7e8}
    assert plain_outputs(fixture_law("expert-surface"), same) == dense


def test_family_and_sparsity_move_the_best_rate_batch_and_loss() -> None:
    law = fixture_law("expert-surface")
    p = {name: item.value for name, item in law.spec.parameters.items()}
    cell = {"n_params": 2e9, "tokens": 3e10}
    dense = plain_outputs(law, cell)[1]
    for share in (0.1, 0.25, 0.9):
        expert = plain_outputs(law, {**cell, "n_active_params": 2e9 * share})[1]
        s = math.log(share) + 1.6
        for name, family, sparsity in (("peak_lr", "pm0", "pm1"), ("batch_tokens", "qm0", "qm1"), ("loss", "g0", "g1")):
            moved = math.log(expert[name] / dense[name])
            assert moved == pytest.approx(p[family] + s * p[sparsity], abs=1e-12)


def test_the_schedule_with_phi_two_is_the_cosine() -> None:
    law = fixture_law("schedule-uba")
    for step in (0, 1, 333, 750, 1000):
        given = {"step": step, "total_steps": 1000, "peak_lr": 3e-4, "final_lr": 3e-5, "uba_phi": 2}
        rate = 3e-5 + 2.7e-4 * (1 + math.cos(math.pi * step / 1000)) / 2
        assert plain_outputs(law, given)[1]["learning_rate"] == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize(
    ("phi", "values"),
    [
        (0.5, (0.95887, 0.8, 0.40698)),
        (1, (0.92099, 0.66667, 0.25548)),
        (2, (0.85355, 0.5, 0.14645)),
        (5, (0.69982, 0.28571, 0.06422)),
    ],
)
def test_the_schedule_has_its_golden_values(phi: float, values: tuple[float, ...]) -> None:
    for step, value in zip((250, 500, 750), values, strict=True):
        given = {"step": step, "total_steps": 1000, "peak_lr": 1, "uba_phi": phi}
        found = plain_outputs(fixture_law("schedule-uba"), given)[1]
        assert found["learning_rate"] == pytest.approx(value, abs=5.1e-6)


def test_only_the_branch_taken_is_worked_out() -> None:
    given = {"step": 0, "total_steps": 10, "peak_lr": 1.0, "warmup_steps": 0}
    assert plain_outputs(fixture_law("schedule-uba"), given)[1]["learning_rate"] == 1.0


def test_an_unknown_machine_is_one_sentence() -> None:
    law = fixture_law("training-energy")
    given = {**law.spec.examples[0].given, "hardware": "b200"}
    with pytest.raises(QueryError, match="hardware='b200-sxm' is not known to training-energy"):
        evaluate(law, given)


def test_what_is_not_told_of_a_run_widens_its_energy() -> None:
    law = fixture_law("training-energy")
    given = read_given(law, {**law.spec.examples[0].given, "energy_scope": "datacenter"})
    for told, expected in (
        ({}, (*SCALES, 0.06, 0.15)),
        ({"pue": 1.12}, (*SCALES, 0.15)),
        ({"pue": 1.12, "host_power_ratio": 1.25}, SCALES),
    ):
        drawn = samples(law, {**given, **told}, ["energy_j"])["energy_j"]
        assert np.log(drawn).std() == pytest.approx(math.hypot(*expected), rel=1e-9)


SCALES = (0.26, 0.16, 0.17, 0.21)
"""Standard deviations of the fixture's four groups."""


def test_the_interval_of_the_energy_is_that_of_its_scales() -> None:
    law = fixture_law("training-energy")
    found = evaluate(law, law.spec.examples[0].given).outputs["accelerator_hours"]
    assert found.low is not None and found.high is not None  # noqa: PT018
    width = math.log(found.high / found.low) / (2 * 1.6448536)
    assert width == pytest.approx(math.hypot(*SCALES), rel=1e-6)


def test_tables_are_read_in_logarithms_where_they_say_so() -> None:
    law = fixture_law("training-energy")
    given = law.spec.examples[1].given
    ratio = 0.55
    low, high = (
        evaluate(law, {**given, "power_limit_ratio": x}).outputs["accelerator_hours"].value for x in (0.55, 0.65)
    )
    middle = evaluate(law, {**given, "power_limit_ratio": math.sqrt(ratio * 0.65)}).outputs["accelerator_hours"].value
    assert middle == pytest.approx((low + high) / 2, rel=1e-12)


def test_text_around_a_formula_does_not_matter() -> None:
    text = fixture_text("schedule-uba")
    spaced = replaced(text, ('wave = "1 + cos(pi * progress)"', 'wave = "  1+cos( pi*progress )  "'))
    assert check_law(parse_law(spaced.encode())) == []
