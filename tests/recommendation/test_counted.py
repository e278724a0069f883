"""Precision and repeated data change what of size and data counts for the loss, in every law of the loss."""

import math
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from hplaw.answer.evaluate_law import evaluate
from hplaw.errors import ConflictingQuery, QueryError
from hplaw.messages.query import Query
from hplaw.messages.recommendation import Recommendation
from hplaw.recommendation.record import recommend
from tests.helpers import shipped


SIZE = {"n_params": 1e9, "tokens": 4e10}


def answered(**fields: object) -> Recommendation:
    return recommend(Query(**{"want": ["loss"], **fields}), shipped())


def loss(**fields: object) -> float:
    return float(answered(**fields).answers["loss"].value or 0)


def test_fewer_bits_cost_loss_in_the_order_of_what_they_leave() -> None:
    losses = [loss(**SIZE, precision=name) for name in ("bf16", "fp8", "int4", "fp4")]
    assert losses[0] == loss(**SIZE)
    assert all(a < b for a, b in pairwise(losses))


@pytest.mark.parametrize("law", ["pretrain-loss", "hoffmann-2022", "besiroglu-2024", "kaplan-loss-n-2020"])
def test_a_precision_leaves_a_share_of_the_parameters_in_every_law(law: str) -> None:
    share = evaluate(shipped().get("quest-2025"), {**SIZE, "precision": "fp4"}, shipped()).outputs["precision_share"]
    assert share.value == 0.63
    few = loss(**SIZE, precision="fp4", laws=[law])
    whole = loss(n_params=0.63e9, tokens=4e10, laws=[law])
    assert few == pytest.approx(whole, rel=1e-12)


def test_eight_bits_are_by_the_law_of_floats_and_four_by_the_runs() -> None:
    for precision, law in {"fp8": "float-precision-2025", "nvfp4": "quest-2025", "int8": "quest-2025"}.items():
        cited = {source.law.partition("@")[0] for source in answered(**SIZE, precision=precision).citations}
        assert law in cited
        assert "precision" not in answered(**SIZE, precision=precision).ignored


def test_a_law_that_takes_the_precision_itself_is_asked_as_it_is() -> None:
    found = loss(n_params=2e8, tokens=2e10, precision="fp4", laws=["quest-2025"])
    assert found == pytest.approx(8.134 / (2e8 * 0.63) ** 0.0627 + 86.41 / 2e10**0.2413 + 0.0014, rel=1e-12)


def test_an_accelerators_own_format_is_taken() -> None:
    found = recommend(Query(n_params=7e9, tokens=1e12, precision="fp4", hardware="b200-sxm"), shipped())
    assert [warning.text for warning in found.warnings if warning.code == "own-format"] == [
        "fp4 is taken as nvfp4, which b200-sxm has for it"
    ]
    named = recommend(Query(n_params=7e9, tokens=1e12, precision="nvfp4", hardware="b200-sxm"), shipped())
    assert found.answers["energy_j"].value == named.answers["energy_j"].value


def test_the_best_size_for_a_budget_grows_as_parameters_count_less() -> None:
    budget = {"given": {"compute_flop": 1e22}, "want": ["n_params"]}
    sizes = [
        recommend(Query(**budget, precision=name), shipped()).answers["n_params"].value for name in ("bf16", "fp4")
    ]
    assert sizes[0] is not None
    assert sizes[1] is not None
    assert float(sizes[1]) > 1.05 * float(sizes[0])


def test_repeated_tokens_are_worth_what_the_law_says() -> None:
    repeats = evaluate(shipped().get("muennighoff-2023"), {**SIZE, "unique_tokens": 1e10}, shipped()).outputs
    share, worth = (float(repeats[name].value or 0) for name in ("repeat_share", "effective_tokens"))
    assert (share, worth) == (pytest.approx(0.9581923734), pytest.approx(3.7256731e10))
    repeated = loss(**SIZE, given={"unique_tokens": 1e10})
    assert repeated == pytest.approx(loss(n_params=share * 1e9, tokens=worth), rel=1e-12)
    assert repeated > loss(**SIZE)


def test_data_that_do_not_repeat_change_nothing() -> None:
    for unique in (4e10, 5e12):
        assert loss(**SIZE, given={"unique_tokens": unique}) == pytest.approx(loss(**SIZE), rel=1e-12)


def test_epochs_tie_tokens_to_the_different_ones() -> None:
    expected = loss(**SIZE, given={"unique_tokens": 1e10})
    assert loss(**SIZE, given={"epochs": 4.0}) == expected
    assert loss(n_params=1e9, given={"epochs": 4.0, "unique_tokens": 1e10}) == expected
    assert answered(**SIZE, given={"epochs": 4.0}).ignored == {}
    with pytest.raises(ConflictingQuery, match="two of the three"):
        answered(**SIZE, given={"epochs": 3.0, "unique_tokens": 1e10})
    with pytest.raises(QueryError, match="epochs=0 is not positive"):
        answered(**SIZE, given={"epochs": 0.0})


def test_a_budget_finds_the_best_number_of_epochs() -> None:
    query = Query(given={"compute_flop": 1e21, "unique_tokens": 1e10}, want=["n_params", "tokens", "epochs", "loss"])
    found = {name: float(one.value or 0) for name, one in recommend(query, shipped()).answers.items()}
    assert found["epochs"] == pytest.approx(found["tokens"] / 1e10)
    assert found["epochs"] > 2
    for factor in (0.7, 1.4):
        aside = loss(
            n_params=found["n_params"] * factor, tokens=found["tokens"] / factor, given={"unique_tokens": 1e10}
        )
        assert aside > found["loss"]


@pytest.mark.parametrize("more", [{"precision": "fp8"}, {"given": {"unique_tokens": 1e10}}], ids=["bits", "repeats"])
def test_elasticities_are_those_of_the_answer(more: dict[str, object]) -> None:
    # a law without draws, whose value is that of its formula
    found = answered(**SIZE, **more, laws=["hoffmann-2022"]).answers["loss"].elasticities
    step = 1e-5
    for name in ("n_params", "tokens"):
        up, down = (
            loss(laws=["hoffmann-2022"], **{**SIZE, name: SIZE[name] * math.exp(sign * step)}, **more)
            for sign in (1, -1)
        )
        assert found[name] == pytest.approx((math.log(up) - math.log(down)) / (2 * step), abs=2e-6)


def test_the_law_of_bits_fits_its_runs(data: Path) -> None:
    runs = pl.read_csv(data / "quest_precision_runs.csv", comment_prefix="#")
    bits, whole = pl.col("w_bits"), pl.col("a_quant") == "NoQuantizer"
    best = runs.filter(
        pl.col("w_quant").str.contains("^HalfHadamard(Clip|Trust)Quantizer$") | (pl.col("w_quant") == "NoQuantizer")
    ).with_columns(a=pl.when(whole).then(16).otherwise(pl.col("a_bits")))
    off: list[float] = []
    law = shipped().get("quest-2025")
    for n, d, w, a, seen in best.select("non_embedding_parameters", "tokens", bits, "a", "loss").iter_rows():
        given = {"n_params": float(n), "tokens": float(d), "weight_bits": float(w), "activation_bits": float(a)}
        off.append(abs(float(evaluate(law, given, shipped()).outputs["loss"].value or 0) / seen - 1))
    assert len(off) > 40
    assert sorted(off)[len(off) // 2] <= 0.005


def test_repeats_hold_on_their_runs_once_the_level_is_fitted(data: Path) -> None:
    runs = pl.read_csv(data / "data_constrained_runs.csv", comment_prefix="#").filter(
        (pl.col("params") >= 1e8) & (pl.col("tokens") <= 16 * pl.col("unique_tokens"))
    )
    law, ratios = shipped().get("muennighoff-2023"), []
    for n, d, unique, seen in runs.select("params", "tokens", "unique_tokens", "loss").iter_rows():
        given = {"n_params": float(n), "tokens": float(d), "unique_tokens": float(unique)}
        ratios.append(float(evaluate(law, given, shipped()).outputs["loss"].value or 0) / seen)
    level = sorted(ratios)[len(ratios) // 2]
    off = sorted(abs(ratio / level - 1) for ratio in ratios)
    assert len(off) > 50
    assert off[len(off) // 2] <= 0.015


def test_another_optimizer_is_worth_more_or_fewer_tokens() -> None:
    share = evaluate(shipped().get("marin-optimizers-2025"), {"n_params": 1e9, "optimizer": "muon"}, shipped())
    worth = float(share.outputs["optimizer_share"].value or 0)
    assert worth > 1.1
    assert loss(**SIZE, optimizer="muon") == pytest.approx(loss(n_params=1e9, tokens=4e10 * worth), rel=1e-12)
    assert loss(**SIZE, optimizer="muon") < loss(**SIZE) < loss(**SIZE, optimizer="lion")
    # of the optimizer itself
    assert loss(**SIZE, optimizer="adam", laws=["kaplan-loss-n-2020"]) == loss(**SIZE, laws=["kaplan-loss-n-2020"])


def test_better_optimizers_are_better_in_the_cells_of_their_sweep(data: Path) -> None:
    runs = pl.read_csv(data / "marin_optimizer_sweep.csv", comment_prefix="#", infer_schema_length=10_000)
    cell = ["n_params", "tokens"]
    best = (
        runs.drop_nulls("c4_loss")
        .group_by(["optimizer", *cell])
        .agg(pl.col("c4_loss").min(), pl.len())
        .filter(pl.col("len") > 3)
    )
    best = best.with_columns(pl.col("optimizer").replace({"soape": "soap", "mini": "adam-mini"}))
    adamw = best.filter(pl.col("optimizer") == "adamw").select(*cell, adamw="c4_loss")
    law, agree = shipped().get("marin-optimizers-2025"), []
    for name, n, seen, base in (
        best.join(adamw, on=cell).select("optimizer", "n_params", "c4_loss", "adamw").iter_rows()
    ):
        if name in ("muon", "scion", "soap", "kron", "adam-mini"):
            given = {"n_params": float(n), "optimizer": name}
            worth = float(evaluate(law, given, shipped()).outputs["optimizer_share"].value or 0)
            agree.append((worth > 1) == (seen < base))
    assert len(agree) > 20
    assert sum(agree) / len(agree) >= 0.95


def test_a_mixture_counts_for_a_dense_law_as_the_model_that_is_as_good() -> None:
    experts = {"n_experts": 64.0, "n_active_experts": 4.0, "granularity": 8.0}
    mixture = {"n_params": 1e10, "tokens": 1e12, "given": experts}
    found = answered(**mixture, want=["loss", "dense_share", "efficiency_leverage", "n_active_params"]).answers
    share, leverage, active = (
        float(found[name].value or 0) for name in ("dense_share", "efficiency_leverage", "n_active_params")
    )
    assert share == pytest.approx(leverage * active / 1e10)
    assert 0.3 < share < 1
    assert found["loss"].value == pytest.approx(loss(n_params=share * 1e10, tokens=1e12), rel=1e-12)
    # a law of mixtures is asked as it is
    assert (
        loss(**mixture, laws=["krajewski-2024"]) == answered(**mixture, laws=["krajewski-2024"]).answers["loss"].value
    )


def test_elasticities_of_a_mixture_are_those_of_the_answer() -> None:
    more = {"given": {"n_experts": 64.0, "n_active_experts": 4.0}, "laws": ["kaplan-loss-c-2020"]}
    found = answered(**SIZE, **more).answers["loss"].elasticities
    step = 1e-5
    for name in ("n_params", "tokens"):
        up, down = (loss(**{**SIZE, name: SIZE[name] * math.exp(sign * step)}, **more) for sign in (1, -1))
        assert found[name] == pytest.approx((math.log(up) - math.log(down)) / (2 * step), abs=5e-6)
