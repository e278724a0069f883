"""Muon's rates: by the shape of a weight, on either scale, from a rate of AdamW; in tables of layers and between batches."""

import math
from typing import Any

import pytest

from hplaw.answer.muon import muon_ratio
from hplaw.errors import QueryError
from hplaw.messages.parametrization import LayerRow, ParametrizeRequest
from hplaw.messages.query import Query
from hplaw.messages.transfer import TransferRequest
from hplaw.parametrization.layer_table import parametrize
from hplaw.recommendation.record import recommend
from hplaw.theory.batch_transfer import transfer
from tests.helpers import LLAMA_3_8B, shipped


def by_torch(rate: float, shape: tuple[int, int], scale: str) -> float:
    """Return what torch.optim.Muon multiplies an orthogonal update by, at a rate."""
    a, b = shape
    return rate * (math.sqrt(max(1, a / b)) if scale == "original" else 0.2 * math.sqrt(max(a, b)))


@pytest.mark.parametrize("scale", ["original", "match_rms_adamw"])
def test_each_matrix_moves_as_far_as_by_adamw(scale: Any) -> None:
    """An orthogonal A x B update has a root mean square of 1 / sqrt(max(A, B)); times its factor, it is 0.2 of AdamW's rate."""
    request = ParametrizeRequest(
        optimizer="muon", from_optimizer="adamw", muon_scale=scale, config=LLAMA_3_8B, base_width=4096, peak_lr=3e-4
    )
    matrices = [weight for weight in parametrize(request).weights if weight.row.kind == "hidden"]
    assert len(matrices) == 7
    for weight in matrices:
        shape = (weight.shape[0], weight.shape[1])
        step = by_torch(weight.row.peak_lr or 0, shape, scale) / math.sqrt(max(shape))
        assert step == pytest.approx(0.2 * 3e-4, rel=1e-12), weight.name


def test_weights_beside_muon_keep_the_rate_of_adamw() -> None:
    muon = parametrize(
        ParametrizeRequest(optimizer="muon", from_optimizer="adamw", width=4096, base_width=512, peak_lr=3e-4)
    )
    adamw = parametrize(ParametrizeRequest(optimizer="adamw", width=4096, base_width=512, peak_lr=3e-4))
    for mine, its in zip(muon.layers, adamw.layers, strict=True):
        assert mine.kind == "hidden" or mine.peak_lr == its.peak_lr


def hidden(**fields: Any) -> LayerRow:
    request = ParametrizeRequest(optimizer="muon", width=2048, base_width=512, **fields)
    return next(row for row in parametrize(request).layers if row.kind == "hidden")


def test_rate_times_decay_of_a_matrix_is_the_base_models() -> None:
    plain = hidden()
    for scale in ("original", "match_rms_adamw"):
        for before in (None, "adamw"):
            row = hidden(muon_scale=scale, from_optimizer=before)
            assert row.rate * row.decay == pytest.approx(plain.rate * plain.decay, rel=1e-12)


def test_the_scales_are_two_ways_to_write_one_rate() -> None:
    """A rate on one scale, written on the other at either width, has the same factor from width to width."""
    original, matched = hidden(), hidden(muon_scale="match_rms_adamw")
    assert original.rate / matched.rate == pytest.approx(muon_ratio(2048, 2048) / muon_ratio(512, 512), rel=1e-12)
    taken = hidden(from_optimizer="adamw"), hidden(from_optimizer="adamw", muon_scale="match_rms_adamw")
    assert taken[0].rate / taken[1].rate == pytest.approx(muon_ratio(2048, 2048), rel=1e-12)
    assert taken[0].rate == pytest.approx(original.rate * muon_ratio(512, 512), rel=1e-12)


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"optimizer": "sgd", "from_optimizer": "adamw"}, "from_optimizer", "no law takes a rate from adamw to sgd"),
        ({"optimizer": "muon", "from_optimizer": "lion"}, "from_optimizer", "give one of adam, adamw"),
        ({"optimizer": "adamw", "muon_scale": "match_rms_adamw"}, "muon_scale", "is for optimizer muon"),
    ],
)
def test_what_no_law_converts_is_refused(fields: Any, field: str, words: str) -> None:
    with pytest.raises(QueryError, match=words) as caught:
        parametrize(ParametrizeRequest(**fields, width=512, base_width=512))
    assert caught.value.field == field


def test_a_transfer_goes_from_adamw_to_muon_then_from_batch_to_batch() -> None:
    asked: dict[str, Any] = {
        "peak_lr": 3e-4,
        "optimizer": "Muon",
        "from_optimizer": "AdamW",
        "given": {"d_model": 4096.0},
    }
    alone = transfer(TransferRequest(**asked), shipped())
    assert alone.conversion is not None
    assert (alone.conversion.ratio, alone.conversion.peak_lr, alone.rules) == (12.8, pytest.approx(0.00384), [])
    both = transfer(TransferRequest(**asked, batch_tokens=1e6, to_batch_tokens=4e6), shipped())
    assert both.conversion == alone.conversion
    square_root = next(rule for rule in both.rules if rule.law.startswith("square-root-rule@"))
    assert square_root.values["peak_lr"] == pytest.approx(2 * 0.00384)
    shaped = {**asked, "given": {"fan_out": 4096.0, "fan_in": 16384.0}, "muon_scale": "match_rms_adamw"}
    assert transfer(TransferRequest(**shaped), shipped()).conversion.peak_lr == 3e-4  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"optimizer": "muon", "from_optimizer": "adamw"}, "given.d_model"),
        ({"optimizer": "muon", "from_optimizer": "adamw", "given": {"d_model": 0.5}}, "given.d_model"),
        ({"optimizer": "muon", "from_optimizer": "adamw", "given": {"fan_out": 64.0}}, "given.d_model"),
        ({"optimizer": "adamw", "from_optimizer": "adamw"}, "batch_tokens"),
        ({"batch_tokens": 64.0}, "to_batch_tokens"),
        ({}, "batch_tokens"),
        ({"batch_tokens": 64.0, "to_batch_tokens": 128.0, "given": {"d_model": 64.0}}, "given.d_model"),
    ],
)
def test_a_transfer_says_what_it_lacks(fields: Any, field: str) -> None:
    with pytest.raises(QueryError) as caught:
        transfer(TransferRequest(peak_lr=1e-3, **fields), shipped())
    assert caught.value.field == field


def test_a_recommendation_starts_from_a_tuned_rate_of_adamw() -> None:
    size: dict[str, Any] = {"n_params": 7e9, "tokens": 1.4e12, "optimizer": "muon"}
    found = recommend(Query(**size, given={"adam_lr": 3e-4, "d_model": 4096.0}), shipped()).answers
    assert str(found["peak_lr"].law).startswith("muon-from-adamw@")
    assert found["peak_lr"].value == pytest.approx(12.8 * 3e-4)
    assert str(found["batch_tokens"].law).startswith("recipe@")
    free = recommend(Query(**size), shipped()).answers
    assert str(free["peak_lr"].law).startswith("recipe@")


def test_adamws_rate_beside_muon_is_that_of_adamw_alone() -> None:
    size: dict[str, Any] = {"n_params": 1e9, "tokens": 1e11}
    muon = recommend(Query(**size, optimizer="muon"), shipped()).answers
    adamw = recommend(Query(**size), shipped()).answers
    assert "adam_lr" not in adamw
    assert list(muon)[:2] == ["peak_lr", "adam_lr"]
    assert muon["adam_lr"].value == pytest.approx(adamw["peak_lr"].value, rel=1e-6)


def test_a_recommended_rate_of_muon_is_the_same_step_on_either_scale() -> None:
    size: dict[str, Any] = {"n_params": 1e9, "tokens": 2e10, "optimizer": "muon"}
    rates: dict[str, list[float]] = {}
    for scale in ("original", "match_rms_adamw", "shape", "rms"):
        answers = recommend(Query(**size, given={"muon_scale": scale, "d_model": 2048.0}), shipped()).answers
        rates[scale] = [float(answers[name].value or 0) for name in ("peak_lr", "weight_decay")]
    assert rates["shape"] == rates["original"]
    assert rates["rms"] == rates["match_rms_adamw"]
    (rate, decay), (matched, its) = rates["original"], rates["match_rms_adamw"]
    assert rate / matched == pytest.approx(0.2 * math.sqrt(2048), rel=1e-6)
    assert rate * decay == pytest.approx(matched * its, rel=1e-2), "rate times decay is what shrinks weights"
